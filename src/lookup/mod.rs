//! The pipeline: one dip from question to answer. Read this page first.
//!
//! ```text
//! hit     the local cache knows it and it is fresh: answer, wait for nothing. Tables answer here, always
//! miss    no policy for this key?             not_applicable
//!         nobody may be asked?                second rank, at once
//!         stale, and the vendor is suspect?   second rank, at once; one dip renews it behind
//!         else join the flight of this key (the first to come takes it along) and wait, each by an own clock
//! flight  the shared cache may know it (`sharing`): keep it here as well, and land
//!         else ask the upstreams (`race`), put their answers together (`gather`), ask what depends on them (`follow`),
//!         keep the answer, land: even when every caller has left
//! second rank   the stale record, else the policy's fallback record, else an empty answer that says why
//! ```
//!
//! Nobody here returns an error: call set-up always gets an [`Answer`], in time. A fetch belongs to
//! nobody who waits for it: the first caller's leaving does not cancel it, and what comes late still
//! fills the cache.

mod aboard;
mod apart;
mod attempt;
mod avoid;
pub mod flight;
mod follow;
mod gather;
mod ingest;
mod member;
mod probe;
mod race;
mod registry;
mod restart;
mod sharing;
mod cluster;
mod lease;
mod tables;
mod targets;
mod warm;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::answer::{Answer, Outcome, Source, Told};
use crate::cache::LocalCache;
use crate::cache::entry::{Entry, Freshness};
use crate::crew;
use crate::deadline::{Deadline, Instant, now, tick};
use crate::events::{Events, Summary, SummaryKind};
use crate::health::flags::Mind;
use crate::health::{Allowance, FailedTargets, Spend, Verdict};
use crate::policy::{Policy, Question};
use crate::telemetry::{FrontName, Meters};

use aboard::{Aboard, Fetch};
use flight::{Boarding, Flights, Pilot};
use sharing::Purpose;

pub use crate::cache::local::AT_ONCE;
pub use cluster::Cluster;
pub(crate) use follow::{asked, taken};
pub(crate) use gather::Gathering;
pub use ingest::Pushed;
pub use lease::Lease;
pub(crate) use member::Given;
pub use member::Member;
pub use registry::Lookups;
pub use restart::Flushed;
pub use warm::{Idle, Warmed};

/// One lookup, running: its policy, its cache, its flights, its upstreams and their health.
#[derive(Debug)]
pub struct Lookup {
    /// The policy it runs.
    pub policy: Arc<Policy>,
    /// What it knows.
    pub local: Arc<LocalCache>,
    /// Who can answer, in the policy's order.
    pub members: Vec<Member>,
    /// The flag.
    pub verdict: Verdict,
    /// Its part in the cluster's mind.
    pub mind: Arc<Mind>,
    /// What it shares with other nodes.
    cluster: Option<Arc<Cluster>>,
    /// True when all upstreams are tables, which answer at once: no cache, no flight.
    tables_only: bool,
    /// True when its records have targets, whose order is each call's own.
    steers: bool,
    /// Destinations that somebody found dead.
    failed: Arc<FailedTargets>,
    flights: Arc<Flights>,
    /// The extra requests that hedging may make.
    allowance: Mutex<Allowance>,
    /// The purse, where dips cost something.
    spend: Option<Spend>,
    /// All lookups, for dependent steps.
    peers: Weak<ArcSwap<Vec<Arc<Lookup>>>>,
    meters: Meters,
    /// Answers of the second rank since they were last told.
    pub summary: Arc<Summary>,
    events: Arc<Events>,
    /// Held by who looks at the upstreams to turn the flag.
    turning: Mutex<()>,
    /// When it began to run.
    since: Instant,
    /// True once another policy runs under this name.
    retired: AtomicBool,
    /// What was flushed lately, for who keeps the cache on disk.
    flushed: Mutex<Flushed>,
    /// Where callers are served: what they may come to wait for runs there if it is begun where they are not.
    home: Option<tokio::runtime::Handle>,
}

