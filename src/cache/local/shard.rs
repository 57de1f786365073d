//! One part of the table: an index, slots, and the two lines that decide who goes (S3-FIFO).
//!
//! An entry that comes stands in the young line, a tenth of the room. Who was asked for again by the time that it
//! reaches the front moves to the old line; who was not goes, and only a mark stays: if it comes back soon, it joins the
//! old line at once. At the front of the old line, who was asked for since the last time gets another turn. So a scan of
//! keys that nobody asks for twice passes through the young line and takes nothing with it. (Yang et al., "FIFO
//! queues are all you need for cache eviction", SOSP 2023.)
//!
//! A reader marks its entry with one relaxed store and moves nothing: readers share the lock.

use std::sync::atomic::{AtomicU8, Ordering};

use compact_str::CompactString;
use hashbrown::HashTable;

use super::line::{Line, NOBODY};
use super::weight;
use crate::cache::entry::{Entry, Freshness};

/// In a slot's mark: how often it was asked for since it came or was spared.
const USES: u8 = 0b11;

/// In a slot's mark: it stands in the old line.
const OLD: u8 = 0b100;

/// In a slot's mark: how often it was asked for since the last census.
const HEAT: u8 = 0b1111_1000;
const HEAT_ONCE: u8 = 0b1000;

/// Asked for this often, a young entry becomes an old one. A call that is tried twice asks twice.
const WANTED: u8 = 2;

/// The young line's share of the room: one of so many.
const YOUNG_SHARE: u64 = 10;

/// A shard's slots are never more than fit the numbers of an index.
const MOST_SLOTS: usize = NOBODY as usize - 1;

#[derive(Debug)]
struct Slot {
    key: CompactString,
    entry: Entry,
}

/// One part of the table.
#[derive(Debug)]
pub(super) struct Shard {
    index: HashTable<u32>,
    slots: Vec<Option<Slot>>,
    marks: Vec<AtomicU8>,
    /// Who stands behind in the same line; empty slots outside of any line are chained by it too.
    next: Vec<u32>,
    free: u32,
    young: Line,
    old: Line,
    /// What left the young line: the upper half of each key's hash, where its lower half says.
    ghosts: Vec<u32>,
    room: u64,
    floor: u64,
}

impl Shard {
    /// An empty one with room for entries of this weight in sum, each counted as `floor` at least.
    pub(super) fn new(room: u64, floor: u64) -> Self {
        Self {
            index: HashTable::new(),
            slots: Vec::new(),
            marks: Vec::new(),
            next: Vec::new(),
            free: NOBODY,
            young: Line::EMPTY,
            old: Line::EMPTY,
            ghosts: Vec::new(),
            room,
            floor,
        }
    }

    /// An empty one of the same bounds.
    pub(super) fn emptied(&self) -> Self {
        Self::new(self.room, self.floor)
    }

    #[inline]
    pub(super) fn get(&self, hash: u64, key: &str) -> Option<&Entry> {
        let number = *self.index.find(hash, |number| self.is(*number, key))? as usize;
        let mark = &self.marks[number];
        let seen = mark.load(Ordering::Relaxed);
        // Both counts stand still once they are full: what everybody asks for is written to by nobody.
        if seen & (USES | HEAT) != USES | HEAT {
            let use_once = u8::from(seen & USES != USES);
            let heat_once = if seen & HEAT == HEAT { 0 } else { HEAT_ONCE };
            // Two readers may count as one: it is an estimate.
            mark.store(seen + use_once + heat_once, Ordering::Relaxed);
        }
        self.slots[number].as_ref().map(|slot| &slot.entry)
    }

    /// As [`Shard::get`], and leaves no mark.
    pub(super) fn peek(&self, hash: u64, key: &str) -> Option<&Entry> {
        let number = *self.index.find(hash, |number| self.is(*number, key))? as usize;
        self.slots[number].as_ref().map(|slot| &slot.entry)
    }

