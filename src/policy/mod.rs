//! The policy language: one TOML file a lookup, written by an operator, run by everybody.
//!
//! A policy lives in two forms. `file` mirrors what the operator typed and never leaves this folder;
//! `check` turns it into the types on this page, which cannot be wrong, and reports every fault at
//! once with line, column and remedy. The rest of dipcache sees only this page.
//!
//! The way of a dip through a policy: [`Policy::question`] turns a caller's text into a [`Question`];
//! [`Policy::applies`] says whether it is asked at all; an upstream renders its templates over the
//! question and brings back a [`Reading`]; [`UpstreamPolicy::judge`] makes a [`Judgement`] of it.

pub mod ambient;
pub mod chain;
pub mod check;
pub mod decode;
pub mod expr;
pub mod fault;
pub mod file;
pub mod filters;
pub mod input;
pub mod judge;
pub mod kind;
pub mod maps;
pub mod number;
pub mod reach;
pub mod request;
pub mod secret;
pub mod service;
pub mod sip;
pub mod vault;
pub mod warm;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::answer::Outcome;
pub use service::Service;

pub use ambient::{Ambient, Vars};
pub use chain::{Also, Chain, Cost, Then};
pub use decode::{Decoding, Format, Reading};
pub use expr::{Expr, Place, Scope, Template};
pub use fault::Fault;
pub use input::{BadInput, CallerUrls, Declared, InputType, Inputs, Question};
pub use judge::{HoldScope, Judgement, Rule};
pub use kind::Kind;
pub use number::Country;
pub use request::{Algorithm, Chosen, Hmac, OAuth2, Pair, Tls, Wire};
pub use secret::Secret;
pub use sip::{Destination, Transport};
pub use vault::Vault;
pub use warm::Warm;

/// One lookup, checked and compiled.
#[derive(Debug)]
pub struct Policy {
    /// The lookup's name: the file's name without `.toml`.
    pub name: Arc<str>,
    /// Which canonical record the fields belong to.
    pub kind: kind::Kind,
    /// One line for people.
    pub describe: String,
    /// The key and the further inputs: types, defaults, canonical form.
    pub inputs: Inputs,
    /// When false, the outcome is `not_applicable` and nothing is asked.
    pub applies_when: Option<Expr>,
    /// How long callers and dips may take.
    pub budget: Budget,
    /// How long answers live.
    pub cache: CacheRules,
    /// When an upstream counts as sick.
    pub breaker: BreakerRules,
    /// Field templates of the record that is answered when nothing else can be, in order.
    pub fallback: Option<Vec<(String, FallbackValue)>>,
    /// The field that format `text` answers: the policy's word, else the kind's, else the first.
    pub text_field: String,
    /// The fields in the order in which the policy names them.
    pub field_order: Vec<String>,
    /// Who can answer, in order of preference. Never empty.
    pub upstreams: Vec<UpstreamPolicy>,
    /// How several answers make one, and what they cost.
    pub chain: Chain,
    /// What is asked before anybody calls.
    pub warm: Warm,
    /// Equal for two policies whose answers may share a cache: kind, inputs, requests, rules and fields.
    pub shape: u64,
    /// Equal for two policies that are the same in everything, secrets' values included.
    pub fingerprint: u64,
}

/// How long callers and dips may take.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// What a caller ever waits; the caller's own `budget_ms` can only shorten it.
    pub call: Duration,
    /// How long a dip may go on after its callers have left, to fill the cache.
    pub background: Duration,
    /// How several upstreams share the deadline.
    pub order: Order,
}

/// How several upstreams share the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The next one is asked when one fails or has used up its share of the budget.
    Failover,
    /// The next one is asked this long after the one before, whatever became of it.
    Hedge {
        /// The head start of each upstream over the next.
        after: Duration,
    },
}

