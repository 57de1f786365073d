//! A policy as it is typed: types that mirror the TOML key for key, and mean nothing yet.
//!
//! Every key may be left out here, and a value may be wrong: `check` decides, with the whole policy
//! in sight, and turns this into [`crate::policy::Policy`]. A key that is not on this page is an error.

mod input;
mod upstream;
mod words;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_spanned::Spanned;
use std::time::Duration;

use crate::written::{Bytes, Field, Node, Ratio};

pub(super) use input::{DeclaredFile, InputFile};
pub(super) use upstream::{AuthFile, Named, RateFile, RuleFile, UpstreamFile};
pub(super) use words::{AuthWord, FormatWord, HedgeAfter, InputWord, KindWord, OrderWord, TransportWord};

/// A whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct PolicyFile {
    /// `false`: checked, but not served.
    pub enabled: Field<bool>,
    pub kind: Field<KindWord>,
    pub describe: Field<String>,
    pub input: Option<Spanned<InputFile>>,
    pub budget: Option<BudgetFile>,
    pub cache: Option<CacheFile>,
    pub breaker: Option<BreakerFile>,
    pub fallback: Option<Spanned<FallbackFile>>,
    pub answer: Option<AnswerFile>,
    pub upstream: Option<Vec<Spanned<UpstreamFile>>>,
}

/// `[budget]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct BudgetFile {
    pub call: Field<Duration>,
    pub background: Field<Duration>,
    pub order: Field<OrderWord>,
    pub hedge_after: Field<HedgeAfter>,
}

/// `[cache]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct CacheFile {
    pub found: Field<Duration>,
    pub partial: Field<Duration>,
    pub not_found: Field<Duration>,
    pub invalid_number: Field<Duration>,
    pub stale: Field<Duration>,
    pub revalidate: Field<Duration>,
    pub ceiling: Field<Duration>,
    pub jitter: Field<Ratio>,
    pub refresh_ahead: Field<f64>,
    pub min_ttl: Field<Duration>,
    pub max_ttl: Field<Duration>,
    pub max_entries: Field<u64>,
    pub max_bytes: Field<Bytes>,
}

/// `[breaker]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct BreakerFile {
    pub window: Field<Duration>,
    pub min_samples: Field<u32>,
    pub failure_ratio: Field<Ratio>,
    pub slow: Field<Duration>,
    pub slow_ratio: Field<Ratio>,
    pub consecutive: Field<u32>,
    pub open: Field<Duration>,
    pub open_max: Field<Duration>,
    pub probes: Field<u32>,
}

/// `[fallback]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct FallbackFile {
    pub record: Option<IndexMap<Spanned<String>, Spanned<Node>>>,
}

/// `[answer]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct AnswerFile {
    /// The field that format `text` answers.
    pub text: Field<String>,
}
