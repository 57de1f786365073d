//! Several upstreams inside one shared deadline: the first good answer wins.
//!
//! With `failover` each gets an equal share of the callers' budget before the next one is asked as
//! well; with `hedge` the next one is asked after a fixed head start. Either way one that fails
//! hands over at once, and one that is behind is not cut off: it may still win, and it must bring
//! its end home to its breaker, which would otherwise never learn of a vendor that always loses.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::answer::{Answer, Outcome, Source};
use crate::deadline::{Deadline, now};
use crate::health::Refused;
use crate::lookup::Lookup;
use crate::lookup::attempt::{Times, attempt};
use crate::lookup::member::Given;
use crate::policy::{Order, Question};

/// Asks the upstreams in their order until one answers or all have had their turn.
///
/// # Errors
/// The empty answer that says why nobody answered.
pub(super) async fn race(lookup: &Arc<Lookup>, question: &Question) -> Result<Given, Answer> {
    let budget = lookup.policy.budget;
    let began = now();
    let (call, cut) = (Deadline::at(began + budget.call), Deadline::at(began + budget.background));
    let question = Arc::new(question.clone());
    let head_start = head_start(lookup);
    let mut turns = 0..lookup.members.len();
    let mut running = FuturesUnordered::new();
    let mut failed = Failed::default();
    let mut next_turn = began;
    loop {
        while running.is_empty() || now() >= next_turn {
            let Some(index) = turns.next() else { break };
            match lookup.members[index].health.pass(now()) {
                Ok(pass) => {
                    next_turn = now() + head_start;
                    let last = turns.is_empty() || budget.order != Order::Failover;
                    let overdue = if last { call } else { Deadline::at(next_turn).earlier(call) };
                    let times = Times { overdue, cut };
                    running.push(attempt(Arc::clone(lookup), index, Arc::clone(&question), pass, times));
                }
                Err(refused) => failed.refused(refused),
            }
        }
        let ended = tokio::select! {
            ended = running.next() => ended,
            () = tokio::time::sleep_until(next_turn), if !turns.is_empty() => continue,
        };
        match ended {
            Some(Ok(given)) => {
                if !running.is_empty() {
                    // The losers' ends are samples too. Each is cut off by its own deadline.
                    tokio::spawn(async move { while running.next().await.is_some() {} });
                }
                return Ok(given);
            }
            Some(Err(outcome)) => {
                failed.ended(outcome);
                next_turn = now();
            }
            None if turns.is_empty() => return Err(failed.answer()),
            None => {}
        }
    }
}

/// How long an upstream is alone before the next one is asked as well.
fn head_start(lookup: &Lookup) -> Duration {
    match lookup.policy.budget.order {
        Order::Hedge { after } => after,
        Order::Failover => {
            let now = now();
            let usable = lookup.members.iter().filter(|member| member.health.may_ask(now).is_ok()).count();
            lookup.policy.budget.call / u32::try_from(usable.max(1)).unwrap_or(u32::MAX)
        }
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

    fn answer(self) -> Answer {
        let empty = Answer::empty(self.outcome.unwrap_or(Outcome::Open), Source::Nobody);
        Answer { retry_after: self.retry_after, ..empty }
    }
}
