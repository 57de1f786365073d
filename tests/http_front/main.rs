//! The HTTP front over real sockets, before an engine of known answers.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod client;
mod contract;
mod endurance;
mod fake;
mod fuzz;
mod lanes;
mod measure;