/// How long answers live.
#[derive(Clone, Copy, Debug)]
pub struct CacheRules {
    /// Life of a `found`.
    pub found: Duration,
    /// Life of a `partial`.
    pub partial: Duration,
    /// Life of a `not_found`.
    pub not_found: Duration,
    /// Life of an `invalid_number`.
    pub invalid_number: Duration,
    /// How long past its life a record may be served while its upstreams are degraded; zero forbids it.
    pub stale: Duration,
    /// How long past its life a record is served at once while one dip renews it, sick or not.
    pub revalidate: Duration,
    /// The longest that anything is ever kept, stale time included.
    pub ceiling: Duration,
    /// The share of a life that chance may take off, 0 to 1, so that entries do not expire together.
    pub jitter: f64,
    /// A hit past this share of its life renews the entry in the background; 1 or more never does.
    pub refresh_ahead: f64,
    /// Bounds for a life that the answer itself brings (DNS).
    pub min_ttl: Duration,
    /// See `min_ttl`.
    pub max_ttl: Duration,
    /// The most entries kept.
    pub max_entries: u64,
    /// The most bytes kept, keys and book-keeping included.
    pub max_bytes: u64,
    /// What keeps them.
    pub engine: Engine,
}

/// What keeps the entries of a lookup in this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// A table of our own, which lets go by S3-FIFO.
    #[default]
    S3Fifo,
    /// moka, which lets go by TinyLFU.
    Moka,
}

impl CacheRules {
    /// How long an answer of this outcome lives before jitter; zero for one that is not kept.
    pub fn life(&self, outcome: Outcome) -> Duration {
        match outcome {
            Outcome::Found => self.found,
            Outcome::Partial => self.partial,
            Outcome::NotFound => self.not_found,
            Outcome::InvalidNumber => self.invalid_number,
            _ => Duration::ZERO,
        }
    }
}

/// When an upstream counts as sick. Consecutive failures and exact ratios together: the first alone
/// never sees an outage of every second call, the second alone is slow to see a total one.
#[derive(Clone, Copy, Debug)]
pub struct BreakerRules {
    /// The window over which the ratios are counted.
    pub window: Duration,
    /// Below this many samples in the window the ratios say nothing.
    pub min_samples: u32,
    /// Opens at this share of failures, 0 to 1.
    pub failure_ratio: f64,
    /// A dip longer than this is slow.
    pub slow: Duration,
    /// Opens at this share of slow dips, 0 to 1.
    pub slow_ratio: f64,
    /// Opens after this many failures in a row.
    pub consecutive: u32,
    /// How long it stays open the first time; doubles while probes fail.
    pub open: Duration,
    /// The longest it stays open between two probes.
    pub open_max: Duration,
    /// Good probes in a row that close it.
    pub probes: u32,
}

/// A field of the fallback record: a template for text, anything else as it stands.
#[derive(Debug)]
pub enum FallbackValue {
    /// Rendered over the question.
    Text(Template),
    /// Kept as written.
    Fixed(serde_json::Value),
}

/// One place that can answer.
#[derive(Debug)]
pub struct UpstreamPolicy {
    /// Its name within the lookup.
    pub name: Arc<str>,
    /// How it is spoken to.
    pub transport: TransportPolicy,
    /// At most this long for a connection.
    pub connect_timeout: Duration,
    /// At most this long for the whole try; `None` is the background budget.
    pub total_timeout: Option<Duration>,
    /// Dips in flight at once.
    pub concurrency: usize,
    /// Our own token bucket.
    pub rate: Option<Rate>,
    /// How its body decodes.
    pub decoding: Decoding,
    /// In order, the first match decides; a sane tail for the transport is built in behind them.
    pub rules: Vec<Rule>,
    /// What is kept of the answer, in order.
    pub fields: Vec<(String, Expr)>,
    /// The fields without which a record is `partial`... none, unless the policy names them.
    pub required: Vec<String>,
    /// What its answers tell other lookups.
    pub also: Vec<Also>,
    /// How long a hold lasts that the vendor set no time for; it doubles while the vendor goes on asking for it.
    pub hold: Duration,
    /// The life that an answer may bring along.
    pub ttl: TtlRules,
}

/// The life that an answer may bring along, within `[cache]`'s `min_ttl` and `max_ttl`.
#[derive(Debug, Default)]
pub struct TtlRules {
    /// Gives seconds, a moment, or `NO-CACHE` or `NO-EXPIRATION` (RFC 5222).
    pub from: Option<Expr>,
    /// Whether `Cache-Control` and `Expires` are obeyed.
    pub cache_control: bool,
}

