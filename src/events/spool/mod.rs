//! Where events wait until every sink has taken them, and what survives `kill -9`.
//!
//! The spool is one log for all sinks, as Kafka itself keeps one for all its readers. An event gets the next
//! number, is written to the newest [`segment`](self), and each sink has a [`Ledger`] that says below
//! which number it is done. A segment goes when every sink is done with it.
//!
//! ```text
//!   00…0000.seg  00…4711.seg  00…9422.seg     tail in memory
//!   ├───────────┼────────────┼──────────────┼╌╌╌╌╌╌╌╌╌┤ next
//!        ^ sink "k2"                   ^ sink "k1"
//! ```
//!
//! What must hold:
//! - Numbers have no holes. A hole that a reader meets is a loss, and its width is what was lost.
//! - A number that a sink has settled is never given out again, even when a torn tail took the event away:
//!   the next event would count as delivered before it was sent.
//! - A disk that is full, read-only or broken stops nobody: the tail in memory takes what it can
//!   hold, sums over many calls go first, and the disk is tried again every second.
//! - Starting reads the newest segment and the names of the others, however many there are.
//!
//! Left out on purpose: compaction, and any index by time. A segment is read from its start.

mod frame;
mod frames;
mod folder;
mod segment;
mod shelf;
mod journal;
mod reader;
mod ledger;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod model;

pub use folder::CannotOpen;
pub use frame::Record;
pub use journal::{Draft, Journal, Limits, WhenFull};
pub use ledger::Ledger;
pub use reader::Reader;
pub use segment::Keys;
