//! Several upstreams inside one shared deadline, and the one answer that becomes of it.
//!
//! With `failover` each gets an equal share of the callers' budget before the next one is asked as
//! well; with `hedge` the next one is asked after a head start, as long as the allowance for extra
//! requests lasts. Either way one that fails hands over at once, and one that is behind is not cut off: it may
//! still win, and it must bring its end home to its breaker, which would otherwise never learn of a
//! vendor that always loses.
//!
//! The flight lands as soon as the answer cannot become better, and shortly before the callers' time is over
//! if there is anything to land with. What is missing by then is still waited for, and kept.

mod running;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use crate::answer::{Answer, Outcome, Source};
use crate::deadline::{Deadline, Instant, now};
use crate::health::{Pass, Refused};
use crate::lookup::Lookup;
use crate::lookup::attempt::{Ended, Times, attempt};
use crate::lookup::flight::Pilot;
use crate::lookup::follow;
use crate::lookup::gather::Gathering;
use crate::lookup::member::Given;
use crate::policy::{Order, Question};
use running::Running;

/// The share of the budget that is kept back, so that what is there reaches the callers in time.
const KEPT_BACK: u32 = 20;

/// Who wants the answer.
#[derive(Debug)]
pub(super) enum Lane {
    /// Callers wait for it.
    Call,
    /// Nobody does: only what calls leave over is taken. With the pass for the first upstream.
    Idle(Option<Pass>),
}

/// Asks the upstreams in their order, lands the flight with what they say, and keeps it.
/// The callers' budget has been running since `began`.
pub(super) async fn race(lookup: &Arc<Lookup>, question: Arc<Question>, pilot: Pilot, began: Instant, lane: Lane) {
    let budget = lookup.policy.budget;
    let (call, cut) = (Deadline::at(began + budget.call), Deadline::at(began + budget.background));
    let landing = Deadline::at(began + budget.call - budget.call / KEPT_BACK);
    let mut race = Race::new(lookup, &question, call, cut, lane, began);

    race.run(Some(landing)).await;
    let Some(given) = race.gathering.result() else { return pilot.land(race.failed.answer()) };
    let (given, whole) = followed(lookup, &question, given, landing).await;
    let disowned = pilot.disowned();
    let answer = lookup.keep(&question, given, || disowned.load(Ordering::Acquire));
    pilot.land(answer);
    let is_over = race.gathering.is_done() && whole;
    if is_over && race.running.is_empty() {
        return;
    }
    // Whoever waits is told first, and what is left here is done after that.
    behind_others().await;

    if !is_over {
        race.run(None).await;
        if let Some(given) = race.gathering.result() {
            let (given, _) = followed(lookup, &question, given, cut).await;
            lookup.keep(&question, given, || disowned.load(Ordering::Acquire));
        }
    }
    // The losers' ends are samples too. Each is cut off by its own deadline.
    while race.running.next_end().await.is_some() {}
}

/// Lets all tasks go first that are ready now. (tokio's own `yield_now` also asks the system what is new.)
async fn behind_others() {
    let mut others_went = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut others_went, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The answer with its dependent steps, and whether none of them is missing.
async fn followed(lookup: &Lookup, question: &Question, given: Given, deadline: Deadline) -> (Given, bool) {
    if !given.outcome.has_record() || lookup.policy.chain.then.is_empty() {
        return (given, true);
    }
    let Some(record) = given.record.clone() else { return (given, true) };
    let (record, whole) = follow::complete(lookup, question, record, deadline).await;
    let outcome = if whole { given.outcome } else { Outcome::Partial };
    (Given { outcome, record: Some(record), ..given }, whole)
}

/// One dip's upstreams, on their way.
struct Race<'a> {
    lookup: &'a Arc<Lookup>,
    question: &'a Arc<Question>,
    call: Deadline,
    cut: Deadline,
    lane: Lane,
    turns: std::ops::Range<usize>,
    /// A moment in the past: a turn that is set to it is due.
    began: Instant,
    next_turn: Instant,
    /// Set while `next_turn` is a hedge's: when the next one is asked if no extra request is allowed.
    without_hedge: Option<Instant>,
    running: Running<Ended>,
    gathering: Gathering<'a>,
    failed: Failed,
}

impl<'a> Race<'a> {
    fn new(
        lookup: &'a Arc<Lookup>,
        question: &'a Arc<Question>,
        call: Deadline,
        cut: Deadline,
        lane: Lane,
        began: Instant,
    ) -> Self {
        if matches!(lane, Lane::Call) {
            lookup.allowance.lock().dip();
        }
        Self {
            lookup,
            question,
            call,
            cut,
            lane,
            turns: 0..lookup.members.len(),
            began,
            next_turn: began,
            without_hedge: None,
            running: Running::default(),
            gathering: Gathering::new(&lookup.policy),
            failed: Failed::default(),
        }
    }

