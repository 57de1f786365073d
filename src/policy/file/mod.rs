//! A policy as it is typed: types that mirror the TOML key for key, and mean nothing yet.
//!
//! Every key may be left out here, and a value may be wrong: `check` decides, with the whole policy
//! in sight, and turns this into [`crate::policy::Policy`]. A key that is not on this page is an error.

pub(super) mod chain;
mod input;
mod upstream;
pub(super) mod warm;
mod words;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_spanned::Spanned;
use std::time::Duration;

use crate::policy::Engine;
use crate::written::{Bytes, Field, Node, Plain, Ratio, Written};

pub(super) use input::{DeclaredFile, InputFile};
pub(super) use upstream::{AuthFile, GraphqlFile, Named, RateFile, RuleFile, TlsFile, TtlFile, UpstreamFile};
pub(super) use words::{
    AlgorithmWord, AuthWord, ClientAuthWord, EnabledWord, EncodingWord, FormatWord, HedgeAfter, InputWord, KindWord,
    OrderWord, RecordWord, RedirectsWord, ServiceName, TlsWord, TransportWord,
};

/// A whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct PolicyFile {
    /// `true`. With `false` it is checked, but not served; with `"secrets"` it is served once every secret it
    /// names is there.
    pub enabled: Field<EnabledWord>,
    /// `raw`, where it is left out.
    pub kind: Field<KindWord>,
    /// One line for people.
    pub describe: Field<String>,
    /// Fixed values; the main config's `[vars]` and the environment's `DIPCACHE_VARS__NAME` go before them.
    pub vars: Option<IndexMap<Spanned<String>, Spanned<Written<Plain>>>>,
    /// References, for `{{ secrets.NAME }}`.
    pub secrets: Option<Named>,
    pub input: Option<Spanned<InputFile>>,
    pub budget: Option<BudgetFile>,
    pub cache: Option<CacheFile>,
    pub breaker: Option<BreakerFile>,
    pub fallback: Option<Spanned<FallbackFile>>,
    pub answer: Option<AnswerFile>,
    /// Value maps of the policy's own, by name.
    pub maps: Option<IndexMap<Spanned<String>, MapFile>>,
    pub upstream: Option<Vec<Spanned<UpstreamFile>>>,
    /// ordinary, or emergency.
    pub class: Field<chain::ClassWord>,
    /// Whose value of a field goes first, where answers are merged.
    pub merge: Option<Spanned<chain::MergeFile>>,
    /// Other lookups that are asked with keys from this one's record.
    #[serde(default)]
    pub then: Vec<Spanned<chain::ThenFile>>,
    pub cost: Option<Spanned<chain::CostFile>>,
    pub warm: Option<Spanned<warm::WarmFile>>,
}

/// `[maps.NAME]`: a vendor's word and what it means. A word between slashes is a regular expression, and `*` stands
/// for every other word.
pub(super) type MapFile = IndexMap<Spanned<String>, Spanned<Node>>;

/// `[budget]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct BudgetFile {
    /// What a caller ever waits; 100ms.
    pub call: Field<Duration>,
    /// How long a dip goes on to fill the cache; 3s, or `call` if that is more.
    pub background: Field<Duration>,
    /// `failover`, or `hedge`; failover.
    pub order: Field<OrderWord>,
    /// The head start of each upstream over the next; half of `call`, which also stands in for `p95`.
    pub hedge_after: Field<HedgeAfter>,
    /// 0.05; the most extra requests as a share of all dips. Must be said where dips cost money.
    pub hedge_max: Field<Ratio>,
    /// `first` usable, or `merge`: missing fields from the next upstream; first.
    pub answer: Field<chain::AnswerWord>,
}

/// `[cache]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct CacheFile {
    /// false: nothing is ever kept, and no other key of this table means anything.
    pub no_cache: Field<bool>,
    /// 1h.
    pub found: Field<Duration>,
    /// 10m, at most `found`.
    pub partial: Field<Duration>,
    /// 5m, at most `found`.
    pub not_found: Field<Duration>,
    /// 1d.
    pub invalid_number: Field<Duration>,
    /// How long past its life; 1d. `0` forbids it.
    pub stale: Field<Duration>,
    /// 0: a stale record is served only while nothing better is to be had.
    pub revalidate: Field<Duration>,
    /// 30d; bounds every life above, and their defaults.
    pub ceiling: Field<Duration>,
    /// 0.1.
    pub jitter: Field<Ratio>,
    /// 1.0, which is never.
    pub refresh_ahead: Field<f64>,
    /// 1s.
    pub min_ttl: Field<Duration>,
    /// 1d.
    pub max_ttl: Field<Duration>,
    /// 1 000 000.
    pub max_entries: Field<u64>,
    /// 256MiB.
    pub max_bytes: Field<Bytes>,
    /// s3fifo.
    pub engine: Field<Engine>,
}

/// `[breaker]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct BreakerFile {
    /// 10s.
    pub window: Field<Duration>,
    /// 20.
    pub min_samples: Field<u32>,
    /// 0.5.
    pub failure_ratio: Field<Ratio>,
    /// The call budget.
    pub slow: Field<Duration>,
    /// 0.8.
    pub slow_ratio: Field<Ratio>,
    /// 5.
    pub consecutive: Field<u32>,
    /// 500ms.
    pub open: Field<Duration>,
    /// 1500ms, or `open` if that is more.
    pub open_max: Field<Duration>,
    /// 1.
    pub probes: Field<u32>,
}

/// `[fallback]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct FallbackFile {
    /// Text is a template over the question; all else stands as it is.
    pub record: Option<IndexMap<Spanned<String>, Spanned<Node>>>,
}

/// `[answer]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct AnswerFile {
    /// The field that format `text` answers.
    pub text: Field<String>,
}
