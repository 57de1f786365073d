//! Words: value maps, and the lists of words that mean "nothing".

use std::sync::Arc;

use minijinja::value::{Enumerator, Object, Rest, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, State, Value};

use super::text_of;
use crate::policy::maps::{Maps, shipped_names};

/// The filters of this module. `map` is Jinja's own, which knows value maps too.
pub(super) const NAMES: [&str; 1] = ["null_if"];

/// The lists that are there without being declared.
pub const LISTS: [&str; 2] = ["nullnames", "nullwords"];

/// Where an expression's own maps stand in its scope: no name that can be written.
pub const OWN_MAPS: &str = " maps";

/// What stands in a caller's name when there is none (LIDB and vendors alike).
const NULL_NAMES: &[&str] = &[
    "UNKNOWN",
    "UNKNOWN NAME",
    "UNKNOWN CALLER",
    "NAME UNKNOWN",
    "UNAVAILABLE",
    "NAME UNAVAILABLE",
    "NOT AVAILABLE",
    "NAME NOT AVAILABLE",
    "N/A",
    "(N/A)",
    "NONE",
    "NULL",
    "NO NAME",
    "NO DATA",
    "NO INFO",
    "NO CNAM",
    "NOT FOUND",
    "NO RESULT",
    "NO MATCH",
    "WIRELESS CALLER",
    "WIRELESS",
    "CELL PHONE",
    "CELLULAR CALL",
    "MOBILE CALLER",
    "TOLL FREE",
    "TOLL FREE CALL",
    "TOLL FREE CALLER",
    "UNLISTED",
    "NON PUBLISHED",
    "UNPUBLISHED",
    "OUT OF AREA",
    "PRIVATE",
    "PRIVATE CALLER",
    "PRIVATE NUMBER",
    "ANONYMOUS",
    "RESTRICTED",
    "BLOCKED",
    "UNASSIGNED",
    "CALLER ID",
];

/// What stands in any field when there is nothing.
const NULL_WORDS: &[&str] =
    &["UNKNOWN", "UNDEFINED", "NULL", "NIL", "NONE", "N/A", "NAN", "NOT AVAILABLE", "UNAVAILABLE", "NO DATA"];

/// A list of words, asked with `in`: without regard to case, spaces and signs. A text with no letter in it is in both:
/// empty, dashes, and (for names) digits alone.
#[derive(Debug)]
struct NoWords {
    words: &'static [&'static str],
    digits_too: bool,
}

impl NoWords {
    fn has(&self, text: &str) -> bool {
        let bare = bare(text);
        if bare.is_empty() {
            return true;
        }
        // A number below zero is a vendor's code and no telephone number that stands in for a name.
        let is_number = self.digits_too && !text.trim_start().starts_with('-') && bare.chars().all(char::is_numeric);
        is_number || self.words.iter().any(|word| self::bare(word) == bare)
    }
}

/// Letters and digits only, in one case.
fn bare(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).collect()
}

impl Object for NoWords {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.has(&text_of(key)?).then(|| Value::from(true))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(self.words)
    }
}

pub(super) fn register(environment: &mut Environment<'static>) {
    environment.add_global("nullnames", Value::from_object(NoWords { words: NULL_NAMES, digits_too: true }));
    environment.add_global("nullwords", Value::from_object(NoWords { words: NULL_WORDS, digits_too: false }));
    environment.add_filter("map", map);
    environment.add_filter("null_if", null_if);
    environment.add_test("citystate", |value: &Value| text_of(value).is_some_and(|text| is_city_state(&text)));
}

/// `value | map('line_type')`: a value map over one value or over each of a list; a second argument is for words that
/// the map does not know. Any other name is Jinja's own: `list | map('upper')`, `list | map(attribute='name')`.
fn map(state: &mut State<'_, '_>, value: Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let own = state.lookup(OWN_MAPS);
    let none = Maps::default();
    let maps = own.as_ref().and_then(|own| own.downcast_object_ref::<Maps>()).unwrap_or(&none);
    let name = args.first().and_then(|name| name.as_str()).filter(|name| maps.has(name)).map(ToOwned::to_owned);
    let Some(name) = name else {
        return minijinja::filters::map(state, value, args).map(Value::from);
    };
    let unknown = args.get(1).map_or(Value::UNDEFINED, |default| (**default).clone());
    let one = |value: &Value| match text_of(value) {
        Some(word) => maps.value(&name, &word).unwrap_or_else(|| unknown.clone()),
        None => Value::UNDEFINED,
    };
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => Ok(value.try_iter()?.map(|item| one(&item)).collect()),
        _ => Ok(one(&value)),
    }
}

/// Null where the value is the word, or in the list; else the value.
fn null_if(value: &Value, words: &Value) -> Result<Value, Error> {
    let Some(text) = text_of(value) else { return Ok(Value::UNDEFINED) };
    let is_null = match words.as_object().and_then(|object| object.downcast_ref::<NoWords>()) {
        Some(list) => list.has(&text),
        None => match words.as_str() {
            Some(word) => word.eq_ignore_ascii_case(text.trim()),
            None => {
                words.try_iter()?.any(|word| text_of(&word).is_some_and(|word| word.eq_ignore_ascii_case(text.trim())))
            }
        },
    };
    Ok(if is_null { Value::from(()) } else { value.clone() })
}

/// `DENVER CO`: the city and state that stand in for a name. A test to be asked for, and no part of `nullnames`,
/// since a company may well be called `ACME CO`.
fn is_city_state(text: &str) -> bool {
    let mut words = text.split_whitespace().rev();
    let Some(state) = words.next() else { return false };
    let cities: Vec<&str> = words.collect();
    let is_city = |word: &&str| word.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, '.' | '\'' | '-'));
    Maps::default().value("state", state).is_some_and(|code| code.as_str().is_some_and(|code| code == state))
        && !cities.is_empty()
        && cities.iter().all(is_city)
}

/// The names of the shipped value maps as one phrase, for messages.
pub fn map_names() -> String {
    shipped_names().iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_know_their_words_in_every_spelling() {
        let names = NoWords { words: NULL_NAMES, digits_too: true };
        for text in ["Unavailable", " wireless  caller ", "(n/a)", "3035550100", "", " - ", "TOLL-FREE"] {
            assert!(names.has(text), "{text:?}");
        }
        for text in ["ACME", "DENVER CO", "NADIA", "-1005"] {
            assert!(!names.has(text), "{text:?}");
        }
        let words = NoWords { words: NULL_WORDS, digits_too: false };
        assert!(words.has("n/a") && words.has("--") && !words.has("0042"));
    }

    #[test]
    fn a_city_with_its_state() {
        assert!(is_city_state("DENVER       CO") && is_city_state("ST. PAUL MN"));
        assert!(!is_city_state("CO") && !is_city_state("DENVER XX") && !is_city_state("ROOM 12 CO"));
    }
}
