//! When callers come. An open loop: who is due comes, whatever became of the ones before.

use std::time::Duration;

/// When callers come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// One after the other, each at some moment of a stretch of its own: two loads that were equally far apart would march in
    /// step, and every hit would come with somebody who waits, or none would.
    Steady {
        /// How many a second.
        a_second: f64,
    },
    /// Many at once, again and again.
    Bursts {
        /// How many at once.
        of: u64,
        /// From one burst to the next.
        every: Duration,
    },
}

impl Pace {
    /// When the n-th caller is due, from the load's own beginning; `chance`, from 0 on and below 1, says where in its stretch.
    pub fn due(self, n: u64, chance: f64) -> Duration {
        match self {
            Self::Steady { a_second } => Duration::from_secs_f64((n as f64 + chance) / a_second),
            Self::Bursts { of, every } => every.mul_f64((n / of.max(1)) as f64),
        }
    }

    /// How many callers there are in this time: those whose stretch ends by then.
    pub fn callers_in(self, span: Duration) -> u64 {
        match self {
            // What lacks to a whole one for rounding is none.
            Self::Steady { a_second } => (span.as_secs_f64() * a_second + 1e-6).floor() as u64,
            Self::Bursts { of, every } => (span.as_secs_f64() / every.as_secs_f64()).ceil() as u64 * of,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_counted_as_they_are_due() {
        let steady = |a_second| Pace::Steady { a_second };
        let bursts = Pace::Bursts { of: 30, every: Duration::from_millis(500) };
        for (pace, seconds) in [(steady(700.0), 3.0), (steady(0.29), 100.0), (steady(3.0), 1.5), (bursts, 3.0)] {
            let span = Duration::from_secs_f64(seconds);
            let callers = pace.callers_in(span);
            let [last, beyond] = [callers - 1, callers].map(|n| pace.due(n, 0.999));
            assert!(last < span && beyond >= span, "{pace:?}: {callers}");
        }
    }

    #[test]
    fn nobody_comes_before_who_is_due_before() {
        let pace = Pace::Steady { a_second: 1000.0 };
        for n in 0..100 {
            assert!(pace.due(n, 0.999) < pace.due(n + 1, 0.0));
        }
    }
}
