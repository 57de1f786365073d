//! Our own token bucket, by the generic cell rate algorithm: one moment of state.
//!
//! Written here and not taken from a crate because it stands on the clock that tests can pause.

use std::time::Duration;

use crate::deadline::Instant;
use crate::health::pace::Pace;
use crate::policy::Rate;

/// A token bucket.
#[derive(Debug)]
pub struct Bucket {
    /// Time between two tokens at the steady rate.
    step: Duration,
    /// How far ahead of the steady rate a burst may run.
    tolerance: Duration,
    /// When the next token would come at the steady rate.
    next: Instant,
    /// What is left over for dips that have time.
    idle: Pace,
}

impl Bucket {
    /// A full bucket.
    pub fn new(rate: Rate, now: Instant) -> Self {
        let step = Duration::from_secs_f64(1.0 / rate.per_second.max(1e-6));
        Self { step, tolerance: step * rate.burst.saturating_sub(1), next: now, idle: Pace::new(rate.per_second, now) }
    }

    /// Takes a token, or says how long to wait for one.
    ///
    /// # Errors
    /// The time until a token is there.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let next = self.next.max(now);
        let ahead = next - now;
        if ahead > self.tolerance {
            return Err(ahead - self.tolerance);
        }
        self.next = next + self.step;
        self.idle.taken(now);
        Ok(())
    }

    /// Takes a token that calls have left over. They do not miss it: theirs are counted for themselves.
    ///
    /// # Errors
    /// The time until one is there.
    pub fn take_idle(&mut self, now: Instant) -> Result<(), Duration> {
        self.idle.take(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline::now;

    #[test]
    fn a_burst_then_the_steady_rate() {
        let start = now();
        let mut bucket = Bucket::new(Rate { per_second: 10.0, burst: 3 }, start);
        assert!((0..3).all(|_| bucket.take(start).is_ok()));
        assert_eq!(bucket.take(start), Err(Duration::from_millis(100)));
        let taken = (1..=1000).filter(|ms| bucket.take(start + Duration::from_millis(*ms)).is_ok()).count();
        assert_eq!(taken, 10);
    }

    #[test]
    fn a_pause_saves_no_more_than_the_burst() {
        let start = now();
        let mut bucket = Bucket::new(Rate { per_second: 10.0, burst: 2 }, start);
        let later = start + Duration::from_secs(60);
        assert_eq!((0..10).filter(|_| bucket.take(later).is_ok()).count(), 2);
    }
}
