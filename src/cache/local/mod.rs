//! The entries of one lookup in this process: get, put, forget, clear, and a sweep by timer.
//!
//! Two engines stand behind these functions. [`table`] is ours and the default: a reader pays for nothing but its own
//! look. [`kept_by_moka`] is there to be measured against and to be chosen.
//! Neither knows of expiry: [`LocalCache::sweep`] takes the dead away from a timer, never from a reader.

mod index;
mod kept_by_moka;
mod line;
mod shard;
mod slots;
mod table;

use compact_str::CompactString;

use crate::answer::Record;
use crate::cache::Entry;
use crate::cache::entry::{Freshness, Seen};
use crate::policy::Engine;

use kept_by_moka::KeptByMoka;
use table::Table;

/// What an entry costs beside its key's and its record's bytes: slot, index, links, the record's own header.
const OVERHEAD: u64 = 100;

/// The most entries that are looked for at once.
pub const AT_ONCE: usize = 16;

/// The entries of one lookup, bounded in number and in bytes.
#[derive(Debug)]
pub struct LocalCache(Entries);

#[derive(Debug)]
enum Entries {
    Table(Table),
    Moka(KeptByMoka),
}

/// Does the same with either engine.
macro_rules! either {
    ($cache:expr, $entries:ident => $does:expr) => {
        match &$cache.0 {
            Entries::Table($entries) => $does,
            Entries::Moka($entries) => $does,
        }
    };
}

impl LocalCache {
    /// An empty cache of at most so many entries and so many bytes.
    pub fn new(engine: Engine, max_entries: u64, max_bytes: u64) -> Self {
        // The least that an entry weighs turns the bound in bytes into one in entries as well.
        let floor = (max_bytes / max_entries.max(1)).clamp(1, u64::from(u32::MAX));
        Self(match engine {
            Engine::S3Fifo => Entries::Table(Table::new(max_entries, max_bytes, floor)),
            Engine::Moka => Entries::Moka(KeptByMoka::new(max_bytes, floor)),
        })
    }

    /// The entry of this id, fresh or not, unless it is dead.
    #[inline]
    pub fn get(&self, id: &str, tick: u64) -> Option<Entry> {
        either!(self, entries => entries.get(id)).filter(|entry| entry.freshness(tick) != Freshness::Dead)
    }

    /// Shows `f` the entries of these ids (the first [`AT_ONCE`] of them) where they lie, dead ones too, one after the other until one is
    /// not there or `f` says no; how many it took, which may be fewer than there are. `f` must be short and touch no cache: it
    /// holds up who wants to write.
    #[inline]
    pub fn each_of(&self, ids: &[&str], f: impl FnMut(usize, Seen<'_>) -> bool) -> usize {
        either!(self, entries => entries.each_of(ids, f))
    }

    /// As [`LocalCache::get`], by somebody who does not want it for a caller: it does not count as use.
    pub fn peek(&self, id: &str, tick: u64) -> Option<Entry> {
        either!(self, entries => entries.peek(id)).filter(|entry| entry.freshness(tick) != Freshness::Dead)
    }

    /// Every entry that was asked for since the last census, and how often: 15 stands for more. Who counts is nobody's
    /// business but the readers', who set a mark anyway; moka does not tell.
    pub fn census(&self, f: impl FnMut(&CompactString, u8)) {
        either!(self, entries => entries.census(f));
    }

    /// Keeps an entry, in place of an older one.
    pub fn put(&self, id: CompactString, entry: Entry) {
        either!(self, entries => entries.put(id, entry));
    }

    /// Forgets one entry. True if it was there.
    pub fn forget(&self, id: &str) -> bool {
        either!(self, entries => entries.forget(id))
    }

    /// Forgets every entry whose id begins so; how many it were. Takes milliseconds per million entries.
    pub fn forget_prefix(&self, prefix: &str) -> u64 {
        either!(self, entries => entries.forget_prefix(prefix))
    }

    /// Forgets all entries; readers see none of them from here on.
    pub fn clear(&self) {
        either!(self, entries => entries.clear());
    }

    /// Takes dead entries away. Takes milliseconds per million entries: call it from a timer.
    pub fn sweep(&self, tick: u64) {
        either!(self, entries => entries.sweep(tick));
    }

    /// Every entry, dead ones too. What comes and goes meanwhile may be among them or not.
    pub fn each(&self, f: impl FnMut(&CompactString, &Entry)) {
        either!(self, entries => entries.each(f));
    }

    /// Entries kept. Nothing for a dip's path: it looks at every shard.
    pub fn len(&self) -> u64 {
        either!(self, entries => entries.len())
    }

    /// True when nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes kept, as they count towards the bound: an entry below `max_bytes / max_entries` counts as that.
    pub fn bytes(&self) -> u64 {
        either!(self, entries => entries.weight())
    }
}

/// What an entry counts towards the bound.
fn weight(key: &CompactString, record: Option<&Record>, floor: u64) -> u64 {
    let key_bytes = if key.is_heap_allocated() { key.len() } else { 0 };
    let record_bytes = record.map_or(0, |record| record.as_json().len());
    (OVERHEAD + (key_bytes + record_bytes) as u64).max(floor)
}

#[cfg(test)]
mod tests;