    /// What was asked for since the last census, and how often.
    pub(super) fn census(&self) -> Vec<(CompactString, u8)> {
        let mut asked = Vec::new();
        for (mark, slot) in self.marks.iter().zip(&self.slots) {
            let seen = mark.load(Ordering::Relaxed);
            if seen & HEAT == 0 {
                continue;
            }
            mark.store(seen & !HEAT, Ordering::Relaxed);
            if let Some(slot) = slot {
                asked.push((slot.key.clone(), seen / HEAT_ONCE));
            }
        }
        asked
    }

    /// Keeps an entry, and lets others go until all fits. One that could never fit is not kept.
    pub(super) fn put(&mut self, hash: u64, key: CompactString, entry: Entry, hasher: impl Fn(&str) -> u64) {
        let heavy = weight(&key, &entry, self.floor);
        if heavy > self.room {
            self.forget(hash, &key);
            return;
        }
        match self.index.find(hash, |number| self.is(*number, &key)).copied() {
            Some(number) => self.replace(number, entry, heavy),
            None => self.admit(hash, key, entry, heavy, &hasher),
        }
        while self.weight() > self.room {
            self.let_one_go(&hasher);
        }
    }

    /// Forgets one entry. True if it was there.
    pub(super) fn forget(&mut self, hash: u64, key: &str) -> bool {
        let Ok(found) = self.index.find_entry(hash, |number| is(&self.slots, *number, key)) else { return false };
        let (number, _) = found.remove();
        // Its place in line stays until the line gets there.
        self.empty(number);
        true
    }

