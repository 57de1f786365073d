//! How several answers make one, as it is typed: `[[then]]`, `[[upstream.also]]`, `[cost]`, `class`.

use indexmap::IndexMap;
use serde::Deserialize;

use super::upstream::Named;
use super::words::RuleOutcome;
use crate::written::{Field, Lines, List, Spanned, Word, Written};

/// `[[then]]`: another lookup that is asked with a key from this one's record.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct ThenFile {
    /// Another policy's name.
    #[cfg_attr(test, schemars(required))]
    pub lookup: Field<String>,
    /// Its key: a template over the question and `record`.
    #[cfg_attr(test, schemars(required))]
    pub key: Field<String>,
    /// Further inputs of that lookup: templates.
    pub inputs: Option<Spanned<Named>>,
    /// Field here = field there.
    #[cfg_attr(test, schemars(required))]
    pub fields: Option<Spanned<Named>>,
}

/// `[[upstream.also]]`: another lookup's record that this upstream's answers hold.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct AlsoFile {
    /// Another policy's name.
    #[cfg_attr(test, schemars(required))]
    pub lookup: Field<String>,
    /// Its fields: expressions over this answer.
    #[cfg_attr(test, schemars(required))]
    pub fields: Option<Spanned<Named>>,
}

/// `[cost]`: what dips cost, and how much may be spent.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct CostFile {
    /// Outcome = price, as `{ found = 0.004 }`.
    pub per: Option<Spanned<PricesFile>>,
    /// The most that is spent in a day (UTC).
    pub per_day: Field<f64>,
    /// The most that is spent in a month (UTC).
    pub per_month: Field<f64>,
    /// The most dips in a day (UTC).
    pub dips_per_day: Field<u64>,
    /// The most dips in a month (UTC).
    pub dips_per_month: Field<u64>,
}

/// `per = { found = 0.004 }`
pub(crate) type PricesFile = IndexMap<Spanned<String>, Spanned<Written<f64>>>;

/// `[merge]`: field = upstreams, best first.
pub(crate) type MergeFile = IndexMap<Spanned<String>, Spanned<List<String>>>;

/// The list of one field, as [`crate::written::Faults::list`] takes it.
pub(crate) fn lines(list: Spanned<List<String>>) -> Lines<String> {
    Some(list)
}

/// `[budget] answer`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerWord {
    First,
    Merge,
}

impl Word for AnswerWord {
    const WHAT: &'static str = "a way to make one answer of several";
    const WORDS: &'static [(&'static str, Self)] = &[("first", Self::First), ("merge", Self::Merge)];
}

/// `class`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClassWord {
    Ordinary,
    Emergency,
}

impl Word for ClassWord {
    const WHAT: &'static str = "a class";
    const WORDS: &'static [(&'static str, Self)] = &[("ordinary", Self::Ordinary), ("emergency", Self::Emergency)];
}

/// The outcome of this name, if a dip can end so and cost something.
pub(crate) fn priced(name: &str) -> Option<crate::answer::Outcome> {
    RuleOutcome::WORDS.iter().find(|(word, _)| *word == name).map(|(_, outcome)| outcome.0)
}
