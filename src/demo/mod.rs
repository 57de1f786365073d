//! `dipcache demo`: everything that a proxy needs around it, in one process on loopback.
//!
//! - [`vendors`]: simulated REST vendors that can be broken at run time, and the [`vendors::Simulator`] over all.
//! - [`zone`]: the simulated carrier's name server.

mod calls;
mod client;
mod numbers;
pub mod seed;
pub mod tally;
pub mod vendors;
pub mod zone;
