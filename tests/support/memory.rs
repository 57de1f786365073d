//! How much memory a process holds.

/// Resident memory of this process in KiB, as the system counts it.
pub fn resident_kib() -> u64 {
    resident_kib_of(std::process::id())
}

/// As [`resident_kib`], of another process.
pub fn resident_kib_of(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("/proc is mounted, and it lives");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS is there");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("VmRSS is a number")
}
