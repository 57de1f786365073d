//! What the demo promises, and whether it was kept.

use std::fmt;
use std::time::Duration;

use super::tally::{Counts, GRACE};

/// A flag is 0 this long after all of a lookup's upstreams fell ill.
pub const FLAG_FALLS_WITHIN: Duration = Duration::from_secs(1);
/// A flag is 1 again this long after they healed.
pub const FLAG_RISES_WITHIN: Duration = Duration::from_secs(2);
/// The share of questions, in percent, that get a usable answer while upstreams are ill.
const USABLE_PERCENT: f64 = 99.0;
/// The share of answers, in percent, that come within budget and grace.
const IN_TIME_PERCENT: f64 = 99.9;

/// A promise, weighed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// What was promised.
    pub what: String,
    /// What was seen.
    pub seen: String,
    /// True when it was kept.
    pub kept: bool,
}

impl Promise {
    /// Every question got an answer, or a clear "without".
    pub fn none_lost(all: &Counts) -> Self {
        let lost = all.of(super::tally::Ending::Lost);
        Self {
            what: "every question of every call was answered".to_owned(),
            seen: format!("{} asked, {lost} lost", all.all()),
            kept: lost == 0 && all.all() > 0,
        }
    }

    /// Answers came in time.
    pub fn in_time(all: &Counts) -> Self {
        Self {
            what: format!("{IN_TIME_PERCENT} % of answers came within budget + {} ms", GRACE.as_millis()),
            seen: format!("{} of {} came later", all.late, all.all()),
            kept: all.percent(all.late) <= 100.0 - IN_TIME_PERCENT,
        }
    }

    /// Calls went on while a lookup's upstreams were ill.
    pub fn usable(lookup: &str, during: &Counts) -> Self {
        let share = during.percent(during.usable());
        Self {
            what: format!("{lookup}: {USABLE_PERCENT} % of answers were usable during the fault"),
            seen: format!("{share:.2} % of {}", during.all()),
            kept: during.all() > 0 && share >= USABLE_PERCENT,
        }
    }

    /// Answers of the second rank were really given.
    pub fn seen(lookup: &str, what: &str, count: u64) -> Self {
        Self { what: format!("{lookup}: {what} answers were given"), seen: count.to_string(), kept: count > 0 }
    }

    /// The flag turned in time; `after` is `None` when it never did.
    pub fn flag_turned(lookup: &str, to: u8, within: Duration, after: Option<Duration>) -> Self {
        Self {
            what: format!("{lookup}: the flag was {to} within {} s", within.as_secs()),
            seen: after.map_or("it never was".to_owned(), |after| format!("after {} ms", after.as_millis())),
            kept: after.is_some_and(|after| after <= within),
        }
    }

    /// The flag stayed 1; `fell` is when it did not.
    pub fn flag_stayed(lookup: &str, fell: Option<Duration>) -> Self {
        Self {
            what: format!("{lookup}: the flag stayed 1, because one upstream was well"),
            seen: fell.map_or("it did".to_owned(), |after| format!("it was 0 after {} ms", after.as_millis())),
            kept: fell.is_none(),
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.kept { "kept  " } else { "BROKEN" };
        write!(f, "{verdict}  {} ({})", self.what, self.seen)
    }
}
