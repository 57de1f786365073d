//! A flight's first stop: another node may know the answer already, or be about to.
//!
//! ```text
//! fresh there?            keep it here with the life that is left, and land
//! stale there, and the vendor is suspect?   keep it, land with it, renew behind
//! nothing there?          with `single_flight`: one node of the cluster asks, the others wait for its answer
//! else                    ask the upstreams
//! ```
//!
//! A renewal is made by one node of the cluster with or without `single_flight`.
//!
//! Whatever the shared cache does, a flight loses at most one of its timeouts here (and no more than a tenth of the
//! callers' budget), and nothing when it is known to be down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::answer::{Answer, Source};
use crate::cache::entry::{Entry, Freshness};
use crate::cache::shared::{Place, SharedCache};
use crate::deadline::{Deadline, Instant, calendar, now, tick};
use crate::lookup::flight::Pilot;
use crate::lookup::race::Lane;
use crate::lookup::{Cluster, Lookup, race};
use crate::policy::Question;

/// While another node asks, its answer is looked for this often.
const LOOK: Duration = Duration::from_millis(4);

/// The share of the callers' budget that the shared cache may take: with a short one the upstream comes first.
const PATIENCE: u32 = 10;

/// What a flight is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Callers wait.
    Answer,
    /// An entry is to be replaced by a younger one, and nobody waits.
    Renew,
}

/// Finds the answer, with the other nodes or else at the upstreams, and lands.
pub(super) async fn fly(lookup: &Arc<Lookup>, question: Arc<Question>, pilot: Pilot, purpose: Purpose) {
    let began = now();
    match lookup.memory() {
        None => race::race(lookup, question, pilot, began, Lane::Call).await,
        // Boxed: who is alone does not carry it along.
        Some((cluster, era)) => Box::pin(fly_among_others(lookup, question, pilot, purpose, began, cluster, era)).await,
    }
}

async fn fly_among_others(
    lookup: &Arc<Lookup>,
    question: Arc<Question>,
    pilot: Pilot,
    purpose: Purpose,
    began: Instant,
    cluster: &Cluster,
    era: u64,
) {
    let (shared, disowned) = (cluster.shared(), pilot.disowned());
    let look = || lookup.from_others(shared, era, &question, purpose, &disowned);
    if let Some(answer) = look().await {
        let is_stale = answer.source == Source::Stale;
        pilot.land(answer);
        if is_stale {
            lookup.renew(&question);
        }
        return;
    }
    // What is still fresh is renewed once in the cluster, whatever else is asked twice.
    let alone = !shared.settings().single_flight && purpose == Purpose::Answer;
    if alone || lookup.anybody_to_ask().is_err() {
        return race::race(lookup, question, pilot, began, Lane::Call).await;
    }
    let budget = lookup.policy.budget.call;
    let name = format!("{}:{}", lookup.policy.name, question.id);
    // One more than it may take, since memcached counts in whole seconds and rounds down.
    let life = u32::try_from(budget.as_secs()).unwrap_or(60).min(60) + 2;
    let lease = shared.swap(("lease", &name), b"1".to_vec(), None, life).await;
    if matches!(lease, Ok(false)) {
        let half = Deadline::at(began + budget / 2);
        while !half.passed() {
            tokio::time::sleep(LOOK).await;
            if let Some(answer) = look().await {
                return pilot.land(answer);
            }
        }
        // Who holds the lease is slow or gone. Who waits is helped by a second dip, and a fresh entry waits for no one.
        if purpose == Purpose::Renew
            && let Some(ours) =
                lookup.local.get(&question.id, tick()).filter(|e| e.freshness(tick()) == Freshness::Fresh)
        {
            return pilot.land(ours.answer(Source::Local, tick()));
        }
    }
    let id = question.id.clone();
    race::race(lookup, question, pilot, began, Lane::Call).await;
    let tick = tick();
    if matches!(lease, Ok(true)) && lookup.local.get(&id, tick).is_none_or(|e| e.freshness(tick) != Freshness::Fresh) {
        // There is no answer to wait for: the next one may try.
        shared.remove("lease", &name);
    }
}

impl Lookup {
    /// The shared cache and the era that its answers must be of, once both are known.
    fn memory(&self) -> Option<(&Cluster, u64)> {
        Some((self.cluster.as_deref()?, self.mind.era()?))
    }

    /// True when asking the shared cache makes sense though no upstream may be asked.
    pub(super) fn others_may_know(&self) -> bool {
        self.memory().is_some_and(|(cluster, _)| cluster.shared().is_any_up())
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
        disowned: &AtomicBool,
    ) -> Option<Answer> {
        let look = shared.get(self.place(era, &question.id));
        let patience = self.policy.budget.call / PATIENCE;
        // Who leaves before the timeout says nothing about the server: no sample for its breaker.
        let entry = if patience < shared.settings().timeout {
            Deadline::after(patience).limit(look).await??
        } else {
            look.await?
        };
        let tick = tick();
        if self.was_flushed(&entry, &question.id, tick)
            || self.local.get(&question.id, tick).is_some_and(|ours| !entry.is_younger_than(&ours))
        {
            return None;
        }
        if !disowned.load(Ordering::Acquire) {
            self.local.put(question.id.clone(), entry.clone());
        }
        // It was read before the flush, and is not even an answer to those who wait.
        if disowned.load(Ordering::Acquire) {
            self.local.forget(&question.id);
            return None;
        }
        match (entry.freshness(tick), purpose) {
            (Freshness::Fresh, Purpose::Answer) => Some(entry.answer(Source::Shared, tick)),
            (Freshness::Fresh, Purpose::Renew) => {
                let young = !entry.is_past(self.policy.cache.refresh_ahead, tick);
                young.then(|| entry.answer(Source::Shared, tick))
            }
            (Freshness::Stale, Purpose::Answer) if self.stale_comes_first(question, self.anybody_to_ask().is_err()) => {
                Some(entry.answer(Source::Stale, tick))
            }
            (Freshness::Stale | Freshness::Dead, _) => None,
        }
    }

