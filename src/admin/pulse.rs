//! Latency and traffic over the last minute, from the histograms' growth.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::lookup::Lookup;
use crate::telemetry::histogram::quantile;

/// Beats that make a minute.
const BEATS: usize = 12;

/// What the histograms held at each of the latest beats, by lookup.
#[derive(Debug, Default)]
pub struct Pulse(Mutex<HashMap<Arc<str>, VecDeque<Vec<u64>>>>);

/// The last minute of one lookup.
#[derive(Clone, Copy, Debug, Default)]
pub struct LastMinute {
    /// Callers answered.
    pub callers: u64,
    /// Half of them waited less.
    pub p50: Option<Duration>,
    /// All but a hundredth of them waited less.
    pub p99: Option<Duration>,
}

impl Pulse {
    /// Notes where the histograms stand.
    pub fn beat(&self, lookups: &[Arc<Lookup>]) {
        let mut beats = self.0.lock();
        beats.retain(|name, _| lookups.iter().any(|lookup| lookup.policy.name == *name));
        for lookup in lookups {
            let row = beats.entry(Arc::clone(&lookup.policy.name)).or_default();
            if row.len() == BEATS {
                row.pop_front();
            }
            row.push_back(lookup.meters().latency());
        }
    }

    /// What has come since the oldest beat.
    pub fn last_minute(&self, lookup: &Lookup) -> LastMinute {
        let mut counts = lookup.meters().latency();
        if let Some(oldest) = self.0.lock().get(&lookup.policy.name).and_then(VecDeque::front) {
            counts.iter_mut().zip(oldest).for_each(|(now, then)| *now = now.saturating_sub(*then));
        }
        LastMinute { callers: counts.iter().sum(), p50: quantile(&counts, 0.5), p99: quantile(&counts, 0.99) }
    }
}
