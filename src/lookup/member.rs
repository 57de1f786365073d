//! One upstream as the pipeline sees it: the transport, its health, and what it was asked last.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;

use crate::answer::{Outcome, Record};
use crate::deadline::{Instant, now};
use crate::health::{Apart, Latencies, UpstreamHealth};
use crate::policy::{BreakerRules, Question, UpstreamPolicy};
use crate::upstream::{Failure, Upstream};

/// One upstream of a lookup.
#[derive(Debug)]
pub struct Member {
    /// Its name.
    pub name: Arc<str>,
    /// How it is spoken to.
    pub upstream: Upstream,
    /// How it is spoken to where nobody waits, from the first such dip on: with connections of its own, which live on
    /// another thread.
    beside: OnceLock<Option<Upstream>>,
    /// Whether it may be asked.
    pub health: Arc<UpstreamHealth>,
    /// The keys and credentials that are left alone while it may be asked for others.
    pub(super) apart: Apart,
    /// The question that somebody had for it last: what a probe asks, since only a real question proves anything.
    last: Mutex<Option<Arc<Question>>>,
    /// How fast it has answered lately.
    latencies: Mutex<Latencies>,
    /// True while a prober looks after it.
    watched: AtomicBool,
    /// When a rule last raised an alert.
    alerted: Mutex<Option<Instant>>,
}

/// How long a rule's alert stands for those after it: a vendor with one answer for all must not tell it a thousand
/// times a second.
const ALERT_PAUSE: Duration = Duration::from_secs(60);

/// An answer as an upstream gave it.
#[derive(Clone, Debug)]
pub struct Given {
    /// Found, partial, not found or invalid number.
    pub outcome: Outcome,
    /// The kept fields.
    pub record: Option<Record>,
    /// The life that it brought itself.
    pub ttl: Option<Duration>,
    /// False for an answer that is given and not kept.
    pub keep: bool,
    /// Who gave it.
    pub from: Arc<str>,
    /// Whether the next upstream is asked all the same, where a rule says so.
    pub next: Option<bool>,
}

impl Member {
    /// A healthy upstream. Opens no connection. `before` is the one of this name until now: its table goes on.
    ///
    /// # Errors
    /// When the client cannot be built.
    pub fn build(policy: &UpstreamPolicy, breaker: BreakerRules, before: Option<&Self>) -> Result<Self, Failure> {
        Ok(Self {
            name: Arc::clone(&policy.name),
            upstream: Upstream::build_after(policy, before.map(|before| &before.upstream))?,
            beside: OnceLock::new(),
            health: UpstreamHealth::new(breaker, policy.concurrency, policy.rate, now()),
            apart: Apart::default(),
            last: Mutex::new(None),
            latencies: Mutex::default(),
            watched: AtomicBool::new(false),
            alerted: Mutex::new(None),
        })
    }

    /// How it is spoken to where nobody waits.
    pub(super) fn beside(&self, policy: &UpstreamPolicy) -> &Upstream {
        // What was built once is built again; should it fail all the same, the first one does.
        let beside = self.beside.get_or_init(|| Upstream::build_beside(policy, &self.upstream).ok());
        beside.as_ref().unwrap_or(&self.upstream)
    }

    /// Remembers how long an answer took.
    pub(super) fn took(&self, took: Duration) {
        self.latencies.lock().note(took);
    }

    /// The time within which nearly all of its answers have come lately, once there are enough of them.
    pub fn p95(&self) -> Option<Duration> {
        self.latencies.lock().p95()
    }

    /// The time that an answer usually takes; zero as long as too few are known.
    pub(super) fn usual(&self) -> Duration {
        self.latencies.lock().p50().unwrap_or_default()
    }

    /// True when it may be asked now and can answer: a table without rows cannot.
    pub(super) fn is_usable(&self, now: Instant) -> bool {
        self.upstream.table().is_none_or(|table| table.is_loaded()) && self.health.is_usable(now)
    }

    /// Remembers what is asked, or would be if it were well.
    pub(super) fn wanted(&self, question: &Arc<Question>) {
        *self.last.lock() = Some(Arc::clone(question));
    }

    /// What was wanted of it last.
    pub(super) fn last_question(&self) -> Option<Arc<Question>> {
        self.last.lock().clone()
    }

    /// True when a rule's alert is to be told now.
    pub(super) fn may_alert(&self, now: Instant) -> bool {
        let mut alerted = self.alerted.lock();
        let due = alerted.is_none_or(|last| now.saturating_duration_since(last) >= ALERT_PAUSE);
        if due {
            *alerted = Some(now);
        }
        due
    }

    /// Takes over the watch; false when somebody has it.
    pub(super) fn take_watch(&self) -> bool {
        !self.watched.swap(true, Ordering::AcqRel)
    }

    /// Ends the watch.
    pub(super) fn end_watch(&self) {
        self.watched.store(false, Ordering::Release);
    }
}
