//! The language itself: which filters, tests and names exist, and what a run may cost.
//!
//! Expressions share one environment that lives as long as the process; a template has one of its
//! own, which shares the filters by reference and is freed with the policy that owns it.

use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, UndefinedBehavior};

use super::place::Place;
use crate::policy::filters;

/// The name that a template has in its own environment.
pub(super) const ONLY_TEMPLATE: &str = "template";

/// How many steps one run may take; a loop over a few thousand items fits in, a loop for ever does not.
const FUEL: u64 = 200_000;

/// The toll-free area codes of the North American plan.
const TOLLFREE: [&str; 7] = ["800", "833", "844", "855", "866", "877", "888"];

/// Built-in filters that are out of place here: they mark text as safe for HTML, print for a person's
/// eyes, or fold lines. `raw` is ours.
const REMOVED_FILTERS: [&str; 6] = ["safe", "escape", "e", "tojson", "pprint", "indent"];

/// Built-in functions that print the whole state or carry it out of a loop.
const REMOVED_FUNCTIONS: [&str; 2] = ["debug", "namespace"];

/// The names that are there without being declared.
pub(super) const GLOBALS: [&str; 3] = ["tollfree", filters::LISTS[0], filters::LISTS[1]];

/// The functions that may be called.
pub(super) const FUNCTIONS: [&str; 2] = ["range", "dict"];

/// The filters that come with Jinja and are of use here.
const BUILT_IN_FILTERS: [&str; 42] = [
    "abs",
    "attr",
    "batch",
    "bool",
    "capitalize",
    "chain",
    "count",
    "d",
    "default",
    "dictsort",
    "first",
    "float",
    "format",
    "groupby",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "trim",
    "unique",
    "upper",
    "zip",
];

/// The tests that come with Jinja.
const BUILT_IN_TESTS: [&str; 38] = [
    "undefined",
    "defined",
    "none",
    "boolean",
    "odd",
    "even",
    "divisibleby",
    "number",
    "integer",
    "int",
    "float",
    "string",
    "sequence",
    "iterable",
    "mapping",
    "startingwith",
    "endingwith",
    "lower",
    "upper",
    "sameas",
    "eq",
    "equalto",
    "==",
    "ne",
    "!=",
    "lt",
    "lessthan",
    "<",
    "le",
    "<=",
    "gt",
    "greaterthan",
    ">",
    "ge",
    ">=",
    "in",
    "true",
    "false",
];

static SHARED: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    REMOVED_FILTERS.iter().for_each(|name| environment.remove_filter(name));
    REMOVED_FUNCTIONS.iter().for_each(|name| environment.remove_global(name));
    environment.add_global("tollfree", TOLLFREE.to_vec());
    filters::register(&mut environment);
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_fuel(Some(FUEL));
    environment.set_debug(false);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment
});

/// The environment that expressions run in.
pub(super) fn shared() -> &'static Environment<'static> {
    &SHARED
}

/// An environment with one template in it, which escapes for its place.
pub(super) fn of_template(source: &str, place: Place) -> Result<Environment<'static>, Error> {
    let mut environment = shared().clone();
    environment.set_syntax(syntax());
    environment.set_formatter(move |out, _, value| place.write(out, value));
    environment.add_template_owned(ONLY_TEMPLATE, source.to_owned())?;
    Ok(environment)
}

/// Jinja's own signs; a newline at the end of a body is the operator's and stays.
pub(super) fn syntax() -> SyntaxConfig {
    SyntaxConfig::builder().keep_trailing_newline(true).build().unwrap_or_default()
}

/// Every filter there is, for checks and suggestions.
pub(crate) fn filter_names() -> impl Iterator<Item = &'static str> {
    BUILT_IN_FILTERS.into_iter().chain(filters::names())
}

/// Every test there is.
pub(super) fn test_names() -> impl Iterator<Item = &'static str> {
    BUILT_IN_TESTS.into_iter().chain(filters::TESTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_filter_and_test_exists() {
        let there = |name: &str, test: &str| {
            let expr = shared().compile_expression_owned(format!("{name:?} is {test}")).unwrap();
            expr.eval(()).unwrap().is_true()
        };
        for name in filter_names() {
            assert!(there(name, "filter"), "{name}");
        }
        for name in test_names() {
            assert!(there(name, "test"), "{name}");
        }
        for name in REMOVED_FILTERS {
            assert!(!there(name, "filter"), "{name}");
        }
    }
}
