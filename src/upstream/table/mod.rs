//! A table: a whole result or file held in memory, which answers at the speed of memory, whatever becomes
//! of the place where it came from.
//!
//! The life of a table: its first [`Table::load`] reads every row ([`source`]), makes the record of each by the policy's
//! fields, and builds a [`Snapshot`] of them, on a thread of its own with the lowest priority ([`loader`]). The
//! snapshot is swapped in at once; whoever asks in that moment sees the old one or the new one, whole. A load that
//! fails, or that looks wrong ([`plausible`]), changes nothing: the old snapshot goes on, and says how old it is.
//!
//! What holds: a question waits for nothing and locks nothing. A snapshot never changes. It is freed by the
//! loader, never by a question that happened to hold it last. *When* to load is not decided here but in `lookup`.

pub mod digits;
mod exact;
mod intervals;
mod loader;
mod plausible;
pub mod snapshot;
mod source;
mod values;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::answer::Record;
use crate::deadline::now;
use crate::policy::expr::Scope;
use crate::policy::{Question, Reading, TablePolicy};
use crate::upstream::{Failure, FailureKind};

pub use loader::{Loaded, NotLoaded};
pub use snapshot::{Builder, Snapshot};
pub use source::Mark;

/// A table. Shared by the lookups before and after a reload that leaves its rows as they are.
#[derive(Debug)]
pub struct Table {
    current: ArcSwapOption<Snapshot>,
    /// See [`TablePolicy::content`].
    content: u64,
    /// See [`TablePolicy::origin`].
    origin: u64,
    /// Held while it is loaded, so that it is loaded once at a time.
    loading: Mutex<()>,
    last: Mutex<Last>,
    /// Woken when somebody wants it loaded now.
    wanted: Notify,
}

/// How the latest load ended.
#[derive(Clone, Debug, Default)]
pub struct Last {
    /// Why it failed, if it did.
    pub failure: Option<NotLoaded>,
    /// How many loads have ended so far, well or not.
    pub loads: u64,
    /// What the source looked like before the latest load.
    pub mark: Option<Mark>,
    /// Whether the load that somebody wants is to be believed whatever it brings.
    force: bool,
}

/// What a table says to a question.
#[derive(Clone, Debug)]
pub struct Row {
    /// The record; `None` where no row has any of the question's keys.
    pub record: Option<Record>,
    /// How old the table is.
    pub age: Duration,
}

impl Table {
    /// The table of a policy, without any row yet; or the one before, with all its rows, where the policy
    /// has not changed what they are. Where only the fields have changed, the rows of before stand in until
    /// the first load.
    pub fn build(policy: &TablePolicy, before: Option<&Arc<Self>>) -> Arc<Self> {
        if let Some(same) = before.filter(|before| before.content == policy.content) {
            return Arc::clone(same);
        }
        let current =
            before.filter(|before| before.origin == policy.origin).and_then(|before| before.current.load_full());
        Arc::new(Self {
            current: ArcSwapOption::new(current),
            content: policy.content,
            origin: policy.origin,
            loading: Mutex::new(()),
            last: Mutex::default(),
            wanted: Notify::new(),
        })
    }

    /// The row for a question: that of the first of its keys which has one. Waits for nothing.
    ///
    /// # Errors
    /// [`FailureKind::Connect`] while there are no rows yet, `Policy` when a key's template refuses the question.
    pub fn find(&self, policy: &TablePolicy, question: &Question) -> Result<Row, Failure> {
        let current = self.current.load();
        let Some(snapshot) = current.as_deref() else {
            return Err(Failure::new(FailureKind::Connect, "the table is not loaded yet"));
        };
        let record =
            if policy.keys.is_empty() { snapshot.find(&question.key) } else { first_of(snapshot, policy, question)? };
        Ok(Row { record: record.map(Record::from_json), age: now().saturating_duration_since(snapshot.since) })
    }

    /// As [`Table::find`], in the form in which every upstream answers.
    ///
    /// # Errors
    /// As [`Table::find`].
    pub fn ask(&self, policy: &TablePolicy, question: &Question) -> Result<Reading, Failure> {
        Ok(Reading { kept: self.find(policy, question)?.record, ..Reading::default() })
    }

    /// What would be looked for, in words.
    ///
    /// # Errors
    /// [`FailureKind::Policy`] when a key's template refuses the question.
    pub fn describe(policy: &TablePolicy, question: &Question) -> Result<String, Failure> {
        let mut keys = keys(policy, question).collect::<Result<Vec<_>, _>>()?;
        if policy.keys.is_empty() {
            keys.push(question.key.to_string());
        }
        Ok(format!("{} of {} in {}", policy.matching.as_str(), keys.join(", then "), source::describe(&policy.source)))
    }

    /// The rows there are now.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.current.load_full()
    }

    /// True once there are rows.
    pub fn is_loaded(&self) -> bool {
        self.current.load().is_some()
    }

    /// How the latest load ended.
    pub fn last(&self) -> Last {
        self.last.lock().clone()
    }

    /// Has it loaded soon. With `force` the load is believed however much it differs.
    pub fn want(&self, force: bool) {
        self.last.lock().force |= force;
        self.wanted.notify_one();
    }

    /// Waits until somebody wants it loaded.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Puts a snapshot in, and gives the old one back once nobody else holds it: freeing hundreds of megabytes takes
    /// longer than a call may wait, so it is for the caller to do. Blocks for as long as a question takes.
    fn swap(&self, new: Snapshot) -> Option<Snapshot> {
        let mut old = self.current.swap(Some(Arc::new(new)))?;
        // While this `Arc` lives no question's can be the last.
        for _ in 0..10_000 {
            match Arc::try_unwrap(old) {
                Ok(snapshot) => return Some(snapshot),
                Err(held) => old = held,
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        None
    }
}

fn first_of<'a>(snapshot: &'a Snapshot, policy: &TablePolicy, question: &Question) -> Result<Option<&'a str>, Failure> {
    for key in keys(policy, question) {
        if let Some(record) = snapshot.find(&key?) {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

/// The question's keys. One that comes out empty is none.
fn keys(policy: &TablePolicy, question: &Question) -> impl Iterator<Item = Result<String, Failure>> {
    let scope = Scope::of_question(question);
    policy
        .keys
        .iter()
        .map(move |key| {
            key.render(&scope)
                .map_err(|error| Failure::new(FailureKind::Policy, format!("a key has no value: {error}")))
        })
        .filter(|key| !key.as_ref().is_ok_and(|key| key.is_empty()))
}
