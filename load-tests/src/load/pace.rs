//! When callers come. An open loop: who is due comes, whatever became of the ones before.

use std::time::Duration;

/// When callers come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// One after the other, equally far apart.
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
    /// When the n-th caller is due, from the load's own beginning.
    pub fn due(self, n: u64) -> Duration {
        match self {
            Self::Steady { a_second } => Duration::from_secs_f64(n as f64 / a_second),
            Self::Bursts { of, every } => every.mul_f64((n / of.max(1)) as f64),
        }
    }

    /// How many callers there are in this time.
    pub fn callers_in(self, span: Duration) -> u64 {
        match self {
            Self::Steady { a_second } => (span.as_secs_f64() * a_second).ceil() as u64,
            Self::Bursts { of, every } => (span.as_secs_f64() / every.as_secs_f64()).ceil() as u64 * of,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_counted_as_they_are_due() {
        let span = Duration::from_secs(3);
        for pace in [Pace::Steady { a_second: 700.0 }, Pace::Bursts { of: 30, every: Duration::from_millis(500) }] {
            let callers = pace.callers_in(span);
            assert!(pace.due(callers - 1) < span && pace.due(callers) >= span, "{pace:?}: {callers}");
        }
    }
}
