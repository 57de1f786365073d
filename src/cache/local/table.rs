//! Entries in a table of our own: many shards, each under a lock that readers share.
//!
//! What moka does behind a reader's back (it logs every read and now and then works the log off) is not done at
//! all here, and what a writer does is bounded by the size of a shard: some thousand entries.

use ahash::RandomState;
use compact_str::CompactString;
use parking_lot::RwLock;

use super::shard::Shard;
use super::slots::Slot;
use crate::cache::Entry;

/// A shard holds about so many entries: making it larger, or sweeping it, must not take a reader's time. A hash index of
/// 2048 places takes 1792; what the shards hold by chance stays below that.
const SHARD_ENTRIES: u64 = 1600;

/// A shard has room for so much, so that a large record finds a place in it.
const SHARD_BYTES: u64 = 1 << 20;

/// The most shards, which is for 26 million entries; with more they grow larger.
const MOST_SHARDS: u64 = 1 << 14;

/// Entries in shards.
#[derive(Debug)]
pub(super) struct Table {
    shards: Box<[RwLock<Shard>]>,
    state: RandomState,
}

impl Table {
    /// An empty table of at most so many entries and so many bytes.
    pub(super) fn new(max_entries: u64, max_bytes: u64, floor: u64) -> Self {
        let count = max_entries.div_ceil(SHARD_ENTRIES).min(max_bytes.div_ceil(SHARD_BYTES)).clamp(1, MOST_SHARDS);
        let room = max_bytes.max(floor) / count;
        Self { shards: (0..count).map(|_| RwLock::new(Shard::new(room, floor))).collect(), state: RandomState::new() }
    }

    #[inline]
    pub(super) fn get(&self, id: &str) -> Option<Entry> {
        let hash = self.hash(id);
        self.shard(hash).read().get(hash, id).map(Slot::entry)
    }

    pub(super) fn peek(&self, id: &str) -> Option<Entry> {
        let hash = self.hash(id);
        self.shard(hash).read().peek(hash, id).map(Slot::entry)
    }

    /// What was asked for since the last time, a shard at a time; `f` may take its time, for it holds no lock.
    pub(super) fn census(&self, mut f: impl FnMut(&CompactString, u8)) {
        for shard in &self.shards {
            let asked = shard.read().census();
            asked.iter().for_each(|(key, times)| f(key, *times));
        }
    }

    pub(super) fn put(&self, id: CompactString, entry: Entry) {
        let hash = self.hash(&id);
        self.shard(hash).write().put(hash, id, entry, |key| self.hash(key));
    }

    pub(super) fn forget(&self, id: &str) -> bool {
        let hash = self.hash(id);
        self.shard(hash).write().forget(hash, id)
    }

    pub(super) fn forget_prefix(&self, prefix: &str) -> u64 {
        let mut forgotten = 0;
        for shard in &self.shards {
            let mut held = shard.write();
            let concerned = held.each().map(Slot::key).filter(|key| key.starts_with(prefix));
            let concerned: Vec<_> = concerned.map(CompactString::from).collect();
            forgotten += concerned.iter().filter(|key| held.forget(self.hash(key), key)).count() as u64;
        }
        forgotten
    }

    pub(super) fn clear(&self) {
        for shard in &self.shards {
            let mut held = shard.write();
            let empty = held.emptied();
            let full = std::mem::replace(&mut *held, empty);
            // Freed when no reader waits for it.
            drop(held);
            drop(full);
        }
    }

    pub(super) fn sweep(&self, tick: u64) {
        let hasher = |key: &str| self.hash(key);
        for shard in &self.shards {
            let mut held = shard.write();
            held.sweep(tick, hasher);
            if held.is_roomy() {
                let empty = held.emptied();
                let roomy = std::mem::replace(&mut *held, empty);
                *held = roomy.compacted(hasher);
            }
        }
    }

    /// Every entry, a shard at a time; `f` may take its time, for it holds no lock.
    pub(super) fn each(&self, mut f: impl FnMut(&CompactString, &Entry)) {
        for shard in &self.shards {
            let copied: Vec<_> =
                shard.read().each().map(|slot| (CompactString::from(slot.key()), slot.entry())).collect();
            copied.iter().for_each(|(key, entry)| f(key, entry));
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.shards.iter().map(|shard| shard.read().len() as u64).sum()
    }

    pub(super) fn weight(&self) -> u64 {
        self.shards.iter().map(|shard| shard.read().weight()).sum()
    }

    #[inline]
    fn hash(&self, id: &str) -> u64 {
        self.state.hash_one(id)
    }

    #[inline]
    fn shard(&self, hash: u64) -> &RwLock<Shard> {
        // The index uses the lowest bits and the highest: these are from between.
        let part = u64::from((hash >> 24) as u32);
        &self.shards[((part * self.shards.len() as u64) >> 32) as usize]
    }
}
