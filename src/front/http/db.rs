//! The questions that OpenSIPS' `db_http` asks: the only way from its scripts to HTTP with a limit in milliseconds.
//!
//! `sql_select("name", "cnam", "[{\"num\":\"13035550123\"}]")` comes as `GET /v1/db/cnam/?k=num&op=%3d&v=13035550123&c=name`: the
//! table is a lookup, and the one column that is none of its inputs is the key, whatever it is called. `budget_ms` is the
//! caller's own limit. Nothing here is SQL: keys and inputs go the way of all questions, an operator other than `=` is refused,
//! and so is all that would change something.
//!
//! The answer is a table of one row, or of none, which is an empty body: `db_http` takes a status beyond 399 for a broken
//! database, so "nobody knows" must not be 404. Only a question that got no answer at all is an error.

use std::borrow::Cow;
use std::time::Duration;

use compact_str::CompactString;

use crate::answer::{Answer, Outcome, Source};
use crate::deadline::{Instant, tick_at};
use crate::front::Front;
use crate::front::desk::{Desk, Line};
use crate::front::form::Form;
use crate::front::http::ask::{self, Asking, Said, Step};
use crate::front::http::{escape, query};
use crate::policy::BadInput;

/// What stands between the parts of a list.
const DELIMITER: char = ';';

/// More conditions than any policy declares inputs are refused.
const MAX_CONDITIONS: usize = 16;

/// More columns than any record has are refused.
const MAX_COLUMNS: usize = 64;

/// A column's name is at most this long.
const MAX_NAME: usize = 64;

/// A `select`, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
struct Selection<'a> {
    /// Empty for all.
    columns: Vec<CompactString>,
    names: Vec<Cow<'a, str>>,
    values: Vec<Cow<'a, str>>,
    operators: Vec<Cow<'a, str>>,
}

/// Why a query is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum BadSelection {
    #[error("a parameter has a bad percent-escape or a control character")]
    Escape,
    #[error("only `select` is possible, without SQL of your own")]
    ReadOnly,
    #[error("only `=` compares a key with its value")]
    Operator,
    #[error("names, operators and values are not as many")]
    Uneven,
    #[error("there are more than {MAX_CONDITIONS} conditions or {MAX_COLUMNS} columns, or a name is too long")]
    TooMuch,
    #[error("one column and one only must be the key; the others are inputs of the policy")]
    Key,
    #[error("`budget_ms` is not a positive whole number")]
    Budget,
}

/// Does all that needs no waiting.
pub fn select<D: Desk>(desk: &D, lookup: &str, query: &str, now: Instant) -> Step<D::Line> {
    let Some(line) = ask::find(desk, lookup) else { return ask::unknown(desk) };
    match selected(&line, query, now) {
        Ok(step) => step,
        Err(bad) => ask::refuse(&line, Outcome::InvalidInput, bad),
    }
}

fn selected<L: Line>(line: &L, query: &str, now: Instant) -> Result<Step<L>, BadSelection> {
    let selection = Selection::read(query)?;
    let (key, inputs, own) = selection.sorted(line)?;
    let form = Form::Rows(selection.columns.as_slice().into());
    let question = match line.question(key, &inputs) {
        Ok(question) => question,
        // A caller without a number has no row; that is no reason to call the database broken.
        Err(bad) => {
            let number = matches!(bad, BadInput::Key { number: true, .. });
            let outcome = if number { Outcome::InvalidNumber } else { Outcome::InvalidInput };
            let answer = Answer::empty(outcome, Source::Nobody);
            line.answered(Front::Http, &answer, Duration::ZERO);
            return Ok(match bad {
                BadInput::Unknown { .. } => ask::refused(outcome, bad),
                _ => Step::Say(Said::Answer { line: line.clone(), answer, form }),
            });
        }
    };
    if let Some(answer) = line.hit(&question, tick_at(now)) {
        line.answered(Front::Http, &answer, Duration::ZERO);
        return Ok(Step::Say(Said::Answer { line: line.clone(), answer, form }));
    }
    let most = line.call_budget();
    let budget = own.map_or(most, |own| own.min(most));
    Ok(Step::Ask(Asking { line: line.clone(), question, form, budget }))
}

