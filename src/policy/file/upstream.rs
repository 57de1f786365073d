//! `[[upstream]]`: the keys of all transports side by side. `check` says which belong to which.

use indexmap::IndexMap;
use serde::Deserialize;
use serde_spanned::Spanned;
use std::time::Duration;

use super::chain::AlsoFile;
use super::words::{
    AlgorithmWord, AuthWord, CharsetName, ClientAuthWord, EncodingWord, FormatWord, RecordWord, RedirectsWord,
    RuleOutcome, Separator, ServiceName, TlsWord, TransportWord,
};
use crate::policy::{HttpMethod, TableMatch, Transport};
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
    /// Other lookups' records that this one's answers hold.
    #[serde(default)]
    pub also: Vec<Spanned<AlsoFile>>,
    pub ttl: Option<TtlFile>,

    // HTTP
    /// GET, or POST where there is a body.
    pub method: Field<HttpMethod>,
    /// Whole, or the path behind each of `urls`. `{{ vars.NAME }}` at the very start stands unescaped.
    pub url: Field<String>,
    /// Base URLs: the next one is asked when one has no connection or answers 5xx.
    pub urls: Lines<String>,
    /// Parameters behind those in `url`; an empty one is left out, a list is repeated. For SQL: the statement.
    pub query: Option<Spanned<Node>>,
    pub headers: Option<Spanned<Named>>,
    /// One of `body`, `json`, `form`, `xml` and `graphql`. A table is a JSON body.
    pub body: Option<Spanned<Node>>,
    /// A tree; a text that is one `{{ … }}` keeps the value's type.
    pub json: Option<Spanned<Node>>,
    /// Fields, as in `query`.
    pub form: Option<Spanned<Node>>,
    /// A document; values are escaped.
    pub xml: Field<String>,
    pub graphql: Option<Spanned<GraphqlFile>>,
    /// application/json for a body that is a table; a text must say it.
    pub content_type: Field<String>,
    pub auth: Option<Spanned<AuthFile>>,
    /// The input that chooses among `auths`.
    pub auth_by: Field<String>,
    /// Credentials by that input's value; `auth` is for all others.
    pub auths: Option<Spanned<IndexMap<Spanned<String>, Spanned<AuthFile>>>>,
    /// false: a request that is no GET is never sent twice.
    pub safe: Field<bool>,
    /// 0; how often a try that failed is repeated within its own time.
    pub retry: Field<u32>,
    /// none, or same-host; none.
    pub redirects: Field<RedirectsWord>,
    /// dipcache and its version.
    pub user_agent: Field<String>,
    /// An IP address of this machine.
    pub source_address: Field<String>,
    /// `http://host:port`, or a reference where it holds a password.
    pub proxy: Field<String>,
    pub tls: Option<Spanned<TlsFile>>,
    /// json for HTTP, none for the others.
    pub format: Field<FormatWord>,
    /// The format of an answer whose status is not 2xx, where it differs.
    pub error_format: Field<FormatWord>,
    /// As the vendor's header says, else UTF-8.
    pub charset: Field<CharsetName>,
    /// `;` for delimited, `&` for kv, `,` for csv and a tab for tsv. Of a table's file: a tab for `.tsv`, else a comma.
    pub separator: Field<Separator>,
    /// The names of the values of delimited; of csv and tsv, where the first row has none. Of a table's file: where
    /// it has no header, or in place of it.
    pub columns: Lines<String>,
    /// 64KiB.
    pub max_body: Field<Bytes>,
    /// A PEM file, looked up beside the policy.
    pub ca: Field<String>,
    /// true.
    pub verify_tls: Field<bool>,

    // DNS
    /// A type, or a template that gives one.
    pub record: Field<RecordWord>,
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
    /// false.
    pub mixed_case: Field<bool>,
    /// ENUM services, as `E2U+pstn:tel`; any, where there are none.
    pub services: Lines<ServiceName>,
    /// 5.
    pub hops: Field<u32>,
    /// udp, tcp and tls: how SIP may travel, the best first.
    pub transports: Lines<Transport>,
    /// true; false asks for no IPv6 addresses.
    pub ipv6: Field<bool>,

    // SQL
    /// A reference; a URL without a password may stand here as it is.
    pub database: Field<String>,
    /// `:name` of the query and its expression; the key and the inputs need none.
    pub parameters: Option<Spanned<Named>>,
    /// 8.
    pub pool: Field<u32>,
    /// 100; of a table 20 000 000.
    pub max_rows: Field<u32>,

    // Table: `database` and `query` as above, or a file
    /// A CSV or TSV file, looked up beside the policy; `.gz` is unpacked.
    pub file: Field<String>,
    /// true.
    pub header: Field<bool>,
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
    /// Names and references; for `hmac`, names and templates.
    pub headers: Option<Spanned<Named>>,
    pub token_url: Field<String>,
    /// A reference, or as it is.
    pub client_id: Field<String>,
    pub client_secret: Field<String>,
    /// basic, or body; basic.
    pub client_auth: Field<ClientAuthWord>,
    pub scope: Field<String>,
    pub audience: Field<String>,
    /// Further fields of the token request.
    pub form: Option<Spanned<Named>>,
    /// 3s.
    pub timeout: Field<Duration>,
    pub secret: Field<String>,
    /// sha256.
    pub algorithm: Field<AlgorithmWord>,
    /// hex.
    pub encoding: Field<EncodingWord>,
    /// A template over the request.
    pub string: Field<String>,
}

/// `graphql = { query = "…", variables = { … } }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { query = \"…\", variables = { number = \"{{ key }}\" } }")]
pub(crate) struct GraphqlFile {
    /// Stands as it is; what varies goes into `variables`.
    pub query: Field<String>,
    pub variables: Option<Spanned<Node>>,
}

/// `tls = { ca = "ca.pem", cert = "our.pem", key = "file:our.key", server_name = "api.example", min = "1.3" }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { cert = \"our.pem\", key = \"file:our.key\" }")]
pub(crate) struct TlsFile {
    /// As `ca` beside it.
    pub ca: Field<String>,
    /// A PEM file, looked up beside the policy.
    pub cert: Field<String>,
    /// A reference, or a PEM file beside the policy.
    pub key: Field<String>,
    pub server_name: Field<String>,
    /// 1.2.
    pub min: Field<TlsWord>,
}

/// `[[upstream.rule]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct RuleFile {
    pub when: Field<String>,
    pub outcome: Field<RuleOutcome>,
    pub hold: Field<Duration>,
    pub ttl: Field<Duration>,
    /// Whether the next upstream is asked on this outcome; by default on all but answers.
    pub next: Field<bool>,
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