/// Requests a second that we allow ourselves.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// The steady rate.
    pub per_second: f64,
    /// How many may go at once after a pause.
    pub burst: u32,
}

/// How an upstream is spoken to.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one an upstream, made once and never moved on a dip's way")]
pub enum TransportPolicy {
    /// A REST vendor.
    Http(HttpPolicy),
    /// A name server.
    Dns(DnsPolicy),
    /// A database.
    Sql(SqlPolicy),
    /// A whole result or file, held in memory.
    Table(TablePolicy),
}

impl TransportPolicy {
    /// Whether every question goes to the same place, so that what one meets with tells of the next.
    pub fn is_one_place(&self) -> bool {
        !matches!(self, Self::Http(http) if http.caller_url.is_some())
    }
}

/// A request to a REST vendor.
#[derive(Debug)]
pub struct HttpPolicy {
    /// `GET`, `POST` or `PUT`.
    pub method: HttpMethod,
    /// Base URLs in order of preference, without a slash at the end; empty where `url` is whole.
    pub bases: Vec<String>,
    /// How often each base is the first to be asked, against the others; empty: always in their order.
    pub weights: Vec<u32>,
    /// The URL, or what stands behind a base; each value is escaped for its place in path or query.
    pub url: Template,
    /// Parameters behind those that the URL has.
    pub query: Vec<Pair>,
    /// Header names and their values.
    pub headers: Vec<(String, Template)>,
    /// The body, if the method has one.
    pub body: Option<Body>,
    /// A form, which is a body too.
    pub form: Option<Vec<Pair>>,
    /// How we show who we are.
    pub auth: Auth,
    /// Other credentials than those, where an input says so.
    pub chosen: Option<Chosen>,
    /// The secrets that templates put into requests.
    pub secrets: Vec<Secret>,
    /// How connections are made, and what may be done twice.
    pub wire: Wire,
    /// The largest body read, decompressed, in bytes.
    pub max_body: usize,
    /// Certificates that are trusted beside the system's.
    pub ca: Option<PathBuf>,
    /// False only behind a loud switch in the policy.
    pub verify_tls: bool,
    /// Set where the URL is one that the caller brings along, and not the policy's own.
    pub caller_url: Option<CallerUrl>,
}

/// A URL that the caller brings along.
#[derive(Clone, Copy, Debug)]
pub struct CallerUrl {
    /// True: it may lead to addresses of our own network.
    pub allow_private: bool,
}

/// HTTP methods a policy may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpMethod {
    /// The ordinary one.
    Get,
    /// With a body.
    Post,
    /// With a body.
    Put,
}

/// A request's body.
#[derive(Debug)]
pub struct Body {
    /// Its content type.
    pub content_type: String,
    /// Its text; values are escaped for JSON, XML or a form as the content type says.
    pub text: Template,
}

/// How we show who we are.
#[derive(Debug)]
pub enum Auth {
    /// Not at all, or by our address.
    None,
    /// RFC 7617.
    Basic {
        /// The user's name.
        user: Secret,
        /// The password.
        password: Secret,
    },
    /// `Authorization: {scheme} {token}`; RFC 6750 where the scheme is `Bearer`.
    Scheme {
        /// The word before the token.
        scheme: String,
        /// The token.
        token: Secret,
    },
    /// A header of the vendor's own.
    Header {
        /// The header's name.
        name: String,
        /// Its value.
        value: Secret,
    },
    /// Several headers of the vendor's own.
    Headers(Vec<(String, Secret)>),
    /// A query parameter.
    Query {
        /// The parameter's name.
        name: String,
        /// Its value.
        value: Secret,
    },
    /// A token that is fetched with credentials of ours.
    OAuth2(OAuth2),
    /// A signature over the request.
    Hmac(Box<Hmac>),
}

