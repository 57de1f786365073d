//! The filters of the policy language, beside those that come with Jinja.
//!
//! `numbers` speaks of telephone numbers, `text` of strings, `types` of what vendors call true, five
//! or a code, `patterns` of regular expressions, `lists` of what is one only sometimes, `scales` of scores, `times` of
//! dates, `words` of value maps and of words that mean nothing, `digests` of what vendors want hashed, `passports` of who says
//! that he calls. All are
//! lenient with what is not there: undefined and null go through as undefined, so that `body.lrn | e164_plus or key`
//! needs no test before it.

pub mod digests;
mod lists;
mod numbers;
mod passports;
mod patterns;
mod scales;
mod text;
mod times;
pub(super) mod types;
mod words;

use minijinja::{Environment, Value};

pub(super) use numbers::{Filter as NumberFilter, named as number_filter};
pub use patterns::pattern;
pub use text::presentable;
pub use times::{is_pattern as is_time_pattern, time};
pub use words::{LISTS, OWN_MAPS, map_names};

/// The tests of our own.
pub const TESTS: [&str; 4] = ["matching", "containing", "empty", "citystate"];

/// The names of all filters of our own.
pub fn names() -> impl Iterator<Item = &'static str> {
    let of_values = types::NAMES.into_iter().chain(scales::NAMES).chain(times::NAMES).chain(words::NAMES);
    let of_texts = numbers::names().chain(text::NAMES).chain(patterns::NAMES);
    of_texts.chain(digests::NAMES).chain(lists::NAMES).chain(passports::NAMES).chain(of_values)
}

/// The number filters as one phrase, for messages.
pub fn number_filters() -> String {
    numbers::names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Adds them all.
pub(super) fn register(environment: &mut Environment<'static>) {
    numbers::register(environment);
    digests::register(environment);
    passports::register(environment);
    text::register(environment);
    types::register(environment);
    patterns::register(environment);
    lists::register(environment);
    scales::register(environment);
    times::register(environment);
    words::register(environment);
}

/// The name most like this one, if any is like enough to be a typo of it.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let far = (name.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= far || (name.len() > 2 && candidate.starts_with(name)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A value's text; `None` for what is not there. A number's text has no sign or dot of its own making.
fn text_of(value: &Value) -> Option<std::borrow::Cow<'_, str>> {
    if value.is_undefined() || value.is_none() {
        return None;
    }
    Some(match value.as_str() {
        Some(text) => text.into(),
        None => value.to_string().into(),
    })
}
