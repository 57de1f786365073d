//! What a run came to: figures for promises ([`metric`]), a table for people, JSON for machines, a picture.

pub mod metric;
mod json;
mod picture;
mod slices;
mod table;

pub use json::json;
pub use picture::picture;
pub use table::{overview, table};

/// The value in the middle, or the higher of the two; no number where there is none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
