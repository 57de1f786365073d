//! `dipcache`: see `dipcache --help`.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // The allocator asks for huge pages, and an idle proxy would hold two megabytes for each that is touched. Refused: no
    // harm done.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    dipcache::cli::main()
}
