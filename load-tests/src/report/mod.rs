//! What a run came to: figures for promises ([`metric`]), a table for people, JSON for machines, a picture.

pub mod metric;
mod json;
mod picture;
mod slices;
mod table;

pub use json::json;
pub use picture::picture;
pub use table::{overview, table};
