//! A flight's first stop: another node may know the answer already, or be about to.
//!
//! ```text
//! fresh there?            keep it here with the life that is left, and land
//! stale there, and the vendor is suspect?   keep it, land with it, renew behind
//! nothing there?          with `single_flight`: one node of the cluster asks, the others wait for its answer
//! else                    ask the upstreams
//! ```
//!
//! Whatever the shared cache does, a flight loses at most one of its timeouts here, and nothing when it is known to
//! be down.

use std::sync::Arc;
use std::time::Duration;

use crate::answer::{Answer, Source};
use crate::cache::entry::{Entry, Freshness};
use crate::cache::shared::{Place, SharedCache};
use crate::deadline::{Deadline, calendar, tick};
use crate::lookup::{Lookup, race};
use crate::policy::Question;

/// While another node asks, its answer is looked for this often.
const LOOK: Duration = Duration::from_millis(4);

/// What a flight is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Callers wait.
    Answer,
    /// An entry is to be replaced by a younger one, and nobody waits.
    Renew,
}

/// Finds the answer: with the other nodes, else at the upstreams.
pub(super) async fn fly(lookup: &Arc<Lookup>, question: Question, purpose: Purpose) -> Answer {
    let Some((shared, era)) = lookup.memory() else { return race::race(lookup, question).await };
    if let Some(answer) = lookup.from_others(shared, era, &question, purpose).await {
        return answer;
    }
    if !shared.settings().single_flight || lookup.anybody_to_ask().is_err() {
        return race::race(lookup, question).await;
    }
    let name = format!("{}:{}", lookup.policy.name, question.id);
    // One more than it may take, since memcached counts in whole seconds and rounds down.
    let life = u32::try_from(lookup.policy.budget.call.as_secs()).unwrap_or(60).min(60) + 2;
    match shared.swap(("lease", &name), b"1".to_vec(), None, life).await {
        Ok(false) => {
            let half = Deadline::after(lookup.policy.budget.call / 2);
            while !half.passed() {
                tokio::time::sleep(LOOK).await;
                if let Some(answer) = lookup.from_others(shared, era, &question, purpose).await {
                    return answer;
                }
            }
            // Who holds the lease is slow or gone. A second dip is the lesser evil.
            race::race(lookup, question).await
        }
        Ok(true) => {
            let answer = race::race(lookup, question).await;
            if !answer.outcome.is_answer() {
                shared.remove("lease", &name);
            }
            answer
        }
        Err(_) => race::race(lookup, question).await,
    }
}

impl Lookup {
    /// The shared cache and the era that its answers must be of, once both are known.
    fn memory(&self) -> Option<(&SharedCache, u64)> {
        Some((self.cluster.as_ref()?.shared(), self.mind.era()?))
    }

    /// True when asking the shared cache makes sense though no upstream may be asked.
    pub(super) fn others_may_know(&self) -> bool {
        self.memory().is_some()
    }

    fn place<'a>(&'a self, era: u64, id: &'a str) -> Place<'a> {
        Place { lookup: &self.policy.name, shape: self.policy.shape, era, id }
    }

    /// Another node's answer, if it will do; kept here in any case, unless ours is younger.
    async fn from_others(
        self: &Arc<Self>,
        shared: &SharedCache,
        era: u64,
        question: &Question,
        purpose: Purpose,
    ) -> Option<Answer> {
        let entry = shared.get(self.place(era, &question.id)).await?;
        let tick = tick();
        if self.was_flushed(&entry, &question.id, tick)
            || self.local.get(&question.id, tick).is_some_and(|ours| !entry.is_younger_than(&ours))
        {
            return None;
        }
        self.local.put(question.id.clone(), entry.clone());
        match (entry.freshness(tick), purpose) {
            (Freshness::Fresh, Purpose::Answer) => Some(entry.answer(Source::Shared, tick)),
            (Freshness::Fresh, Purpose::Renew) => {
                let young = !entry.is_past(self.policy.cache.refresh_ahead, tick);
                young.then(|| entry.answer(Source::Shared, tick))
            }
            (Freshness::Stale, Purpose::Answer) if self.stale_comes_first(question) => {
                Some(entry.answer(Source::Stale, tick))
            }
            (Freshness::Stale | Freshness::Dead, _) => None,
        }
    }

    /// True for an answer that was given before its key was flushed: its server may have been away just then.
    fn was_flushed(&self, entry: &Entry, id: &str, tick: u64) -> bool {
        let born = calendar().saturating_sub(entry.age_ms(tick));
        self.mind.flushed(id).is_some_and(|flushed| born <= flushed)
    }

    /// Lets the other nodes have an answer; waits for nothing.
    pub(super) fn share(&self, id: &str, entry: &Entry) {
        if let Some((shared, era)) = self.memory() {
            shared.put(self.place(era, id), entry);
        }
    }

    /// Forgets every entry, here and on every other node.
    pub fn flush(&self) {
        self.mind.flush();
        self.local.clear();
        self.nudge();
    }

    /// Forgets one entry, here and on every other node. True if it was here.
    pub fn flush_key(&self, id: &str) -> bool {
        self.mind.flush_key(id);
        if let Some((shared, era)) = self.memory() {
            shared.forget(self.place(era, id));
        }
        self.nudge();
        self.local.forget(id)
    }

    fn nudge(&self) {
        if let Some(cluster) = &self.cluster {
            cluster.nudge();
        }
    }
}
