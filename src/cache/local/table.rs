//! Entries in a table of our own: many shards, each under a lock that readers share.
//!
//! What moka does behind a reader's back (it logs every read and now and then works the log off) is not done at
//! all here, and what a writer does is bounded by the size of a shard: some thousand entries.

use std::hint::black_box;
use std::time::Duration;

use ahash::RandomState;
use compact_str::CompactString;
use parking_lot::{RwLock, RwLockReadGuard};

use super::AT_ONCE;
use super::shard::Shard;
use super::slots::Slot;
use crate::cache::entry::{Entry, Seen};

/// A shard holds about so many entries: making it larger, or sweeping it, must not take a reader's time. An index of
/// 2048 places takes some 1900; what the shards hold by chance stays below that.
const SHARD_ENTRIES: u64 = 1600;

/// A shard has room for so much, so that a large record finds a place in it.
const SHARD_BYTES: u64 = 1 << 20;

/// The most shards, which is for 26 million entries; with more they grow larger.
const MOST_SHARDS: u64 = 1 << 14;

/// How long a caller's look waits for a shard that is being written. A writer needs microseconds, unless the system takes
/// its processor away with the lock in hand; then this key is not there for once, and a miss that looks again costs less
/// than standing still with all callers of a thread.
const PATIENCE: Duration = Duration::from_micros(200);

/// Entries in shards.
#[derive(Debug)]
pub(super) struct Table {
    shards: Box<[Part]>,
    state: RandomState,
}

/// A shard and its lock, from the beginning of a line of memory on.
#[derive(Debug)]
#[repr(align(64))]
struct Part(RwLock<Shard>);

impl Table {
    /// An empty table of at most so many entries and so many bytes.
    pub(super) fn new(max_entries: u64, max_bytes: u64, floor: u64) -> Self {
        let count = max_entries.div_ceil(SHARD_ENTRIES).min(max_bytes.div_ceil(SHARD_BYTES)).clamp(1, MOST_SHARDS);
        let room = max_bytes.max(floor) / count;
        Self {
            shards: (0..count).map(|_| Part(RwLock::new(Shard::new(room, floor)))).collect(),
            state: RandomState::new(),
        }
    }

    #[inline]
    pub(super) fn get(&self, id: &str) -> Option<Entry> {
        let hash = self.hash(id);
        open(self.shard(hash))?.get(hash, id).map(Slot::entry)
    }

