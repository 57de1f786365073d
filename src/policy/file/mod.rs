//! A policy as it is typed: types that mirror the TOML key for key, and mean nothing yet.
//!
//! Every key may be left out here, and a value may be wrong: `check` decides, with the whole policy
//! in sight, and turns this into [`crate::policy::Policy`]. A key that is not on this page is an error.

pub(super) mod chain;
mod input;
#[cfg(test)]
mod schema;
mod upstream;
pub(super) mod warm;
mod words;

use indexmap::IndexMap;
use serde::Deserialize;
use std::time::Duration;

use crate::policy::Engine;
use crate::written::{Bytes, Field, Node, Plain, Ratio, Spanned, Written};

pub(super) use input::{DeclaredFile, InputFile};
pub(super) use upstream::{AuthFile, GraphqlFile, Named, RateFile, RuleFile, TlsFile, TtlFile, UpstreamFile};
pub(super) use words::{
    AlgorithmWord, AuthWord, ClientAuthWord, EnabledWord, EncodingWord, FormatWord, HedgeAfter, InputWord, KindWord,
    OrderWord, RecordWord, RedirectsWord, ServiceName, TlsWord, TransportWord,
};

/// A policy of dipcache: one lookup, described in one file; the file's name is the lookup's name.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "A policy of dipcache"))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct PolicyFile {
    /// Whether it is served: `true`, `false` (checked and not served), or `"secrets"` (served once every secret it names is
    /// there). Default: true.
    pub enabled: Field<EnabledWord>,
    /// Which canonical record the fields belong to. Default: `raw`, whose fields have names of your own.
    pub kind: Field<KindWord>,
    /// One line for people.
    pub describe: Field<String>,
    /// Fixed values, for `{{ vars.NAME }}`; the main config's `[vars]` and the environment's `DIPCACHE_VARS__NAME` go before them.
    pub vars: Option<IndexMap<Spanned<String>, Spanned<Written<Plain>>>>,
    /// References by name, for `{{ secrets.NAME }}`: `env:NAME`, `file:PATH` or `cred:NAME`.
    pub secrets: Option<Named>,
    /// The key and the further inputs of a question.
    #[cfg_attr(test, schemars(required))]
    pub input: Option<Spanned<InputFile>>,
    /// How long a caller waits, and how several upstreams share that time.
    pub budget: Option<BudgetFile>,
    /// How long answers live.
    pub cache: Option<CacheFile>,
    /// When an upstream counts as sick, and how it comes back.
    pub breaker: Option<BreakerFile>,
    /// What is answered when nothing else can be.
    pub fallback: Option<Spanned<FallbackFile>>,
    /// How the record is answered.
    pub answer: Option<AnswerFile>,
    /// Value maps of the policy's own, by name: a vendor's word = what it means. A word between slashes is a regular
    /// expression, and `*` stands for every other word. Used as `value | map('NAME')`.
    pub maps: Option<IndexMap<Spanned<String>, MapFile>>,
    /// Who can answer, in order of preference.
    #[cfg_attr(test, schemars(required))]
    pub upstream: Option<Vec<Spanned<UpstreamFile>>>,
    /// `ordinary` or `emergency`: never stale, never refused by breaker, hold or rate. Default: ordinary.
    pub class: Field<chain::ClassWord>,
    /// With `answer = "merge"`: whose value of a field goes first, as `field = ["upstream", "other"]`.
    pub merge: Option<Spanned<chain::MergeFile>>,
    /// Other lookups that are asked with keys from this one's record.
    #[serde(default)]
    pub then: Vec<Spanned<chain::ThenFile>>,
    /// What dips cost, and how much may be spent.
    pub cost: Option<Spanned<chain::CostFile>>,
    /// What is asked before anybody calls.
    pub warm: Option<Spanned<warm::WarmFile>>,
}

/// `[maps.NAME]`: a vendor's word and what it means. A word between slashes is a regular expression, and `*` stands
/// for every other word.
pub(super) type MapFile = IndexMap<Spanned<String>, Spanned<Node>>;

