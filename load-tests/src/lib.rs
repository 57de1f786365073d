//! Load, faults and promises: how dipcache is measured, against what it promises and against its peers.
//!
//! In the order in which a run travels:
//!
//! - [`scenario`]: what a file in `scenarios/` says: loads, a timeline of faults, promises.
//! - [`stage`]: the programs that take part, started and ended here: the proxy, memcached, Kafka.
//! - [`vendor`]: what the proxy asks, at our orders.
//! - [`load`]: callers that come when they are due, whatever became of the ones before.
//! - [`run`]: one scenario from start to verdict.
//! - [`report`]: a table, JSON and a picture of it.
//! - [`awake`]: processors that do not halt meanwhile.
//!
//! Deliberately absent: any look inside the proxy. It is a program that is asked over its sockets, and whose
//! processor time and memory the kernel counts.

pub mod scenario;
pub mod stage;
pub mod vendor;
pub mod load;
pub mod run;
pub mod report;
pub mod awake;
