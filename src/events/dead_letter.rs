//! Where an event goes that a sink refuses for good: one JSON line with the event, the sink and the reason.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::deadline::wall_clock;
use crate::events::form::rfc3339;
use crate::events::spool::Record;

/// Past this size the file is put aside, and the one put aside before is gone.
const FULL: u64 = 64 * 1024 * 1024;

/// The dead-letter file of one spool.
#[derive(Debug)]
pub(super) struct DeadLetters {
    path: PathBuf,
}

impl DeadLetters {
    pub(super) fn beside(spool: &Path) -> Self {
        Self { path: spool.join("dead-letters.jsonl") }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps the event and why it was refused.
    pub(super) fn keep(&self, sink: &str, record: &Record, reason: &str) -> io::Result<()> {
        if fs::metadata(&self.path).is_ok_and(|about| about.len() >= FULL) {
            fs::rename(&self.path, self.path.with_extension("jsonl.1"))?;
        }
        // An event is JSON by our own making; should it not be, its text is kept as text.
        let event = serde_json::from_str(&record.text).unwrap_or_else(|_| json!(&*record.text));
        let line = json!({
            "at": rfc3339(wall_clock()), "sink": sink, "reason": reason, "key": &*record.key, "event": event,
        });
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        file.write_all(format!("{line}\n").as_bytes())?;
        file.sync_data()
    }
}
