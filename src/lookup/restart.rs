//! A lookup's cache across a restart: what is written down, what is taken back, and what was flushed in between.

use std::collections::HashMap;
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
    pub keys: HashMap<String, u64>,
}

impl Flushed {
    pub(super) fn note(&mut self, id: &str) {
        if self.keys.len() < MOST_KEYS {
            self.keys.insert(id.to_owned(), calendar());
        } else {
            self.note_all();
        }
    }

    pub(super) fn note_all(&mut self) {
        self.all = true;
        self.keys.clear();
    }

    fn covers(&self, id: &str, born: u64) -> bool {
        self.all || self.keys.get(id).is_some_and(|at| born <= *at)
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

    /// Takes a snapshot back, but for what was `flushed` before this process began or is flushed meanwhile, and for what is
    /// known better by now; how many entries it was. `None` where there is no snapshot. Nobody may ask for
    /// [`Lookup::take_flushed`] before it has ended.
    ///
    /// # Errors
    /// Why nothing of it was taken.
    pub fn load_snapshot(&self, path: &Path, flushed: &HashMap<String, u64>) -> Result<Option<u64>, Refused> {
        snapshot::load(path, self.belongs(), &mut |id, entry| {
            let now = tick();
            let born = calendar().saturating_sub(entry.age_ms(now));
            let is_gone = || self.flushed.lock().covers(&id, born);
            let gone = flushed.get(id.as_str()).is_some_and(|at| born <= *at)
                || is_gone()
                || self.was_flushed(&entry, &id, now);
            if gone || self.local.peek(&id, now).is_some() {
                return;
            }
            self.local.put(id.clone(), entry);
            // A flush between look and put has not seen this entry.
            if is_gone() {
                self.local.forget(&id);
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
