//! `dipcache`: see `dipcache --help`.

#[global_allocator]
static ALLOCATOR: dipcache::allocator::Mimalloc = dipcache::allocator::Mimalloc;

fn main() -> std::process::ExitCode {
    // An idle proxy would hold two megabytes for each huge page that is touched. The allocator is built not to ask for them,
    // since it is asked for memory before this line; this is for systems that give them unasked. Refused: no harm done.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    dipcache::cli::main()
}
