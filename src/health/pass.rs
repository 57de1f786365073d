//! One upstream's health, and the proofs that a dip needs before it may ask: a [`Pass`] and a [`Seat`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::answer::Outcome;
use crate::deadline::{Deadline, Instant};
use crate::health::breaker::{Breaker, Change, State};
use crate::health::bucket::Bucket;
use crate::health::hold::Hold;
use crate::health::idle::{IdleSeat, IdleSeats};
use crate::health::seats::{Seat, Seats};
use crate::health::window::Counts;
use crate::policy::{BreakerRules, Rate};

/// How often a hold that nobody set a time for is doubled at most, and how long it gets.
const DOUBLINGS: u32 = 10;
const LONGEST_HOLD: Duration = Duration::from_secs(3600);

/// One upstream's health.
#[derive(Debug)]
pub struct UpstreamHealth {
    breaker: Mutex<Breaker>,
    hold: Mutex<Option<Hold>>,
    /// Holds since the last answer that nobody set a time for.
    holds_in_a_row: AtomicU32,
    bucket: Option<Mutex<Bucket>>,
    pub(super) seats: Arc<Seats>,
    pub(super) idle: IdleSeats,
    in_flight: AtomicU64,
}

/// Why there is no pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The outcome that this makes, if no other upstream answers.
    pub outcome: Outcome,
    /// When asking again makes sense.
    pub retry_after: Duration,
}

/// A hold that was laid just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The hold.
    pub hold: Hold,
    /// False when it only makes one longer that is on for the same reason.
    pub is_news: bool,
}

/// The breaker, the hold and the bucket let this dip through. Bring its end home with [`Pass::end`];
/// one that is dropped (the dip was given up) is no sample.
#[derive(Debug)]
#[must_use]
pub struct Pass {
    health: Arc<UpstreamHealth>,
    began: Instant,
    probe: bool,
    counted: bool,
    /// Its seat, where it is a dip that nobody waits for.
    idle: Option<IdleSeat>,
}

impl UpstreamHealth {
    /// A healthy upstream.
    pub fn new(rules: BreakerRules, concurrency: usize, rate: Option<Rate>, now: Instant) -> Arc<Self> {
        Arc::new(Self {
            breaker: Mutex::new(Breaker::new(rules, now)),
            hold: Mutex::new(None),
            holds_in_a_row: AtomicU32::new(0),
            bucket: rate.map(|rate| Mutex::new(Bucket::new(rate, now))),
            seats: Seats::new(concurrency),
            idle: IdleSeats::default(),
            in_flight: AtomicU64::new(0),
        })
    }

    /// May an ordinary dip ask? Looks, and takes nothing.
    ///
    /// # Errors
    /// Why not.
    pub fn may_ask(&self, now: Instant) -> Result<(), Refused> {
        if let Some(hold) = self.hold(now) {
            return Err(Refused { outcome: hold.outcome, retry_after: hold.until - now });
        }
        match self.breaker.lock().state() {
            State::Closed => Ok(()),
            State::Open { until } => {
                Err(Refused { outcome: Outcome::Open, retry_after: until.saturating_duration_since(now) })
            }
            State::HalfOpen => Err(Refused { outcome: Outcome::Open, retry_after: Duration::ZERO }),
        }
    }

    /// Lets an ordinary dip through, and takes a token for it.
    ///
    /// # Errors
    /// Why not.
    pub fn pass(self: &Arc<Self>, now: Instant) -> Result<Pass, Refused> {
        self.may_ask(now)?;
        if let Some(bucket) = &self.bucket {
            bucket.lock().take(now).map_err(|retry_after| Refused { outcome: Outcome::RateLimited, retry_after })?;
        }
        Ok(self.make_pass(now, false))
    }

    /// As [`UpstreamHealth::pass`]; where `regardless`, whatever breaker, hold and bucket say.
    ///
    /// # Errors
    /// Why not.
    pub fn pass_or(self: &Arc<Self>, now: Instant, regardless: bool) -> Result<Pass, Refused> {
        if regardless { Ok(self.make_pass(now, false)) } else { self.pass(now) }
    }

    /// Lets a probe through, once one is due. The hold and the bucket are for ordinary dips.
    pub fn probe(self: &Arc<Self>, now: Instant) -> (Option<Pass>, Option<Change>) {
        let (due, change) = self.breaker.lock().probe_due(now);
        (due.then(|| self.make_pass(now, true)), change)
    }

    fn make_pass(self: &Arc<Self>, now: Instant, probe: bool) -> Pass {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Pass { health: Arc::clone(self), began: now, probe, counted: false, idle: None }
    }

