//! A lookup's cache across a restart: what is written down, what is taken back, and what was flushed in between.

use std::io;
use std::path::Path;

use crate::cache::snapshot::{self, Belongs, Refused};
use crate::deadline::{calendar, tick};
use crate::lookup::Lookup;

/// More flushed keys than this are remembered as all of them.
const MOST_KEYS: usize = 10_000;

/// What was flushed since somebody asked.
#[derive(Debug, Default)]
pub struct Flushed {
    /// Everything.
    pub all: bool,
    /// These, each with its moment in milliseconds of the calendar.
    pub keys: Vec<(String, u64)>,
}

impl Flushed {
    pub(super) fn note(&mut self, id: &str) {
        if self.keys.len() < MOST_KEYS {
            self.keys.push((id.to_owned(), calendar()));
        } else {
            self.note_all();
        }
    }

    pub(super) fn note_all(&mut self) {
        self.all = true;
        self.keys.clear();
    }
}

impl Lookup {
    /// Writes the local cache down; how many entries it was.
    ///
    /// # Errors
    /// When the folder does not take it.
    pub fn save_snapshot(&self, path: &Path) -> io::Result<u64> {
        snapshot::save(path, self.belongs(), &self.local)
    }

    /// Takes a snapshot back, but for `flushed` keys and for what is known better by now; how many entries it was.
    /// `None` where there is no snapshot.
    ///
    /// # Errors
    /// Why nothing of it was taken.
    pub fn load_snapshot(&self, path: &Path, flushed: &[(String, u64)]) -> Result<Option<u64>, Refused> {
        let flushed: std::collections::HashMap<&str, u64> = flushed.iter().map(|(id, at)| (id.as_str(), *at)).collect();
        snapshot::load(path, self.belongs(), &mut |id, entry| {
            let now = tick();
            let born = calendar().saturating_sub(entry.age_ms(now));
            let gone = flushed.get(id.as_str()).is_some_and(|at| born <= *at) || self.was_flushed(&entry, &id, now);
            if !gone && self.local.peek(&id, now).is_none() {
                self.local.put(id, entry);
            }
        })
    }

    /// What was flushed since the last time this was asked.
    pub fn take_flushed(&self) -> Flushed {
        std::mem::take(&mut *self.flushed.lock())
    }

    fn belongs(&self) -> Belongs {
        Belongs::new(self.policy.shape, &self.policy.cache, self.mind.era().unwrap_or(0))
    }
}
