//! Records of a table, each kept once, end to end in one buffer.
//!
//! A rate deck has millions of prefixes and a few thousand prices: equal records share one number.

use ahash::RandomState;
use hashbrown::HashTable;

/// Records that never change again.
#[derive(Debug, Default)]
pub struct Values {
    text: String,
    /// Where each one ends.
    ends: Vec<u32>,
}

impl Values {
    /// The record of this number.
    #[inline]
    pub fn get(&self, number: u32) -> Option<&str> {
        let at = number as usize;
        let end = *self.ends.get(at)? as usize;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        self.text.get(start..end)
    }

    /// The bytes that they take.
    pub fn bytes(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * size_of::<u32>()
    }
}

/// Records while a table is loaded.
#[derive(Debug, Default)]
pub struct Interner {
    values: Values,
    known: HashTable<u32>,
    hasher: RandomState,
}

impl Interner {
    /// The number of this record; `None` when all records together would be longer than 4 GiB.
    pub fn number(&mut self, record: &str) -> Option<u32> {
        let Self { values, known, hasher } = self;
        let hash = hasher.hash_one(record);
        if let Some(number) = known.find(hash, |number| values.get(*number) == Some(record)) {
            return Some(*number);
        }
        let end = u32::try_from(values.text.len() + record.len()).ok()?;
        let number = u32::try_from(values.ends.len()).ok()?;
        values.text.push_str(record);
        values.ends.push(end);
        known.insert_unique(hash, number, |number| hasher.hash_one(values.get(*number).unwrap_or_default()));
        Some(number)
    }

    /// The records, as small as they can be.
    pub fn finish(self) -> Values {
        let mut values = self.values;
        values.text.shrink_to_fit();
        values.ends.shrink_to_fit();
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_records_share_a_number_and_each_is_given_back() {
        let mut interner = Interner::default();
        let numbers: Vec<u32> =
            ["a", "", "b", "a", "", "ab"].iter().map(|text| interner.number(text).unwrap()).collect();
        assert_eq!(numbers, [0, 1, 2, 0, 1, 3]);
        for number in 4..5000 {
            assert_eq!(interner.number(&number.to_string()), Some(number));
        }
        let values = interner.finish();
        assert_eq!([0, 1, 2, 3, 4711].map(|number| values.get(number).unwrap()), ["a", "", "b", "ab", "4711"]);
        assert_eq!(values.get(5000), None);
    }
}
