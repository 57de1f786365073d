//! What an operator can see: metrics by `metrics`, our own histograms, and structured logs.
//!
//! A handle is made once for each lookup and outcome; a hit adds to handles and never builds a label.
//! No phone number is ever a label, and none stands in a log line in full unless the config wants it.

pub mod histogram;
pub mod log;
pub mod meters;
pub mod recorder;
mod striped;
mod tables;
mod warm;

pub use histogram::Histogram;
pub use meters::{FrontName, Meters};
pub use striped::Striped;
pub use tables::{TableMeters, table_age};
pub use warm::WarmMeters;
