//! An answer as it is kept, with its times.
//!
//! The life of an entry: fresh, then perhaps stale, then dead. A dead one is treated as absent
//! wherever it is met; the sweep takes it away.

use std::time::Duration;

use crate::answer::{Answer, Outcome, Record, Source};
use crate::policy::CacheRules;

/// An answer as it is kept. Small on purpose: there are millions.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The kept fields, if the outcome has any.
    pub record: Option<Record>,
    /// When the upstream gave it, in ticks.
    pub(in crate::cache) born: u64,
    /// How long it is fresh, in milliseconds from `born`.
    pub(in crate::cache) fresh_ms: u32,
    /// How long it may be served at all, in milliseconds from `born`; at least `fresh_ms`.
    pub(in crate::cache) dead_ms: u32,
    /// How the dip ended.
    pub outcome: Outcome,
}

/// An entry where it lies: for who needs no copy of it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// See [`Entry::record`].
    pub record: Option<&'a Record>,
    /// See [`Entry::outcome`].
    pub outcome: Outcome,
    pub(in crate::cache) born: u64,
    pub(in crate::cache) fresh_ms: u32,
    pub(in crate::cache) dead_ms: u32,
}

impl Seen<'_> {
    /// How old it is at this tick.
    #[inline]
    pub fn freshness(&self, tick: u64) -> Freshness {
        let age = tick.saturating_sub(self.born);
        if age < u64::from(self.fresh_ms) {
            Freshness::Fresh
        } else if age < u64::from(self.dead_ms) {
            Freshness::Stale
        } else {
            Freshness::Dead
        }
    }

    /// True when more than this share of its life is over.
    #[inline]
    pub fn is_past(&self, share: f64, tick: u64) -> bool {
        share < 1.0 && tick.saturating_sub(self.born) as f64 > f64::from(self.fresh_ms) * share
    }

    /// How much longer it is fresh, in seconds; negative for a stale one. Rounded down, so that a positive figure is never a
    /// promise too long.
    #[inline]
    pub fn ttl(&self, tick: u64) -> i64 {
        // Both fit an i64: see `tick`.
        (i64::from(self.fresh_ms) - tick.saturating_sub(self.born) as i64).div_euclid(1000)
    }

    /// A copy to keep.
    #[inline]
    pub fn entry(&self) -> Entry {
        let Self { record, outcome, born, fresh_ms, dead_ms } = *self;
        Entry { record: record.cloned(), born, fresh_ms, dead_ms, outcome }
    }
}

/// How old an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Within its life.
    Fresh,
    /// Past it, and may still be served when nothing better is to be had.
    Stale,
    /// Must not be served.
    Dead,
}

impl Entry {
    /// Seals an answer with its times. `None` when the policy does not keep such an answer.
    ///
    /// `ttl` is the life that the answer brought itself, which the policy clamps; `chance` is from 0 to 1
    /// and decides how much of the jitter is taken off.
    pub fn seal(
        rules: &CacheRules,
        outcome: Outcome,
        record: Option<Record>,
        ttl: Option<Duration>,
        chance: f64,
        tick: u64,
    ) -> Option<Self> {
        let life = rules.life(outcome);
        if life.is_zero() {
            return None;
        }
        let life = ttl.map_or(life, |own| own.clamp(rules.min_ttl, rules.max_ttl)).min(rules.ceiling);
        let fresh = life.mul_f64(1.0 - (rules.jitter * chance).clamp(0.0, 1.0));
        // A "no" past its life is not worth serving: the policy's fallback record knows more.
        let past = if outcome.has_record() { rules.stale.max(rules.revalidate) } else { Duration::ZERO };
        let dead = fresh.saturating_add(past).min(rules.ceiling);
        Some(Self { record, born: tick, fresh_ms: millis(fresh), dead_ms: millis(dead), outcome })
    }