    /// True when another node has asked for this already: then it is kept here too, and needs no dip.
    pub async fn is_known_elsewhere(self: &Arc<Self>, question: &Question) -> bool {
        if self.memory().is_none() {
            return false;
        }
        let (lookup, question) = (Arc::clone(self), question.clone());
        // Connections belong to the thread that made them, and callers use the same ones.
        self.spawn_home(async move { lookup.look_elsewhere(&question).await }).await.unwrap_or(false)
    }

    async fn look_elsewhere(self: &Arc<Self>, question: &Question) -> bool {
        let Some((cluster, era)) = self.memory() else { return false };
        // A flush that comes meanwhile begins another era.
        let disowned = AtomicBool::new(false);
        let found = self.from_others(cluster.shared(), era, question, Purpose::Renew, &disowned).await;
        if found.is_some() && self.memory().is_none_or(|(_, now)| now != era) {
            self.local.forget(&question.id);
            return false;
        }
        found.is_some()
    }

    /// True for an answer that was given before its key was flushed, or asked for before: its server may have been away
    /// just then, and its writer may not have heard of it yet.
    pub(super) fn was_flushed(&self, entry: &Entry, id: &str, tick: u64) -> bool {
        let born = calendar().saturating_sub(entry.age_ms(tick));
        let under_way = u64::try_from(self.policy.budget.background.as_millis()).unwrap_or(u64::MAX);
        self.mind.flushed(id).is_some_and(|flushed| born <= flushed.saturating_add(under_way))
    }

    /// Lets the other nodes have an answer; waits for nothing.
    pub(super) fn share(&self, id: &str, entry: &Entry) {
        if let Some((cluster, era)) = self.memory() {
            cluster.shared().put(self.place(era, id), entry);
        }
    }

    /// Takes an answer away from the other nodes' reach.
    pub(super) fn unshare(&self, id: &str) {
        if let Some((cluster, era)) = self.memory() {
            cluster.shared().forget(self.place(era, id));
        }
    }

    /// Forgets every entry, here and on every other node. A dip that is under way asked before this, so its answer
    /// is not kept either.
    pub fn flush(&self) {
        self.start_over(|| self.mind.flush());
        self.nudge();
    }

    /// As [`Lookup::flush`], for this question alone. True if there was an entry here.
    pub fn forget(&self, question: &Question) -> bool {
        self.mind.flush_key(&question.id);
        let was_here = self.forget_here(&question.id);
        self.unshare(&question.id);
        self.nudge();
        was_here
    }

    /// As [`Lookup::flush`], for every key that begins so. How many entries there were here. Takes milliseconds per
    /// million entries.
    pub fn forget_prefix(&self, prefix: &str) -> u64 {
        self.mind.flush_prefix(prefix);
        let were_here = self.forget_prefix_here(prefix);
        self.nudge();
        were_here
    }

    /// As [`Lookup::forget_prefix`], by an order that every node hears by itself, given at this time (milliseconds since
    /// 1970).
    pub fn forget_prefix_as_told(&self, prefix: &str, at: u64) -> u64 {
        self.mind.flush_prefix_as_told(prefix, at);
        let were_here = self.forget_prefix_here(prefix);
        self.nudge();
        were_here
    }

    /// As [`Lookup::flush`], by an order that every node hears by itself, given at this time (milliseconds since 1970).
    pub fn flush_as_told(&self, at: u64) {
        self.start_over(|| self.mind.flush_as_told(at));
        self.nudge();
    }

    /// As [`Lookup::forget`], by an order that every node hears by itself, given at this time (milliseconds since 1970).
    pub fn forget_as_told(&self, question: &Question, at: u64) -> bool {
        let is_news = self.mind.flush_key_as_told(&question.id, at);
        let was_here = self.forget_here(&question.id);
        if is_news {
            self.unshare(&question.id);
            self.nudge();
        }
        was_here
    }

    /// Forgets every entry here. What is under way while the new era begins belongs to neither: disowned on both sides of
    /// the step, it is not kept.
    pub(super) fn start_over(&self, begin: impl FnOnce()) {
        self.flushed.lock().note_all();
        self.flights.disown_all();
        begin();
        self.flights.disown_all();
        self.local.clear();
    }

    pub(super) fn forget_here(&self, id: &str) -> bool {
        self.flushed.lock().note(id);
        self.flights.disown(id);
        self.local.forget(id)
    }

    /// What is under way asked before the flush.
    pub(super) fn disown_prefix(&self, prefix: &str) {
        // A snapshot on disk is not searched for them: it counts no more.
        self.flushed.lock().note_all();
        self.flights.disown_prefix(prefix);
    }

    fn forget_prefix_here(&self, prefix: &str) -> u64 {
        self.disown_prefix(prefix);
        self.local.forget_prefix(prefix)
    }

    pub(super) fn nudge(&self) {
        if let Some(cluster) = &self.cluster {
            cluster.nudge();
        }
    }
}
