//! Prefixes and ranges: which interval that holds a key is the narrowest?
//!
//! Both are intervals over packed digits: the prefix `1303` is everything from `1303` to its last
//! extension. Sorted by their starts, the answer is the last interval that starts at or before the key,
//! or one that it lies in: each interval knows the one before it that reaches further, so the walk up is
//! as long as prefixes are nested, and mostly nothing.
//!
//! A search over ten million sorted integers would miss the processor's cache two dozen times. So every
//! [`STRIDE`]th start is kept beside the others as well, and every `STRIDE`th of those, and so on: the
//! upper levels stay in the cache, and each further one costs two neighbouring lines of memory.

use crate::upstream::table::digits;

/// One start in so many is in the level above. 16 starts are two lines of memory.
const STRIDE: usize = 16;

/// A level this small is searched as a whole.
const TOP: usize = 256;

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
    /// Side by side, since whoever needs the one mostly needs the other.
    links: Vec<Link>,
    /// Thinned out starts, the smallest level first.
    levels: Vec<Vec<u64>>,
}

/// What belongs to an interval beside its ends.
#[derive(Clone, Copy, Debug)]
struct Link {
    /// The nearest one before that reaches further.
    outer: u32,
    /// Its value's number.
    value: u32,
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
        let links = links(&rows);
        let ends = if prefixes { Vec::new() } else { rows.iter().map(|row| row.end).collect() };
        drop(rows);
        let levels = levels(&starts);
        Self { starts, ends, links, levels }
    }

    /// The value of the narrowest interval that holds this key.
    #[inline]
    pub fn find(&self, key: u64) -> Option<u32> {
        let mut at = self.last_before(key)?;
        while key > self.end(at) {
            match self.links[at].outer {
                NONE => return None,
                outer => at = outer as usize,
            }
        }
        Some(self.links[at].value)
    }

    /// The last interval that starts at or before the key: level for level, each time within one block.
    #[inline]
    fn last_before(&self, key: u64) -> Option<usize> {
        let mut block = 0..usize::MAX;
        let mut at = 0;
        for level in self.levels.iter().chain([&self.starts]) {
            let starts = &level[block.start..block.end.min(level.len())];
            // Only in the topmost level can none be before the key: below, the block starts with one that is.
            at = block.start + starts.partition_point(|start| *start <= key).checked_sub(1)?;
            block = at * STRIDE..(at + 1) * STRIDE;
        }
        Some(at)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// The bytes that they take.
    pub fn bytes(&self) -> usize {
        let levels: usize = self.levels.iter().map(Vec::capacity).sum();
        (self.starts.capacity() + self.ends.capacity() + levels) * size_of::<u64>()
            + self.links.capacity() * size_of::<Link>()
    }

    fn end(&self, at: usize) -> u64 {
        self.ends.get(at).copied().unwrap_or_else(|| digits::last(self.starts[at]))
    }
}

/// Every `STRIDE`th start, and every `STRIDE`th of these, until they are few.
fn levels(starts: &[u64]) -> Vec<Vec<u64>> {
    let mut levels: Vec<Vec<u64>> = Vec::new();
    let mut below = starts;
    while below.len() > TOP {
        levels.push(below.iter().copied().step_by(STRIDE).collect());
        below = levels.last().map_or(&[], Vec::as_slice);
    }
    levels.reverse();
    levels
}

/// For each interval the nearest one before it that reaches further. What is between the two ends
/// earlier than the interval itself, so a key behind its end is in none of them.
fn links(rows: &[Interval]) -> Vec<Link> {
    let mut open: Vec<u32> = Vec::new();
    let mut links = Vec::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        while open.last().is_some_and(|before| rows[*before as usize].end <= row.end) {
            open.pop();
        }
        links.push(Link { outer: open.last().copied().unwrap_or(NONE), value: row.value });
        // There are at most `MOST` rows.
        open.push(at as u32);
    }
    links
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
            prefixes in prop::collection::vec("[0-3]{1,6}", 0..2000), keys in prop::collection::vec("[0-3]{1,8}", 1..50),
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