    /// A pass of the idle lane, which brings its seat along.
    pub(super) fn make_idle_pass(self: &Arc<Self>, now: Instant, seat: IdleSeat) -> Pass {
        let mut pass = self.make_pass(now, false);
        pass.idle = Some(seat);
        pass
    }

    /// Takes what calls have left of the rate, or says when there is something again.
    pub(super) fn take_idle_token(&self, now: Instant) -> Result<(), Duration> {
        self.bucket.as_ref().map_or(Ok(()), |bucket| bucket.lock().take_idle(now))
    }

    /// A seat, if one is free.
    pub fn free_seat(&self) -> Option<Seat> {
        self.seats.try_take()
    }

    /// Waits for a seat, no longer than the deadline. `None` is our own overload, never the upstream's fault.
    pub async fn seat(&self, deadline: Deadline) -> Option<Seat> {
        self.seats.take(deadline).await
    }

    /// Leaves the upstream alone for a while. `None` when a hold is on that lasts as long: a shorter one does not cut it.
    pub fn hold_for(&self, now: Instant, outcome: Outcome, span: Duration) -> Option<Held> {
        let hold = Hold { outcome, until: now + span, since: now };
        let mut current = self.hold.lock();
        let before = current.filter(|before| before.is_on(now));
        if before.is_some_and(|before| before.until >= hold.until) {
            return None;
        }
        *current = Some(hold);
        // Each dip that was in flight brings the same refusal home, a little later.
        Some(Held { hold, is_news: before.is_none_or(|before| before.outcome != outcome) })
    }

    /// Leaves the upstream alone for a while that nobody told: twice as long as the last time, until it answers
    /// again. One that is asked for while a hold is on (by a dip that was under way) changes nothing.
    pub fn hold_longer(&self, now: Instant, outcome: Outcome, first: Duration) -> Option<Held> {
        let mut current = self.hold.lock();
        if current.is_some_and(|current| current.is_on(now)) {
            return None;
        }
        let before = self.holds_in_a_row.fetch_add(1, Ordering::Relaxed);
        let span = first.saturating_mul(1 << before.min(DOUBLINGS)).min(LONGEST_HOLD.max(first));
        let hold = Hold { outcome, until: now + span, since: now };
        *current = Some(hold);
        Some(Held { hold, is_news: true })
    }

    /// The upstream has answered: the next hold is as short as the first.
    pub fn hold_is_over(&self) {
        self.holds_in_a_row.store(0, Ordering::Relaxed);
    }

    /// The hold that is on now.
    pub fn hold(&self, now: Instant) -> Option<Hold> {
        self.hold.lock().filter(|hold| hold.is_on(now))
    }

    /// True unless the breaker is not closed or a hold amounts to an outage: what the flag is made of.
    pub fn is_usable(&self, now: Instant) -> bool {
        self.breaker.lock().is_closed() && !self.hold(now).is_some_and(|hold| hold.is_outage())
    }

    /// True when the latest sample was a failure: the next one may well hang too.
    pub fn is_suspect(&self) -> bool {
        let breaker = self.breaker.lock();
        !breaker.is_closed() || breaker.failures_in_a_row() > 0
    }

    /// Where the breaker stands, since when, and what its window holds.
    pub fn breaker(&self, now: Instant) -> (State, Instant, Counts) {
        let mut breaker = self.breaker.lock();
        (breaker.state(), breaker.since(), breaker.counts(now))
    }

    /// Dips in flight.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }
}

impl Pass {
    /// True for a probe of ours.
    pub fn is_probe(&self) -> bool {
        self.probe
    }

    /// True for one that brings its own seat: nobody waits for it.
    pub fn is_idle(&self) -> bool {
        self.idle.is_some()
    }

    /// How long this dip has been under way.
    pub fn took(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }

    /// Its seat is there, and the upstream's time begins. How long that took, which is our own doing.
    pub fn seated(&mut self, now: Instant) -> Duration {
        let waited = self.took(now);
        self.began = now;
        waited
    }

    /// The callers' time is over and no answer is there: counts as a failure now, and whatever comes
    /// later counts no more. The dip itself may go on for the cache's sake.
    pub fn overdue(&mut self, now: Instant) -> Option<Change> {
        self.count(now, true)
    }

    /// The dip's end, as its outcome and blame decide. An end that is nobody's fault is no sample.
    pub fn end(mut self, now: Instant, failed: Option<bool>) -> Option<Change> {
        failed.and_then(|failed| self.count(now, failed))
    }

