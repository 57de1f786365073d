//! What calls leave over: the lane of dips that nobody waits for.
//!
//! ```text
//! breaker not closed, or a hold on     no idle dip, at once
//! seats     calls and idle dips together stay within the policy's share of `concurrency`
//! bucket    idle dips take what calls have left of the rate, and no burst
//! ```
//!
//! A call never sees any of it: its seat is none that an idle dip holds, and its token none that one has taken. So
//! for as long as an idle dip is under way that began before a wave of calls came, there may be a few more dips at the
//! upstream than `concurrency` says. The lane pays that back: it stands still until there is room again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::answer::Outcome;
use crate::deadline::{Deadline, Instant, now};
use crate::health::pass::{Pass, Refused, UpstreamHealth};

/// Without a free seat: when looking again makes sense. A dip takes longer.
const SEAT_LATER: Duration = Duration::from_millis(2);

/// While the lane is closed it is looked at this often: a breaker may close before its time.
const LOOK: Duration = Duration::from_millis(20);

/// Idle dips under way.
#[derive(Debug, Default)]
pub(super) struct IdleSeats(AtomicUsize);

/// One of them.
#[derive(Debug)]
pub(super) struct IdleSeat(Arc<UpstreamHealth>);

impl Drop for IdleSeat {
    fn drop(&mut self) {
        self.0.idle.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl UpstreamHealth {
    /// Lets a dip through that nobody waits for, where calls leave room: `share` is the part of the seats, 0 to 1, up to
    /// which calls and idle dips together may go. At least one goes when nobody else is there.
    ///
    /// # Errors
    /// Why not, and when looking again makes sense.
    pub fn idle_pass(self: &Arc<Self>, now: Instant, share: f64) -> Result<Pass, Refused> {
        self.may_ask(now)?;
        let seat = self.idle_seat(share).ok_or(Refused { outcome: Outcome::Overload, retry_after: SEAT_LATER })?;
        self.take_idle_token(now).map_err(|retry_after| Refused { outcome: Outcome::RateLimited, retry_after })?;
        Ok(self.make_idle_pass(now, seat))
    }

    /// As [`UpstreamHealth::idle_pass`], as soon as there is room.
    ///
    /// # Errors
    /// Why there was none until the deadline.
    pub async fn idle_pass_by(self: &Arc<Self>, deadline: Deadline, share: f64) -> Result<Pass, Refused> {
        loop {
            let refused = match self.idle_pass(now(), share) {
                Ok(pass) => return Ok(pass),
                Err(refused) if deadline.passed() => return Err(refused),
                Err(refused) => refused,
            };
            tokio::time::sleep(refused.retry_after.min(LOOK).min(deadline.remaining())).await;
        }
    }

    /// Idle dips under way.
    pub fn idle_in_flight(&self) -> usize {
        self.idle.0.load(Ordering::Relaxed)
    }

    fn idle_seat(self: &Arc<Self>, share: f64) -> Option<IdleSeat> {
        // Both are far below 2^52.
        let most = ((self.seats.count() as f64 * share) as usize).max(1);
        let room = most.saturating_sub(self.seats.taken());
        let more = |taken: usize| (taken < room).then_some(taken + 1);
        self.idle.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(IdleSeat(Arc::clone(self)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::pass::tests::{health, limited};
    use crate::policy::Rate;

    #[tokio::test]
    async fn idle_dips_take_what_calls_leave_and_calls_do_not_see_them() {
        let health = health(10);
        let at = now();
        let idle: Vec<_> = std::iter::from_fn(|| health.idle_pass(at, 0.5).ok()).collect();
        assert_eq!((idle.len(), health.idle_in_flight()), (5, 5));
        let soon = Deadline::after(Duration::from_millis(5));
        let mut seats = Vec::new();
        for _ in 0..10 {
            seats.push(health.seat(soon).await.expect("all ten seats are the calls'"));
        }
        drop(idle);
        assert_eq!(health.idle_pass(at, 0.5).unwrap_err().outcome, Outcome::Overload);
        seats.truncate(4);
        assert!(health.idle_pass(at, 0.5).is_ok(), "four calls, and room for one more");
        seats.clear();
        assert_eq!(health.idle_in_flight(), 0);
        assert!(health.idle_pass(at, 0.0).is_ok(), "at least one goes");
    }

    #[test]
    fn an_idle_dip_takes_no_token_from_a_call_and_none_that_a_call_has_taken() {
        let health = limited(1000, Some(Rate { per_second: 100.0, burst: 10 }));
        let start = now();
        let mut idle = 0;
        for ms in 0..1000 {
            idle += u32::from(health.idle_pass(start + Duration::from_millis(ms), 1.0).is_ok());
        }
        assert!((99..=101).contains(&idle), "{idle}");
        let after = start + Duration::from_secs(1);
        assert!((0..10).all(|_| health.pass(after).is_ok()), "the whole burst is there for calls");
        assert!(health.pass(after).is_err());
        let refused = health.idle_pass(after, 1.0).unwrap_err();
        assert_eq!(refused.outcome, Outcome::RateLimited);
        assert!(refused.retry_after > Duration::from_millis(80), "ten calls are paid back first: {refused:?}");
    }

    #[test]
    fn no_idle_dip_while_the_breaker_is_not_closed_or_a_hold_is_on() {
        let health = health(10);
        let start = now();
        health.hold_for(start, Outcome::RateLimited, Duration::from_secs(5));
        assert_eq!(health.idle_pass(start, 1.0).unwrap_err().outcome, Outcome::RateLimited);
        let later = start + Duration::from_secs(6);
        for _ in 0..3 {
            let failed = health.idle_pass(later, 1.0).expect("the hold is over").end(later, Some(true));
            assert_eq!(failed.is_some(), health.idle_pass(later, 1.0).is_err(), "an idle dip is a sample too");
        }
        assert_eq!(health.idle_pass(later, 1.0).unwrap_err().outcome, Outcome::Open);
        assert_eq!(health.idle_in_flight(), 0);
    }
}