    /// Takes dead entries and empty places out of the lines.
    pub(super) fn sweep(&mut self, tick: u64, hasher: impl Fn(&str) -> u64) {
        for old in [false, true] {
            let mut waiting = std::mem::replace(self.line(old), Line::EMPTY);
            self.line(old).weight = waiting.weight;
            while let Some(number) = waiting.leave(&self.next) {
                match &self.slots[number as usize] {
                    None => self.set_free(number),
                    Some(slot) if slot.entry.freshness(tick) == Freshness::Dead => {
                        self.take_out(number, &hasher);
                        self.set_free(number);
                    }
                    Some(_) if old => self.old.join(number, &mut self.next),
                    Some(_) => self.young.join(number, &mut self.next),
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
        smaller.grow(self.len());
        for old in [true, false] {
            while let Some(number) = {
                let next = &self.next;
                (if old { &mut self.old } else { &mut self.young }).leave(next)
            } {
                if let Some(slot) = self.slots[number as usize].take() {
                    let heavy = weight(&slot.key, &slot.entry, self.floor);
                    smaller.seat(hasher(&slot.key), slot, heavy, old, &hasher);
                }
            }
        }
        smaller
    }

    /// Every entry.
    pub(super) fn each(&self) -> impl Iterator<Item = (&CompactString, &Entry)> {
        self.slots.iter().flatten().map(|slot| (&slot.key, &slot.entry))
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn weight(&self) -> u64 {
        self.young.weight + self.old.weight
    }

    fn is(&self, number: u32, key: &str) -> bool {
        is(&self.slots, number, key)
    }

    fn line(&mut self, old: bool) -> &mut Line {
        if old { &mut self.old } else { &mut self.young }
    }

    fn is_old(&self, number: u32) -> bool {
        self.marks[number as usize].load(Ordering::Relaxed) & OLD != 0
    }

    fn replace(&mut self, number: u32, entry: Entry, heavy: u64) {
        let (old, floor) = (self.is_old(number), self.floor);
        if let Some(slot) = &mut self.slots[number as usize] {
            let before = weight(&slot.key, &slot.entry, floor);
            slot.entry = entry;
            let line = self.line(old);
            line.weight = line.weight - before + heavy;
        }
    }

    fn admit(&mut self, hash: u64, key: CompactString, entry: Entry, heavy: u64, hasher: &impl Fn(&str) -> u64) {
        let old = self.is_ghost(hash);
        self.seat(hash, Slot { key, entry }, heavy, old, hasher);
    }

    fn seat(&mut self, hash: u64, slot: Slot, heavy: u64, old: bool, hasher: &impl Fn(&str) -> u64) {
        let Some(number) = self.free_slot() else { return };
        self.slots[number as usize] = Some(slot);
        *self.marks[number as usize].get_mut() = if old { OLD } else { 0 };
        let slots = &self.slots;
        self.index
            .insert_unique(hash, number, |number| slots[*number as usize].as_ref().map_or(0, |slot| hasher(&slot.key)));
        let line = if old { &mut self.old } else { &mut self.young };
        line.join(number, &mut self.next);
        line.weight += heavy;
    }

    /// Looks at the first in line: it goes, or gets another turn.
    fn let_one_go(&mut self, hasher: &impl Fn(&str) -> u64) {
        let from_young = self.young.weight > self.room / YOUNG_SHARE || self.old.weight == 0;
        let next = &self.next;
        let Some(number) = (if from_young { &mut self.young } else { &mut self.old }).leave(next) else {
            // The weights say that somebody is there, so this line holds nobody but them: nothing is left to go.
            self.line(from_young).weight = 0;
            return;
        };
        let Some(slot) = &self.slots[number as usize] else { return self.set_free(number) };
        let uses = self.marks[number as usize].load(Ordering::Relaxed) & USES;
        let heavy = weight(&slot.key, &slot.entry, self.floor);
        match (from_young, uses) {
            (true, WANTED..) => {
                self.young.weight -= heavy;
                self.old.weight += heavy;
                let mark = self.marks[number as usize].get_mut();
                *mark = *mark & HEAT | OLD;
                self.old.join(number, &mut self.next);
            }
            (false, 1..) => {
                *self.marks[number as usize].get_mut() -= 1;
                self.old.join(number, &mut self.next);
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
    fn take_out(&mut self, number: u32, hasher: &impl Fn(&str) -> u64) -> u64 {
        let Some(slot) = &self.slots[number as usize] else { return 0 };
        let hash = hasher(&slot.key);
        if let Ok(found) = self.index.find_entry(hash, |other| *other == number) {
            found.remove();
        }
        self.empty(number);
        hash
    }

    /// Drops what is in a slot and takes its weight off its line.
    fn empty(&mut self, number: u32) {
        let old = self.is_old(number);
        if let Some(slot) = self.slots[number as usize].take() {
            let heavy = weight(&slot.key, &slot.entry, self.floor);
            self.line(old).weight -= heavy;
        }
    }

    fn set_free(&mut self, number: u32) {
        self.next[number as usize] = self.free;
        self.free = number;
    }

    fn free_slot(&mut self) -> Option<u32> {
        if self.free == NOBODY {
            // By an eighth, not by half: there are thousands of shards, and what they hold empty adds up.
            self.grow(self.slots.len() / 8 + 8);
        }
        let number = self.free;
        self.free = *self.next.get(number as usize)?;
        Some(number)
    }

    fn grow(&mut self, by: usize) {
        let start = self.slots.len();
        let end = (start + by).min(MOST_SLOTS);
        self.slots.reserve_exact(end - start);
        self.marks.reserve_exact(end - start);
        self.next.reserve_exact(end - start);
        for number in start..end {
            self.slots.push(None);
            self.marks.push(AtomicU8::new(0));
            self.next.push(self.free);
            // Below MOST_SLOTS, so it fits.
            self.free = number as u32;
        }
    }

    fn remember(&mut self, hash: u64) {
        // As many ghosts as there are entries, give or take.
        let wanted = self.slots.len().next_power_of_two();
        if self.ghosts.len() < wanted {
            self.ghosts = vec![0; wanted];
        }
        let place = hash as usize & (self.ghosts.len() - 1);
        self.ghosts[place] = (hash >> 32) as u32;
    }

    fn is_ghost(&mut self, hash: u64) -> bool {
        let Some(place) = self.ghosts.len().checked_sub(1).map(|mask| hash as usize & mask) else { return false };
        let was = self.ghosts[place] == (hash >> 32) as u32;
        if was {
            self.ghosts[place] = 0;
        }
        was
    }
}

fn is(slots: &[Option<Slot>], number: u32, key: &str) -> bool {
    slots[number as usize].as_ref().is_some_and(|slot| slot.key == key)
}
