//! `[[upstream]]`: the keys of all transports side by side. `check` says which belong to which.

use indexmap::IndexMap;
use serde::Deserialize;
use serde_spanned::Spanned;
use std::time::Duration;

use super::words::{AuthWord, CharsetName, FormatWord, RuleOutcome, Separator, TransportWord};
use crate::policy::{DnsRecord, HttpMethod};
use crate::written::{Bytes, Field, Lines, Node, Written};

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
    pub ttl: Option<TtlFile>,

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
    /// The format of an answer whose status is not 2xx, where it differs.
    pub error_format: Field<FormatWord>,
    /// As the vendor's header says, else UTF-8.
    pub charset: Field<CharsetName>,
    /// `;` for delimited, `&` for kv, `,` for csv and a tab for tsv.
    pub separator: Field<Separator>,
    /// The names of the values of delimited; of csv and tsv, where the first row has none.
    pub columns: Lines<String>,
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
    /// 100.
    pub max_rows: Field<u32>,
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
    /// An expression: seconds or a moment that the vendor gives.
    pub hold_from: Field<String>,
    /// An expression: the vendor's own words on what went wrong.
    pub detail: Field<String>,
    /// false.
    pub alert: Field<bool>,
    /// true.
    pub cacheable: Field<bool>,
    /// true.
    pub breaker: Field<bool>,
}

/// `[upstream.ttl]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { from = \"body.expires\" }")]
pub(crate) struct TtlFile {
    /// An expression: seconds, a moment, or `NO-CACHE` or `NO-EXPIRATION`.
    pub from: Field<String>,
    /// false.
    pub cache_control: Field<bool>,
}
