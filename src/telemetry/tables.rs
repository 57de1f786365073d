//! The handles of one table.

use std::sync::Arc;

use metrics::{Counter, Gauge, counter, gauge};

/// The handles of one table.
#[derive(Debug)]
pub struct TableMeters {
    /// How many rows it has.
    pub rows: Gauge,
    loaded: Counter,
    failed: Counter,
    implausible: Counter,
}

impl TableMeters {
    /// Makes the handles of this lookup's table.
    pub fn new(lookup: &Arc<str>, upstream: &Arc<str>) -> Self {
        let loads = |result: &'static str| {
            counter!("dipcache_table_loads_total",
                "lookup" => lookup.to_string(), "upstream" => upstream.to_string(), "result" => result)
        };
        Self {
            rows: gauge!("dipcache_table_rows", "lookup" => lookup.to_string(), "upstream" => upstream.to_string()),
            loaded: loads("loaded"),
            failed: loads("failed"),
            implausible: loads("implausible"),
        }
    }

    /// Counts a load that went well.
    pub fn loaded(&self, rows: usize) {
        self.rows.set(rows as f64);
        self.loaded.increment(1);
    }

    /// Counts a load that changed nothing: `implausible`, or `failed`.
    pub fn failed(&self, label: &str) {
        if label == "implausible" { self.implausible.increment(1) } else { self.failed.increment(1) }
    }
}

/// Shows how old a table is, in seconds. Set when metrics are read: it changes by itself.
pub fn table_age(lookup: &str, upstream: &str, seconds: f64) {
    gauge!("dipcache_table_age_seconds", "lookup" => lookup.to_owned(), "upstream" => upstream.to_owned()).set(seconds);
}