impl<'a> Selection<'a> {
    fn read(query: &'a str) -> Result<Self, BadSelection> {
        let mut selection = Self::default();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match name {
                "k" => selection.names = list(value)?,
                "op" => selection.operators = list(value)?,
                "v" => selection.values = list(value)?,
                "c" => selection.columns = columns(value)?,
                // One row has no order.
                "o" => {}
                _ => return Err(BadSelection::ReadOnly),
            }
        }
        if selection.names.len() != selection.values.len() {
            return Err(BadSelection::Uneven);
        }
        match selection.operators.len() {
            0 => Ok(selection),
            count if count != selection.names.len() => Err(BadSelection::Uneven),
            _ if selection.operators.iter().all(|operator| operator == "=") => Ok(selection),
            _ => Err(BadSelection::Operator),
        }
    }

    /// The key, the inputs, and the caller's own limit.
    #[allow(clippy::type_complexity, reason = "three things that go their own ways at once")]
    fn sorted(&self, line: &impl Line) -> Result<(&str, Vec<(&str, &str)>, Option<Duration>), BadSelection> {
        let (mut key, mut inputs, mut budget) = (None, Vec::new(), None);
        for (name, value) in self.names.iter().zip(&self.values) {
            if line.declares(name) {
                inputs.push((&**name, &**value));
            } else if name == "budget_ms" {
                budget = Some(query::budget(value).map_err(|_| BadSelection::Budget)?);
            } else if key.replace(&**value).is_some() {
                return Err(BadSelection::Key);
            }
        }
        Ok((key.ok_or(BadSelection::Key)?, inputs, budget))
    }
}

/// The parts of a list. They are split before they are decoded: an escaped delimiter belongs to its value.
fn list(text: &str) -> Result<Vec<Cow<'_, str>>, BadSelection> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let parts = text.split(DELIMITER);
    if parts.clone().count() > MAX_CONDITIONS {
        return Err(BadSelection::TooMuch);
    }
    parts.map(|part| escape::query(part).map_err(|_| BadSelection::Escape)).collect()
}

/// Columns come with delimiters between them, or as the script wrote them, with commas.
fn columns(text: &str) -> Result<Vec<CompactString>, BadSelection> {
    let mut columns = Vec::new();
    for part in text.split(DELIMITER) {
        let part = escape::query(part).map_err(|_| BadSelection::Escape)?;
        for name in part.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "*") {
            if columns.len() == MAX_COLUMNS || name.len() > MAX_NAME {
                return Err(BadSelection::TooMuch);
            }
            columns.push(name.into());
        }
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_as_it_comes_over_the_wire() {
        let read = Selection::read("k=num;ani&op=%3d;%3d&v=%2b13035550123;a%3bb%7c&c=name;spid&o=name").unwrap();
        assert_eq!(read.names, ["num", "ani"]);
        assert_eq!(read.values, ["+13035550123", "a;b|"], "an escaped delimiter belongs to its value");
        assert_eq!(read.columns, ["name", "spid"]);
        assert_eq!(Selection::read("k=n&v=1&c=name%2cspid").unwrap().columns, ["name", "spid"]);
        assert_eq!(Selection::read("k=n&v=1&c=%2a").unwrap().columns, [""; 0]);
    }

    #[test]
    fn what_is_no_plain_select_is_refused() {
        for (query, why) in [
            ("q=select%201&query_type=custom", BadSelection::ReadOnly),
            ("k=n&v=1&query_type=delete", BadSelection::ReadOnly),
            ("k=n&v=1&uk=n&uv=2", BadSelection::ReadOnly),
            ("k=n&op=%3e&v=1", BadSelection::Operator),
            ("k=n&op=%3d;%3d&v=1", BadSelection::Uneven),
            ("k=n;m&v=1", BadSelection::Uneven),
            ("k=n&v=%00", BadSelection::Escape),
            ("k=n&v=%zz", BadSelection::Escape),
        ] {
            assert_eq!(Selection::read(query), Err(why), "{query}");
        }
        assert_eq!(Selection::read(&format!("k={}", "a;".repeat(17))), Err(BadSelection::TooMuch));
    }
}
