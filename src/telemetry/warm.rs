//! The handles of one lookup's warm jobs.

use std::sync::Arc;

use metrics::{Counter, Gauge, counter, gauge};

/// The handles of one lookup's warm jobs.
#[derive(Debug)]
pub struct WarmMeters {
    /// Jobs under way.
    pub jobs: Gauge,
    /// Keys that were fresh already.
    pub hits: Counter,
    /// Keys that were asked and are known now.
    pub dips: Counter,
    /// Keys that were asked in vain.
    pub failed: Counter,
    /// Lines that are no keys.
    pub bad: Counter,
}

impl WarmMeters {
    /// Makes the handles of this lookup.
    pub fn new(lookup: &Arc<str>) -> Self {
        let keys = |result: &'static str| counter!("dipcache_warm_keys_total", "lookup" => lookup.to_string(), "result" => result);
        Self {
            jobs: gauge!("dipcache_warm_jobs", "lookup" => lookup.to_string()),
            hits: keys("hit"),
            dips: keys("dip"),
            failed: keys("failed"),
            bad: keys("bad"),
        }
    }
}
