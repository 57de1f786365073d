//! Entries in moka (TinyLFU): the only file that names it.
//!
//! It is given no expiry, since that would cost each entry a timer node and could not tell stale from dead.

use compact_str::CompactString;
use moka::ops::compute::Op;
use moka::sync::Cache;

use super::{AT_ONCE, weight};
use crate::cache::Entry;
use crate::cache::entry::{Freshness, Seen};

/// Entries in moka.
#[derive(Debug)]
pub(super) struct KeptByMoka(Cache<CompactString, Entry, ahash::RandomState>);

impl KeptByMoka {
    pub(super) fn new(max_bytes: u64, floor: u64) -> Self {
        let heavy = move |key: &CompactString, entry: &Entry| {
            u32::try_from(weight(key, entry.record.as_ref(), floor)).unwrap_or(u32::MAX)
        };
        let cache = Cache::builder().max_capacity(max_bytes).weigher(heavy);
        Self(cache.build_with_hasher(ahash::RandomState::new()))
    }

    #[inline]
    pub(super) fn get(&self, id: &str) -> Option<Entry> {
        self.0.get(id)
    }

    /// One after the other: a copy is all that moka gives.
    pub(super) fn each_of(&self, ids: &[&str], mut f: impl FnMut(usize, Seen<'_>) -> bool) -> usize {
        let mut ids = ids.iter().take(AT_ONCE).enumerate();
        let count = ids.len();
        let none = ids.position(|(place, id)| !self.get(id).is_some_and(|entry| f(place, entry.seen())));
        none.unwrap_or(count)
    }

    /// Counts as use here: moka has no other way to look.
    pub(super) fn peek(&self, id: &str) -> Option<Entry> {
        self.0.get(id)
    }

    /// It does not tell.
    pub(super) fn census(&self, _: impl FnMut(&CompactString, u8)) {}

    pub(super) fn put(&self, id: CompactString, entry: Entry) {
        self.0.insert(id, entry);
    }

    pub(super) fn forget(&self, id: &str) -> bool {
        self.0.remove(id).is_some()
    }

    pub(super) fn forget_prefix(&self, prefix: &str) -> u64 {
        let concerned = self.0.iter().filter(|(id, _)| id.starts_with(prefix));
        concerned.filter(|(id, _)| self.forget(id)).count() as u64
    }

    pub(super) fn clear(&self) {
        self.0.invalidate_all();
        // So that the count shows it too.
        self.0.run_pending_tasks();
    }

    pub(super) fn sweep(&self, tick: u64) {
        for (id, entry) in &self.0 {
            if entry.freshness(tick) == Freshness::Dead {
                self.remove_dead(&id, tick);
            }
        }
        self.0.run_pending_tasks();
    }

    /// Looks again under the entry's lock: a fresh one may just have taken the dead one's place.
    fn remove_dead(&self, id: &CompactString, tick: u64) {
        self.0.entry_by_ref(id).and_compute_with(|entry| match entry {
            Some(entry) if entry.value().freshness(tick) == Freshness::Dead => Op::Remove,
            _ => Op::Nop,
        });
    }

    pub(super) fn each(&self, mut f: impl FnMut(&CompactString, &Entry)) {
        self.0.iter().for_each(|(id, entry)| f(&id, &entry));
    }

    /// Does the upkeep first, which counts the latest ones.
    pub(super) fn len(&self) -> u64 {
        self.0.run_pending_tasks();
        self.0.entry_count()
    }

    pub(super) fn weight(&self) -> u64 {
        self.0.weighted_size()
    }
}
