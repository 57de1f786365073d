//! The memcached front over real sockets: what its clients rely on, line by line.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod front;
mod hostile;
mod lookups;
mod plain;
