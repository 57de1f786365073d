//! `[[upstream]]`: the keys of all transports side by side. `check` says which belong to which.

use indexmap::IndexMap;
use serde::Deserialize;
use std::time::Duration;

use super::chain::AlsoFile;
use super::words::{
    AlgorithmWord, AuthWord, CharsetName, ClientAuthWord, EncodingWord, FormatWord, RecordWord, RedirectsWord,
    RuleOutcome, Separator, ServiceName, TlsWord, TransportWord,
};
use crate::policy::{HoldScope, HttpMethod, TableMatch, Transport};
use crate::written::{Bytes, Field, Lines, Node, Ratio, Spanned, Written};

/// Names and values, in the order in which they are written.
pub(crate) type Named = IndexMap<Spanned<String>, Spanned<Written<String>>>;

/// `[[upstream]]`: one place that can answer. Which keys belong to it depends on its type.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(extend("allOf" = super::schema::by_transport())))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct UpstreamFile {
    // Every transport
    /// Its name within the lookup. Default: the type.
    pub name: Field<String>,
    /// How it is spoken to.
    #[serde(rename = "type")]
    #[cfg_attr(test, schemars(required))]
    pub transport: Field<TransportWord>,
    /// The most dips in flight at once. Default: 200.
    pub concurrency: Field<u32>,
    /// Our own limit, as the contract allows: `{ per_second = 500, burst = 50 }`. Default: none.
    pub rate: Option<Spanned<RateFile>>,
    /// At most this long, as `{ connect = "20ms", total = "60ms" }`.
    pub timeout: Option<TimeoutFile>,
    /// How long a hold lasts that the vendor sets no time for; doubles while it goes on. Default: 30s.
    pub hold: Field<Duration>,
    /// Fields without which a record is `partial`.
    pub required: Lines<String>,
    /// What an answer means: in order, the first match decides; a sane tail is built in behind them.
    #[serde(default)]
    pub rule: Vec<Spanned<RuleFile>>,
    /// What is kept of the answer: field = expression.
    #[cfg_attr(test, schemars(required))]
    pub fields: Option<Spanned<Named>>,
    /// Other lookups' records that this one's answers hold.
    #[serde(default)]
    pub also: Vec<Spanned<AlsoFile>>,
    /// The life that an answer may bring along.
    pub ttl: Option<TtlFile>,

    // HTTP
    /// HTTP. Default: GET, or POST where there is a body.
    pub method: Field<HttpMethod>,
    /// HTTP: the URL, a template. Whole, or the path behind each of `urls`. `{{ vars.NAME }}` at the very start stands unescaped.
    pub url: Field<String>,
    /// HTTP: base URLs in order; the next one is asked when one has no connection or answers 5xx.
    pub urls: Lines<String>,
    /// HTTP: how often each of `urls` is the first to be asked, against the others. Default: always the first that is well.
    pub weights: Lines<u32>,
    /// HTTP: parameters behind those in `url`; an empty one is left out, a list is repeated. SQL and tables: the statement.
    pub query: Option<Spanned<Node>>,
    /// HTTP: name = template.
    pub headers: Option<Spanned<Named>>,
    /// HTTP: text, or a table for JSON. One of `body`, `json`, `form`, `xml` and `graphql`.
    pub body: Option<Spanned<Node>>,
    /// HTTP: a JSON body; a text that is one `{{ … }}` keeps the value's type.
    pub json: Option<Spanned<Node>>,
    /// HTTP: a form's fields, as in `query`.
    pub form: Option<Spanned<Node>>,
    /// HTTP: an XML body; values are escaped.
    pub xml: Field<String>,
    /// HTTP: a GraphQL query and its variables.
    pub graphql: Option<Spanned<GraphqlFile>>,
    /// HTTP: of `body`. Default: application/json for a table; a text must say it.
    pub content_type: Field<String>,
    /// HTTP: how we show who we are, as `{ type = "bearer", token = "env:NAME" }`.
    pub auth: Option<Spanned<AuthFile>>,
    /// HTTP: the input that chooses among `auths`.
    pub auth_by: Field<String>,
    /// HTTP: credentials by that input's value; `auth` is for all others.
    pub auths: Option<Spanned<IndexMap<Spanned<String>, Spanned<AuthFile>>>>,
    /// HTTP: whether a request that is no GET may be sent twice. Default: false.
    pub safe: Field<bool>,
    /// HTTP: how often a try that failed is repeated within its own time, 0 to 5. Default: 0.
    pub retry: Field<u32>,
    /// HTTP: `none`, or `same-host`. Default: none.
    pub redirects: Field<RedirectsWord>,
    /// HTTP. Default: dipcache and its version.
    pub user_agent: Field<String>,
    /// HTTP: the IP address of this machine that requests come from.
    pub source_address: Field<String>,
    /// HTTP: `http://host:port`, or a reference where it holds a password.
    pub proxy: Field<String>,
    /// HTTP: `{ ca = "ca.pem", cert = "our.pem", key = "file:our.key", server_name = "api.example", min = "1.3" }`.
    pub tls: Option<Spanned<TlsFile>>,
    /// HTTP: how the answer decodes. Default: json.
    pub format: Field<FormatWord>,
    /// HTTP: the format of an answer whose status is not 2xx, where it differs.
    pub error_format: Field<FormatWord>,
    /// HTTP: of the answer. Default: as the vendor's header says, else UTF-8.
    pub charset: Field<CharsetName>,
    /// Between two values. Default: `;` for delimited, `&` for kv, `,` for csv, a tab for tsv. Of a table's file: a tab for `.tsv`,
    /// else a comma.
    pub separator: Field<Separator>,
    /// The names of the values of delimited; of csv and tsv, where the first row has none. Of a table's file: where
    /// it has no header, or in place of it.
    pub columns: Lines<String>,
    /// HTTP: the largest answer that is read, unpacked. Default: 64KiB.
    pub max_body: Field<Bytes>,
    /// HTTP: certificates that are trusted beside the system's: a PEM file, looked up beside the policy.
    pub ca: Field<String>,
    /// HTTP. Default: true.
    pub verify_tls: Field<bool>,

    // DNS
    /// DNS: the type that is asked for, or a template that gives one.
    pub record: Field<RecordWord>,
    /// DNS: the name that is asked for, a template, such as `{{ key | enum('e164.arpa') }}`.
    pub domain: Field<String>,
    /// DNS: whom to ask, in order: an IP address each, with a port or 53.
    pub servers: Lines<String>,
    /// DNS: how long one server may take. Default: an equal share of the call budget for each.
    pub try_timeout: Field<Duration>,
    /// DNS: whether the query carries EDNS(0). Default: true.
    pub edns: Field<bool>,
    /// DNS: whether the query asks for recursion. Default: true.
    pub recursion: Field<bool>,
    /// DNS: whether the name's letters come in mixed case, which the answer must repeat. Default: false.
    pub mixed_case: Field<bool>,
    /// DNS: ENUM services that are wanted, as `E2U+pstn:tel`. Default: any.
    pub services: Lines<ServiceName>,
    /// DNS: how often an ENUM record may lead to another name. Default: 5.
    pub hops: Field<u32>,
    /// DNS: how SIP may travel, the best first, for `record = "SIP"`. Default: udp, tcp and tls.
    pub transports: Lines<Transport>,
    /// DNS: whether IPv6 addresses are asked for, for `record = "SIP"`. Default: true.
    pub ipv6: Field<bool>,

    // SQL
    /// SQL and tables: a reference to a URL, `env:NAME`; a URL without a password may stand here as it is.
    pub database: Field<String>,
    /// SQL: `:name` of the query = its expression; the key and the inputs need none.
    pub parameters: Option<Spanned<Named>>,
    /// SQL: the most connections kept. Default: 8.
    pub pool: Field<u32>,
    /// The most rows read. Default: 100, of a table 20 000 000.
    pub max_rows: Field<u32>,

    // Table: `database` and `query` as above, or a file
    /// Table: a CSV or TSV file, looked up beside the policy; `.gz` is unpacked.
    pub file: Field<String>,
    /// Table: whether the file's first line names the columns. Default: true, unless `columns` does.
    pub header: Field<bool>,
    /// Table: the width of each of `columns` in bytes, where no separator stands between them.
    pub widths: Lines<u32>,
    /// Table: which row a key means. Default: exact.
    #[serde(rename = "match")]
    pub matching: Field<TableMatch>,
    /// Table: the column that a row is found by; several are joined with `-`, of a range the first and the last number.
    pub key_column: Lines<String>,
    /// Table: templates of the keys that a question is looked up by, in order. Default: the key itself.
    pub keys: Lines<String>,
    /// Table: how often it is loaded again. Default: 15m from a database; a file is loaded when it changes.
    pub every: Field<Duration>,
    /// Table: how long one load may take. Default: 10m.
    pub load_timeout: Field<Duration>,
    /// Table: a load whose rows are more or fewer by more than this share is not believed. Default: 0.2.
    pub max_change: Field<Ratio>,
    /// Table: a load of fewer rows is not believed. Default: 1.
    pub min_rows: Field<u32>,
}

