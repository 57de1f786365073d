//! Keys that are found whole or not at all: a hash index over texts in one buffer.

use ahash::RandomState;
use hashbrown::HashTable;

/// Keys and the numbers of their values. Grows while a table is loaded, and never after.
#[derive(Debug, Default)]
pub struct Exact {
    keys: String,
    /// Where each key ends, and the number of its value.
    rows: Vec<(u32, u32)>,
    /// Rows by their keys' hash.
    index: HashTable<u32>,
    hasher: RandomState,
}

impl Exact {
    /// Puts a key in. One that is there already gets the new value. False when all keys together would be
    /// longer than 4 GiB.
    pub fn put(&mut self, key: &str, value: u32) -> bool {
        let hash = self.hasher.hash_one(key);
        let Self { keys, rows, index, hasher } = self;
        if let Some(row) = index.find(hash, |row| key_of(keys, rows, *row) == Some(key)) {
            if let Some(known) = rows.get_mut(*row as usize) {
                known.1 = value;
            }
            return true;
        }
        let (Ok(end), Ok(row)) = (u32::try_from(keys.len() + key.len()), u32::try_from(rows.len())) else {
            return false;
        };
        keys.push_str(key);
        rows.push((end, value));
        index.insert_unique(hash, row, |row| hasher.hash_one(key_of(keys, rows, *row).unwrap_or_default()));
        true
    }

    /// Gives back the room that was kept for more.
    pub fn finish(mut self) -> Self {
        self.keys.shrink_to_fit();
        self.rows.shrink_to_fit();
        let Self { keys, rows, index, hasher } = &mut self;
        index.shrink_to_fit(|row| hasher.hash_one(key_of(keys, rows, *row).unwrap_or_default()));
        self
    }

    /// The value of this key.
    #[inline]
    pub fn find(&self, key: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        let row = self.index.find(hash, |row| key_of(&self.keys, &self.rows, *row) == Some(key))?;
        self.rows.get(*row as usize).map(|(_, value)| *value)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The bytes that they take; a slot of the index has a byte beside its number.
    pub fn bytes(&self) -> usize {
        self.keys.capacity()
            + self.rows.capacity() * size_of::<(u32, u32)>()
            + self.index.capacity() * (size_of::<u32>() + 1) * 8 / 7
    }
}

fn key_of<'a>(keys: &'a str, rows: &[(u32, u32)], row: u32) -> Option<&'a str> {
    let at = row as usize;
    let end = rows.get(at)?.0 as usize;
    let start = at.checked_sub(1).map_or(0, |before| rows[before].0 as usize);
    keys.get(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_whole_and_the_last_value_counts() {
        let mut table = Exact::default();
        for number in 0..5000_u32 {
            assert!(table.put(&format!("k{number}"), number));
        }
        assert!(table.put("k7", 70));
        let table = table.finish();
        assert_eq!((table.len(), table.find("k7"), table.find("k4999")), (5000, Some(70), Some(4999)));
        assert_eq!((table.find("k"), table.find(""), table.find("k5000")), (None, None, None));
    }
}