/// `[budget]`: how long callers and dips may take.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct BudgetFile {
    /// What a caller ever waits. Default: 100ms.
    pub call: Field<Duration>,
    /// How long a dip goes on to fill the cache. Default: 3s, or `call` if that is more.
    pub background: Field<Duration>,
    /// `failover` to the next upstream when one fails, or `hedge`: ask the next one meanwhile. Default: failover.
    pub order: Field<OrderWord>,
    /// The head start of each upstream over the next: a duration, or `p95`. Default: half of `call`, which also stands in for `p95`.
    pub hedge_after: Field<HedgeAfter>,
    /// The most extra requests as a share of all dips. Default: 0.05. Must be said where dips cost money.
    pub hedge_max: Field<Ratio>,
    /// The `first` usable answer, or `merge`: missing fields from the next upstream. Default: first.
    pub answer: Field<chain::AnswerWord>,
}

/// `[cache]`: how long answers live.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct CacheFile {
    /// true: nothing is ever kept, and no other key of this table means anything. Default: false.
    pub no_cache: Field<bool>,
    /// Life of a record. Default: 1h.
    pub found: Field<Duration>,
    /// Life of a record with parts missing. Default: 10m, at most `found`.
    pub partial: Field<Duration>,
    /// Life of "nothing is known". Default: 5m, at most `found`.
    pub not_found: Field<Duration>,
    /// Life of "there is no such number". Default: 1d.
    pub invalid_number: Field<Duration>,
    /// How long past its life a record may be served while its upstreams are degraded; `"0"` forbids it. Default: 1d.
    pub stale: Field<Duration>,
    /// How long past its life a record is served at once while one dip renews it, sick or not. Default: 0.
    pub revalidate: Field<Duration>,
    /// The longest that anything is ever kept, stale time included: what the contract with the vendor allows. Default: 30d.
    pub ceiling: Field<Duration>,
    /// The share of a life that chance may take off, so that entries do not expire together. Default: 0.1.
    pub jitter: Field<Ratio>,
    /// A hit past this share of its life renews the entry in the background. Default: 1.0, which is never.
    pub refresh_ahead: Field<f64>,
    /// The shortest life that an answer may set itself. Default: 1s.
    pub min_ttl: Field<Duration>,
    /// The longest life that an answer may set itself. Default: 1d.
    pub max_ttl: Field<Duration>,
    /// The most entries kept. Default: 1 000 000.
    pub max_entries: Field<u64>,
    /// The most memory for entries. Default: 256MiB.
    pub max_bytes: Field<Bytes>,
    /// How the local cache chooses what goes when it is full. Default: s3fifo.
    pub engine: Field<Engine>,
}

/// `[breaker]`: when an upstream counts as sick, and how it comes back.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct BreakerFile {
    /// The window over which the ratios are counted. Default: 10s.
    pub window: Field<Duration>,
    /// Below so many samples in the window the ratios say nothing. Default: 20.
    pub min_samples: Field<u32>,
    /// Opens at this share of failures. Default: 0.5.
    pub failure_ratio: Field<Ratio>,
    /// A dip longer than this is slow. Default: the call budget.
    pub slow: Field<Duration>,
    /// Opens at this share of slow dips. Default: 0.8.
    pub slow_ratio: Field<Ratio>,
    /// Opens after so many failures in a row. Default: 5.
    pub consecutive: Field<u32>,
    /// How long it stays open the first time; doubles while probes fail. Default: 500ms.
    pub open: Field<Duration>,
    /// The longest it stays open between two probes. Default: 1500ms, or `open` if that is more.
    pub open_max: Field<Duration>,
    /// Good probes in a row that close it. Default: 1.
    pub probes: Field<u32>,
}

/// `[fallback]`: what is answered when nothing else can be.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct FallbackFile {
    /// Its fields. Text is a template over the question; all else stands as it is.
    #[cfg_attr(test, schemars(required))]
    pub record: Option<IndexMap<Spanned<String>, Spanned<Node>>>,
}

/// `[answer]`: how the record is answered.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct AnswerFile {
    /// The field that format `text` answers. Default: the kind's main field.
    pub text: Field<String>,
}
