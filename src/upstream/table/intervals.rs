//! Prefixes and ranges: which interval that holds a key is the narrowest?
//!
//! Both are intervals over packed digits: the prefix `1303` is everything from `1303` to its last
//! extension. Sorted by their starts, the answer is the last interval that starts at or before the key,
//! or one that it lies in: each interval knows the one before it that reaches further, so the walk up is
//! as long as prefixes are nested, and mostly nothing.
//!
//! A search over ten million sorted integers would miss the processor's cache two dozen times. Every
//! [`STRIDE`]th start is kept beside the others as well: this small index stays in the cache, and the
//! rest of the search is within a few lines of memory.

use crate::upstream::table::digits;

/// One start in so many is in the index. 64 starts are eight lines of memory.
const STRIDE: usize = 64;

/// No interval reaches further.
const NONE: u32 = u32::MAX;

/// The most rows: one is [`NONE`].
pub const MOST: usize = NONE as usize;

/// One interval, as it is read from a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The first key in it.
    pub start: u64,
    /// The last key in it.
    pub end: u64,
    /// Its value's number.
    pub value: u32,
}

/// Intervals that never change again.
#[derive(Debug, Default)]
pub struct Intervals {
    starts: Vec<u64>,
    /// Empty where all are prefixes, whose ends their starts tell.
    ends: Vec<u64>,
    /// The nearest one before that reaches further.
    outer: Vec<u32>,
    values: Vec<u32>,
    index: Vec<u64>,
}

impl Intervals {
    /// Sorts them in. Of two that are the same the last one given counts. `prefixes` when each end is
    /// [`digits::last`] of its start.
    pub fn new(mut rows: Vec<Interval>, prefixes: bool) -> Self {
        // The wider one first: the narrower then finds it by looking back. The sort is stable, so the last given is the last.
        rows.sort_by(|a, b| a.start.cmp(&b.start).then(b.end.cmp(&a.end)));
        rows.dedup_by(|next, kept| {
            let same = (next.start, next.end) == (kept.start, kept.end);
            if same {
                kept.value = next.value;
            }
            same
        });
        rows.truncate(MOST);
        let starts: Vec<u64> = rows.iter().map(|row| row.start).collect();
        let values = rows.iter().map(|row| row.value).collect();
        let outer = outer(&rows);
        let ends = if prefixes { Vec::new() } else { rows.iter().map(|row| row.end).collect() };
        drop(rows);
        let index = starts.iter().copied().step_by(STRIDE).collect();
        Self { starts, ends, outer, values, index }
    }

    /// The value of the narrowest interval that holds this key.
    #[inline]
    pub fn find(&self, key: u64) -> Option<u32> {
        // The block in which the last start at or before the key is.
        let block = self.index.partition_point(|start| *start <= key).checked_sub(1)? * STRIDE;
        let starts = &self.starts[block..self.starts.len().min(block + STRIDE)];
        let mut at = block + starts.partition_point(|start| *start <= key) - 1;
        while key > self.end(at) {
            match self.outer[at] {
                NONE => return None,
                outer => at = outer as usize,
            }
        }
        Some(self.values[at])
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// The bytes that they take.
    pub fn bytes(&self) -> usize {
        (self.starts.capacity() + self.ends.capacity() + self.index.capacity()) * size_of::<u64>()
            + (self.outer.capacity() + self.values.capacity()) * size_of::<u32>()
    }

    fn end(&self, at: usize) -> u64 {
        self.ends.get(at).copied().unwrap_or_else(|| digits::last(self.starts[at]))
    }
}

/// For each interval the nearest one before it that reaches further. What is between the two ends
/// earlier than the interval itself, so a key behind its end is in none of them.
fn outer(rows: &[Interval]) -> Vec<u32> {
    let mut open: Vec<u32> = Vec::new();
    let mut outer = Vec::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        while open.last().is_some_and(|before| rows[*before as usize].end <= row.end) {
            open.pop();
        }
        outer.push(open.last().copied().unwrap_or(NONE));
        // There are at most `MOST` rows.
        open.push(at as u32);
    }
    outer
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prefix(text: &str, value: u32) -> Interval {
        let start = digits::first(text.as_bytes()).unwrap();
        Interval { start, end: digits::last(start), value }
    }

    fn find(table: &Intervals, key: &str) -> Option<u32> {
        table.find(digits::of_key(key.as_bytes()).unwrap())
    }

    #[test]
    fn the_longest_prefix_counts_however_deep_the_nest() {
        let rows = ["1", "1303", "1303555", "13035550", "44", "130"];
        let rows = rows.iter().zip(0..).map(|(text, value)| prefix(text, value)).collect();
        let table = Intervals::new(rows, true);
        let table_of = [
            ("13035550123", Some(3)),
            ("13035551123", Some(2)),
            ("13039999999", Some(1)),
            ("13099999999", Some(5)),
            ("12025550123", Some(0)),
            ("1", Some(0)),
            ("4420", Some(4)),
            ("4", None),
            ("2", None),
            ("0", None),
        ];
        for (key, value) in table_of {
            assert_eq!(find(&table, key), value, "{key}");
        }
    }

    #[test]
    fn of_two_equal_rows_the_last_counts() {
        let table = Intervals::new(vec![prefix("13", 1), prefix("13", 2)], true);
        assert_eq!((table.len(), find(&table, "13")), (1, Some(2)));
    }

    #[test]
    fn nothing_is_found_in_nothing() {
        assert_eq!(Intervals::new(Vec::new(), true).find(5), None);
    }

    proptest! {
        #[test]
        fn prefixes_are_found_as_by_trying_each_length(
            prefixes in prop::collection::vec("[0-3]{1,6}", 0..300), keys in prop::collection::vec("[0-3]{1,8}", 1..50),
        ) {
            let known: std::collections::BTreeMap<&str, u32> = prefixes.iter().map(String::as_str).zip(0..).collect();
            let table = Intervals::new(prefixes.iter().zip(0..).map(|(text, value)| prefix(text, value)).collect(), true);
            for key in &keys {
                let expected = (1..=key.len()).rev().find_map(|length| known.get(&key[..length]).copied());
                prop_assert_eq!(find(&table, key), expected, "{}", key);
            }
        }

        #[test]
        fn ranges_are_found_where_one_holds_the_key(
            ranges in prop::collection::vec((0_u64..500, 0_u64..60), 0..120), keys in prop::collection::vec(0_u64..600, 1..60),
        ) {
            let rows: Vec<Interval> =
                ranges.iter().zip(0..).map(|((start, more), value)| Interval { start: *start, end: start + more, value }).collect();
            let table = Intervals::new(rows.clone(), false);
            for key in keys {
                let holding: Vec<&Interval> = rows.iter().filter(|row| (row.start..=row.end).contains(&key)).collect();
                // The latest start, and of those the earliest end; of equal ones the last.
                let expected = holding.iter().max_by_key(|row| (row.start, std::cmp::Reverse(row.end), row.value));
                prop_assert_eq!(table.find(key), expected.map(|row| row.value));
            }
        }
    }
}