/// Our own limit.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table such as { per_second = 500, burst = 50 }")]
pub(crate) struct RateFile {
    /// The steady rate.
    #[cfg_attr(test, schemars(required))]
    pub per_second: Field<f64>,
    /// How many may go at once after a pause. Default: a tenth of a second's worth.
    pub burst: Field<u32>,
}

/// At most this long.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table such as { connect = \"20ms\", total = \"60ms\" }")]
pub(crate) struct TimeoutFile {
    /// For a connection. Default: half the call budget, at most 250ms.
    pub connect: Field<Duration>,
    /// For the whole try. Default: the background budget.
    pub total: Field<Duration>,
}

/// How we show who we are.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(extend("allOf" = super::schema::by_auth())))]
#[serde(deny_unknown_fields, expecting = "a table such as { type = \"bearer\", token = \"env:NAME\" }")]
pub(crate) struct AuthFile {
    /// The way; which other keys belong to it depends on it.
    #[serde(rename = "type")]
    #[cfg_attr(test, schemars(required))]
    pub auth: Field<AuthWord>,
    /// basic: a reference to the user's name.
    pub user: Field<String>,
    /// basic: a reference.
    pub password: Field<String>,
    /// scheme: the word before the token.
    pub scheme: Field<String>,
    /// bearer, scheme: a reference.
    pub token: Field<String>,
    /// header, query: the header's or the parameter's name.
    pub name: Field<String>,
    /// header, query: a reference.
    pub value: Field<String>,
    /// headers: names and references. hmac: names and templates.
    pub headers: Option<Spanned<Named>>,
    /// oauth2: where tokens are fetched.
    pub token_url: Field<String>,
    /// oauth2: a reference, or as it is.
    pub client_id: Field<String>,
    /// oauth2: a reference.
    pub client_secret: Field<String>,
    /// oauth2: whether the credentials go into a `basic` header or into the `body`. Default: basic.
    pub client_auth: Field<ClientAuthWord>,
    /// oauth2.
    pub scope: Field<String>,
    /// oauth2.
    pub audience: Field<String>,
    /// oauth2: further fields of the token request.
    pub form: Option<Spanned<Named>>,
    /// oauth2: of the token request. Default: 3s.
    pub timeout: Field<Duration>,
    /// hmac: a reference.
    pub secret: Field<String>,
    /// hmac. Default: sha256.
    pub algorithm: Field<AlgorithmWord>,
    /// hmac: of the signature. Default: hex.
    pub encoding: Field<EncodingWord>,
    /// hmac: what is signed, a template over the request.
    pub string: Field<String>,
}

