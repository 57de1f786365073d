//! The entries of one lookup in this process: get, put, forget, clear.
//!
//! The only file that names moka, so that it can be exchanged by measurement. moka bounds the size
//! and chooses what goes (TinyLFU); it is given no expiry, since that would cost each entry a timer
//! node and could not tell stale from dead. [`LocalCache::sweep`] takes the dead away from a timer,
//! never from a reader.

use compact_str::CompactString;
use moka::ops::compute::Op;
use moka::sync::Cache;

use crate::cache::Entry;
use crate::cache::entry::Freshness;

/// What an entry costs beside its key's and its record's bytes: moka's node, hash table and lists.
const OVERHEAD: u64 = 120;

/// The entries of one lookup, bounded in number and in bytes.
#[derive(Debug)]
pub struct LocalCache {
    entries: Cache<CompactString, Entry, ahash::RandomState>,
}

impl LocalCache {
    /// An empty cache of at most so many entries and so many bytes.
    pub fn new(max_entries: u64, max_bytes: u64) -> Self {
        // The least that an entry weighs turns the bound in bytes into one in entries as well.
        let floor = (max_bytes / max_entries.max(1)).clamp(1, u64::from(u32::MAX));
        let entries = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(move |key: &CompactString, entry: &Entry| weight(key, entry, floor))
            .build_with_hasher(ahash::RandomState::new());
        Self { entries }
    }

    /// The entry of this id, fresh or not, unless it is dead.
    #[inline]
    pub fn get(&self, id: &str, tick: u64) -> Option<Entry> {
        self.entries.get(id).filter(|entry| entry.freshness(tick) != Freshness::Dead)
    }

    /// Keeps an entry, in place of an older one.
    pub fn put(&self, id: CompactString, entry: Entry) {
        self.entries.insert(id, entry);
    }

    /// Forgets one entry. True if it was there.
    pub fn forget(&self, id: &str) -> bool {
        self.entries.remove(id).is_some()
    }

    /// Forgets all entries; readers see none of them from here on.
    pub fn clear(&self) {
        self.entries.invalidate_all();
        // So that the count shows it too.
        self.entries.run_pending_tasks();
    }

    /// Takes dead entries away and does moka's upkeep. Takes milliseconds per million entries: call it from a timer.
    pub fn sweep(&self, tick: u64) {
        for (id, entry) in &self.entries {
            if entry.freshness(tick) == Freshness::Dead {
                self.remove_dead(&id, tick);
            }
        }
        self.entries.run_pending_tasks();
    }

    /// Looks again under the entry's lock: a fresh one may just have taken the dead one's place.
    fn remove_dead(&self, id: &CompactString, tick: u64) {
        self.entries.entry_by_ref(id).and_compute_with(|entry| match entry {
            Some(entry) if entry.value().freshness(tick) == Freshness::Dead => Op::Remove,
            _ => Op::Nop,
        });
    }

    /// Entries kept. Does moka's upkeep first, which counts the latest ones: nothing for a dip's path.
    pub fn len(&self) -> u64 {
        self.entries.run_pending_tasks();
        self.entries.entry_count()
    }

    /// True when nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes kept, as they count towards the bound: an entry below `max_bytes / max_entries` counts as that.
    pub fn bytes(&self) -> u64 {
        self.entries.weighted_size()
    }
}

/// What an entry counts towards the bound.
fn weight(key: &CompactString, entry: &Entry, floor: u64) -> u32 {
    let key_bytes = if key.is_heap_allocated() { key.len() } else { 0 };
    let bytes = OVERHEAD + key_bytes as u64 + entry.record_bytes() as u64;
    u32::try_from(bytes.max(floor)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::answer::{Outcome, Record};
    use crate::policy::CacheRules;

    fn entry(seconds: u64, text: &str) -> Entry {
        let rules = CacheRules {
            found: Duration::from_secs(seconds),
            partial: Duration::ZERO,
            not_found: Duration::ZERO,
            invalid_number: Duration::ZERO,
            stale: Duration::ZERO,
            revalidate: Duration::ZERO,
            ceiling: Duration::from_secs(1000),
            jitter: 0.0,
            refresh_ahead: 1.0,
            min_ttl: Duration::ZERO,
            max_ttl: Duration::from_secs(1000),
            max_entries: 1,
            max_bytes: 1,
        };
        Entry::seal(&rules, Outcome::Found, Some(Record::from_json(text)), None, 0.0, 0).unwrap()
    }

    #[test]
    fn both_bounds_hold() {
        let few = LocalCache::new(10, 1 << 20);
        let small = LocalCache::new(1_000_000, 4000);
        for n in 0..200 {
            few.put(format!("{n}").into(), entry(60, "{}"));
            small.put(format!("{n}").into(), entry(60, &"x".repeat(280)));
        }
        few.sweep(0);
        small.sweep(0);
        assert!(few.len() <= 10 && !few.is_empty(), "{}", few.len());
        assert!(small.len() <= 10 && !small.is_empty(), "{}", small.len());
        assert!(small.bytes() <= 4000);
    }

    #[test]
    fn a_dead_entry_is_not_there_and_the_sweep_takes_it_away() {
        let cache = LocalCache::new(100, 1 << 20);
        cache.put("a".into(), entry(1, "{}"));
        cache.put("b".into(), entry(100, "{}"));
        assert!(cache.get("a", 999).is_some());
        assert!(cache.get("a", 1000).is_none());
        cache.sweep(1000);
        assert_eq!(cache.len(), 1);
        assert!(cache.get("b", 1000).is_some());
        assert!(cache.forget("b") && !cache.forget("b"));
    }

    #[test]
    fn clear_hides_everything_at_once() {
        let cache = LocalCache::new(100, 1 << 20);
        cache.put("a".into(), entry(100, "{}"));
        cache.clear();
        assert!(cache.get("a", 0).is_none());
        assert!(cache.is_empty(), "{}", cache.len());
    }
}
