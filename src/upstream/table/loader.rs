//! From the rows of a source to a snapshot, without taking a call's time.
//!
//! A load runs on a thread of its own, and the system is told that this thread is the least important one
//! of all: it has the time that nobody else wants. Reading, the policy's fields, sorting and freeing the old snapshot
//! all happen there; the workers that answer calls never see more than one atomic swap.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use tokio::sync::oneshot;

use crate::answer::Record;
use crate::deadline::{Deadline, now};
use crate::policy::{Kind, Policy, TablePolicy, TransportPolicy, UpstreamPolicy};
use crate::upstream::Failure;
use crate::upstream::table::snapshot::{Builder, Snapshot, TooMuch};
use crate::upstream::table::source::{self, Cells, Mark};
use crate::upstream::table::{Table, plausible};

/// What `nice` calls the least important.
const LEAST_IMPORTANT: i32 = 19;

/// A row with a longer record, as JSON in bytes, is left out: what a script needs is a hundredth of it.
const LONGEST_RECORD: usize = 64 * 1024;

/// The clock is looked at once in so many rows.
const ROWS_A_LOOK: usize = 4096;

/// A load that went well.
#[derive(Clone, Copy, Debug)]
pub struct Loaded {
    /// How many rows the table has now.
    pub rows: usize,
    /// How many rows of the source were left out: their key did not fit, or their fields said nothing.
    pub left_out: usize,
    /// The bytes that the table takes.
    pub bytes: usize,
    /// How long it took.
    pub took: Duration,
}

/// Why a load changed nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotLoaded {
    /// The database gave no rows.
    #[error("the database gave no rows: {0}")]
    Database(Failure),
    /// The file does not read.
    #[error("`{path}` does not read: {why}")]
    File {
        /// Its path.
        path: String,
        /// What the system or the reader said.
        why: String,
    },
    /// A column that the policy names is not there.
    #[error("there is no column `{name}`; the columns are {known}")]
    NoColumn {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A field's expression does not run.
    #[error("{0}")]
    Field(String),
    /// More than fits.
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
    /// More rows than the policy allows.
    #[error("there are more than {0} rows: raise `max_rows`, or select fewer")]
    TooMany(usize),
    /// Fewer rows than the policy asks for.
    #[error("there are {rows} rows, and `min_rows` asks for {least}: the old rows go on")]
    TooFew {
        /// How many there are.
        rows: usize,
        /// How many there must be.
        least: usize,
    },
    /// Far more or fewer rows than before.
    #[error(
        "{rows} rows after {before}: the change is larger than `max_change` allows, and the old rows go on; \
         if it is right, load the table by hand with `force`"
    )]
    Changed {
        /// How many there were.
        before: usize,
        /// How many there are.
        rows: usize,
    },
    /// The file changed while it was read.
    #[error("the file changed while it was read: it is read again once it rests")]
    Unsettled,
    /// It took too long.
    #[error("it took longer than `load_timeout`")]
    Timeout,
    /// A fault of dipcache itself.
    #[error("the load ended without a result")]
    Died,
}

impl NotLoaded {
    /// The word for metrics: a source that answered, and is not to be believed, is another matter than one that did not answer.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::TooFew { .. } | Self::Changed { .. } => "implausible",
            _ => "failed",
        }
    }
}

impl Table {
    /// Loads the table on a thread of its own. `index` is the table's place among the policy's upstreams.
    ///
    /// # Errors
    /// [`NotLoaded`] says why everything stays as it was.
    pub async fn load(self: &Arc<Self>, policy: Arc<Policy>, index: usize) -> Result<Loaded, NotLoaded> {
        let (tell, told) = oneshot::channel();
        let table = Arc::clone(self);
        let apart = std::thread::Builder::new().name("table".to_owned()).spawn(move || {
            // A system that does not allow it only loses the courtesy.
            let _ = rustix::process::setpriority_process(None, LEAST_IMPORTANT);
            let loaded = match policy.upstreams.get(index) {
                Some(upstream) => table.load_here(policy.kind, upstream),
                None => Err(NotLoaded::Died),
            };
            // Nobody listens any more after a reload; the table is loaded all the same.
            let _ = tell.send(loaded);
        });
        match apart {
            Ok(_) => told.await.unwrap_or(Err(NotLoaded::Died)),
            Err(_) => Err(NotLoaded::Died),
        }
    }

    /// As [`Table::load`], on this thread, which it blocks.
    ///
    /// # Errors
    /// As [`Table::load`].
    pub fn load_here(&self, kind: Kind, upstream: &UpstreamPolicy) -> Result<Loaded, NotLoaded> {
        let TransportPolicy::Table(policy) = &upstream.transport else { return Err(NotLoaded::Died) };
        let one_at_a_time = self.loading.lock();
        let began = now();
        let force = std::mem::take(&mut self.last.lock().force);
        let mark = Mark::of(&policy.source);
        let made = self.make(kind, upstream, policy, force).and_then(|snapshot| match &mark {
            Some(mark) if Some(mark) != Mark::of(&policy.source).as_ref() => Err(NotLoaded::Unsettled),
            _ => Ok(snapshot),
        });
        let loaded = made.map(|snapshot| {
            let (rows, left_out, bytes) = (snapshot.rows(), snapshot.left_out, snapshot.bytes());
            let old = self.swap(snapshot);
            drop(old);
            Loaded { rows, left_out, bytes, took: now().saturating_duration_since(began) }
        });
        let mut last = self.last.lock();
        last.failure = loaded.as_ref().err().cloned();
        last.loads += 1;
        last.mark = mark;
        drop(last);
        drop(one_at_a_time);
        loaded
    }

