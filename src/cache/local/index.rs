//! Where slots are found: a part of the key's hash beside the slot's number, in rows of one line of memory.
//!
//! A key's place is in one of two rows, nearly always in the first: so a look touches one line, and taking a key out leaves
//! nothing behind. The second row follows from the first and the part of the hash that stands there, and the first from the second,
//! so an entry can make way without anybody knowing its key.

use std::hint::black_box;

use super::line::NOBODY;

/// Places in a row.
const PLACES: usize = 16;

/// The tag of a free place, which no hash has.
const FREE: u16 = u16::MAX;

/// A line of memory: all tags in one half, so that they are compared at once, and the slots' numbers in the other.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Row {
    tags: [u16; PLACES],
    numbers: [u16; PLACES],
}

const _: () = assert!(size_of::<Row>() == 64, "a row is a line of memory");

impl Row {
    const EMPTY: Self = Self { tags: [FREE; PLACES], numbers: [NOBODY; PLACES] };

    /// The full places, each a tag and a number.
    fn full(&self) -> impl Iterator<Item = (u16, u16)> {
        self.tags.into_iter().zip(self.numbers).filter(|(tag, _)| *tag != FREE)
    }
}

/// Slots by hash.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// A power of two of them, or none.
    rows: Box<[Row]>,
    len: usize,
}

impl Index {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The slot with this hash that `is` the one.
    #[inline]
    pub(super) fn find(&self, hash: u64, is: impl Fn(u16) -> bool) -> Option<u16> {
        self.place(hash, is).map(|(row, place)| self.rows[row].numbers[place])
    }

    /// The first slot that may be the one, unread.
    #[inline]
    pub(super) fn likely(&self, hash: u64) -> Option<u16> {
        self.find(hash, |_| true)
    }

    /// Reads the row where a look begins.
    #[inline]
    pub(super) fn touch(&self, hash: u64) {
        black_box(self.rows.get(self.row(hash)).map(|row| row.tags[0]));
    }

    /// Takes out the slot with this hash that `is` the one.
    pub(super) fn remove(&mut self, hash: u64, is: impl Fn(u16) -> bool) -> Option<u16> {
        let (row, place) = self.place(hash, is)?;
        self.len -= 1;
        self.rows[row].tags[place] = FREE;
        Some(self.rows[row].numbers[place])
    }

    /// Puts in a slot that is not there. `hash_of` tells the hashes of those that are.
    pub(super) fn insert(&mut self, hash: u64, number: u16, hash_of: impl Fn(u16) -> u64) {
        while !self.seat(hash, number) {
            self.double(&hash_of);
        }
        self.len += 1;
    }