    /// Goes on until the answer cannot become better, all have had their turn, or, with something to answer, `until`.
    async fn run(&mut self, until: Option<Deadline>) {
        while !self.gathering.is_done() {
            self.start_due();
            let landing = until.filter(|_| self.gathering.has_any());
            let turn = (!self.turns.is_empty()).then(|| Deadline::at(self.next_turn));
            // Most dips have one upstream, and nothing to wake up for but its end.
            let ended = match [landing, turn].into_iter().flatten().min() {
                None => self.running.next_end().await,
                Some(first) => match first.limit(self.running.next_end()).await {
                    Some(ended) => ended,
                    None if landing == Some(first) => return,
                    None => continue,
                },
            };
            match ended {
                Some((index, Ok(given))) => {
                    self.gathering.given(index, given);
                    self.hand_over();
                }
                Some((index, Err(fell))) => {
                    self.failed.ended(fell.outcome);
                    self.gathering.failed(index, fell.next);
                    self.hand_over();
                }
                None if self.turns.is_empty() => return,
                None => {}
            }
        }
    }

    /// The next one's turn is now, and that is no hedge.
    fn hand_over(&mut self) {
        (self.next_turn, self.without_hedge) = (self.began, None);
    }

    /// Asks whoever's turn it is.
    fn start_due(&mut self) {
        let now = now();
        while self.running.is_empty() || now >= self.next_turn {
            if let Some(later) =
                self.without_hedge.take().filter(|_| !self.running.is_empty() && !self.turns.is_empty())
                && !self.lookup.allowance.lock().take()
            {
                self.next_turn = later;
                continue;
            }
            let Some(index) = self.turns.next() else { return };
            if !self.gathering.wants(index) {
                continue;
            }
            if let Lane::Idle(pass) = &mut self.lane {
                let pass = pass.take();
                self.start_idle(index, pass);
                continue;
            }
            let emergency = self.lookup.policy.chain.emergency;
            match self.lookup.members[index].health.pass_or(now, emergency) {
                Ok(pass) => {
                    let share = now + self.share(now);
                    let hedge = self.hedge_after(index).map(|after| now + after);
                    self.next_turn = hedge.unwrap_or(share);
                    self.without_hedge = hedge.map(|_| share);
                    let last = self.turns.is_empty() || hedge.is_some();
                    let overdue = if last { self.call } else { Deadline::at(share).earlier(self.call) };
                    let times = Times { overdue, cut: self.cut };
                    let (lookup, question) = (Arc::clone(self.lookup), Arc::clone(self.question));
                    self.running.start(index, Box::pin(attempt(lookup, index, question, pass, times)));
                }
                Err(refused) => {
                    self.failed.refused(refused);
                    self.gathering.failed(index, None);
                }
            }
        }
    }

    /// Asks as soon as calls leave room. Nobody waits, so the next one's turn comes with this one's end.
    fn start_idle(&mut self, index: usize, pass: Option<Pass>) {
        let (lookup, question) = (Arc::clone(self.lookup), Arc::clone(self.question));
        let (cut, call) = (self.cut, lookup.policy.budget.call);
        (self.next_turn, self.without_hedge) = (cut.moment(), None);
        let attempt = async move {
            let pass = match pass {
                Some(pass) => Ok(pass),
                None => lookup.members[index].health.idle_pass_by(cut, lookup.policy.warm.share).await,
            };
            match pass {
                Ok(pass) => {
                    let times = Times { overdue: Deadline::after(call), cut };
                    attempt(lookup, index, question, pass, times).await
                }
                Err(refused) => Err(refused.outcome.into()),
            }
        };
        self.running.start(index, Box::pin(attempt));
    }

    /// How long after this upstream the next one is asked as well, where dips are hedged.
    fn hedge_after(&self, index: usize) -> Option<Duration> {
        let Order::Hedge { after } = self.lookup.policy.budget.order else { return None };
        let measured = self.lookup.policy.chain.hedge.p95.then(|| self.lookup.members[index].p95()).flatten();
        let longest = self.lookup.policy.budget.call * 4 / 5;
        Some(measured.map_or(after, |p95| p95.min(longest)))
    }

    /// An upstream's equal part of the callers' budget.
    fn share(&self, now: Instant) -> Duration {
        let usable = self.lookup.members.iter().filter(|member| member.health.may_ask(now).is_ok()).count();
        self.lookup.policy.budget.call / u32::try_from(usable.max(1)).unwrap_or(u32::MAX)
    }
}

/// What the answer says if nobody answers.
#[derive(Debug, Default)]
struct Failed {
    outcome: Option<Outcome>,
    retry_after: Option<Duration>,
}

impl Failed {
    /// One was not even asked.
    fn refused(&mut self, refused: Refused) {
        self.outcome.get_or_insert(refused.outcome);
        self.retry_after = Some(self.retry_after.map_or(refused.retry_after, |other| other.min(refused.retry_after)));
    }

    /// One was asked and failed, which tells more than that another was not asked.
    fn ended(&mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }

    fn answer(&self) -> Answer {
        let empty = Answer::empty(self.outcome.unwrap_or(Outcome::Open), Source::Nobody);
        Answer { retry_after: self.retry_after, ..empty }
    }
}
