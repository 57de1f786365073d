//! `[[upstream]]`: the keys of all transports side by side. `check` says which belong to which.

use indexmap::IndexMap;
use serde::Deserialize;
use serde_spanned::Spanned;
use std::time::Duration;

use super::words::{AuthWord, FormatWord, RuleOutcome, TransportWord};
use crate::policy::{DnsRecord, HttpMethod};
use crate::written::{Bytes, Field, Lines, Node, Written};

/// Names and values, in the order in which they are written.
pub(crate) type Named = IndexMap<Spanned<String>, Spanned<Written<String>>>;

/// `[[upstream]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct UpstreamFile {
    // Every transport
    pub name: Field<String>,
    #[serde(rename = "type")]
    pub transport: Field<TransportWord>,
    pub concurrency: Field<u32>,
    pub rate: Option<Spanned<RateFile>>,
    pub timeout: Option<TimeoutFile>,
    pub hold: Field<Duration>,
    pub required: Lines<String>,
    #[serde(default)]
    pub rule: Vec<Spanned<RuleFile>>,
    pub fields: Option<Spanned<Named>>,

    // HTTP
    pub method: Field<HttpMethod>,
    pub url: Field<String>,
    pub headers: Option<Spanned<Named>>,
    pub body: Option<Spanned<Node>>,
    pub content_type: Field<String>,
    pub auth: Option<Spanned<AuthFile>>,
    pub format: Field<FormatWord>,
    pub max_body: Field<Bytes>,
    pub ca: Field<String>,
    pub verify_tls: Field<bool>,

    // DNS
    pub record: Field<DnsRecord>,
    /// The name that is asked for.
    pub domain: Field<String>,
    pub servers: Lines<String>,
    pub try_timeout: Field<Duration>,
    pub edns: Field<bool>,
    pub recursion: Field<bool>,

    // SQL
    pub database: Field<String>,
    pub query: Field<String>,
    pub parameters: Option<Spanned<Named>>,
    pub pool: Field<u32>,
    pub max_rows: Field<u32>,
}

/// `rate = { per_second = 500, burst = 50 }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { per_second = 500, burst = 50 }")]
pub(crate) struct RateFile {
    pub per_second: Field<f64>,
    pub burst: Field<u32>,
}

/// `timeout = { connect = "20ms", total = "60ms" }`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { connect = \"20ms\", total = \"60ms\" }")]
pub(crate) struct TimeoutFile {
    pub connect: Field<Duration>,
    pub total: Field<Duration>,
}

/// `auth = { type = "bearer", token = "env:NAME" }`: the keys of all types side by side.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { type = \"bearer\", token = \"env:NAME\" }")]
pub(crate) struct AuthFile {
    #[serde(rename = "type")]
    pub auth: Field<AuthWord>,
    pub user: Field<String>,
    pub password: Field<String>,
    pub scheme: Field<String>,
    pub token: Field<String>,
    pub name: Field<String>,
    pub value: Field<String>,
}

/// `[[upstream.rule]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct RuleFile {
    pub when: Field<String>,
    pub outcome: Field<RuleOutcome>,
    pub hold: Field<Duration>,
    pub ttl: Field<Duration>,
}