impl Lookup {
    /// The fresh answer from the local cache, if there is one. Waits for nothing.
    #[inline]
    pub fn hit(self: &Arc<Self>, question: &Question) -> Option<Answer> {
        self.hit_at(question, tick())
    }

    /// The same for who has looked at the clock already.
    #[inline]
    pub fn hit_at(self: &Arc<Self>, question: &Question, tick: u64) -> Option<Answer> {
        if self.tables_only {
            return tables::answer(self, question).map(|answer| self.told(answer));
        }
        let entry = self.local.get(&question.id, tick)?;
        if entry.freshness(tick) != Freshness::Fresh {
            return None;
        }
        if entry.is_past(self.policy.cache.refresh_ahead, tick) {
            self.renew(question);
        }
        Some(self.told(entry.into_answer(Source::Local, tick)))
    }

    /// Tells `f` what the local cache has for these questions' ids (at most [`AT_ONCE`]) where it lies, one after the other
    /// until one is not there or not fresh, or `f` does not take it; how many it took, which are counted. What is left is
    /// for [`Lookup::hit_at`]. `question` is only asked for one that more has to be done for. `f` must be short: it holds
    /// up who wants to write there.
    pub fn each_hit(
        self: &Arc<Self>,
        front: FrontName,
        ids: &[&str],
        tick: u64,
        question: impl Fn(usize) -> Option<Question>,
        mut f: impl FnMut(usize, Told<'_>) -> bool,
    ) -> usize {
        if self.tables_only || self.steers {
            let mut told = |place| {
                let answer = self.hit_at(&question(place)?, tick)?;
                let told = Told { outcome: answer.outcome, record: answer.record.as_ref(), ttl: answer.ttl };
                f(place, told).then(|| self.answered(front, &answer, Duration::ZERO))
            };
            return (0..ids.len()).map_while(&mut told).count();
        }
        const { assert!(AT_ONCE <= u16::BITS as usize, "a bit for each") };
        // Of the late ones a bit each: nearly always there are none, and that is seen at a glance.
        let (mut found, mut late) = (0, 0_u16);
        let told = self.local.each_of(ids, |place, seen| {
            let told = Told { outcome: seen.outcome, record: seen.record, ttl: seen.ttl(tick) };
            let took = seen.freshness(tick) == Freshness::Fresh && f(place, told);
            if took {
                late |= u16::from(seen.is_past(self.policy.cache.refresh_ahead, tick)) << place;
                match seen.outcome {
                    Outcome::Found => found += 1,
                    other => self.answered(front, &Answer::empty(other, Source::Local), Duration::ZERO),
                }
            }
            took
        });
        self.meters.hits(front, found);
        while late != 0 {
            if let Some(question) = question(late.trailing_zeros() as usize) {
                self.renew(&question);
            }
            late &= late - 1;
        }
        told
    }

    /// An answer in time: shared with whoever asks the same, from an upstream, or of the second rank.
    ///
    /// Poll it to its end or drop it: others may wait for the fetch that it takes along, which stands still as long as nobody polls it.
    pub async fn miss(self: &Arc<Self>, question: Question, deadline: Deadline) -> Answer {
        if self.policy.chain.then.is_empty() {
            return self.told(self.fetch(question, deadline).await);
        }
        let answer = self.fetch(question.clone(), deadline).await;
        self.told(self.followed(&question, answer, deadline).await)
    }

    async fn fetch(self: &Arc<Self>, question: Question, deadline: Deadline) -> Answer {
        let question = Arc::new(question);
        if !self.policy.applies(&question) {
            return Answer::empty(Outcome::NotApplicable, Source::Nobody);
        }
        if self.tables_only {
            return self.second_rank(&question, tables::no_answer());
        }
        let refused = self.anybody_to_ask().err();
        if let Some(refused) = &refused {
            // The next probe asks this: the question that was asked last may be one that always fails.
            self.members.iter().for_each(|member| member.wanted(&question));
            if !self.others_may_know() {
                return self.second_rank(&question, refused.clone());
            }
        }
        if self.stale_comes_first(&question, refused.is_some()) {
            self.start_renewal(&question);
            return self.second_rank(&question, Answer::empty(Outcome::Timeout, Source::Nobody));
        }
        let (fetch, ticket, collapsed) = match self.flights.board(&question.id) {
            Some(Boarding::Lead(pilot, ticket)) => {
                let mut fetch = self.prepared(Arc::clone(&question), pilot, Purpose::Answer);
                if !self.is_at_home() {
                    self.set_off(fetch.take());
                }
                (fetch, ticket, false)
            }
            Some(Boarding::Follow(ticket)) => (None, ticket, true),
            None => return self.second_rank(&question, Answer::empty(Outcome::Overload, Source::Nobody)),
        };
        if collapsed {
            self.meters.coalesced.increment(1);
        }
        let landed = match fetch {
            Some(fetch) => deadline.limit_sharply(Aboard::new(fetch, ticket)).await,
            None => deadline.limit_sharply(ticket.landed()).await,
        };
        match landed {
            Some(answer) if answer.outcome.is_answer() => Answer { collapsed, ..answer },
            Some(failure) => self.second_rank(&question, failure),
            None => {
                self.meters.deadline_exceeded.increment(1);
                self.second_rank(&question, Answer::empty(Outcome::Timeout, Source::Nobody))
            }
        }
    }

    /// A hit, else a miss: what a caller who is in no hurry to tell them apart uses.
    pub async fn ask(self: &Arc<Self>, question: Question, deadline: Deadline) -> Answer {
        match self.hit(&question) {
            Some(answer) => answer,
            None => self.miss(question, deadline).await,
        }
    }

    /// What a caller ever waits.
    pub fn call_budget(&self) -> Duration {
        self.policy.budget.call
    }

    /// The 1/0 that a routing script checks before it asks.
    pub fn is_up(&self) -> bool {
        self.verdict.is_up()
    }

    /// The same for one upstream: whether it may be asked. `None` where there is none of this name.
    pub fn upstream_is_up(&self, name: &str) -> Option<bool> {
        let member = self.members.iter().find(|member| &*member.name == name)?;
        Some(member.is_usable(now()))
    }

    /// Counts one answered caller.
    #[inline]
    pub fn answered(&self, front: FrontName, answer: &Answer, took: Duration) {
        match answer.source {
            Source::Stale => self.summary.count(SummaryKind::Stale),
            Source::Fallback => self.summary.count(SummaryKind::Fallback),
            _ => {}
        }
        self.meters.answered(front, answer, took);
    }

    /// The handles of this lookup.
    pub fn meters(&self) -> &Meters {
        &self.meters
    }

    /// Dips under way, each for one key.
    pub fn flights(&self) -> usize {
        self.flights.len()
    }

    /// The best that is left: the stale record, else the fallback record, else `why` as it is.
    fn second_rank(&self, question: &Question, why: Answer) -> Answer {
        let tick = tick();
        if let Some(entry) = self.local.get(&question.id, tick) {
            // A flight may have landed since this caller missed: then it is not even stale.
            let fresh = entry.freshness(tick) == Freshness::Fresh;
            return entry.answer(if fresh { Source::Local } else { Source::Stale }, tick);
        }
        match self.policy.fallback(question) {
            Some(record) => Answer { record: Some(record), ..Answer::empty(Outcome::Fallback, Source::Fallback) },
            None => why,
        }
    }

    /// Renews an entry behind the caller's back, unless that is under way or nobody may be asked.
    pub fn renew(self: &Arc<Self>, question: &Question) {
        if self.anybody_to_ask().is_ok() {
            self.start_renewal(question);
        }
    }

    fn start_renewal(self: &Arc<Self>, question: &Question) {
        if let Some(Boarding::Lead(pilot, _)) = self.flights.board(&question.id) {
            self.set_off(self.prepared(Arc::new(question.clone()), pilot, Purpose::Renew));
        }
    }

    /// Begins a fetch as a task of its own.
    fn set_off(&self, fetch: Option<Fetch>) {
        if let Some(fetch) = fetch {
            self.spawn_home(fetch);
        }
    }

    /// The fetch, which is yet to be begun; `None` where the flight has landed already.
    fn prepared(self: &Arc<Self>, question: Arc<Question>, pilot: Pilot, purpose: Purpose) -> Option<Fetch> {
        // Between this caller's miss and its boarding another flight may have landed.
        let tick = tick();
        if let Some(entry) = self.local.get(&question.id, tick)
            && entry.freshness(tick) == Freshness::Fresh
            && !entry.is_past(self.policy.cache.refresh_ahead, tick)
        {
            pilot.land(entry.answer(Source::Local, tick));
            return None;
        }
        crew::keep_beating();
        let lookup = Arc::clone(self);
        Some(Box::pin(async move { sharing::fly(&lookup, question, pilot, purpose).await }))
    }

    /// True when there is a stale record and waiting for a fresh one is a poor bet: when nobody may be asked, within the
    /// time in which the policy renews behind the caller's back, or when every upstream's latest sample was a failure.
    fn stale_comes_first(&self, question: &Question, nobody_to_ask: bool) -> bool {
        let tick = tick();
        self.local.get(&question.id, tick).is_some_and(|entry| {
            nobody_to_ask
                || entry.expired_within(self.policy.cache.revalidate, tick)
                || self.members.iter().all(|member| member.health.is_suspect())
        })
    }

    /// Whether any upstream may be asked now; if not, the empty answer that says why and when again.
    fn anybody_to_ask(&self) -> Result<(), Answer> {
        if self.policy.chain.emergency {
            return Ok(());
        }
        let now = now();
        let mut why: Option<Answer> = None;
        for member in &self.members {
            let Err(refused) = member.health.may_ask(now) else { return Ok(()) };
            let sooner = why.as_ref().and_then(|why| why.retry_after).is_none_or(|other| refused.retry_after < other);
            if sooner {
                let empty = Answer::empty(refused.outcome, Source::Nobody);
                why = Some(Answer { retry_after: Some(refused.retry_after), ..empty });
            }
        }
        // A checked policy has at least one upstream.
        why.map_or(Ok(()), Err)
    }

    /// The cluster that this node is one of.
    pub fn cluster(&self) -> Option<&Arc<Cluster>> {
        self.cluster.as_ref()
    }

    /// Runs something that callers may come to wait for: on this thread if it serves, else on one that does, and never
    /// on the one of warm jobs, which has no time for them.
    fn spawn_home<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        match &self.home {
            Some(home) if !self.is_at_home() => home.spawn(work),
            _ => tokio::spawn(work),
        }
    }

