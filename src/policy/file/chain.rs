//! How several answers make one, as it is typed: `[[then]]`, `[[upstream.also]]`, `[cost]`, `class`.

use indexmap::IndexMap;
use serde::Deserialize;
use serde_spanned::Spanned;

use super::upstream::Named;
use super::words::RuleOutcome;
use crate::written::{Field, Lines, List, Word, Written};

/// `[[then]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct ThenFile {
    /// Another policy's name.
    pub lookup: Field<String>,
    /// A template over the question and `record`.
    pub key: Field<String>,
    /// Further inputs of that lookup: templates.
    pub inputs: Option<Spanned<Named>>,
    /// Field here = field there.
    pub fields: Option<Spanned<Named>>,
}

/// `[[upstream.also]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct AlsoFile {
    /// Another policy's name.
    pub lookup: Field<String>,
    /// Its fields: expressions over this answer.
    pub fields: Option<Spanned<Named>>,
}

/// `[cost]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct CostFile {
    /// Outcome = price.
    pub per: Option<Spanned<PricesFile>>,
    pub per_day: Field<f64>,
    pub per_month: Field<f64>,
    pub dips_per_day: Field<u64>,
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