    /// It itself, without a copy of its record.
    #[inline]
    pub fn seen(&self) -> Seen<'_> {
        let Self { ref record, born, fresh_ms, dead_ms, outcome } = *self;
        Seen { record: record.as_ref(), outcome, born, fresh_ms, dead_ms }
    }

    /// How old it is at this tick.
    #[inline]
    pub fn freshness(&self, tick: u64) -> Freshness {
        self.seen().freshness(tick)
    }

    /// True when it is past its life by no more than this.
    pub fn expired_within(&self, grace: Duration, tick: u64) -> bool {
        let past = tick.saturating_sub(self.born).saturating_sub(u64::from(self.fresh_ms));
        u128::from(past) < grace.as_millis()
    }

    /// How long ago it was given, in milliseconds.
    pub fn age_ms(&self, tick: u64) -> u64 {
        tick.saturating_sub(self.born)
    }

    /// How much longer it may be served, fresh or stale.
    pub fn life_left(&self, tick: u64) -> Duration {
        Duration::from_millis(u64::from(self.dead_ms).saturating_sub(tick.saturating_sub(self.born)))
    }

    /// True when it was given later than the other.
    pub fn is_younger_than(&self, other: &Self) -> bool {
        self.born > other.born
    }

    /// True when more than this share of its life is over.
    #[inline]
    pub fn is_past(&self, share: f64, tick: u64) -> bool {
        self.seen().is_past(share, tick)
    }

    /// True when it is not fresh any more, or past this share of its life.
    pub fn is_late(&self, share: f64, tick: u64) -> bool {
        self.freshness(tick) != Freshness::Fresh || self.is_past(share, tick)
    }

    /// What a caller is told.
    pub fn answer(&self, source: Source, tick: u64) -> Answer {
        self.clone().into_answer(source, tick)
    }

    /// What a caller is told, of an entry that is his alone.
    #[inline]
    pub fn into_answer(self, source: Source, tick: u64) -> Answer {
        let (age, ttl) = (self.age_ms(tick), self.seen().ttl(tick));
        Answer {
            outcome: self.outcome,
            source,
            record: self.record,
            age: Duration::from_millis(age),
            ttl,
            retry_after: None,
            collapsed: false,
        }
    }

    /// Bytes that the entry itself holds outside of its own struct.
    pub fn record_bytes(&self) -> usize {
        self.record.as_ref().map_or(0, |record| record.as_json().len())
    }
}

/// Milliseconds, at most the 49 days that a `u32` holds.
fn millis(span: Duration) -> u32 {
    u32::try_from(span.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> CacheRules {
        CacheRules {
            found: Duration::from_secs(10),
            partial: Duration::from_secs(5),
            not_found: Duration::from_secs(2),
            invalid_number: Duration::ZERO,
            stale: Duration::from_secs(60),
            revalidate: Duration::from_secs(1),
            ceiling: Duration::from_secs(30),
            jitter: 0.1,
            refresh_ahead: 0.8,
            min_ttl: Duration::from_secs(1),
            max_ttl: Duration::from_secs(20),
            max_entries: 10,
            max_bytes: 1000,
            engine: crate::policy::Engine::default(),
        }
    }

    fn seal(outcome: Outcome, ttl: Option<u64>, chance: f64) -> Option<Entry> {
        Entry::seal(&rules(), outcome, None, ttl.map(Duration::from_secs), chance, 1000)
    }

    #[test]
    fn a_life_is_fresh_then_stale_then_dead_and_the_ceiling_ends_it() {
        let entry = seal(Outcome::Found, None, 0.0).unwrap();
        assert_eq!(entry.freshness(1000), Freshness::Fresh);
        assert_eq!(entry.freshness(10_999), Freshness::Fresh);
        assert_eq!(entry.freshness(11_000), Freshness::Stale);
        assert_eq!(entry.freshness(30_999), Freshness::Stale);
        assert_eq!(entry.freshness(31_000), Freshness::Dead, "stale is 60 s, but the contract allows 30 in all");
    }

    #[test]
    fn a_no_is_never_stale() {
        let entry = seal(Outcome::NotFound, None, 0.0).unwrap();
        assert_eq!(entry.freshness(2999), Freshness::Fresh);
        assert_eq!(entry.freshness(3000), Freshness::Dead);
    }

    #[test]
    fn what_the_policy_gives_no_time_is_not_kept() {
        assert!(seal(Outcome::InvalidNumber, None, 0.0).is_none());
        assert!(seal(Outcome::Timeout, None, 0.0).is_none());
    }

    #[test]
    fn the_answers_own_life_is_clamped() {
        assert_eq!(seal(Outcome::Found, Some(0), 0.0).unwrap().answer(Source::Local, 1000).ttl, 1);
        assert_eq!(seal(Outcome::Found, Some(7), 0.0).unwrap().answer(Source::Local, 1000).ttl, 7);
        assert_eq!(seal(Outcome::Found, Some(9999), 0.0).unwrap().answer(Source::Local, 1000).ttl, 20);
    }

    #[test]
    fn jitter_takes_off_a_share_and_never_adds() {
        let entry = seal(Outcome::Found, None, 1.0).unwrap();
        assert_eq!(entry.freshness(9_999), Freshness::Fresh);
        assert_eq!(entry.freshness(10_000), Freshness::Stale);
    }

    #[test]
    fn age_and_ttl_are_told_in_seconds_and_a_stale_ttl_is_negative() {
        let entry = seal(Outcome::Found, None, 0.0).unwrap();
        let answer = entry.answer(Source::Stale, 13_500);
        assert_eq!((answer.age.as_millis(), answer.ttl), (12_500, -3));
        assert!(entry.expired_within(Duration::from_secs(3), 13_500));
        assert!(!entry.expired_within(Duration::from_secs(2), 13_500));
        assert!(entry.is_past(0.8, 9_001) && !entry.is_past(0.8, 8_999) && !entry.is_past(1.0, 99_000));
    }
}
