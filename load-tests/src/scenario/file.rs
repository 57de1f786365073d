//! A scenario as it is typed: types that mirror the TOML key for key.

use indexmap::IndexMap;
use serde::Deserialize;
use serde_spanned::Spanned;
use toml::{Table, Value};

use crate::stage::Needed;

/// A whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScenarioFile {
    pub tells: String,
    pub time: Spanned<String>,
    #[serde(default)]
    pub needs: Vec<Needed>,
    pub promises: Vec<Spanned<String>>,
    #[serde(default)]
    pub proxy: Table,
    #[serde(default)]
    pub policy: IndexMap<Spanned<String>, Table>,
    #[serde(default)]
    pub vendor: IndexMap<Spanned<String>, Spanned<Value>>,
    #[serde(default)]
    pub load: Vec<Spanned<LoadFile>>,
    /// `at`, and whatever happens then.
    #[serde(default)]
    pub fault: Vec<Spanned<IndexMap<Spanned<String>, Spanned<Value>>>>,
}

/// `[[load]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LoadFile {
    pub name: String,
    pub front: Spanned<String>,
    pub lookup: Option<Spanned<String>>,
    pub rate: Option<Spanned<f64>>,
    pub burst: Option<Spanned<u64>>,
    pub every: Option<Spanned<String>>,
    pub turns: Option<Spanned<String>>,
    pub keys: Spanned<KeysFile>,
    pub zipf: Option<f64>,
    #[serde(default)]
    pub fill: bool,
    pub budget_ms: Option<Spanned<BudgetFile>>,
    pub connections: Option<Spanned<usize>>,
    pub from: Option<Spanned<String>>,
    pub to: Option<Spanned<String>>,
    pub patience: Option<Spanned<String>>,
}

/// `keys = 1000`, `keys = "new"`, `keys = "new each burst"`
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a number of keys, \"new\" or \"new each burst\"")]
pub(super) enum KeysFile {
    Of(u64),
    Word(String),
}

/// `budget_ms = 50`, `budget_ms = [5, 100]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged, expecting = "milliseconds, or the least and the most of them: [5, 100]")]
pub(super) enum BudgetFile {
    One(u16),
    Between(u16, u16),
}
