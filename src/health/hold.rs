//! A hold: the vendor asks to be left alone for a while, which is no failure.

use std::time::Duration;

use crate::answer::Outcome;
use crate::deadline::Instant;

/// A hold up to this long is a pause; a longer one makes the lookup's flag turn 0.
const PAUSE: Duration = Duration::from_secs(10);

/// The vendor is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Why: `rate_limited`, `quota_exhausted` or `auth_error`.
    pub outcome: Outcome,
    /// Until when.
    pub until: Instant,
    /// When it began.
    pub since: Instant,
}

impl Hold {
    /// True while it lasts.
    pub fn is_on(&self, now: Instant) -> bool {
        now < self.until
    }

    /// True for one that makes the upstream unusable, and not only pause: money, credentials, or a long time.
    pub fn is_outage(&self) -> bool {
        self.outcome != Outcome::RateLimited || self.until - self.since > PAUSE
    }
}
