//! What the tests stand on: real servers on loopback, and vendors that misbehave to order.
//!
//! [`process`] starts and stops a server that is a program; [`postgres`], [`mariadb`], [`nsd`] and [`memcached`] are such
//! servers; [`vendor`] is a REST vendor, [`secure`] one that speaks TLS, and [`nameserver`] a name server of our own, with every fault of the
//! fault matrix as a mode that can be set while it runs. Every server listens on a free port of 127.0.0.1,
//! keeps its files in a temporary directory, and is gone when its value is dropped.
//!
//! A server that is not installed is no failure: `start` answers `None` after one line that begins with `SKIPPED:`.

// Each test file uses its own part of these.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

pub mod caller;
pub mod disk;
pub mod kamailio;
pub mod kafka;
pub mod lookups;
pub mod mariadb;
pub mod meddler;
pub mod memcached;
pub mod memory;
pub mod nameserver;
pub mod nodes;
pub mod nsd;
pub mod policies;
pub mod postgres;
pub mod picture;
pub mod process;
pub mod proxy;
pub mod secure;
pub mod vendor;

/// How much later than it should a thing may end on a machine that is busy with other tests. What is tested waits
/// for seconds when it is wrong.
pub const SLACK: std::time::Duration = std::time::Duration::from_millis(750);

/// True for the long runs with the strict figures, `DIPCACHE_FULL=1`: for an idle machine.
pub fn is_full() -> bool {
    std::env::var_os("DIPCACHE_FULL").is_some_and(|value| value == "1")
}
