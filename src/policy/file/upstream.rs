//! `[[upstream]]`: the keys of all transports side by side. `check` says which belong to which.

use indexmap::IndexMap;
use serde::Deserialize;
use serde_spanned::Spanned;
use std::time::Duration;

use super::words::{AuthWord, FormatWord, RuleOutcome, TransportWord};
use crate::policy::{DnsRecord, HttpMethod, TableMatch};
use crate::written::{Bytes, Field, Lines, Node, Ratio, Written};

/// Names and values, in the order in which they are written.
pub(crate) type Named = IndexMap<Spanned<String>, Spanned<Written<String>>>;

/// `[[upstream]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct UpstreamFile {
    // Every transport
    /// The type, where it is left out.
    pub name: Field<String>,
    #[serde(rename = "type")]
    pub transport: Field<TransportWord>,
    /// 200.
    pub concurrency: Field<u32>,
    pub rate: Option<Spanned<RateFile>>,
    pub timeout: Option<TimeoutFile>,
    /// 30s.
    pub hold: Field<Duration>,
    pub required: Lines<String>,
    #[serde(default)]
    pub rule: Vec<Spanned<RuleFile>>,
    pub fields: Option<Spanned<Named>>,

    // HTTP
    /// GET, or POST where there is a body.
    pub method: Field<HttpMethod>,
    pub url: Field<String>,
    pub headers: Option<Spanned<Named>>,
    pub body: Option<Spanned<Node>>,
    /// application/json for a body that is a table; a text must say it.
    pub content_type: Field<String>,
    pub auth: Option<Spanned<AuthFile>>,
    /// json for HTTP, none for the others.
    pub format: Field<FormatWord>,
    /// 64KiB.
    pub max_body: Field<Bytes>,
    /// A PEM file, looked up beside the policy.
    pub ca: Field<String>,
    /// true.
    pub verify_tls: Field<bool>,

    // DNS
    pub record: Field<DnsRecord>,
    /// The name that is asked for.
    pub domain: Field<String>,
    /// An IP address each, with a port or 53.
    pub servers: Lines<String>,
    /// An equal share of the call budget for each server.
    pub try_timeout: Field<Duration>,
    /// true.
    pub edns: Field<bool>,
    /// true.
    pub recursion: Field<bool>,

    // SQL
    /// A reference; a URL without a password may stand here as it is.
    pub database: Field<String>,
    pub query: Field<String>,
    /// `:name` of the query and its expression; the key and the inputs need none.
    pub parameters: Option<Spanned<Named>>,
    /// 8.
    pub pool: Field<u32>,
    /// 100; of a table 20 000 000.
    pub max_rows: Field<u32>,

    // Table: `database` and `query` as above, or a file
    /// A CSV or TSV file, looked up beside the policy; `.gz` is unpacked.
    pub file: Field<String>,
    /// A tab for `.tsv`, else a comma.
    pub separator: Field<String>,
    /// true.
    pub header: Field<bool>,
    /// The columns' names where the file has no header, or in place of it.
    pub columns: Lines<String>,
    /// exact.
    #[serde(rename = "match")]
    pub matching: Field<TableMatch>,
    /// The column that a row is found by; several are joined with `-`, of a range the first and the last number.
    pub key_column: Lines<String>,
    /// Templates of the keys that a question is looked up by, in order; the key itself.
    pub keys: Lines<String>,
    /// 15m from a database; a file is loaded when it changes.
    pub every: Field<Duration>,
    /// 10m.
    pub load_timeout: Field<Duration>,
    /// 0.2.
    pub max_change: Field<Ratio>,
    /// 1.
    pub min_rows: Field<u32>,
}

/// `rate = { per_second = 500, burst = 50 }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { per_second = 500, burst = 50 }")]
pub(crate) struct RateFile {
    pub per_second: Field<f64>,
    /// A tenth of a second's worth.
    pub burst: Field<u32>,
}

/// `timeout = { connect = "20ms", total = "60ms" }`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { connect = \"20ms\", total = \"60ms\" }")]
pub(crate) struct TimeoutFile {
    /// Half the call budget, at most 250ms.
    pub connect: Field<Duration>,
    /// The background budget.
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
