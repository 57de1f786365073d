//! The slots of a shard, in blocks that never move.
//!
//! One array that grows would copy itself while readers wait, leave holes of all its former sizes in memory, and stand
//! empty by a part. Blocks of one size do none of that, for one more look at a short list.

use std::array::from_fn;
use std::hint::black_box;
use std::ops::{Index, IndexMut};
use std::sync::atomic::{AtomicU8, Ordering};

use compact_str::CompactString;

use super::line::NOBODY;
use crate::answer::{Outcome, Record};
use crate::cache::entry::{Entry, Seen};

/// Slots of a block.
const BLOCK: usize = 64;

/// A shard's slots are never more than fit the numbers of an index.
pub(super) const MOST_SLOTS: usize = NOBODY as usize - BLOCK;

/// In a mark: how often the entry was asked for since it came or was spared.
const USES: u8 = 0b11;

/// In a mark: it stands in the old line.
const OLD: u8 = 0b100;

/// In a mark: there is an entry.
const FULL: u8 = 0b1000;

/// In a mark: how often the entry was asked for since the last census.
const HEAT: u8 = 0b1111_0000;
const HEAT_ONCE: u8 = 0b1_0000;

/// Room for one entry: a line of memory of its own, and the only one that a reader touches to compare the key, see how
/// old the entry is and leave its mark. So an [`Entry`]'s parts stand here beside what the shard has to know of it.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Slot {
    key: CompactString,
    record: Option<Record>,
    born: u64,
    fresh_ms: u32,
    dead_ms: u32,
    /// Who stands behind in the same line; free slots are chained by it too.
    pub next: u16,
    outcome: Outcome,
    mark: AtomicU8,
}

const _: () = assert!(size_of::<Slot>() == 64, "a slot is a line of memory");

impl Slot {
    fn free() -> Self {
        Self {
            key: CompactString::const_new(""),
            record: None,
            born: 0,
            fresh_ms: 0,
            dead_ms: 0,
            next: NOBODY,
            outcome: Outcome::NotFound,
            mark: AtomicU8::new(0),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.mark.load(Ordering::Relaxed) & FULL != 0
    }

    pub(super) fn is_old(&self) -> bool {
        self.mark.load(Ordering::Relaxed) & OLD != 0
    }

    /// The key; empty in an empty slot, and no entry's key is.
    #[inline]
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// The entry, where it lies.
    #[inline]
    pub(super) fn seen(&self) -> Seen<'_> {
        let Self { ref record, born, fresh_ms, dead_ms, outcome, .. } = *self;
        Seen { record: record.as_ref(), outcome, born, fresh_ms, dead_ms }
    }

    /// A copy of the entry.
    #[inline]
    pub(super) fn entry(&self) -> Entry {
        self.seen().entry()
    }

    /// Reads what of it a look begins with.
    #[inline]
    pub(super) fn touch(&self) {
        black_box(self.next);
    }

    /// Reads the ends of the record.
    #[inline]
    pub(super) fn touch_record(&self) {
        let json = self.record.as_ref().map_or(b"".as_slice(), |record| record.as_json().as_bytes());
        black_box((json.first().copied(), json.last().copied()));
    }

    pub(super) fn weight(&self, floor: u64) -> u64 {
        super::weight(&self.key, self.record.as_ref(), floor)
    }

    /// Notes that it was asked for.
    #[inline]
    pub(super) fn used(&self) {
        let mark = self.mark.load(Ordering::Relaxed);
        // Both counts stand still once they are full: what everybody asks for is written to by nobody.
        if mark & (USES | HEAT) != USES | HEAT {
            let use_once = u8::from(mark & USES != USES);
            let heat_once = if mark & HEAT == HEAT { 0 } else { HEAT_ONCE };
            // Two readers may count as one: it is an estimate.
            self.mark.store(mark + use_once + heat_once, Ordering::Relaxed);
        }
    }

    /// How often it was asked for since the last census, up to fifteen times. From here on it is counted anew.
    pub(super) fn cool(&self) -> u8 {
        let mark = self.mark.load(Ordering::Relaxed);
        if mark & HEAT != 0 {
            // Who reads just now may be forgotten.
            self.mark.store(mark & !HEAT, Ordering::Relaxed);
        }
        mark / HEAT_ONCE
    }

    /// How often it was asked for, up to three times.
    pub(super) fn uses(&self) -> u8 {
        self.mark.load(Ordering::Relaxed) & USES
    }

    /// Another turn in the old line, for one use.
    pub(super) fn spare(&mut self) {
        *self.mark.get_mut() -= 1;
    }

    /// From here on it stands in the old line, where it has yet to be asked for.
    pub(super) fn grow_old(&mut self) {
        let mark = self.mark.get_mut();
        *mark = *mark & HEAT | FULL | OLD;
    }

    /// Puts an entry into an empty slot.
    pub(super) fn fill(&mut self, key: CompactString, entry: Entry, old: bool) {
        self.key = key;
        self.replace(entry);
        *self.mark.get_mut() = if old { FULL | OLD } else { FULL };
    }

    /// Puts another entry in the place of the one that is there, under the same key.
    pub(super) fn replace(&mut self, entry: Entry) {
        let Entry { record, born, fresh_ms, dead_ms, outcome } = entry;
        (self.record, self.born, self.fresh_ms, self.dead_ms, self.outcome) =
            (record, born, fresh_ms, dead_ms, outcome);
    }

    /// Drops the entry. Its place in line stays.
    pub(super) fn empty(&mut self) {
        *self = Self { next: self.next, mark: AtomicU8::new(*self.mark.get_mut() & OLD), ..Self::free() };
    }

    /// Takes the entry out and leaves the slot empty.
    pub(super) fn take(&mut self) -> Option<(CompactString, Entry)> {
        let full = self.is_full().then(|| (std::mem::take(&mut self.key), self.entry()));
        self.empty();
        full
    }
}

/// Slots by number.
#[derive(Debug, Default)]
pub(super) struct Slots {
    blocks: Vec<Box<[Slot; BLOCK]>>,
}

impl Slots {
    /// How many there are, empty ones too.
    pub(super) fn len(&self) -> usize {
        self.blocks.len() * BLOCK
    }

    /// Reads where the blocks stand, before it is known which one is wanted.
    #[inline]
    pub(super) fn touch(&self) {
        black_box(self.blocks.first().map(|block| block.as_ptr()));
    }

    /// One more block of empty ones, chained; the first of them. `None` when there are as many as can be numbered.
    pub(super) fn grow(&mut self) -> Option<u16> {
        let start = self.len();
        if start > MOST_SLOTS {
            return None;
        }
        self.blocks.push(Box::new(from_fn(|_| Slot::free())));
        // Below MOST_SLOTS, so all of them fit.
        let numbers = start as u16..self.len() as u16;
        for number in numbers.clone().skip(1) {
            self[number - 1].next = number;
        }
        Some(numbers.start)
    }

    /// The full ones.
    pub(super) fn full(&self) -> impl Iterator<Item = &Slot> {
        self.blocks.iter().flat_map(|block| block.iter()).filter(|slot| slot.is_full())
    }
}

impl Index<u16> for Slots {
    type Output = Slot;

    #[inline]
    fn index(&self, number: u16) -> &Slot {
        &self.blocks[number as usize / BLOCK][number as usize % BLOCK]
    }
}

impl IndexMut<u16> for Slots {
    #[inline]
    fn index_mut(&mut self, number: u16) -> &mut Slot {
        &mut self.blocks[number as usize / BLOCK][number as usize % BLOCK]
    }
}