    /// A table of these rows, as a database would give them: for replayed cases.
    ///
    /// # Errors
    /// As [`Table::load`].
    pub fn of_rows(
        kind: Kind,
        upstream: &UpstreamPolicy,
        rows: &[serde_json::Map<String, Json>],
    ) -> Result<Arc<Self>, NotLoaded> {
        let TransportPolicy::Table(policy) = &upstream.transport else { return Err(NotLoaded::Died) };
        let mut maker = Maker::new(kind, upstream, policy);
        rows.iter().try_for_each(|row| maker.row(&Cells::Typed(row)))?;
        let table = Self::build(policy, None);
        table.swap(maker.builder.finish());
        Ok(table)
    }

    fn make(
        &self,
        kind: Kind,
        upstream: &UpstreamPolicy,
        policy: &TablePolicy,
        force: bool,
    ) -> Result<Snapshot, NotLoaded> {
        let mut maker = Maker::new(kind, upstream, policy);
        source::read(policy, &mut |cells| maker.row(cells))?;
        let snapshot = maker.builder.finish();
        if !force {
            plausible::check(policy, self.snapshot().map(|old| old.rows()), snapshot.rows())?;
        }
        Ok(snapshot)
    }
}

/// Makes records of rows.
struct Maker<'a> {
    kind: Kind,
    upstream: &'a UpstreamPolicy,
    policy: &'a TablePolicy,
    /// Where every field is a column as it stands, their names: no expression need run.
    plain: Option<Vec<(&'a str, &'a str)>>,
    builder: Builder,
    rows: usize,
    deadline: Deadline,
}

impl<'a> Maker<'a> {
    fn new(kind: Kind, upstream: &'a UpstreamPolicy, policy: &'a TablePolicy) -> Self {
        let plain = |(name, expr): &'a (String, crate::policy::Expr)| Some((name.as_str(), column_of(expr.source())?));
        Self {
            kind,
            upstream,
            policy,
            plain: upstream.fields.iter().map(plain).collect(),
            builder: Builder::new(policy.matching),
            rows: 0,
            deadline: Deadline::after(policy.load_timeout),
        }
    }

    fn row(&mut self, cells: &Cells<'_>) -> Result<(), NotLoaded> {
        if self.rows == 0 {
            self.columns_are_there(cells)?;
        }
        self.rows += 1;
        if self.rows > self.policy.max_rows {
            return Err(NotLoaded::TooMany(self.policy.max_rows));
        }
        if self.rows.is_multiple_of(ROWS_A_LOOK) && self.deadline.passed() {
            return Err(NotLoaded::Timeout);
        }
        let key: Option<Vec<_>> = self.policy.key_columns.iter().map(|column| cells.text(column)).collect();
        let (Some(key), Some(record)) = (key, self.record(cells)?) else {
            self.builder.leave_out();
            return Ok(());
        };
        if record.as_json().len() > LONGEST_RECORD {
            self.builder.leave_out();
            return Ok(());
        }
        let key: Vec<&str> = key.iter().map(AsRef::as_ref).collect();
        Ok(self.builder.push(&key, record.as_json())?)
    }

    fn record(&self, cells: &Cells<'_>) -> Result<Option<Record>, NotLoaded> {
        match &self.plain {
            Some(plain) => {
                let values = plain.iter().map(|(name, column)| (*name, cells.value(column).unwrap_or(Json::Null)));
                Ok(self.upstream.record_of_values(self.kind, values))
            }
            None => self.upstream.record_of_row(self.kind, cells.tree()).map_err(NotLoaded::Field),
        }
    }

    /// A column that is not there is a slip of the pen, not a table whose fields are all empty.
    fn columns_are_there(&self, cells: &Cells<'_>) -> Result<(), NotLoaded> {
        let of_fields = self.upstream.fields.iter().filter_map(|(_, expr)| column_of(expr.source()));
        let mut named = self.policy.key_columns.iter().map(String::as_str).chain(of_fields);
        match named.find(|name| !cells.columns().any(|known| known == *name)) {
            None => Ok(()),
            Some(name) => Err(NotLoaded::NoColumn {
                name: name.to_owned(),
                known: cells.columns().collect::<Vec<_>>().join(", "),
            }),
        }
    }
}

/// The column of an expression that is `row.column` and nothing more.
fn column_of(source: &str) -> Option<&str> {
    let name = source.trim().strip_prefix("row.")?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some(name)
}
