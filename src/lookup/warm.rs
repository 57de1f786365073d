//! Dips that nobody waits for: a key is made warm before somebody calls.
//!
//! They go the same way as a call's, through flight, race and rules, but with a pass of the idle lane
//! ([`crate::health::UpstreamHealth::idle_pass`]): what calls leave over of seats and tokens, and nothing while the
//! upstream that goes first is sick or asks to be left alone. No caller ever waits for one.

use std::sync::Arc;

use crate::answer::Outcome;
use crate::crew;
use crate::deadline::{Deadline, now, tick};
use crate::health::{Pass, Refused};
use crate::lookup::Lookup;
use crate::lookup::flight::Boarding;
use crate::lookup::race::{self, Lane};
use crate::policy::Question;

/// The right to ask for one key that nobody waits for.
#[derive(Debug)]
#[must_use]
pub struct Idle(Pass);

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warmed {
    /// It was fresh already, or somebody else was asking: it cost nothing.
    Fresh,
    /// It was asked, and this is known now.
    Asked(Outcome),
    /// It was asked in vain, or could not be.
    Failed(Outcome),
}

impl Lookup {
    /// True where warming does something: answers are kept, and are not in memory anyway.
    pub fn is_warmable(&self) -> bool {
        !self.tables_only && !self.policy.cache.found.is_zero()
    }

    /// True when this needs no dip: it is fresh and not past this share of its life (`None`: the policy's
    /// `refresh_ahead`), or is never asked at all.
    pub fn is_warm(&self, question: &Question, share: Option<f64>) -> bool {
        let tick = tick();
        let share = share.unwrap_or(self.policy.cache.refresh_ahead);
        let fresh = self.local.peek(&question.id, tick).is_some_and(|entry| !entry.is_late(share, tick));
        fresh || !self.policy.applies(question)
    }

    /// Room for one dip that nobody waits for.
    ///
    /// # Errors
    /// Why there is none, and when looking again makes sense.
    pub fn idle(&self) -> Result<Idle, Refused> {
        let gone = Refused { outcome: Outcome::Overload, retry_after: std::time::Duration::from_secs(1) };
        // A checked policy has at least one upstream.
        let first = self.members.first().ok_or(gone)?;
        first.health.idle_pass(now(), self.policy.warm.share).map(Idle)
    }

    /// Asks for a key that nobody waits for. Ends by the background budget.
    pub async fn warm(self: &Arc<Self>, question: Question, idle: Idle) -> Warmed {
        let mut ours = true;
        let landed = match self.flights.board_idle(&question.id) {
            Some(Boarding::Follow(ticket)) => {
                ours = false;
                ticket.landed()
            }
            Some(Boarding::Lead(pilot, ticket)) => {
                crew::keep_beating();
                let (lookup, question) = (Arc::clone(self), Arc::new(question));
                let lane = Lane::Idle(Some(idle.0));
                // Boxed, as a call's is.
                let race = Box::pin(async move { race::race(&lookup, question, pilot, now(), lane).await });
                tokio::spawn(crew::step_aside(race));
                ticket.landed()
            }
            None => return Warmed::Failed(Outcome::Overload),
        };
        // A flight is over by then; this only says so to whoever reads it.
        let end = Deadline::after(self.policy.budget.background + self.policy.budget.call);
        match end.limit(landed).await {
            Some(answer) if answer.outcome.is_answer() && ours => Warmed::Asked(answer.outcome),
            Some(answer) if answer.outcome.is_answer() => Warmed::Fresh,
            Some(answer) => Warmed::Failed(answer.outcome),
            None => Warmed::Failed(Outcome::Timeout),
        }
    }
}