    /// What `f` makes of the entry, where it lies. `f` holds up who wants to write there.
    #[inline]
    pub(super) fn with<R>(&self, id: &str, f: impl FnOnce(Seen<'_>) -> R) -> Option<R> {
        let hash = self.hash(id);
        open(self.shard(hash))?.get(hash, id).map(|slot| f(slot.seen()))
    }

    /// Shows `f` the entries of these ids, one after the other, until one is not there or `f` says no; how many it took,
    /// which may be fewer than there are.
    ///
    /// A look is a row of reads: lock, index, slot, record, each of memory that is seldom near and of a place that only the one before
    /// tells. So all ids take each of these steps together, and wait once instead of one after the other. All locks are held
    /// meanwhile, for who takes one waits for all reads before it. Nobody waits for a lock with another in hand, so no two can
    /// wait for each other: before one that is not free the row ends.
    pub(super) fn each_of(&self, ids: &[&str], mut f: impl FnMut(usize, Seen<'_>) -> bool) -> usize {
        if let [id] = ids {
            return self.with(id, |seen| f(0, seen)).is_some_and(|took| took).into();
        }
        let (mut hashes, mut places) = ([0; AT_ONCE], [0; AT_ONCE]);
        for ((id, hash), place) in ids.iter().zip(&mut hashes).zip(&mut places) {
            *hash = self.hash(id);
            *place = self.place(*hash);
            black_box(self.shards[*place].0.is_locked());
        }
        let places = &places[..ids.len().min(AT_ONCE)];
        let mut held = [const { None }; AT_ONCE];
        let mut ready = 0;
        for (&place, held) in places.iter().zip(&mut held) {
            let lock = &self.shards[place].0;
            *held = if ready == 0 { open(lock) } else { lock.try_read() };
            // A writer who waits for us lets nobody in, and us neither: what is held already will do.
            if held.is_none() && !places[..ready].contains(&place) {
                break;
            }
            ready += 1;
        }
        let mut shards = [None; AT_ONCE];
        for (n, (shard, hash)) in shards.iter_mut().zip(hashes).take(ready).enumerate() {
            let own = held[n].as_deref();
            *shard = own.or_else(|| held[places.iter().position(|place| *place == places[n])?].as_deref());
            shard.inspect(|shard: &&Shard| shard.touch(hash));
        }
        let mut likely = [None; AT_ONCE];
        for ((likely, shard), hash) in likely.iter_mut().zip(shards).zip(hashes).take(ready) {
            *likely = shard.and_then(|shard| shard.likely(hash));
            likely.inspect(|slot| slot.touch());
        }
        likely.iter().take(ready).flatten().for_each(|slot| slot.touch_record());
        for (n, ((likely, shard), id)) in likely.into_iter().zip(shards).zip(ids).take(ready).enumerate() {
            let there = likely.filter(|slot| slot.key() == *id).or_else(|| shard?.peek(hashes[n], id));
            let Some(slot) = there else { return n };
            slot.used();
            if !f(n, slot.seen()) {
                return n;
            }
        }
        ready
    }

    pub(super) fn peek(&self, id: &str) -> Option<Entry> {
        let hash = self.hash(id);
        self.shard(hash).read().peek(hash, id).map(Slot::entry)
    }

    /// What was asked for since the last time, a shard at a time; `f` may take its time, for it holds no lock.
    pub(super) fn census(&self, mut f: impl FnMut(&CompactString, u8)) {
        for shard in &self.shards {
            let asked = shard.0.read().census();
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
            let mut held = shard.0.write();
            let concerned = held.each().map(Slot::key).filter(|key| key.starts_with(prefix));
            let concerned: Vec<_> = concerned.map(CompactString::from).collect();
            forgotten += concerned.iter().filter(|key| held.forget(self.hash(key), key)).count() as u64;
        }
        forgotten
    }

    pub(super) fn clear(&self) {
        for shard in &self.shards {
            let mut held = shard.0.write();
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
            let mut held = shard.0.write();
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
                shard.0.read().each().map(|slot| (CompactString::from(slot.key()), slot.entry())).collect();
            copied.iter().for_each(|(key, entry)| f(key, entry));
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.shards.iter().map(|shard| shard.0.read().len() as u64).sum()
    }

    pub(super) fn weight(&self) -> u64 {
        self.shards.iter().map(|shard| shard.0.read().weight()).sum()
    }

    #[inline]
    fn hash(&self, id: &str) -> u64 {
        self.state.hash_one(id)
    }

    #[inline]
    fn shard(&self, hash: u64) -> &RwLock<Shard> {
        &self.shards[self.place(hash)].0
    }

    #[inline]
    fn place(&self, hash: u64) -> usize {
        // The index uses the lower bits.
        let part = u64::from((hash >> 24) as u32);
        ((part * self.shards.len() as u64) >> 32) as usize
    }
}

/// The shard, for a caller's look; `None` when somebody writes there for longer than a caller waits.
#[inline]
fn open(shard: &RwLock<Shard>) -> Option<RwLockReadGuard<'_, Shard>> {
    shard.try_read_for(PATIENCE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::local::tests::entry;
    use crate::deadline::now;

    #[test]
    fn nobody_waits_long_for_a_writer_who_was_put_aside() {
        let table = Table::new(10, 1 << 20, 1 << 10);
        table.put("a".into(), entry(60, "{}"));
        let ids = ["a", "a"];
        let writing = table.shard(table.hash("a")).write();
        let begun = now();
        assert!(table.get("a").is_none());
        assert!(table.with("a", |_| ()).is_none());
        assert_eq!(table.each_of(&ids, |_, _| true), 0);
        // The lock is held for as long as this test likes: whoever waited for it would wait for ever.
        let waited = begun.elapsed();
        assert!((3 * PATIENCE..Duration::from_secs(1)).contains(&waited), "{waited:?}");
        drop(writing);
        assert!(table.get("a").is_some());
        assert_eq!(table.each_of(&ids, |_, _| true), 2);
    }
}