/// A question to a name server.
#[derive(Debug)]
pub struct DnsPolicy {
    /// Which type is asked for.
    pub record: RecordChoice,
    /// The name that is asked for.
    pub name: Template,
    /// Whom to ask, in order. Never empty.
    pub servers: Vec<SocketAddr>,
    /// How long one server may take for one try.
    pub try_timeout: Duration,
    /// Whether the query carries EDNS(0) (RFC 6891).
    pub edns: bool,
    /// Whether the query sets RD.
    pub recursion: bool,
    /// Whether the name's letters come in mixed case, which the answer must repeat: a guess more for a forger.
    pub mixed_case: bool,
    /// ENUM: the services that are wanted; empty for any.
    pub services: Vec<Service>,
    /// ENUM: how often a record may lead to another name.
    pub hops: u32,
    /// SIP: how it may travel, the best first. Never empty.
    pub transports: Vec<Transport>,
    /// SIP: whether IPv6 addresses are asked for as well.
    pub ipv6: bool,
}

/// Which type of record is asked for.
#[derive(Debug)]
pub enum RecordChoice {
    /// Always this one.
    One(DnsRecord),
    /// The one that a template over the question names.
    Asked(Template),
}

impl From<DnsRecord> for RecordChoice {
    fn from(record: DnsRecord) -> Self {
        Self::One(record)
    }
}

/// Record types a policy may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsRecord {
    /// RFC 1035.
    A,
    /// RFC 3596.
    Aaaa,
    /// RFC 2782.
    Srv,
    /// RFC 3403.
    Naptr,
    /// RFC 1035.
    Txt,
    /// RFC 1035.
    Ptr,
    /// RFC 1035.
    Cname,
    /// No record but the way over NAPTR, SRV and addresses to where SIP is spoken (RFC 3263).
    Sip,
}

/// A query to a database.
#[derive(Debug)]
pub struct SqlPolicy {
    /// Where the database is; its scheme says which one: `postgres:`, `mysql:`, `mariadb:` or `sqlite:`.
    pub database: Secret,
    /// One read-only statement with `:name` parameters, which are bound and never pasted.
    pub query: String,
    /// The value of each parameter.
    pub parameters: Vec<(String, Expr)>,
    /// Connections kept at most.
    pub pool: u32,
    /// The most rows read.
    pub max_rows: usize,
}

/// A whole result or file, held in memory and asked there.
#[derive(Debug)]
pub struct TablePolicy {
    /// Where its rows are.
    pub source: TableSource,
    /// Which row a key means.
    pub matching: TableMatch,
    /// The columns of a row's key: several are joined with `-`; a range has its first and its last number.
    pub key_columns: Vec<String>,
    /// The keys that a question is looked up by, in order, the first that is there counts; empty: the question's own.
    pub keys: Vec<Template>,
    /// How often it is loaded again; `None`: when its file changes.
    pub every: Option<Duration>,
    /// How long one load may take.
    pub load_timeout: Duration,
    /// A load whose number of rows differs from the one before by more than this share of it is refused; 1 allows all.
    pub max_change: f64,
    /// A load of fewer rows is refused.
    pub min_rows: usize,
    /// A load of more rows is refused.
    pub max_rows: usize,
    /// Equal for two policies whose tables come from the same place and are asked in the same way.
    pub origin: u64,
    /// Equal for two policies whose tables hold the same.
    pub content: u64,
}

/// Where a table's rows are.
#[derive(Debug)]
pub enum TableSource {
    /// All rows of a statement without parameters.
    Sql {
        /// As [`SqlPolicy::database`].
        database: Secret,
        /// One read-only statement.
        query: String,
    },
    /// A file of lines; one whose name ends in `.gz` is unpacked.
    File {
        /// Where it is.
        path: PathBuf,
        /// How a line is cut into columns.
        form: LineForm,
        /// Whether the first line names the columns.
        header: bool,
        /// The columns' names, where the file does not tell them or others are wanted; else empty.
        columns: Vec<String>,
    },
}

/// How a line is cut into columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineForm {
    /// At this byte.
    Separator(u8),
    /// By the width of each column, in bytes.
    Widths(Vec<usize>),
}

/// Which row of a table a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableMatch {
    /// The one with this key.
    Exact,
    /// The one with the longest key that the digits begin with.
    LongestPrefix,
    /// The narrowest one whose two keys the digits lie between.
    Range,
}

impl TableMatch {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::LongestPrefix => "longest_prefix",
            Self::Range => "range",
        }
    }
}