    fn count(&mut self, now: Instant, failed: bool) -> Option<Change> {
        if std::mem::replace(&mut self.counted, true) {
            return None;
        }
        let took = self.took(now);
        let mut breaker = self.health.breaker.lock();
        if self.probe { breaker.probe_ended(now, failed, took) } else { breaker.sample(now, failed, took) }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.health.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::deadline::now;

    pub fn health(concurrency: usize) -> Arc<UpstreamHealth> {
        limited(concurrency, None)
    }

    pub fn limited(concurrency: usize, rate: Option<Rate>) -> Arc<UpstreamHealth> {
        let rules = BreakerRules {
            window: Duration::from_secs(10),
            min_samples: 20,
            failure_ratio: 0.5,
            slow: Duration::from_secs(1),
            slow_ratio: 0.8,
            consecutive: 3,
            open: Duration::from_secs(1),
            open_max: Duration::from_secs(4),
            probes: 1,
        };
        UpstreamHealth::new(rules, concurrency, rate, now())
    }

    #[test]
    fn a_dropped_pass_is_no_sample() {
        let health = health(1);
        for _ in 0..10 {
            drop(health.pass(now()).unwrap());
        }
        assert_eq!(health.breaker(now()).2, Counts::default());
        assert_eq!(health.in_flight(), 0);
    }

    #[test]
    fn an_overdue_dip_counts_once_and_at_once() {
        let health = health(1);
        let mut pass = health.pass(now()).unwrap();
        assert_eq!(pass.overdue(now()), None);
        assert!(health.is_suspect());
        pass.end(now(), Some(false));
        let (_, _, counts) = health.breaker(now());
        assert_eq!((counts.total, counts.failed), (1, 1));
    }

    #[test]
    fn an_open_breaker_refuses_and_a_probe_closes_it() {
        let health = health(1);
        let start = now();
        for _ in 0..3 {
            health.pass(start).unwrap().end(start, Some(true));
        }
        assert_eq!(health.pass(start).unwrap_err().outcome, Outcome::Open);
        assert!(!health.is_usable(start));
        assert!(health.probe(start).0.is_none(), "not due yet");
        let later = start + Duration::from_secs(2);
        let (probe, change) = health.probe(later);
        assert_eq!(change.unwrap().to, State::HalfOpen);
        assert!(health.pass(later).is_err(), "ordinary dips stay out while the probe is on its way");
        assert_eq!(probe.unwrap().end(later, Some(false)).unwrap().to, State::Closed);
        assert!(health.pass(later).is_ok());
    }

    #[test]
    fn a_hold_is_no_failure_and_ends_by_itself() {
        let health = health(1);
        let start = now();
        assert!(health.hold_for(start, Outcome::RateLimited, Duration::from_millis(4999)).unwrap().is_news);
        assert!(!health.hold_for(start, Outcome::RateLimited, Duration::from_secs(5)).unwrap().is_news);
        assert_eq!(health.pass(start).unwrap_err().outcome, Outcome::RateLimited);
        assert!(health.is_usable(start), "a pause of five seconds does not turn the flag");
        assert!(health.hold_for(start, Outcome::RateLimited, Duration::from_secs(1)).is_none());
        health.hold_for(start, Outcome::QuotaExhausted, Duration::from_secs(600));
        assert!(!health.is_usable(start));
        assert!(health.pass(start + Duration::from_secs(601)).is_ok());
    }

    #[test]
    fn a_hold_without_a_time_doubles_until_there_is_an_answer() {
        let health = health(1);
        let (second, mut at) = (Duration::from_secs(1), now());
        let mut spans = Vec::new();
        for _ in 0..14 {
            let hold = health.hold_longer(at, Outcome::RateLimited, second).unwrap().hold;
            assert!(health.hold_longer(at, Outcome::RateLimited, second).is_none(), "one hold a time");
            spans.push((hold.until - at).as_secs());
            at = hold.until;
        }
        assert_eq!(spans[..4], [1, 2, 4, 8]);
        assert_eq!(spans[13], 1024, "ten doublings at most");
        health.hold_is_over();
        let hold = health.hold_longer(at, Outcome::RateLimited, second).unwrap().hold;
        assert_eq!(hold.until - at, second);
        let long = Duration::from_secs(600);
        for expected in [1200, 2400, 3600, 3600] {
            at += Duration::from_secs(7200);
            assert_eq!(
                (health.hold_longer(at, Outcome::QuotaExhausted, long).unwrap().hold.until - at).as_secs(),
                expected
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_seat_is_waited_for_no_longer_than_the_deadline() {
        let health = health(1);
        let seat = health.seat(Deadline::after(Duration::from_millis(5))).await;
        assert!(seat.is_some());
        let before = now();
        assert!(health.seat(Deadline::after(Duration::from_millis(5))).await.is_none());
        assert_eq!(now() - before, Duration::from_millis(5));
        drop(seat);
        assert!(health.seat(Deadline::after(Duration::ZERO)).await.is_some());
    }
}
