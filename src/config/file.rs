//! The main config as it is typed: types that mirror the TOML key for key, and mean nothing yet.

use std::time::Duration;

use indexmap::IndexMap;
use serde::Deserialize;

use super::bundle::BundleFile;
use super::events::{EventsForm, EventsMode, SinkType, WhenFull};
use super::{LogFormat, MemcachedFormat, Quorum, Ring};
use crate::written::{Bytes, Field, Lines, Node, Plain, Spanned, Written};

/// The main config of dipcache.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "The main config of dipcache"))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct ConfigFile {
    /// Where dipcache listens.
    pub listen: Option<ListenFile>,
    /// What this node is called.
    pub node: Option<NodeFile>,
    /// Where the policies are.
    pub policies: Option<PoliciesFile>,
    /// A cache shared with other nodes. Left out: this machine on its own.
    pub shared: Option<Spanned<SharedFile>>,
    /// Where events about upstreams, health and the cache go. Left out: they are logged and go nowhere.
    pub events: Option<EventsFile>,
    /// Where orders of other systems come from. Left out: orders come through the admin listener alone.
    pub control: Option<Spanned<ControlFile>>,
    /// For the demo: vendors of our own.
    pub simulator: Option<SimulatorFile>,
    /// Who may flush, warm and override health.
    pub admin: Option<AdminFile>,
    /// The log.
    pub log: Option<LogFile>,
    /// What happens after SIGTERM.
    pub drain: Option<DrainFile>,
    /// How much at once.
    pub limits: Option<LimitsFile>,
    /// The threads that serve calls.
    pub threads: Option<ThreadsFile>,
    /// What is left behind for the next process. Left out: nothing, and a restart begins with an empty cache.
    pub state: Option<Spanned<StateFile>>,
    /// Values that go before the policies' own `[vars]`, by name.
    pub vars: Option<IndexMap<Spanned<String>, Spanned<Written<Plain>>>>,
    /// Lookups that one call asks together, by the bundle's name.
    #[serde(default)]
    pub bundle: IndexMap<Spanned<String>, Spanned<BundleFile>>,
}

/// `[listen]`: an address, a list of them, or `off`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct ListenFile {
    /// Lookups over HTTP/1.0, 1.1 and h2c: an address, a list of them, or `off`. Default: 127.0.0.1:8090.
    pub http: Lines<String>,
    /// The memcached text protocol: addresses, `unix:/path`, or `off`. Default: 127.0.0.1:11311.
    pub memcached: Lines<String>,
    /// A record on the memcached listener. Default: json.
    pub memcached_format: Field<MemcachedFormat>,
    /// DNS over UDP and TCP: an address, a list of them, or `off`. Default: 127.0.0.1:5300.
    pub dns: Lines<String>,
    /// Metrics, status page, admin API: an address, a list of them, or `off`. Default: 127.0.0.1:9464.
    pub admin: Lines<String>,
}

/// `[node]`: what this node is called.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct NodeFile {
    /// In events and metrics. Default: the host's name.
    pub name: Field<String>,
    /// In events. Default: none.
    pub zone: Field<String>,
}

/// `[policies]`: where the policies are.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct PoliciesFile {
    /// The folder, from this file's folder on. Default: ../policies.
    pub dir: Field<String>,
}

/// `[shared]`: a cache shared with other nodes, and the health flags in it.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct SharedFile {
    /// Real memcached servers, `host:port`.
    #[cfg_attr(test, schemars(required))]
    pub servers: Lines<String>,
    /// After a change of `servers`: the list until now. What it knows moves over for ten minutes.
    pub before: Lines<String>,
    /// In front of every key. Default: `dip:`.
    pub prefix: Field<String>,
    /// For one operation; a call waits no longer for the shared cache. Default: 5ms.
    pub timeout: Field<Duration>,
    /// How keys are spread, as libmemcached does it: `ketama`, or `ketama_weighted`. Default: ketama.
    pub ring: Field<Ring>,
    /// How many of the living nodes must see a lookup down: `any`, `majority` or `all`. Default: majority.
    pub quorum: Field<Quorum>,
    /// true: a key that no node knows costs the cluster one dip, and the others a look. Default: false.
    pub single_flight: Field<bool>,
}