    /// True where callers may come to wait for what is begun right here.
    fn is_at_home(&self) -> bool {
        let here = || tokio::runtime::Handle::try_current().map(|here| here.id());
        crew::serves_here() || self.home.as_ref().is_none_or(|home| here().is_ok_and(|here| here == home.id()))
    }

    /// The lookup of this name.
    fn peer(&self, name: &str) -> Option<Arc<Self>> {
        self.peers.upgrade()?.load().iter().find(|lookup| &*lookup.policy.name == name).cloned()
    }

    /// Keeps an upstream's answer, unless it is disowned, and makes the callers' answer of it.
    fn keep(&self, question: &Question, given: member::Given, is_disowned: impl Fn() -> bool) -> Answer {
        let tick = tick();
        let seal =
            || Entry::seal(&self.policy.cache, given.outcome, given.record.clone(), given.ttl, fastrand::f64(), tick);
        let entry = given.keep.then(seal).flatten();
        let source = Source::Upstream(given.from);
        match entry {
            Some(entry) => {
                let answer = entry.answer(source, tick);
                if !is_disowned() {
                    self.share(&question.id, &entry);
                    self.local.put(question.id.clone(), entry);
                    // A flush between look and put has not seen this entry.
                    if is_disowned() {
                        self.unshare(&question.id);
                        self.local.forget(&question.id);
                    }
                }
                answer
            }
            None => Answer { record: given.record, ..Answer::empty(given.outcome, source) },
        }
    }
}
