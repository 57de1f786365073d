//! Exact counts over a sliding window, in ten buckets.
//!
//! No smoothed averages: an average weighted by time gives a tight burst of failures almost no weight
//! and can hide a total outage.

use std::time::Duration;

use crate::deadline::Instant;

const BUCKETS: usize = 10;

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Samples.
    pub total: u32,
    /// Of these, failures.
    pub failed: u32,
    /// Of these, slow ones, failed or not.
    pub slow: u32,
}

impl Counts {
    /// Failures by samples, 0 to 1; 0 without samples.
    pub fn failure_ratio(self) -> f64 {
        ratio(self.failed, self.total)
    }

    /// Slow ones by samples, 0 to 1; 0 without samples.
    pub fn slow_ratio(self) -> f64 {
        ratio(self.slow, self.total)
    }
}

fn ratio(part: u32, whole: u32) -> f64 {
    if whole == 0 { 0.0 } else { f64::from(part) / f64::from(whole) }
}

/// Counts over the latest stretch of time.
#[derive(Debug)]
pub struct Window {
    buckets: [Counts; BUCKETS],
    width: Duration,
    /// The bucket that counts now, and since when it has.
    current: usize,
    since: Instant,
}

impl Window {
    /// An empty window of this length.
    pub fn new(length: Duration, now: Instant) -> Self {
        let width = (length / BUCKETS as u32).max(Duration::from_millis(1));
        Self { buckets: [Counts::default(); BUCKETS], width, current: 0, since: now }
    }

    /// Counts one sample.
    pub fn count(&mut self, now: Instant, failed: bool, slow: bool) {
        self.advance(now);
        let bucket = &mut self.buckets[self.current];
        bucket.total = bucket.total.saturating_add(1);
        bucket.failed = bucket.failed.saturating_add(u32::from(failed));
        bucket.slow = bucket.slow.saturating_add(u32::from(slow));
    }

    /// What was counted in the window that ends now.
    pub fn counts(&mut self, now: Instant) -> Counts {
        self.advance(now);
        self.buckets.iter().fold(Counts::default(), |sum, bucket| Counts {
            total: sum.total.saturating_add(bucket.total),
            failed: sum.failed.saturating_add(bucket.failed),
            slow: sum.slow.saturating_add(bucket.slow),
        })
    }

    /// Forgets everything.
    pub fn clear(&mut self, now: Instant) {
        self.buckets = [Counts::default(); BUCKETS];
        self.since = now;
    }

    fn advance(&mut self, now: Instant) {
        let behind = now.saturating_duration_since(self.since).as_nanos() / self.width.as_nanos();
        if behind >= BUCKETS as u128 {
            self.clear(now);
            return;
        }
        for _ in 0..behind {
            self.current = (self.current + 1) % BUCKETS;
            self.buckets[self.current] = Counts::default();
            self.since += self.width;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline::now;

    #[test]
    fn counts_are_exact_within_the_window_and_gone_behind_it() {
        let start = now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut window = Window::new(Duration::from_secs(1), start);
        for ms in (0..1000).step_by(10) {
            window.count(at(ms), ms % 20 == 0, ms < 500);
        }
        assert_eq!(window.counts(at(999)), Counts { total: 100, failed: 50, slow: 50 });
        assert_eq!(window.counts(at(1499)), Counts { total: 50, failed: 25, slow: 0 });
        assert_eq!(window.counts(at(60_000)), Counts::default());
    }
}