/// `[events]`: where events go, and where they wait.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct EventsFile {
    /// `failover`: the first sink that works; `all`: every sink gets every event. Default: failover.
    pub mode: Field<EventsMode>,
    /// `cloudevents`, or `jsonrpc` as OpenSIPS publishes. Default: cloudevents.
    pub form: Field<EventsForm>,
    /// The folder in which events wait that no sink has taken. Default: spool.
    pub spool: Field<String>,
    /// The most bytes that wait. Default: 1GiB.
    pub spool_max: Field<Bytes>,
    /// How long an event waits at most. Default: 7d.
    pub spool_age: Field<Duration>,
    /// What goes when the spool is full: `oldest`, `newest`, or `refuse` all until there is room for many. Default: oldest.
    pub when_full: Field<WhenFull>,
    /// Stale and fallback answers are summed up over this time. Default: 10s.
    pub summary: Field<Duration>,
    /// Who takes events, in order of preference.
    #[serde(default)]
    pub sink: Vec<Spanned<SinkFile>>,
}

/// `[[events.sink]]`: one place that takes events. Which keys belong to it depends on its type.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct SinkFile {
    /// Metrics and events call it so.
    #[cfg_attr(test, schemars(required))]
    pub name: Field<String>,
    /// What it is.
    #[serde(rename = "type")]
    #[cfg_attr(test, schemars(required))]
    pub sink_type: Field<SinkType>,
    /// kafka: `host:port` of some of the brokers.
    pub brokers: Lines<String>,
    /// kafka. Default: dipcache.events.
    pub topic: Field<String>,
    /// kafka: handed to librdkafka as they are; `env:NAME`, `file:PATH` or `cred:NAME` stands for a password.
    pub properties: Option<Spanned<IndexMap<Spanned<String>, Spanned<Node>>>>,
    /// kafka: headers of every message.
    pub headers: Option<Spanned<IndexMap<Spanned<String>, Spanned<Node>>>>,
    /// kafka: whether a missing topic is created, if the broker lets us.
    pub create_topic: Field<bool>,
    /// file: where it is; one event a line.
    pub path: Field<String>,
    /// file: put aside when it is so large.
    pub rotate_size: Field<Bytes>,
    /// file: put aside when it is so old.
    pub rotate_age: Field<Duration>,
    /// file: so many old files are kept.
    pub keep: Field<u32>,
}

/// `[control]`: orders from other systems, through a Kafka topic that every node reads.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct ControlFile {
    /// `host:port` of some of the brokers.
    #[cfg_attr(test, schemars(required))]
    pub brokers: Lines<String>,
    /// The topic; compacted, its key names what an order is about. Default: dipcache.control.
    pub topic: Field<String>,
    /// The topic for what cannot be carried out. Default: dipcache.control.dead.
    pub dead_letters: Field<String>,
    /// Handed to librdkafka as they are, one that it does not know is an error; `env:NAME`, `file:PATH` or `cred:NAME`
    /// stands for a password.
    pub properties: Option<Spanned<IndexMap<Spanned<String>, Spanned<Node>>>>,
    /// How long a start waits for what was ordered meanwhile; at most 60s. Default: 5s.
    pub wait: Field<Duration>,
    /// The file in which it is noted how far this node has read. Default: control.json.
    pub state: Field<String>,
    /// Whether topics that are missing are created. Default: true.
    pub create_topic: Field<bool>,
}

/// `[simulator]`: for the demo: vendors of our own, steered on the admin listener.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct SimulatorFile {
    /// Default: false.
    pub enabled: Field<bool>,
}

/// `[admin]`: who may flush, warm and override health; reading needs no token.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct AdminFile {
    /// A reference to the token, or `off`: everybody who reaches the listener. Default: nobody.
    pub token: Field<String>,
}

/// `[log]`
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct LogFile {
    /// Default: text.
    pub format: Field<LogFormat>,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,dipcache::health=debug`. Default: info.
    pub level: Field<String>,
    /// Whether telephone numbers are masked. Default: true.
    pub mask_numbers: Field<bool>,
}

/// `[drain]`: what happens after SIGTERM.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct DrainFile {
    /// How long dips under way may go on. Default: 10s.
    pub time: Field<Duration>,
}

/// `[state]`: what is left behind for the next process.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct StateFile {
    /// The folder: snapshots of the local caches, journals of hot keys.
    pub dir: Field<String>,
    /// Whether the local caches are written down. Default: true.
    pub snapshot: Field<bool>,
    /// How often; and at the end. Default: "5m".
    pub every: Field<Duration>,
    /// How long readiness waits at start until it is loaded. Default: "2s".
    pub wait: Field<Duration>,
}

/// `[limits]`: how much at once.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct LimitsFile {
    /// Connections of each listener. Default: 10000.
    pub max_connections: Field<u32>,
    /// Dips under way over all lookups; one more is shed. Default: 10000.
    pub max_dips: Field<u32>,
}

/// `[threads]`: those that serve calls.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct ThreadsFile {
    /// Whether they run before everything else on the machine. Default: false.
    pub realtime: Field<bool>,
}
