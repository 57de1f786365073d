//! A line in which slots wait to be looked at: first in, first out, linked by number.

use super::slots::Slots;

/// No slot.
pub(super) const NOBODY: u16 = u16::MAX;

/// A line of slots, each of which knows who stands behind it.
#[derive(Debug)]
pub(super) struct Line {
    first: u16,
    last: u16,
    /// The weight of the entries in it.
    pub weight: u64,
}

impl Line {
    pub(super) const EMPTY: Self = Self { first: NOBODY, last: NOBODY, weight: 0 };

    /// Puts a slot at the end.
    pub(super) fn join(&mut self, number: u16, slots: &mut Slots) {
        slots[number].next = NOBODY;
        match self.last {
            NOBODY => self.first = number,
            last => slots[last].next = number,
        }
        self.last = number;
    }

    /// Takes the first.
    pub(super) fn leave(&mut self, slots: &Slots) -> Option<u16> {
        if self.first == NOBODY {
            return None;
        }
        let number = self.first;
        self.first = slots[number].next;
        if self.first == NOBODY {
            self.last = NOBODY;
        }
        Some(number)
    }
}
