//! Plain keys: a small memcached in the process, so that a script needs one cache connection only.
//!
//! Bounded in bytes; when a new value needs room the ones that were used longest ago go. Keys are
//! spread over shards, each with a lock of its own that is held for one operation on one key: so
//! every operation is atomic, and none waits for anything but memory.

mod item;

use std::sync::atomic::{AtomicU64, Ordering};

use hashlink::LinkedHashMap;
use parking_lot::Mutex;

pub use item::{Expires, Item};

/// Locks; more than there are cores, so that two clients seldom meet.
const SHARDS: usize = 16;

/// What memcached counts for an item beside key and value: its header, the `cas`, the flags, the line's end. A value
/// fits or does not fit at the same length here and there.
const HEADER: usize = 48 + 8 + 4 + 1 + 2;

/// The largest item, header and key included: memcached's own default.
const MAX_ITEM: usize = 1024 * 1024;

/// What an item costs here beside key and value.
const OVERHEAD: usize = 160;

/// The values of plain keys.
#[derive(Debug)]
pub struct Store {
    shards: Box<[Mutex<Shard>]>,
    hasher: ahash::RandomState,
    /// The latest `cas` given out.
    cas: AtomicU64,
    /// The tick of a flush that lies ahead or has just come; 0 is none.
    flush_at: AtomicU64,
    max_bytes: usize,
    evictions: AtomicU64,
}

#[derive(Debug)]
struct Shard {
    /// In order of use, the latest last.
    items: LinkedHashMap<Box<[u8]>, Item, ahash::RandomState>,
    bytes: usize,
}

/// How full it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fill {
    /// Items, those not yet seen to be over included.
    pub items: usize,
    /// Bytes, keys and book-keeping included.
    pub bytes: usize,
    /// The most bytes.
    pub max_bytes: usize,
    /// Items that went to make room.
    pub evictions: u64,
}

/// One key, locked.
pub struct Slot<'a> {
    shard: &'a mut Shard,
    store: &'a Store,
    key: &'a [u8],
    /// This moment.
    pub tick: u64,
}

impl Store {
    /// An empty store of at most so many bytes.
    pub fn new(max_bytes: usize) -> Self {
        let shard = || {
            let items = LinkedHashMap::with_hasher(ahash::RandomState::new());
            Mutex::new(Shard { items, bytes: 0 })
        };
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher: ahash::RandomState::new(),
            cas: AtomicU64::new(0),
            flush_at: AtomicU64::new(0),
            max_bytes,
            evictions: AtomicU64::new(0),
        }
    }

    /// True for a value that may be stored under this key.
    pub fn fits(key: &[u8], length: usize) -> bool {
        length.saturating_add(key.len() + HEADER) <= MAX_ITEM
    }

    /// Does something with one key, alone.
    pub fn with<T>(&self, key: &[u8], tick: u64, work: impl FnOnce(&mut Slot<'_>) -> T) -> T {
        // The low bits choose the place within the shard's own map; the high ones choose the shard.
        let index = (self.hasher.hash_one(key) >> 32) as usize % SHARDS;
        let mut shard = self.shards[index].lock();
        let mut slot = Slot { shard: &mut shard, store: self, key, tick };
        slot.drop_if_over();
        work(&mut slot)
    }

    /// Forgets everything that is stored by `at`, when that moment has come.
    pub fn flush(&self, at: Expires, tick: u64) {
        match at {
            Expires::At(at) if at > tick => self.flush_at.store(at, Ordering::Relaxed),
            _ => {
                for shard in &self.shards {
                    let mut shard = shard.lock();
                    shard.items.clear();
                    shard.bytes = 0;
                }
            }
        }
    }

    /// How full it is.
    pub fn fill(&self) -> Fill {
        let mut fill =
            Fill { max_bytes: self.max_bytes, evictions: self.evictions.load(Ordering::Relaxed), ..Fill::default() };
        for shard in &self.shards {
            let shard = shard.lock();
            fill.items += shard.items.len();
            fill.bytes += shard.bytes;
        }
        fill
    }

    fn is_flushed(&self, item: &Item, tick: u64) -> bool {
        let at = self.flush_at.load(Ordering::Relaxed);
        at != 0 && at <= tick && item.written < at
    }
}

