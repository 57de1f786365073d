//! One part of the table: an index, slots, and the two lines that decide who goes (S3-FIFO).
//!
//! An entry that comes stands in the young line, a tenth of the room. Who was asked for again by the time that it
//! reaches the front moves to the old line; who was not goes, and only a mark stays: if it comes back soon, it joins the
//! old line at once. At the front of the old line, who was asked for since the last time gets another turn. So a scan of
//! keys that nobody asks for twice passes through the young line and takes nothing with it. (Yang et al., "FIFO
//! queues are all you need for cache eviction", SOSP 2023.)
//!
//! A reader marks its entry with one relaxed store and moves nothing: readers share the lock.

use compact_str::CompactString;

use super::index::Index;
use super::line::{Line, NOBODY};
use super::slots::{MOST_SLOTS, Slot, Slots};
use super::{OVERHEAD, weight};
use crate::cache::entry::{Entry, Freshness};

/// Asked for this often, a young entry becomes an old one. A call that is tried twice asks twice.
const WANTED: u8 = 2;

/// The young line's share of the room: one of so many.
const YOUNG_SHARE: u64 = 10;

fn told((slot, times): (&Slot, u8)) -> (CompactString, u8) {
    (slot.key().into(), times)
}

/// One part of the table. What a reader needs stands first, so that it lies in one line of memory with the lock.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Shard {
    index: Index,
    slots: Slots,
    free: u16,
    young: Line,
    old: Line,
    /// What left the young line: a part of each key's hash, where another part says.
    ghosts: Vec<u16>,
    room: u64,
    floor: u64,
}

impl Shard {
    /// An empty one with room for entries of this weight in sum, each counted as `floor` at least.
    pub(super) fn new(room: u64, floor: u64) -> Self {
        Self {
            index: Index::default(),
            slots: Slots::default(),
            free: NOBODY,
            young: Line::EMPTY,
            old: Line::EMPTY,
            ghosts: Vec::new(),
            // No more than can be numbered.
            room: room.min(MOST_SLOTS as u64 * floor.max(OVERHEAD)),
            floor,
        }
    }

    /// An empty one of the same bounds.
    pub(super) fn emptied(&self) -> Self {
        Self::new(self.room, self.floor)
    }

    #[inline]
    pub(super) fn get(&self, hash: u64, key: &str) -> Option<&Slot> {
        let slot = self.peek(hash, key)?;
        slot.used();
        Some(slot)
    }

    /// Reads where a look begins.
    #[inline]
    pub(super) fn touch(&self, hash: u64) {
        self.index.touch(hash);
        self.slots.touch();
    }

    /// The slot that a look will most likely end at, unread.
    #[inline]
    pub(super) fn likely(&self, hash: u64) -> Option<&Slot> {
        self.index.likely(hash).map(|number| &self.slots[number])
    }

    /// As [`Shard::get`], and leaves no mark.
    #[inline]
    pub(super) fn peek(&self, hash: u64, key: &str) -> Option<&Slot> {
        self.slots.touch();
        self.index.find(hash, |number| self.slots[number].key() == key).map(|number| &self.slots[number])
    }

    /// What was asked for since the last census, and how often.
    pub(super) fn census(&self) -> Vec<(CompactString, u8)> {
        self.slots.full().map(|slot| (slot, slot.cool())).filter(|(_, times)| *times > 0).map(told).collect()
    }

    /// Keeps an entry, and lets others go until all fits. One that could never fit is not kept.
    pub(super) fn put(&mut self, hash: u64, key: CompactString, entry: Entry, hasher: impl Fn(&str) -> u64) {
        let heavy = weight(&key, entry.record.as_ref(), self.floor);
        if heavy > self.room {
            self.forget(hash, &key);
            return;
        }
        match self.index.find(hash, |number| self.slots[number].key() == key) {
            Some(number) => self.replace(number, entry, heavy),
            None => self.admit(hash, key, entry, heavy, &hasher),
        }
        while self.weight() > self.room {
            self.let_one_go(&hasher);
        }
    }

    /// Forgets one entry. True if it was there.
    pub(super) fn forget(&mut self, hash: u64, key: &str) -> bool {
        let slots = &self.slots;
        let Some(number) = self.index.remove(hash, |number| slots[number].key() == key) else { return false };
        // Its place in line stays until the line gets there.
        self.empty(number);
        true
    }

    /// Takes dead entries and empty places out of the lines.
    pub(super) fn sweep(&mut self, tick: u64, hasher: impl Fn(&str) -> u64) {
        for old in [false, true] {
            let mut waiting = std::mem::replace(self.line(old), Line::EMPTY);
            self.line(old).weight = waiting.weight;
            while let Some(number) = waiting.leave(&self.slots) {
                let slot = &self.slots[number];
                if !slot.is_full() {
                    self.set_free(number);
                } else if slot.seen().freshness(tick) == Freshness::Dead {
                    self.take_out(number, &hasher);
                    self.set_free(number);
                } else {
                    self.join(number, old);
                }
            }
        }
    }

    /// Room for four times what is kept: a night's quiet should not hold a day's memory.
    pub(super) fn is_roomy(&self) -> bool {
        self.slots.len() > 64 && self.slots.len() / 4 > self.len()
    }

