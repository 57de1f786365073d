//! The rows of a result, bounded while they come, and the values in them.

use serde_json::{Map, Number, Value as Json};

use crate::upstream::{Failure, FailureKind};

/// The most bytes of one row, and of all rows together: keys of a lookup's answer, not exports of a table.
const ROW: usize = 64 * 1024;
const ALL: usize = 4 * 1024 * 1024;

/// What a value costs beside its text.
const OVERHEAD: usize = 16;

/// Takes each row as it comes.
pub type EachRow<'a> = Box<dyn FnMut(Map<String, Json>) -> Result<(), Failure> + Send + 'a>;

/// Rows so far, each a map of its columns in the order of the statement.
pub(super) struct Rows<'a> {
    list: Vec<Map<String, Json>>,
    bytes: usize,
    max_rows: usize,
    /// Whoever takes the rows in place of the list, which then stays empty: the whole of a table is never held.
    each: Option<EachRow<'a>>,
}

impl<'a> Rows<'a> {
    /// None so far.
    pub(super) fn at_most(max_rows: usize) -> Self {
        Self { list: Vec::new(), bytes: 0, max_rows, each: None }
    }

    /// Rows that are not kept.
    pub(super) fn passed_on(each: EachRow<'a>) -> Self {
        Self { each: Some(each), ..Self::at_most(usize::MAX) }
    }

    /// Takes another row.
    ///
    /// # Errors
    /// [`FailureKind::TooLarge`] when it is one row or byte too many.
    pub(super) fn push(&mut self, row: Map<String, Json>) -> Result<(), Failure> {
        if self.list.len() == self.max_rows {
            let what = format!("more than {} rows: narrow the `query` or raise `max_rows`", self.max_rows);
            return Err(Failure::new(FailureKind::TooLarge, what));
        }
        let size: usize = row.iter().map(|(name, value)| name.len() + weight(value)).sum();
        if let Some(each) = &mut self.each {
            if size > ROW {
                let what = format!("a row above {ROW} bytes: select the columns that are needed");
                return Err(Failure::new(FailureKind::TooLarge, what));
            }
            return each(row);
        }
        self.bytes += size;
        if size > ROW || self.bytes > ALL {
            let what = format!("a row above {ROW} bytes or rows above {ALL} bytes: select the columns that are needed");
            return Err(Failure::new(FailureKind::TooLarge, what));
        }
        self.list.push(row);
        Ok(())
    }

    /// True when no row came yet.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The rows.
    pub(super) fn into_list(self) -> Vec<Map<String, Json>> {
        self.list
    }
}

fn weight(value: &Json) -> usize {
    OVERHEAD
        + match value {
            Json::String(text) => text.len(),
            Json::Array(items) => items.iter().map(weight).sum(),
            Json::Object(map) => map.iter().map(|(name, value)| name.len() + weight(value)).sum(),
            _ => 0,
        }
}

/// Text, bad bytes replaced.
pub(super) fn text(bytes: &[u8]) -> Json {
    Json::String(String::from_utf8_lossy(bytes).into_owned())
}

/// JSON in a column: its tree, or its text where it is none.
pub(super) fn tree(bytes: &[u8]) -> Json {
    serde_json::from_slice(bytes).unwrap_or_else(|_| text(bytes))
}

/// A 64-bit float; what JSON has no number for is text.
pub(super) fn float(value: f64) -> Json {
    Number::from_f64(value).map_or_else(|| Json::String(value.to_string()), Json::Number)
}

/// A 32-bit float as the shortest decimal that means it: 0.1, not 0.10000000149011612.
pub(super) fn short_float(value: f32) -> Json {
    value.to_string().parse().map_or(Json::Null, float)
}

/// A decimal: a number where a number of JSON holds it exactly, else its text, so that no digit of a rate is lost.
pub(super) fn decimal(text: &str) -> Json {
    let text = text.trim();
    if !text.contains('.') {
        return text.parse::<i64>().map_or_else(|_| Json::String(text.to_owned()), Json::from);
    }
    let plain = text.trim_end_matches('0').trim_end_matches('.');
    match text.parse::<f64>() {
        Ok(number) if number.to_string() == if plain.is_empty() || plain == "-" { "0" } else { plain } => float(number),
        _ => Json::String(text.to_owned()),
    }
}

/// Why a column gave no value.
pub(super) fn column_fault(name: &str, kind: &str, why: impl std::fmt::Display) -> Failure {
    let what = format!("column `{name}` of type {kind} does not read ({why}): cast it to text in the `query`");
    Failure::new(FailureKind::Policy, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn decimals_lose_no_digit() {
        for (text, expected) in [
            ("0.0123", json!(0.0123)),
            ("0.0120", json!(0.012)),
            ("1.00", json!(1.0)),
            ("-2.50", json!(-2.5)),
            ("0.00", json!(0.0)),
            ("42", json!(42)),
            ("0.1234567890123456789", json!("0.1234567890123456789")),
            ("99999999999999999999", json!("99999999999999999999")),
        ] {
            assert_eq!(decimal(text), expected, "{text}");
        }
        assert_eq!(short_float(0.1), json!(0.1));
        assert_eq!(float(f64::NAN), json!("NaN"));
    }

    #[test]
    fn rows_are_bounded_in_number_and_size() {
        let row = |size: usize| Map::from_iter([("a".to_owned(), Json::String("x".repeat(size)))]);
        let mut rows = Rows::at_most(2);
        rows.push(row(1)).expect("the first");
        rows.push(row(1)).expect("the second");
        assert_eq!(rows.push(row(1)).expect_err("the third").kind, FailureKind::TooLarge);
        assert_eq!(Rows::at_most(2).push(row(ROW)).expect_err("a large one").kind, FailureKind::TooLarge);
        let mut rows = Rows::at_most(1000);
        assert!((0..100).any(|_| rows.push(row(ROW - 100)).is_err()));
    }
}
