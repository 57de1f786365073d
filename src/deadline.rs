//! The clock, and the one thing it is for: knowing when an answer would come too late.
//!
//! A [`Deadline`] is made once, at the front, from the caller's budget; everything behind takes it
//! along and never a bare `Duration`, so that waiting twice can never add up to more than was given.
//! It stands on tokio's clock, which tests can pause.

pub mod sharp;

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

/// Milliseconds since 1970, which is the only time that two nodes share. A clock before 1970 reads as 1970.
pub fn calendar() -> u64 {
    let since = wall_clock().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
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

    /// The deadline of what must be done so long before this one.
    pub fn sooner_by(self, span: Duration) -> Self {
        Self(self.0.checked_sub(span).unwrap_or(self.0))
    }

    /// Waits for `work` until the deadline; `None` when it came first.
    pub async fn limit<T>(self, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout_at(self.0, work).await.ok()
    }

    /// As [`Deadline::limit`], and to a fraction of a millisecond on a thread that has [begun so](sharp::begin_here): for callers, whose
    /// budgets are a few milliseconds.
    pub async fn limit_sharply<T>(self, work: impl Future<Output = T>) -> Option<T> {
        sharp::limit(self.0, work).await
    }
}

/// Sleeps for so long: to a fraction of a millisecond on a thread that has [begun so](sharp::begin_here).
pub async fn sleep_sharply(span: Duration) {
    // Nothing comes before the end of it.
    let _ = sharp::limit(now() + span, std::future::pending::<()>()).await;
}

/// What the clock shows when the process begins: more than the 49 days that an entry can live, so that what was born
/// in another process before this one began has a tick as well.
const FIRST_TICK: u64 = 1 << 33;

/// Milliseconds on this process's clock: what a cache entry is stamped with,
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
    FIRST_TICK + moment.saturating_duration_since(*START.get_or_init(now)).as_millis() as u64
}
