//! The main config as it is typed: types that mirror the TOML key for key, and mean nothing yet.

use std::time::Duration;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_spanned::Spanned;

use super::bundle::BundleFile;
use super::events::{EventsForm, EventsMode, SinkType, WhenFull};
use super::{LogFormat, MemcachedFormat, Quorum, Ring};
use crate::written::{Bytes, Field, Lines, Node, Plain, Written};

/// A whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct ConfigFile {
    pub listen: Option<ListenFile>,
    pub node: Option<NodeFile>,
    pub policies: Option<PoliciesFile>,
    pub shared: Option<Spanned<SharedFile>>,
    pub events: Option<EventsFile>,
    pub simulator: Option<SimulatorFile>,
    pub admin: Option<AdminFile>,
    pub log: Option<LogFile>,
    pub drain: Option<DrainFile>,
    pub limits: Option<LimitsFile>,
    pub state: Option<Spanned<StateFile>>,
    /// Values that go before the policies' own `[vars]`.
    pub vars: Option<IndexMap<Spanned<String>, Spanned<Written<Plain>>>>,
    #[serde(default)]
    pub bundle: IndexMap<Spanned<String>, Spanned<BundleFile>>,
}

/// `[listen]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct ListenFile {
    pub http: Lines<String>,
    pub memcached: Lines<String>,
    pub memcached_format: Field<MemcachedFormat>,
    pub dns: Lines<String>,
    pub admin: Lines<String>,
}

/// `[node]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct NodeFile {
    pub name: Field<String>,
    pub zone: Field<String>,
}

/// `[policies]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct PoliciesFile {
    pub dir: Field<String>,
}

/// `[shared]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct SharedFile {
    pub servers: Lines<String>,
    pub prefix: Field<String>,
    pub timeout: Field<Duration>,
    pub ring: Field<Ring>,
    pub quorum: Field<Quorum>,
    pub single_flight: Field<bool>,
}

/// `[events]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct EventsFile {
    pub mode: Field<EventsMode>,
    pub form: Field<EventsForm>,
    pub spool: Field<String>,
    pub spool_max: Field<Bytes>,
    pub spool_age: Field<Duration>,
    pub when_full: Field<WhenFull>,
    pub summary: Field<Duration>,
    #[serde(default)]
    pub sink: Vec<Spanned<SinkFile>>,
}

/// `[[events.sink]]`: the keys of all types side by side.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct SinkFile {
    pub name: Field<String>,
    #[serde(rename = "type")]
    pub sink_type: Field<SinkType>,
    pub brokers: Lines<String>,
    pub topic: Field<String>,
    pub properties: Option<Spanned<IndexMap<Spanned<String>, Spanned<Node>>>>,
    pub headers: Option<Spanned<IndexMap<Spanned<String>, Spanned<Node>>>>,
    pub create_topic: Field<bool>,
    pub path: Field<String>,
    pub rotate_size: Field<Bytes>,
    pub rotate_age: Field<Duration>,
    pub keep: Field<u32>,
}

/// `[simulator]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct SimulatorFile {
    pub enabled: Field<bool>,
}

/// `[admin]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct AdminFile {
    pub token: Field<String>,
}

/// `[log]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct LogFile {
    pub format: Field<LogFormat>,
    pub level: Field<String>,
    pub mask_numbers: Field<bool>,
}

/// `[drain]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct DrainFile {
    pub time: Field<Duration>,
}

/// `[state]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct StateFile {
    pub dir: Field<String>,
    pub snapshot: Field<bool>,
    pub every: Field<Duration>,
    pub wait: Field<Duration>,
}

/// `[limits]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct LimitsFile {
    pub max_connections: Field<u32>,
    pub max_dips: Field<u32>,
}
