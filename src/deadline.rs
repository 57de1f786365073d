//! The clock, and the one thing it is for: knowing when an answer would come too late.
//!
//! A [`Deadline`] is made once, at the front, from the caller's budget; everything behind takes it
//! along and never a bare `Duration`, so that waiting twice can never add up to more than was given.
//! It stands on tokio's clock, which tests can pause.

use std::time::Duration;

pub use tokio::time::Instant;

/// This moment on the clock that deadlines are measured by.
#[inline]
pub fn now() -> Instant {
    Instant::now()
}

/// This moment on the calendar, for dates that a remote has written. Never measure with it: it jumps.
pub fn wall_clock() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

/// The moment after which nobody waits any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// A deadline `budget` from now.
    pub fn after(budget: Duration) -> Self {
        Self(now() + budget)
    }

    /// A deadline at a known moment.
    pub fn at(moment: Instant) -> Self {
        Self(moment)
    }

    /// The moment itself.
    pub fn moment(self) -> Instant {
        self.0
    }

    /// What is left; zero once it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(now())
    }

    /// True once nobody waits any more.
    pub fn passed(self) -> bool {
        now() >= self.0
    }

    /// The earlier of two deadlines.
    pub fn earlier(self, other: Self) -> Self {
        self.min(other)
    }

    /// Waits for `work` until the deadline; `None` when it came first.
    pub async fn limit<T>(self, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout_at(self.0, work).await.ok()
    }
}

/// Milliseconds since this process first looked at its clock: what a cache entry is stamped with,
/// in a third of the bytes of an [`Instant`]. It never goes back and no change of the wall clock moves it.
#[inline]
pub fn tick() -> u64 {
    tick_at(now())
}

/// The tick of a moment.
#[inline]
pub fn tick_at(moment: Instant) -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    // A u64 of milliseconds lasts for half a billion years.
    moment.saturating_duration_since(*START.get_or_init(now)).as_millis() as u64
}
