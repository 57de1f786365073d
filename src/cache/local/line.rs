//! A line in which slots wait to be looked at: first in, first out, linked by number.

/// No slot.
pub(super) const NOBODY: u32 = u32::MAX;

/// A line of slots; the links are kept by the shard.
#[derive(Debug)]
pub(super) struct Line {
    first: u32,
    last: u32,
    /// The weight of the entries in it.
    pub weight: u64,
}

impl Line {
    pub(super) const EMPTY: Self = Self { first: NOBODY, last: NOBODY, weight: 0 };

    /// Puts a slot at the end.
    pub(super) fn join(&mut self, slot: u32, next: &mut [u32]) {
        next[slot as usize] = NOBODY;
        match self.last {
            NOBODY => self.first = slot,
            last => next[last as usize] = slot,
        }
        self.last = slot;
    }

    /// Takes the first.
    pub(super) fn leave(&mut self, next: &[u32]) -> Option<u32> {
        if self.first == NOBODY {
            return None;
        }
        let slot = self.first;
        self.first = next[slot as usize];
        if self.first == NOBODY {
            self.last = NOBODY;
        }
        Some(slot)
    }
}
