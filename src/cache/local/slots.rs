//! The slots of a shard, in blocks that never move.
//!
//! One array that grows would copy itself while readers wait, leave holes of all its former sizes in memory, and stand
//! empty by a part. Blocks of one size do none of that, for one more look at a short list.

use std::array::from_fn;
use std::ops::{Index, IndexMut};

use super::shard::Slot;

/// Slots of a block.
pub(super) const BLOCK: usize = 32;

/// Slots by number.
#[derive(Debug, Default)]
pub(super) struct Slots {
    #[expect(clippy::vec_box, reason = "a list of blocks that grows must not move what is in them")]
    blocks: Vec<Box<[Option<Slot>; BLOCK]>>,
}

impl Slots {
    /// How many there are, empty ones too.
    pub(super) fn len(&self) -> usize {
        self.blocks.len() * BLOCK
    }

    /// One more block of empty ones.
    pub(super) fn grow(&mut self) {
        self.blocks.push(Box::new(from_fn(|_| None)));
    }

    /// The full ones.
    pub(super) fn full(&self) -> impl Iterator<Item = &Slot> {
        self.blocks.iter().flat_map(|block| block.iter().flatten())
    }
}

impl Index<usize> for Slots {
    type Output = Option<Slot>;

    #[inline]
    fn index(&self, number: usize) -> &Self::Output {
        &self.blocks[number / BLOCK][number % BLOCK]
    }
}

impl IndexMut<usize> for Slots {
    fn index_mut(&mut self, number: usize) -> &mut Self::Output {
        &mut self.blocks[number / BLOCK][number % BLOCK]
    }
}
