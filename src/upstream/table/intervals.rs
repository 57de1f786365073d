//! Prefixes and ranges: which interval that holds a key is the narrowest?
//!
//! Both are intervals over packed digits: the prefix `1303` is everything from `1303` to its last
//! extension. Sorted by their starts, the answer is the last interval that starts at or before the key,
//! or one that it lies in: each interval knows the one before it that reaches further, so the walk up is
//! as long as prefixes are nested, and mostly nothing.
//!
//! A search over ten million sorted integers would miss the processor's cache two dozen times. So eight starts and what
//! belongs to them lie in one block of two neighbouring lines of memory, the first starts of sixteen blocks in one block of the
//! level above, and so on: the upper levels stay in the cache, and a block is searched without a branch, so that its
//! lines are fetched side by side. What is left is a handful of misses.

use crate::upstream::table::digits;

/// How many intervals a block has: their starts are one line of memory, the rest of them the next.
const BLOCK: usize = 8;

/// One in so many is in the level above: two lines of memory.
const STRIDE: usize = 16;

/// No interval reaches further.
const NONE: u32 = u32::MAX;

/// The most rows: the block that [`NONE`] would be in is not there.
pub const MOST: usize = NONE as usize - BLOCK;

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
    blocks: Vec<Block>,
    /// How many there are; the last block may have room left.
    len: usize,
    /// Empty where all are prefixes, whose ends their starts tell.
    ends: Vec<u64>,
    /// Thinned out starts, the smallest level first; the last one has the first start of each block.
    levels: Vec<Vec<Line>>,
}

/// Neighbours, side by side, since whoever needs a start mostly needs what belongs to it.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(128))]
struct Block {
    /// Sorted; behind the last one nothing starts.
    starts: [u64; BLOCK],
    links: [Link; BLOCK],
}

impl Block {
    fn of(rows: &[Interval], links: &[Link]) -> Self {
        let mut block = Self { starts: [NOWHERE; BLOCK], links: [Link { outer: NONE, value: 0 }; BLOCK] };
        for (start, row) in block.starts.iter_mut().zip(rows) {
            *start = row.start;
        }
        for (own, link) in block.links.iter_mut().zip(links) {
            *own = *link;
        }
        block
    }
}

/// Some starts of a level.
#[derive(Clone, Copy, Debug)]
#[repr(align(128))]
struct Line([u64; STRIDE]);

impl Line {
    fn of(starts: &[u64]) -> Self {
        let mut line = [NOWHERE; STRIDE];
        for (own, start) in line.iter_mut().zip(starts) {
            *own = *start;
        }
        Self(line)
    }
}

/// What belongs to an interval beside its ends.
#[derive(Clone, Copy, Debug)]
struct Link {
    /// The nearest one before that reaches further.
    outer: u32,
    /// Its value's number.
    value: u32,
}

/// Where no interval starts: no key of digits is as large.
const NOWHERE: u64 = u64::MAX;

/// How many of these start at or before the key. Without a branch: the lines are fetched side by side.
#[inline]
fn before<const N: usize>(starts: &[u64; N], key: u64) -> usize {
    starts.iter().map(|start| usize::from(*start <= key)).sum()
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
        let links = links(&rows);
        let blocks: Vec<Block> =
            rows.chunks(BLOCK).zip(links.chunks(BLOCK)).map(|(rows, links)| Block::of(rows, links)).collect();
        let len = rows.len();
        let ends = if prefixes { Vec::new() } else { rows.iter().map(|row| row.end).collect() };
        drop(rows);
        let levels = levels(&blocks);
        Self { blocks, len, ends, levels }
    }

    /// The value of the narrowest interval that holds this key.
    #[inline]
    pub fn find(&self, key: u64) -> Option<u32> {
        let mut at = self.last_before(key)?;
        loop {
            let block = self.blocks.get(at / BLOCK)?;
            // Of prefixes the start tells the end, and there is no list of ends.
            let end = self.ends.get(at).copied().unwrap_or_else(|| digits::last(block.starts[at % BLOCK]));
            let link = block.links[at % BLOCK];
            if key <= end {
                return Some(link.value);
            }
            // Of `NONE` there is no block.
            at = link.outer as usize;
        }
    }

    /// The last interval that starts at or before the key: level for level, each time within one block.
    #[inline]
    fn last_before(&self, key: u64) -> Option<usize> {
        let mut at = 0;
        for level in &self.levels {
            // Only in the topmost level can none be before the key: below, the block starts with one that is.
            at = at * STRIDE + before(&level.get(at)?.0, key).checked_sub(1)?;
        }
        let block = self.blocks.get(at)?;
        Some(at * BLOCK + before(&block.starts, key).checked_sub(1)?)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The bytes that they take.
    pub fn bytes(&self) -> usize {
        let levels: usize = self.levels.iter().map(Vec::capacity).sum();
        self.blocks.capacity() * size_of::<Block>()
            + levels * size_of::<Line>()
            + self.ends.capacity() * size_of::<u64>()
    }
}

/// The first start of each block, of each `STRIDE` of these again the first, until one line holds them all.
fn levels(blocks: &[Block]) -> Vec<Vec<Line>> {
    let mut levels = Vec::new();
    let mut below: Vec<u64> = blocks.iter().map(|block| block.starts[0]).collect();
    while below.len() > 1 {
        let level: Vec<Line> = below.chunks(STRIDE).map(Line::of).collect();
        below = level.iter().map(|line| line.0[0]).collect();
        levels.push(level);
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
