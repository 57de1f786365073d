//! One whole load of a table: made row by row, then never changed.

use crate::deadline::{Instant, now};
use crate::policy::TableMatch;
use crate::upstream::table::digits;
use crate::upstream::table::exact::Exact;
use crate::upstream::table::intervals::{self, Interval, Intervals};
use crate::upstream::table::values::{Interner, Values};

/// The longest key of a row, in bytes: no question's key is longer.
const LONGEST_KEY: usize = 250;

/// A table as it was at one moment.
#[derive(Debug)]
pub struct Snapshot {
    index: Index,
    values: Values,
    /// Rows that were left out because their key does not fit or none of their fields says anything.
    pub left_out: usize,
    /// When it was loaded.
    pub since: Instant,
}

#[derive(Debug)]
enum Index {
    Exact(Exact),
    Intervals(Intervals),
}

impl Snapshot {
    /// The record for this key, as JSON.
    #[inline]
    pub fn find(&self, key: &str) -> Option<&str> {
        let value = match &self.index {
            Index::Exact(exact) => exact.find(without_plus(key)),
            Index::Intervals(intervals) => intervals.find(digits::of_key(key.as_bytes())?),
        };
        self.values.get(value?)
    }

    /// How many keys it has.
    pub fn rows(&self) -> usize {
        match &self.index {
            Index::Exact(exact) => exact.len(),
            Index::Intervals(intervals) => intervals.len(),
        }
    }

    /// The bytes that it takes.
    pub fn bytes(&self) -> usize {
        let index = match &self.index {
            Index::Exact(exact) => exact.bytes(),
            Index::Intervals(intervals) => intervals.bytes(),
        };
        index + self.values.bytes()
    }
}

/// Why a table cannot take a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// All records together are longer than 4 GiB.
    #[error("the records of the table are longer than 4 GiB together: keep fewer fields")]
    Records,
    /// All keys together are longer than 4 GiB, or there are more of them than are told apart.
    #[error("the table has too many keys for one table: split it")]
    Keys,
}

/// A snapshot while it is made.
#[derive(Debug)]
pub struct Builder {
    matching: TableMatch,
    interner: Interner,
    exact: Exact,
    intervals: Vec<Interval>,
    left_out: usize,
}

impl Builder {
    /// Nothing yet.
    pub fn new(matching: TableMatch) -> Self {
        Self { matching, interner: Interner::default(), exact: Exact::default(), intervals: Vec::new(), left_out: 0 }
    }

    /// Takes a row: the texts of its key columns and its record. A row whose key does not fit is counted
    /// and left out: one bad line must not cost the whole table.
    ///
    /// # Errors
    /// When the table is larger than can be.
    pub fn push(&mut self, key: &[&str], record: &str) -> Result<(), TooMuch> {
        let value = |interner: &mut Interner| interner.number(record).ok_or(TooMuch::Records);
        if self.matching == TableMatch::Exact {
            let key = joined(key);
            if key.is_empty() || key.len() > LONGEST_KEY {
                self.leave_out();
                return Ok(());
            }
            let value = value(&mut self.interner)?;
            return if self.exact.put(without_plus(&key), value) { Ok(()) } else { Err(TooMuch::Keys) };
        }
        let Some((start, end)) = interval(key) else {
            self.leave_out();
            return Ok(());
        };
        if self.intervals.len() >= intervals::MOST {
            return Err(TooMuch::Keys);
        }
        self.intervals.push(Interval { start, end, value: value(&mut self.interner)? });
        Ok(())
    }

    /// Counts a row that says nothing.
    pub fn leave_out(&mut self) {
        self.left_out += 1;
    }

    /// The snapshot of all rows taken so far.
    pub fn finish(self) -> Snapshot {
        let index = match self.matching {
            TableMatch::Exact => Index::Exact(self.exact.finish()),
            TableMatch::LongestPrefix => Index::Intervals(Intervals::new(self.intervals, true)),
            TableMatch::Range => Index::Intervals(Intervals::new(self.intervals, false)),
        };
        Snapshot { index, values: self.interner.finish(), left_out: self.left_out, since: now() }
    }
}

/// Where an interval starts and ends: one column is a prefix, two are the first and the last of a range,
/// both with all that begins with them.
fn interval(key: &[&str]) -> Option<(u64, u64)> {
    let first = digits::first(key.first()?.trim().as_bytes())?;
    let end = match key.get(1) {
        Some(last) => digits::last(digits::first(last.trim().as_bytes())?),
        None => digits::last(first),
    };
    (first <= end).then_some((first, end))
}

/// Several columns make one key, joined as they are in `keys`.
fn joined<'a>(key: &[&'a str]) -> std::borrow::Cow<'a, str> {
    match key {
        [one] => one.trim().into(),
        many => many.iter().map(|part| part.trim()).collect::<Vec<_>>().join("-").into(),
    }
}

/// A `+` before a number decides nothing: questions have it and most tables do not.
fn without_plus(key: &str) -> &str {
    key.strip_prefix('+').unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(matching: TableMatch, rows: &[(&[&str], &str)]) -> Snapshot {
        let mut builder = Builder::new(matching);
        rows.iter().for_each(|(key, record)| builder.push(key, record).unwrap());
        builder.finish()
    }

    #[test]
    fn exact_keys_of_several_columns_are_joined() {
        let table =
            table(TableMatch::Exact, &[(&["303", "555", "A"], "a"), (&["303", "555", "1"], "b"), (&[" "], "c")]);
        assert_eq!(
            (table.find("303-555-A"), table.find("303-555-1"), table.find("303-555")),
            (Some("a"), Some("b"), None)
        );
        assert_eq!((table.rows(), table.left_out), (2, 1));
    }

    #[test]
    fn a_plus_decides_nothing() {
        let exact = table(TableMatch::Exact, &[(&["+13035550123"], "a"), (&["13035550124"], "b")]);
        assert_eq!((exact.find("13035550123"), exact.find("+13035550124")), (Some("a"), Some("b")));
        let prefixes = table(TableMatch::LongestPrefix, &[(&["+1303"], "a"), (&["44"], "b"), (&["x"], "c")]);
        assert_eq!((prefixes.find("+13035550124"), prefixes.find("+4420")), (Some("a"), Some("b")));
        assert_eq!((prefixes.find("sip"), prefixes.left_out), (None, 1));
    }

    #[test]
    fn a_range_holds_both_its_ends_and_all_that_begins_with_them() {
        let rows: &[(&[&str], &str)] = &[
            (&["3035550000", "3035559999"], "block"),
            (&["3035550100", "3035550199"], "part"),
            (&["44", "45"], "two"),
            (&["9", "8"], "backwards"),
        ];
        let table = table(TableMatch::Range, rows);
        let expected = [
            ("3035550000", Some("block")),
            ("3035550150", Some("part")),
            ("3035550200", Some("block")),
            ("3035559999", Some("block")),
            ("3035560000", None),
            ("4599", Some("two")),
            ("46", None),
        ];
        for (key, record) in expected {
            assert_eq!(table.find(key), record, "{key}");
        }
        assert_eq!(table.left_out, 1);
    }
}
