//! Holds that concern a part of an upstream's questions: one key, or all that go out with one set of credentials.
//!
//! A vendor that has had enough of one number, or of one tenant, is well for all others.

use std::collections::HashMap;
use std::time::Duration;

use compact_str::CompactString;
use parking_lot::Mutex;

use crate::answer::Outcome;
use crate::deadline::Instant;
use crate::health::hold::Hold;

/// The most parts that are held at once: who asks for ever new keys must not fill our memory.
const MOST: usize = 10_000;

/// How often a hold that nobody set a time for is doubled at most, and how long it gets.
const DOUBLINGS: u32 = 7;
const LONGEST: Duration = Duration::from_secs(600);

/// Which part of an upstream's questions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// One question, by its id.
    Key(CompactString),
    /// All that go out with the credentials of this name.
    Credential(CompactString),
}

/// The parts that are left alone.
#[derive(Debug, Default)]
pub struct Apart {
    held: Mutex<HashMap<Part, Held>>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    hold: Hold,
    /// Holds that nobody set a time for, since the last answer.
    in_a_row: u32,
}

impl Apart {
    /// True while nothing was held lately: the ordinary case.
    pub fn is_empty(&self) -> bool {
        self.held.lock().is_empty()
    }

    /// Why this part is left alone now, if it is.
    pub fn hold(&self, part: &Part, now: Instant) -> Option<Hold> {
        let held = self.held.lock();
        held.get(part).map(|held| held.hold).filter(|hold| hold.is_on(now))
    }

    /// Leaves a part alone for a while; a shorter one does not cut a hold that is on. With `grows`, twice as long as
    /// the last time, until the part has an answer. True when it was not held before.
    pub fn hold_for(&self, part: Part, now: Instant, outcome: Outcome, span: Duration, grows: bool) -> bool {
        let mut held = self.held.lock();
        let before = held.get(&part).copied();
        let was_on = before.filter(|before| before.hold.is_on(now));
        let in_a_row = before.map_or(0, |before| before.in_a_row);
        let span = match grows {
            true => span.saturating_mul(1 << in_a_row.min(DOUBLINGS)).min(LONGEST.max(span)),
            false => span,
        };
        let hold = Hold { outcome, until: now + span, since: now };
        // Each dip that was in flight brings the same refusal home, a little later.
        if was_on.is_some_and(|before| grows || before.hold.until >= hold.until) {
            return false;
        }
        if before.is_none() && held.len() >= MOST {
            held.retain(|_, held| held.hold.is_on(now));
            if held.len() >= MOST {
                return false;
            }
        }
        held.insert(part, Held { hold, in_a_row: in_a_row + u32::from(grows) });
        was_on.is_none()
    }

    /// The part has an answer: its next hold is as short as the first.
    pub fn answered(&self, part: &Part) {
        self.held.lock().remove(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline::now;

    const SECOND: Duration = Duration::from_secs(1);

    fn key(text: &str) -> Part {
        Part::Key(text.into())
    }

    #[test]
    fn one_part_is_left_alone_and_no_other() {
        let (apart, start) = (Apart::default(), now());
        assert!(apart.hold_for(key("a"), start, Outcome::RateLimited, SECOND, false));
        assert_eq!(apart.hold(&key("a"), start).map(|hold| hold.outcome), Some(Outcome::RateLimited));
        assert_eq!(apart.hold(&key("b"), start), None);
        assert_eq!(apart.hold(&Part::Credential("a".into()), start), None);
        assert_eq!(apart.hold(&key("a"), start + SECOND), None);
    }

    #[test]
    fn a_hold_that_nobody_timed_doubles_until_there_is_an_answer() {
        let (apart, mut at) = (Apart::default(), now());
        for seconds in [1, 2, 4, 8] {
            assert!(apart.hold_for(key("a"), at, Outcome::Timeout, SECOND, true));
            assert!(!apart.hold_for(key("a"), at, Outcome::Timeout, SECOND, true), "a dip that was under way");
            at += SECOND * seconds;
            assert!(apart.hold(&key("a"), at - SECOND / 2).is_some() && apart.hold(&key("a"), at).is_none());
        }
        apart.answered(&key("a"));
        assert!(apart.hold_for(key("a"), at, Outcome::Timeout, SECOND, true));
        assert_eq!(apart.hold(&key("a"), at + SECOND), None);
    }

    #[test]
    fn ever_new_keys_do_not_fill_our_memory() {
        let (apart, start) = (Apart::default(), now());
        for n in 0..MOST + 100 {
            apart.hold_for(key(&n.to_string()), start, Outcome::RateLimited, SECOND, false);
        }
        assert_eq!(apart.held.lock().len(), MOST);
        assert!(apart.hold_for(key("late"), start + SECOND, Outcome::RateLimited, SECOND, false));
        assert_eq!(apart.held.lock().len(), 1);
    }
}
