//! Keys are asked before anybody calls: warm jobs, from whichever keys, into the cache of one lookup.
//!
//! ```text
//! keys ──> job ──> fresh already? nothing to do
//!                  pace, idle lane ──> one dip, as a call's would be ──> tally ──> progress
//! ```
//!
//! A job asks no faster than it is told to, and only where calls leave room ([`crate::lookup::Lookup::idle`]). What
//! failed is tried again a little later; a job stands still while the upstream is sick, and goes on when it has
//! healed. Its tally knows up to which key all are settled, which is where a job that was cut off goes on.

mod hot;
mod job;
mod journal;
mod keeper;
pub mod keys;
mod own;
mod patience;
pub mod progress;
mod restart;
mod sketch;
mod sources;
mod tally;
mod thread;
mod turn;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::crew::Alone;
use crate::events::Events;
use crate::lookup::Lookups;

pub use job::Pacing;
pub use keys::{Key, Keys, NoMore};
pub use restart::{Leave, Loading};
pub use tally::{State, Tally, Told};

use keeper::Keeper;

/// Jobs at once.
const MOST_JOBS: usize = 16;

/// Where warm jobs are begun and seen.
#[derive(Debug)]
pub struct Warming {
    lookups: Arc<Lookups>,
    events: Arc<Events>,
    jobs: Mutex<Vec<Arc<Tally>>>,
    /// Lookups whose own job somebody wants to run now; which run it is where it is one for all nodes.
    wanted: Mutex<HashMap<String, Option<i64>>>,
    has_wish: Notify,
    /// Where jobs run, from the first one on; `None`: the system gave no thread, and they run among all others.
    apart: OnceLock<Option<Alone>>,
    stopping: AtomicBool,
}

/// A job under way. It ends when this is dropped.
#[derive(Debug)]
pub struct Job {
    /// What it has done.
    pub tally: Arc<Tally>,
    task: JoinHandle<()>,
}

/// Why no job begins.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotBegun {
    /// There is no such lookup.
    #[error("no lookup `{name}`; there are {known}")]
    Unknown {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// Its answers are in memory anyway, or not kept at all.
    #[error("nothing of {0} is kept: there is nothing to warm")]
    NothingKept(String),
    /// The keys cannot be had.
    #[error("{0}")]
    NoKeys(String),
    /// The policy has no job of its own.
    #[error("the policy of {0} has no keys of its own: give it a source under [warm]")]
    NoJob(String),
    /// There are too many.
    #[error("{MOST_JOBS} warm jobs are under way already")]
    TooMany,
    /// The proxy drains.
    #[error("the proxy is stopping")]
    Stopping,
}

impl Warming {
    /// Warms these lookups.
    pub fn new(lookups: Arc<Lookups>, events: Arc<Events>) -> Arc<Self> {
        Arc::new(Self {
            lookups,
            events,
            jobs: Mutex::default(),
            wanted: Mutex::default(),
            has_wish: Notify::new(),
            apart: OnceLock::new(),
            stopping: AtomicBool::new(false),
        })
    }

    /// Keeps hot keys warm and runs the policies' own jobs when they are due, until `leaving`. `leave` is where hot keys
    /// are written down for the next process.
    pub async fn keep(self: Arc<Self>, leave: Option<Leave>, leaving: impl Future<Output = ()>) {
        Keeper::new(self, leave).run(leaving).await;
    }

    /// Has the policy's own job run now. `run` is the moment of an order that every node hears, in seconds since 1970: then one
    /// of them runs it. Without one this node does.
    ///
    /// # Errors
    /// [`NotBegun`] says why not.
    pub fn want(&self, name: &str, run: Option<i64>) -> Result<(), NotBegun> {
        let lookup = self.lookups.find(name).ok_or_else(|| self.unknown(name))?;
        if lookup.policy.warm.sources.is_empty() {
            return Err(NotBegun::NoJob(name.to_owned()));
        }
        if self.stopping.load(Ordering::Acquire) {
            return Err(NotBegun::Stopping);
        }
        self.wanted.lock().insert(name.to_owned(), run);
        self.has_wish.notify_one();
        Ok(())
    }

    /// Begins a job. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`NotBegun`] says why not.
    pub fn begin(self: &Arc<Self>, name: &str, keys: impl Keys, pacing: Pacing) -> Result<Job, NotBegun> {
        let lookup = self.lookups.find(name).ok_or_else(|| self.unknown(name))?;
        if !lookup.is_warmable() {
            return Err(NotBegun::NothingKept(name.to_owned()));
        }
        if self.stopping.load(Ordering::Acquire) {
            return Err(NotBegun::Stopping);
        }
        let tally = {
            let mut jobs = self.jobs.lock();
            if jobs.len() >= MOST_JOBS {
                return Err(NotBegun::TooMany);
            }
            let tally = Arc::new(Tally::new(&lookup.policy.name));
            jobs.push(Arc::clone(&tally));
            tally
        };
        let ended = Ended { warming: Arc::clone(self), tally: Arc::clone(&tally) };
        let run = job::run(Arc::clone(&self.lookups), keys, pacing, Arc::clone(&tally));
        let task = self.spawn(async move {
            // Here, so that it is dropped with the task, however that ends.
            let ended = ended;
            run.await;
            drop(ended);
        });
        Ok(Job { tally, task })
    }

    /// The jobs under way.
    pub fn jobs(&self) -> Vec<Told> {
        self.jobs.lock().iter().map(|tally| tally.told()).collect()
    }

    /// Ends every job, soon: what is settled is told, the rest is for the next time.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.jobs.lock().iter().for_each(|tally| tally.stop());
    }

    /// Runs it where it takes no call's time.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let apart = self.apart.get_or_init(|| {
            thread::start().inspect_err(|error| tracing::warn!(%error, "no thread for warm jobs")).ok()
        });
        match apart {
            Some(apart) => apart.handle().spawn(work),
            None => tokio::spawn(work),
        }
    }

    fn unknown(&self, name: &str) -> NotBegun {
        let known: Vec<_> = self.lookups.all().iter().map(|lookup| lookup.policy.name.to_string()).collect();
        NotBegun::Unknown { name: name.to_owned(), known: known.join(", ") }
    }
}

/// Takes a job off the list when it ends.
struct Ended {
    warming: Arc<Warming>,
    tally: Arc<Tally>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.tally.over();
        self.warming.jobs.lock().retain(|tally| !Arc::ptr_eq(tally, &self.tally));
    }
}

impl Job {
    /// What it has done once it has ended, or after this time.
    pub async fn told_after(&mut self, span: Duration) -> Told {
        if !self.tally.told().state.is_over() {
            // Whether it ended or not is in the tally.
            let _ = tokio::time::timeout(span, &mut self.task).await;
        }
        self.tally.told()
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.task.abort();
    }
}