impl Slot<'_> {
    /// The item, if there is one that is not over. Change its value in place only to one of the same length.
    pub fn item(&mut self) -> Option<&mut Item> {
        self.shard.items.get_mut(self.key)
    }

    /// The item as somebody reads it: it counts as used.
    pub fn read(&mut self) -> Option<&mut Item> {
        self.shard.items.to_back(self.key)
    }

    /// A number for a change.
    pub fn next_cas(&self) -> u64 {
        self.store.cas.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Keeps an item in place of what was there, and lets go of what was used longest ago if room is needed.
    /// Answers the `cas` that it gets.
    pub fn put(&mut self, mut item: Item) -> u64 {
        let cas = self.next_cas();
        item.cas = cas;
        let cost = |item: &Item| item.value.len() + self.key.len() + OVERHEAD;
        self.shard.bytes += cost(&item);
        if let Some(old) = self.shard.items.insert(self.key.into(), item) {
            self.shard.bytes -= cost(&old);
        }
        let most = self.store.max_bytes / SHARDS;
        // Never the one just put: a single item is far below a shard's share.
        while self.shard.bytes > most && self.shard.items.len() > 1 {
            let Some((key, old)) = self.shard.items.pop_front() else { break };
            self.shard.bytes -= old.value.len() + key.len() + OVERHEAD;
            self.store.evictions.fetch_add(1, Ordering::Relaxed);
        }
        cas
    }

    /// Takes the item away. True if it was there.
    pub fn remove(&mut self) -> bool {
        match self.shard.items.remove(self.key) {
            Some(old) => {
                self.shard.bytes -= old.value.len() + self.key.len() + OVERHEAD;
                true
            }
            None => false,
        }
    }

    fn drop_if_over(&mut self) {
        let (store, tick) = (self.store, self.tick);
        if self.item().is_some_and(|item| item.expires.is_over(tick) || store.is_flushed(item, tick)) {
            self.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(store: &Store, key: &[u8], length: usize, tick: u64) {
        store.with(key, tick, |slot| slot.put(Item::new(vec![b'x'; length].into(), 0, Expires::Never, tick)));
    }

    fn has(store: &Store, key: &[u8], tick: u64) -> bool {
        store.with(key, tick, |slot| slot.read().is_some())
    }

    #[test]
    fn what_was_used_longest_ago_goes_first_and_the_bound_holds() {
        let store = Store::new(16 * 4096);
        for n in 0..2000_u32 {
            put(&store, format!("k{n}").as_bytes(), 100, 1);
            assert!(has(&store, b"k0", 1), "in use, at {n}");
        }
        let fill = store.fill();
        assert!(fill.bytes <= 16 * 4096 && fill.items > 100 && fill.evictions > 1000, "{fill:?}");
        assert!(has(&store, b"k1999", 1) && !has(&store, b"k1", 1));
        store.flush(Expires::At(0), 1);
        assert_eq!((store.fill().bytes, store.fill().items), (0, 0));
    }

    #[test]
    fn bytes_add_up_whatever_happens() {
        let store = Store::new(1 << 20);
        put(&store, b"a", 10, 1);
        let one = store.fill().bytes;
        put(&store, b"a", 1000, 1);
        assert_eq!(store.fill().bytes, one + 990);
        assert!(store.with(b"a", 1, |slot| slot.remove()));
        assert!(!store.with(b"a", 1, |slot| slot.remove()));
        assert_eq!(store.fill().bytes, 0);
    }

    #[test]
    fn a_delayed_flush_takes_what_was_written_before_it() {
        let store = Store::new(1 << 20);
        put(&store, b"old", 1, 10);
        store.flush(Expires::At(1000), 10);
        assert!(has(&store, b"old", 999));
        put(&store, b"new", 1, 1000);
        assert!(!has(&store, b"old", 1000));
        assert!(has(&store, b"new", 1001));
    }

    #[test]
    fn a_value_fits_up_to_a_mebibyte_with_its_header() {
        assert!(Store::fits(b"k", 1_048_000));
        assert!(!Store::fits(b"k", 1_048_576));
    }
}