/// A GraphQL query.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table such as { query = \"…\", variables = { number = \"{{ key }}\" } }")]
pub(crate) struct GraphqlFile {
    /// Stands as it is; what varies goes into `variables`.
    #[cfg_attr(test, schemars(required))]
    pub query: Field<String>,
    /// A tree of templates.
    pub variables: Option<Spanned<Node>>,
}

/// How TLS is spoken.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table such as { cert = \"our.pem\", key = \"file:our.key\" }")]
pub(crate) struct TlsFile {
    /// As `ca` of the upstream.
    pub ca: Field<String>,
    /// Our certificate: a PEM file, looked up beside the policy.
    pub cert: Field<String>,
    /// Its key: a reference, or a PEM file beside the policy.
    pub key: Field<String>,
    /// The name that the server's certificate must have, where it is not the URL's host.
    pub server_name: Field<String>,
    /// The oldest version that is spoken. Default: 1.2.
    pub min: Field<TlsWord>,
}

/// `[[upstream.rule]]`: what an answer means.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct RuleFile {
    /// The test: an expression, such as `status == 404`.
    #[cfg_attr(test, schemars(required))]
    pub when: Field<String>,
    /// What it means.
    #[cfg_attr(test, schemars(required))]
    pub outcome: Field<RuleOutcome>,
    /// How long the upstream is left in peace, after `rate_limited`, `quota_exhausted` or `auth_error`.
    pub hold: Field<Duration>,
    /// How long this answer is kept. Default: as `[cache]` says.
    pub ttl: Field<Duration>,
    /// Whether the next upstream is asked. Default: on all but answers.
    pub next: Field<bool>,
    /// An expression: the seconds or the moment that the vendor gives, as `headers['retry-after']`.
    pub hold_from: Field<String>,
    /// Which questions a hold concerns: `upstream`, all of them; `credential`, those with the same credentials of `auths`;
    /// `key`, the one that was asked. Default: upstream; where the URL is the caller's own, key.
    pub hold_scope: Field<HoldScope>,
    /// An expression: the vendor's own words on what went wrong, for the log.
    pub detail: Field<String>,
    /// Whether people are told. Default: false.
    pub alert: Field<bool>,
    /// Whether the answer is kept. Default: true.
    pub cacheable: Field<bool>,
    /// Whether it counts for the breaker. Default: true.
    pub breaker: Field<bool>,
}

/// `[upstream.ttl]`: the life that an answer may bring along, within `min_ttl` and `max_ttl` of `[cache]`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table such as { from = \"body.expires\" }")]
pub(crate) struct TtlFile {
    /// An expression: seconds, a moment, or `NO-CACHE` or `NO-EXPIRATION`.
    pub from: Field<String>,
    /// Whether `Cache-Control` and `Expires` are obeyed. Default: false.
    pub cache_control: Field<bool>,
}