    /// The same entries in no more room than they need. What is known of their use is forgotten.
    pub(super) fn compacted(mut self, hasher: impl Fn(&str) -> u64) -> Self {
        let mut smaller = self.emptied();
        for old in [true, false] {
            while let Some(number) = {
                let slots = &self.slots;
                (if old { &mut self.old } else { &mut self.young }).leave(slots)
            } {
                if let Some((key, entry)) = self.slots[number].take() {
                    let heavy = weight(&key, entry.record.as_ref(), self.floor);
                    smaller.seat(hasher(&key), key, entry, heavy, old, &hasher);
                }
            }
        }
        smaller
    }

    /// Every entry.
    pub(super) fn each(&self) -> impl Iterator<Item = &Slot> {
        self.slots.full()
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn weight(&self) -> u64 {
        self.young.weight + self.old.weight
    }

    fn line(&mut self, old: bool) -> &mut Line {
        if old { &mut self.old } else { &mut self.young }
    }

    fn join(&mut self, number: u16, old: bool) {
        let line = if old { &mut self.old } else { &mut self.young };
        line.join(number, &mut self.slots);
    }

    fn replace(&mut self, number: u16, entry: Entry, heavy: u64) {
        let slot = &mut self.slots[number];
        let (before, old) = (slot.weight(self.floor), slot.is_old());
        slot.replace(entry);
        let line = self.line(old);
        line.weight = line.weight - before + heavy;
    }

    fn admit(&mut self, hash: u64, key: CompactString, entry: Entry, heavy: u64, hasher: &impl Fn(&str) -> u64) {
        let old = self.is_ghost(hash);
        self.seat(hash, key, entry, heavy, old, hasher);
    }

    fn seat(
        &mut self,
        hash: u64,
        key: CompactString,
        entry: Entry,
        heavy: u64,
        old: bool,
        hasher: &impl Fn(&str) -> u64,
    ) {
        let Some(number) = self.free_slot() else { return };
        self.slots[number].fill(key, entry, old);
        let slots = &self.slots;
        self.index.insert(hash, number, |number| hasher(slots[number].key()));
        self.join(number, old);
        self.line(old).weight += heavy;
    }

    /// Looks at the first in line: it goes, or gets another turn.
    fn let_one_go(&mut self, hasher: &impl Fn(&str) -> u64) {
        let from_young = self.young.weight > self.room / YOUNG_SHARE || self.old.weight == 0;
        let slots = &self.slots;
        let Some(number) = (if from_young { &mut self.young } else { &mut self.old }).leave(slots) else {
            // The weights say that somebody is there, so this line holds nobody but them: nothing is left to go.
            self.line(from_young).weight = 0;
            return;
        };
        let slot = &mut self.slots[number];
        if !slot.is_full() {
            return self.set_free(number);
        }
        let heavy = slot.weight(self.floor);
        match (from_young, slot.uses()) {
            (true, WANTED..) => {
                slot.grow_old();
                self.young.weight -= heavy;
                self.old.weight += heavy;
                self.join(number, true);
            }
            (false, 1..) => {
                slot.spare();
                self.join(number, true);
            }
            _ => {
                let hash = self.take_out(number, hasher);
                self.set_free(number);
                if from_young {
                    self.remember(hash);
                }
            }
        }
    }

    /// Takes an entry out of index and slot; its hash.
    fn take_out(&mut self, number: u16, hasher: &impl Fn(&str) -> u64) -> u64 {
        let hash = hasher(self.slots[number].key());
        self.index.remove(hash, |other| other == number);
        self.empty(number);
        hash
    }

    /// Drops what is in a slot and takes its weight off its line.
    fn empty(&mut self, number: u16) {
        let slot = &mut self.slots[number];
        if slot.is_full() {
            let (heavy, old) = (slot.weight(self.floor), slot.is_old());
            slot.empty();
            self.line(old).weight -= heavy;
        }
    }

    fn set_free(&mut self, number: u16) {
        self.slots[number].next = self.free;
        self.free = number;
    }

    fn free_slot(&mut self) -> Option<u16> {
        if self.free == NOBODY {
            self.free = self.slots.grow()?;
        }
        let number = self.free;
        self.free = self.slots[number].next;
        Some(number)
    }

    fn remember(&mut self, hash: u64) {
        // As many ghosts as there are entries, give or take.
        let wanted = self.slots.len().next_power_of_two();
        if self.ghosts.len() < wanted {
            self.ghosts = vec![0; wanted];
        }
        let place = hash as usize & (self.ghosts.len() - 1);
        self.ghosts[place] = ghost(hash);
    }

    fn is_ghost(&mut self, hash: u64) -> bool {
        let Some(place) = self.ghosts.len().checked_sub(1).map(|mask| hash as usize & mask) else { return false };
        let was = self.ghosts[place] == ghost(hash);
        if was {
            self.ghosts[place] = 0;
        }
        was
    }
}

/// The part of a hash that tells ghosts apart in one place. Never zero, which is nobody's.
fn ghost(hash: u64) -> u16 {
    ((hash >> 16) as u16).max(1)
}
