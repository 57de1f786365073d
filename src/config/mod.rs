//! The main config: where dipcache listens, who it is, where its policies are.
//!
//! As with policies there are two forms. `file` mirrors the TOML and never leaves this folder; this
//! page is what the rest of dipcache sees, and cannot be wrong. [`load()`] goes from one to the other:
//! the file (or the embedded default) is parsed, the environment lays its values over it
//! (`environment`), and `check` reports every fault at once.
//!
//! `[shared]` and `[events]` are read and checked here in full, and nothing more: what runs behind
//! them takes their types from this page.

mod load;
mod environment;
mod file;
mod check;
mod control;
mod listen;
mod events;
mod bundle;

#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::policy::{Secret, Vars};

pub use bundle::{Bundle, MOST_PARTS, Part};
pub use control::Control;
pub use events::{Events, EventsForm, EventsMode, Sink, SinkType, WhenFull};
pub use load::{EMBEDDED, check_all, load, load_text, load_with, with_bundles};

/// Everything that is set for the process as a whole.
#[derive(Debug)]
pub struct Config {
    /// The file it was read from; `None` for the embedded default.
    pub file: Option<PathBuf>,
    /// Where it listens.
    pub listen: Listen,
    /// Who this node is.
    pub node: Node,
    /// The folder of policies.
    pub policies: PathBuf,
    /// The cache shared with other nodes; `None` for a machine on its own.
    pub shared: Option<Shared>,
    /// Where events go; `None` keeps them to the log.
    pub events: Option<Events>,
    /// Where orders of other systems come from; `None`: nowhere.
    pub control: Option<Control>,
    /// True when the vendors are our own, and steered at run time: the demo.
    pub simulator: bool,
    /// Who may change something through the admin listener.
    pub admin: AdminRights,
    /// What is logged, and how.
    pub log: Log,
    /// How long dips under way may go on after SIGTERM.
    pub drain: Duration,
    /// Bounds for what comes in.
    pub limits: Limits,
    /// Whether the threads that serve calls run before everything else on the machine.
    pub realtime: bool,
    /// What is left behind for the next process; `None`: nothing.
    pub state: Option<State>,
    /// Values that go before the policies' own `[vars]`.
    pub vars: Vars,
    /// Lookups that one call asks together.
    pub bundles: Vec<Arc<Bundle>>,
}

impl Config {
    /// The parts in which another config differs that are only looked at when the process starts.
    pub fn needs_restart(&self, other: &Self) -> Vec<&'static str> {
        let parts = [
            ("[listen]", self.listen != other.listen),
            ("[node]", self.node != other.node),
            ("[shared]", self.shared != other.shared),
            ("[control]", self.control != other.control),
            ("[events]", self.events != other.events),
            ("[simulator]", self.simulator != other.simulator),
            ("[log]", self.log != other.log),
            ("[drain]", self.drain != other.drain),
            ("[state]", self.state != other.state),
            ("[threads]", self.realtime != other.realtime),
            ("[limits] max_connections", self.limits.max_connections != other.limits.max_connections),
        ];
        parts.into_iter().filter(|(_, differs)| *differs).map(|(part, _)| part).collect()
    }
}

/// Where it listens; an empty list is a listener that is off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// HTTP lookups.
    pub http: Vec<SocketAddr>,
    /// The memcached text protocol.
    pub memcached: Vec<Endpoint>,
    /// How a record is told there.
    pub memcached_format: MemcachedFormat,
    /// DNS over UDP and TCP.
    pub dns: Vec<SocketAddr>,
    /// Metrics, status page, admin API.
    pub admin: Vec<SocketAddr>,
}

/// One place to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A UNIX socket's path.
    Unix(PathBuf),
}

/// How the memcached listener tells a record where no field is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemcachedFormat {
    /// One compact line of JSON.
    #[default]
    Json,
    /// The policy's text field, bare.
    Text,
    /// `k=v&k=v`, form-encoded.
    Params,
    /// One line of values, in the policy's order.
    Csv,
}

/// Who this node is, in events and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name; the host's name where none is set.
    pub name: String,
    /// Its zone, empty where none is set.
    pub zone: String,
}

/// The cache shared with other nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// The memcached servers, as `host:port` each. Never empty.
    pub servers: Vec<String>,
    /// The servers until now, for as long as keys move from them; empty where nothing has changed.
    pub before: Vec<String>,
    /// In front of every key.
    pub prefix: String,
    /// At most this long for one operation.
    pub timeout: Duration,
    /// How keys are spread over the servers.
    pub ring: Ring,
    /// How many nodes must see a lookup down before its flag turns 0.
    pub quorum: Quorum,
    /// True: of many nodes that miss the same key, one asks and the others wait for its answer.
    pub single_flight: bool,
}

/// How keys are spread over the servers, as libmemcached calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ring {
    /// `MEMCACHED_BEHAVIOR_KETAMA` and nothing else set: 100 points a server, by libmemcached's default hash.
    Ketama,
    /// `MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED`, all of one weight: 160 points a server, by MD5.
    KetamaWeighted,
}

/// How many of the living nodes must see a lookup down before its flag turns 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quorum {
    /// One is enough.
    Any,
    /// More than half.
    Majority,
    /// Every one.
    All,
}

/// Who may change something through the admin listener. Reading is free.
#[derive(Clone, Debug)]
pub enum AdminRights {
    /// Nobody: no token is set.
    Refused,
    /// Whoever has the token.
    Token(Secret),
    /// Everybody who reaches the listener: `token = "off"`.
    Open,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Lines for people or for machines.
    pub format: LogFormat,
    /// The level, or a filter such as `info,dipcache::health=debug`.
    pub level: String,
    /// True: no line holds a whole telephone number.
    pub mask_numbers: bool,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What a process leaves behind for the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The folder: journals of hot keys, snapshots.
    pub dir: PathBuf,
    /// Whether the local caches are written down.
    pub snapshot: bool,
    /// How often.
    pub every: Duration,
    /// How long readiness waits at start until the snapshots are loaded.
    pub wait: Duration,
}

/// Bounds for what comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once, each listener for itself.
    pub max_connections: usize,
    /// Dips under way at once, over all lookups; one more is shed.
    pub max_dips: usize,
}
