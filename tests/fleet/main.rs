//! Real nodes, each a process of the program, and real memcached servers between them: killed, stopped, restarted, and
//! behind a line that lies.
//!
//! `DIPCACHE_FULL=1 cargo test --release --test fleet -- --nocapture --test-threads=1` on an idle machine takes
//! some ten minutes and holds the strict figures; without it each test is a short one on a busy machine.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "clippy knows tests, and not their helpers beside them")]

#[path = "../support/mod.rs"]
mod support;

mod faults;
mod flags;
mod harness;
mod orders;
mod values;
mod verdict;

/// True for the long tests with the strict figures.
fn is_full() -> bool {
    std::env::var_os("DIPCACHE_FULL").is_some_and(|value| value == "1")
}