    fn double(&mut self, hash_of: impl Fn(u16) -> u64) {
        let mut count = (self.rows.len() * 2).max(1);
        // Hashes are drawn anew for each process, so that nobody can fill a row on purpose: once more is rare, twice never seen.
        'larger: loop {
            let mut larger = Self { rows: vec![Row::EMPTY; count].into(), len: self.len };
            for (_, number) in self.rows.iter().flat_map(Row::full) {
                if !larger.seat(hash_of(number), number) {
                    count *= 2;
                    continue 'larger;
                }
            }
            *self = larger;
            return;
        }
    }

    /// Writes it down, if there is room.
    fn seat(&mut self, hash: u64, number: u16) -> bool {
        if self.rows.is_empty() {
            return false;
        }
        let (home, entry) = (self.row(hash), (tag(hash), number));
        let other = self.other(home, tag(hash));
        self.put(home, entry) || self.put(other, entry) || self.make_way(home, entry)
    }

    fn put(&mut self, row: usize, (tag, number): (u16, u16)) -> bool {
        let row = &mut self.rows[row];
        let free = row.tags.iter().position(|tag| *tag == FREE);
        free.map(|place| (row.tags[place], row.numbers[place]) = (tag, number)).is_some()
    }

    /// Sends one of a full row to its other row.
    fn make_way(&mut self, row: usize, (tag, number): (u16, u16)) -> bool {
        for place in 0..PLACES {
            let there = (self.rows[row].tags[place], self.rows[row].numbers[place]);
            let other = self.other(row, there.0);
            if other != row && self.put(other, there) {
                (self.rows[row].tags[place], self.rows[row].numbers[place]) = (tag, number);
                return true;
            }
        }
        false
    }

    #[inline]
    fn place(&self, hash: u64, is: impl Fn(u16) -> bool) -> Option<(usize, usize)> {
        let (home, tag) = (self.row(hash), tag(hash));
        let seen = |row: usize| {
            let Row { tags, numbers } = self.rows.get(row)?;
            // All places at once, without a branch: the compiler makes a few wide comparisons of it.
            let mut fit =
                tags.iter().enumerate().fold(0, |fit, (place, there)| fit | u16::from(*there == tag) << place);
            while fit != 0 {
                let place = fit.trailing_zeros() as usize;
                if is(numbers[place]) {
                    return Some((row, place));
                }
                fit &= fit - 1;
            }
            None
        };
        seen(home).or_else(|| seen(self.other(home, tag)))
    }

    #[inline]
    fn row(&self, hash: u64) -> usize {
        hash as usize & self.rows.len().wrapping_sub(1)
    }

    /// The second row of who is at home in this one, and the other way round.
    #[inline]
    fn other(&self, row: usize, tag: u16) -> usize {
        // Odd, so that two rows are never one, where there are two.
        row ^ ((((usize::from(tag) * 0x5bd1) >> 3) | 1) & self.rows.len().wrapping_sub(1))
    }
}

/// The part of a hash that stands in the index: neither what chooses the row nor what chooses the shard. Never that of
/// a free place.
#[inline]
fn tag(hash: u64) -> u16 {
    ((hash >> 8) as u16).min(NOBODY - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes as good as any.
    fn hash(number: u16) -> u64 {
        fastrand::Rng::with_seed(number.into()).u64(..)
    }

    #[test]
    fn what_was_put_in_is_found_and_what_was_taken_out_is_not() {
        let mut index = Index::default();
        assert_eq!(index.find(hash(1), |_| true), None);
        for number in 0..5000 {
            index.insert(hash(number), number, hash);
        }
        assert_eq!(index.len(), 5000);
        for number in (0..5000).step_by(3) {
            assert_eq!(index.remove(hash(number), |other| other == number), Some(number));
            assert_eq!(index.remove(hash(number), |other| other == number), None);
        }
        for number in 0..5000 {
            assert_eq!(index.find(hash(number), |other| other == number).is_some(), number % 3 != 0, "{number}");
        }
    }

    #[test]
    fn it_grows_when_it_is_nearly_full_and_stays_so_under_come_and_go() {
        let mut index = Index::default();
        let mut grown = Vec::new();
        for number in 0..20_000 {
            let rows = index.rows.len();
            index.insert(hash(number), number, hash);
            if index.rows.len() > rows && rows >= 8 {
                grown.push(f64::from(number) / (rows * PLACES) as f64);
            }
        }
        println!("full by {grown:.3?} when it grew");
        assert!(grown.iter().all(|full| *full > 0.8), "{grown:?}");
        let mut index = Index::default();
        (0..1600).for_each(|number| index.insert(hash(number), number, hash));
        for number in 0..40_000 {
            index.remove(hash(number), |other| other == number);
            index.insert(hash(number + 1600), number + 1600, hash);
        }
        assert_eq!((index.len(), index.rows.len() * PLACES), (1600, 2048));
    }

    #[test]
    fn equal_tags_in_one_row_are_told_apart_by_their_slots() {
        let mut index = Index::default();
        (0..20).for_each(|number| index.insert(7, number, |_| 7));
        for number in 0..20 {
            assert_eq!(index.find(7, |other| other == number), Some(number));
        }
    }
}
