//! One upstream as the pipeline sees it: the transport, its health, and what it was asked last.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::answer::{Outcome, Record};
use crate::deadline::now;
use crate::health::{Latencies, UpstreamHealth};
use crate::policy::{BreakerRules, Question, UpstreamPolicy};
use crate::upstream::{Failure, Upstream};

/// One upstream of a lookup.
#[derive(Debug)]
pub struct Member {
    /// Its name.
    pub name: Arc<str>,
    /// How it is spoken to.
    pub upstream: Upstream,
    /// Whether it may be asked.
    pub health: Arc<UpstreamHealth>,
    /// The question it was asked last: what a probe asks, since only a real question proves anything.
    last: Mutex<Option<Question>>,
    /// How fast it has answered lately.
    latencies: Mutex<Latencies>,
    /// True while a prober looks after it.
    watched: AtomicBool,
}

/// An answer as an upstream gave it.
#[derive(Clone, Debug)]
pub struct Given {
    /// Found, partial, not found or invalid number.
    pub outcome: Outcome,
    /// The kept fields.
    pub record: Option<Record>,
    /// The life that it brought itself.
    pub ttl: Option<Duration>,
    /// Who gave it.
    pub from: Arc<str>,
    /// Whether the next upstream is asked all the same, where a rule says so.
    pub next: Option<bool>,
}

impl Member {
    /// A healthy upstream. Opens no connection.
    ///
    /// # Errors
    /// When the client cannot be built.
    pub fn build(policy: &UpstreamPolicy, breaker: BreakerRules) -> Result<Self, Failure> {
        Ok(Self {
            name: Arc::clone(&policy.name),
            upstream: Upstream::build(policy)?,
            health: UpstreamHealth::new(breaker, policy.concurrency, policy.rate, now()),
            last: Mutex::new(None),
            latencies: Mutex::default(),
            watched: AtomicBool::new(false),
        })
    }

    /// Remembers how long an answer took.
    pub(super) fn took(&self, took: Duration) {
        self.latencies.lock().note(took);
    }

    /// The time within which nearly all of its answers have come lately, once there are enough of them.
    pub fn p95(&self) -> Option<Duration> {
        self.latencies.lock().p95()
    }

    /// Remembers what is being asked.
    pub(super) fn asked(&self, question: &Question) {
        self.last.lock().clone_from(&Some(question.clone()));
    }

    /// What it was asked last.
    pub(super) fn last_question(&self) -> Option<Question> {
        self.last.lock().clone()
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
