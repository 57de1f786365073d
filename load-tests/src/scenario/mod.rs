//! What a scenario says: who asks how often, what breaks when, and what is promised all the same.
//!
//! `file` mirrors the TOML and never leaves this folder; [`read`] turns it into types that cannot be wrong, or into
//! faults with file, line and column. [`promise`] is the one small language in it.

mod check;
mod file;
mod place;
pub mod promise;

use std::path::Path;
use std::time::Duration;

use dipcache::demo::vendors::Order;
use indexmap::IndexMap;
use toml::Table;

use crate::load::keys::Keys;
use crate::load::pace::Pace;
use crate::load::turns::Turns;
use crate::stage::Needed;
use crate::vendor::{Conduct, Protocol};

pub use place::Fault;
pub use promise::Promise;

/// A scenario, checked.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its file's name.
    pub name: String,
    /// What it is about, in a sentence.
    pub tells: String,
    /// How long it takes.
    pub time: Duration,
    /// Servers beside the proxy.
    pub needs: Vec<Needed>,
    /// Laid over the proxy's config.
    pub config: Table,
    /// Policies by lookup, whole.
    pub policies: IndexMap<String, Table>,
    /// Who is asked: `lrn/vendor-a`.
    pub vendors: IndexMap<String, (Protocol, Conduct)>,
    /// Who asks.
    pub loads: Vec<Plan>,
    /// What happens when.
    pub timeline: Vec<Event>,
    /// What is promised.
    pub promises: Vec<Promise>,
}

/// Callers of one kind, before it is known where the proxy listens.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// Whom it asks.
    pub front: Front,
    /// For which lookup.
    pub lookup: String,
    /// When they come.
    pub pace: Pace,
    /// Every other turn, where they come in turns.
    pub turns: Option<Turns>,
    /// What they ask for.
    pub keys: Keys,
    /// Keys that are asked for once before the run begins.
    pub fill: Option<u64>,
    /// Their budgets, in milliseconds; 0 for none.
    pub budget_ms: (u16, u16),
    /// Connections, at most.
    pub connections: usize,
    /// When the first comes.
    pub from: Duration,
    /// When nobody comes any more.
    pub to: Duration,
    /// How long one waits before it gives up.
    pub patience: Duration,
}

/// Whom callers ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Front {
    /// The proxy, over HTTP.
    Http,
    /// The proxy, over memcached's protocol.
    Memcached,
    /// The proxy, over DNS.
    Dns,
    /// This vendor, past the proxy: what the proxy adds is the difference.
    Vendor(String),
}

/// Something that happens in a run.
#[derive(Clone, Debug)]
pub struct Event {
    /// When.
    pub at: Duration,
    /// As it is written: `lrn/vendor-a hang`.
    pub told: String,
    /// To whom.
    pub act: Act,
}

/// What happens.
#[derive(Clone, Debug)]
pub enum Act {
    /// A vendor gets an order.
    Vendor(String, Order),
    /// The proxy is told to forget a lookup's entries.
    Flush(String),
    /// A server beside the proxy stops or comes back.
    Server(Needed, Turn),
}

/// What happens to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It ends.
    Stop,
    /// It stands still, its connections with it.
    Pause,
    /// It runs again.
    Start,
}

/// Reads a scenario and the policies beside it, in `policies/`.
///
/// # Errors
/// Every fault, with its place.
pub fn read(path: &Path) -> Result<Scenario, Vec<Fault>> {
    check::read(path)
}
