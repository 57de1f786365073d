//! What a process leaves behind for the next one: snapshots of the local caches, and journals of hot keys.
//!
//! `NAME.snapshot` is written every so often and at the end, `NAME.flushed` says what was flushed since, and is written
//! within a second of it. Loading runs on threads of its own, beside the first calls; a file that is not believed is told
//! with one line, and the start goes on cold.

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::deadline::{Deadline, now};
use crate::lookup::{Lookup, Lookups};
use crate::warm::journal;

/// How often flushes are looked for.
const LOOK: Duration = Duration::from_secs(1);

/// Flushes beside a snapshot are no more than this, in bytes: then a new snapshot is shorter.
const MOST_FLUSHED: u64 = 8 * 1024 * 1024;

/// How long the writing at the end may take.
const AT_THE_END: Duration = Duration::from_secs(20);

/// Where it is left, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leave {
    /// The folder.
    pub dir: PathBuf,
    /// Whether the local caches are written down; journals always are.
    pub snapshot: bool,
    /// How often.
    pub every: Duration,
    /// How long readiness waits for what the last process left.
    pub wait: Duration,
}

/// What the last process left, on its way back.
#[derive(Debug)]
pub struct Loading {
    leave: Leave,
    loads: JoinSet<()>,
    until: Deadline,
}

impl Loading {
    /// Returns when all is there, or when nobody should wait for it any longer.
    pub async fn settled(&mut self) {
        let was_over = self.until.passed();
        let all = async { while self.loads.join_next().await.is_some() {} };
        if self.until.limit(all).await.is_none() && !was_over {
            tracing::info!("snapshots are still being loaded: going on without the rest of them");
        }
    }

    /// Sees the loading through, and then leaves everything behind in turn until `leaving`.
    pub async fn then_keep(mut self, lookups: Arc<Lookups>, leaving: impl Future<Output = ()>) {
        // A snapshot that is written before the old one is read would be a poor one.
        while self.loads.join_next().await.is_some() {}
        self.leave.keep(lookups, leaving).await;
    }
}

impl Leave {
    fn file(&self, lookup: &Lookup, ending: &str) -> PathBuf {
        self.dir.join(format!("{}.{ending}", lookup.policy.name))
    }

    /// Where the journal of a lookup is.
    pub(super) fn journal(&self, lookup: &Lookup) -> PathBuf {
        journal::path(&self.dir, &lookup.policy.name)
    }

    /// Begins to take everything back, on threads of its own. Must be called within a tokio runtime, before anything is
    /// flushed by somebody who must be obeyed.
    pub fn load(self, lookups: &Lookups) -> Loading {
        let mut loads = JoinSet::new();
        if let Err(error) = fs::create_dir_all(&self.dir) {
            tracing::warn!(dir = %self.dir.display(), %error, "nothing can be kept across restarts");
        } else if self.snapshot {
            for lookup in lookups.all().iter().filter(|lookup| lookup.is_warmable()) {
                // What was flushed before is known from the disk and from the other nodes.
                let _ = lookup.take_flushed();
                let (leave, lookup) = (self.clone(), Arc::clone(lookup));
                loads.spawn_blocking(move || leave.load_one(&lookup));
            }
        }
        Loading { until: Deadline::after(self.wait), loads, leave: self }
    }

    fn load_one(&self, lookup: &Lookup) {
        let (path, began) = (self.file(lookup, "snapshot"), now());
        let name = &*lookup.policy.name;
        match lookup.load_snapshot(&path, &self.flushed(lookup)) {
            Ok(None) => {}
            Ok(Some(entries)) => {
                let took = now().saturating_duration_since(began);
                tracing::info!(lookup = name, entries, ?took, "the last process's entries are back");
            }
            Err(why) => {
                tracing::warn!(lookup = name, file = %path.display(), %why, "a snapshot is refused: starting cold");
            }
        }
    }

    /// Keys that were flushed since the snapshot. Lines that do not read count for nothing.
    fn flushed(&self, lookup: &Lookup) -> HashMap<String, u64> {
        let text = fs::read_to_string(self.file(lookup, "flushed")).unwrap_or_default();
        let line = |line: &str| {
            let (at, id) = line.split_once('\t')?;
            Some((id.to_owned(), at.parse().ok()?))
        };
        text.lines().filter_map(line).collect()
    }

    /// Writes snapshots every so often, and flushes at once, until `leaving`.
    async fn keep(self, lookups: Arc<Lookups>, leaving: impl Future<Output = ()>) {
        let mut leaving = std::pin::pin!(leaving);
        let mut due = now() + self.every;
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = &mut leaving => return,
            }
            let whole = now() >= due;
            self.write(&lookups, whole && self.snapshot).await;
            if whole {
                due = now() + self.every;
            }
        }
    }

    /// The last snapshot.
    pub async fn save(&self, lookups: &Lookups) {
        if self.snapshot && Deadline::after(AT_THE_END).limit(self.write(lookups, true)).await.is_none() {
            tracing::warn!("the snapshot was not written in time: the one before stays");
        }
    }

    async fn write(&self, lookups: &Lookups, whole: bool) {
        if !self.snapshot {
            return;
        }
        for lookup in lookups.all().iter().filter(|lookup| lookup.is_warmable()) {
            let (leave, lookup) = (self.clone(), Arc::clone(lookup));
            // A panic there costs one snapshot.
            let _ = tokio::task::spawn_blocking(move || leave.write_one(&lookup, whole)).await;
        }
    }

    fn write_one(&self, lookup: &Lookup, whole: bool) {
        let name = &*lookup.policy.name;
        let (snapshot, flushed) = (self.file(lookup, "snapshot"), self.file(lookup, "flushed"));
        let news = lookup.take_flushed();
        if news.all {
            // What is not there cannot be taken back.
            let _ = fs::remove_file(&snapshot);
            let _ = fs::remove_file(&flushed);
        } else if !news.keys.is_empty() {
            let lines: String = news.keys.iter().map(|(id, at)| format!("{at}\t{id}\n")).collect();
            let file = fs::OpenOptions::new().create(true).append(true).open(&flushed);
            if file.and_then(|mut file| file.write_all(lines.as_bytes())).is_err() {
                let _ = fs::remove_file(&snapshot);
            }
        }
        let many = || fs::metadata(&flushed).is_ok_and(|file| file.len() > MOST_FLUSHED);
        if !whole && !many() {
            return;
        }
        match lookup.save_snapshot(&snapshot) {
            // Entries that were flushed before are not in it.
            Ok(entries) => {
                let _ = fs::remove_file(&flushed);
                tracing::debug!(lookup = name, entries, "a snapshot is written");
            }
            Err(error) => tracing::warn!(lookup = name, file = %snapshot.display(), %error, "no snapshot was written"),
        }
    }
}
