//! What the proxy can be told to do, whoever says it and whichever way the word comes.
//!
//! ```text
//!  admin API ───────────────────────┐
//!  control topic ──> written ───────┴─> Order ──> Orders::carry_out ──> lookups, tables, warm jobs
//! ```
//!
//! A new order is a variant of [`Order`], a line in [`written`], an arm in [`Orders::carry_out`]. An order
//! that every node hears by itself ([`Reach::Here`]) has a time of its own: nodes that share memory carry it out
//! under that time, so that a hundred of them do it once, and one that was away undoes nothing newer.

pub mod applied;
pub mod control;
pub mod written;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::health::Override;
use crate::health::failed::Full;
use crate::lookup::{Lookup, Lookups, Pushed};
use crate::warm::{Job, Key, NotBegun, Pacing, Warming};
use crate::written::in_units;

/// Records that are kept before somebody else may have the thread.
const RUN: usize = 64;

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Forget a lookup's entries.
    Flush {
        /// The lookup.
        lookup: String,
        /// Only this key, with further inputs as `key;ani=12025550123`; or with `*` at its end all that begin so, as they are
        /// kept: `+1303555*`. `None`: all of them.
        key: Option<String>,
    },
    /// Lay a hand on a lookup's flag.
    Health {
        /// The lookup.
        lookup: String,
        /// The hand.
        hand: Override,
    },
    /// Load tables anew, soon.
    Table {
        /// The lookup.
        lookup: String,
        /// Only this upstream's; `None`: all of the lookup's.
        upstream: Option<String>,
        /// True: whatever a load brings is believed.
        force: bool,
    },
    /// Ask for keys before anybody calls.
    Warm {
        /// The lookup.
        lookup: String,
        /// The keys, each as a line of a warm file.
        keys: Vec<String>,
        /// Dips a second at most.
        per_second: Option<f64>,
    },
    /// Run the policy's own warm job now: once in the cluster where every node hears of it.
    WarmJob {
        /// The lookup.
        lookup: String,
    },
    /// Keep records that another system knows, without asking anybody.
    Ingest {
        /// The lookup.
        lookup: String,
        /// The records.
        records: Vec<Pushed>,
    },
    /// Avoid a destination that was found dead.
    Target {
        /// Its address.
        target: SocketAddr,
        /// For so long; no time at all takes it back.
        span: Duration,
    },
}

/// Who hears of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// This node alone, which tells the others where they share memory.
    Everybody,
    /// Every node by itself, each with this time: milliseconds since 1970.
    Here {
        /// When the order was given.
        at: u64,
    },
}

/// Why an order cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotObey {
    /// There is no such lookup or table here; another node may have it.
    #[error("{0}")]
    Unknown(String),
    /// What is ordered makes no sense for the lookup.
    #[error("{0}")]
    Wrong(String),
    /// Not now.
    #[error("{0}")]
    NotNow(String),
}

impl From<NotBegun> for CannotObey {
    fn from(why: NotBegun) -> Self {
        match why {
            NotBegun::Unknown { .. } => Self::Unknown(why.to_string()),
            NotBegun::NothingKept(_) | NotBegun::NoJob(_) => Self::Wrong(why.to_string()),
            NotBegun::NoKeys(_) | NotBegun::TooMany | NotBegun::Stopping => Self::NotNow(why.to_string()),
        }
    }
}

impl Order {
    /// The word for it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Flush { .. } => "flush",
            Self::Health { .. } => "health",
            Self::Table { .. } => "table",
            Self::Warm { .. } => "warm",
            Self::WarmJob { .. } => "warm_job",
            Self::Ingest { .. } => "ingest",
            Self::Target { .. } => "target",
        }
    }

    /// The lookup it is about, if it is about one.
    pub fn lookup(&self) -> Option<&str> {
        match self {
            Self::Flush { lookup, .. }
            | Self::Health { lookup, .. }
            | Self::Table { lookup, .. }
            | Self::Warm { lookup, .. }
            | Self::WarmJob { lookup }
            | Self::Ingest { lookup, .. } => Some(lookup),
            Self::Target { .. } => None,
        }
    }

    /// True for an order that makes a state which a node keeps in memory alone: after a restart it must be
    /// carried out again.
    pub const fn makes_state(&self) -> bool {
        matches!(self, Self::Health { .. } | Self::Target { .. })
    }
}

/// Carries orders out.
#[derive(Debug)]
pub struct Orders {
    lookups: Arc<Lookups>,
    warming: Arc<Warming>,
}

impl Orders {
    /// Orders to these.
    pub fn new(lookups: Arc<Lookups>, warming: Arc<Warming>) -> Self {
        Self { lookups, warming }
    }

    /// Does what is ordered, and says in words what it did. A warm job goes on behind it. Must be called within a
    /// tokio runtime.
    ///
    /// # Errors
    /// [`CannotObey`] says why not.
    pub async fn carry_out(&self, order: Order, reach: Reach) -> Result<String, CannotObey> {
        match order {
            Order::Flush { lookup, key: None } => {
                let found = self.find(&lookup)?;
                // Millions of entries take a while, on a thread that no call needs.
                let flushed = tokio::task::spawn_blocking(move || match reach {
                    Reach::Everybody => found.flush(),
                    Reach::Here { at } => found.flush_as_told(at),
                });
                flushed.await.map_err(|error| CannotObey::NotNow(format!("the flush failed: {error}")))?;
                Ok(format!("every entry of {lookup} is gone"))
            }
            Order::Flush { lookup, key: Some(key) } => match key.strip_suffix('*') {
                Some(prefix) => self.flush_prefix(&lookup, prefix.to_owned(), reach).await,
                None => self.flush_key(&lookup, key, reach),
            },
            Order::Health { lookup, hand } => {
                let found = self.find(&lookup)?;
                match reach {
                    Reach::Everybody => found.lay_hand(hand),
                    Reach::Here { at } => found.lay_hand_as_told(hand, at),
                }
                Ok(format!("{lookup} is {} ({})", u8::from(found.is_up()), hand.as_str()))
            }
            Order::Table { lookup, upstream, force } => {
                let found = self.find(&lookup)?;
                if found.want_tables(upstream.as_deref(), force) {
                    let of = upstream.map_or_else(|| lookup.clone(), |upstream| format!("{lookup}/{upstream}"));
                    return Ok(format!("{of} is loaded; /v1/status tells how it ended"));
                }
                Err(CannotObey::Unknown(no_table(&found, upstream.as_deref())))
            }
            Order::Warm { lookup, keys, per_second } => self.warm(&lookup, keys, per_second),
            Order::WarmJob { lookup } => {
                let run = match reach {
                    Reach::Everybody => None,
                    Reach::Here { at } => Some(i64::try_from(at / 1000).unwrap_or(i64::MAX)),
                };
                self.warming.want(&lookup, run).map_err(CannotObey::from)?;
                Ok(format!("the warm job of {lookup} is wanted; /v1/status tells of it"))
            }
            Order::Ingest { lookup, records } => self.ingest(&lookup, records, reach).await,
            Order::Target { target, span } => self.target(target, span, reach),
        }
    }

    async fn flush_prefix(&self, lookup: &str, prefix: String, reach: Reach) -> Result<String, CannotObey> {
        let found = self.find(lookup)?;
        if !found.policy.inputs.key.may_begin(&prefix) {
            let why =
                "before the `*` stands the beginning of the keys as they are kept, such as `+1303555*` for numbers";
            return Err(CannotObey::Wrong(why.to_owned()));
        }
        let forgotten = tokio::task::spawn_blocking(move || match reach {
            Reach::Everybody => found.forget_prefix(&prefix),
            Reach::Here { at } => found.forget_prefix_as_told(&prefix, at),
        });
        let count = forgotten.await.map_err(|error| CannotObey::NotNow(format!("the flush failed: {error}")))?;
        Ok(format!("{count} entries are gone"))
    }

    fn flush_key(&self, lookup: &str, key: String, reach: Reach) -> Result<String, CannotObey> {
        let found = self.find(lookup)?;
        let key = Key { line: 1, text: Some(key) };
        let question = key.question(&found.policy).map_err(CannotObey::Wrong)?;
        let was_here = match reach {
            Reach::Everybody => found.forget(&question),
            Reach::Here { at } => found.forget_as_told(&question, at),
        };
        Ok(if was_here { "the entry is gone" } else { "there was no such entry" }.to_owned())
    }

    fn target(&self, target: SocketAddr, span: Duration, reach: Reach) -> Result<String, CannotObey> {
        let full = |full: Full| CannotObey::NotNow(format!("{full}; so many dead ones are an outage of another kind"));
        match reach {
            Reach::Everybody if span.is_zero() => {
                let was = self.lookups.trust(target);
                return Ok(format!("{target} {}", if was { "is trusted again" } else { "was trusted anyway" }));
            }
            Reach::Everybody => self.lookups.avoid(target, span).map_err(full)?,
            Reach::Here { at } => self.lookups.avoid_as_told(target, span, at).map_err(full)?,
        }
        if span.is_zero() {
            return Ok(format!("{target} is trusted"));
        }
        Ok(format!("{target} comes last for {}", in_units(span)))
    }

    fn warm(&self, lookup: &str, keys: Vec<String>, per_second: Option<f64>) -> Result<String, CannotObey> {
        let count = keys.len();
        let keys: VecDeque<Key> = (1..).zip(keys).map(|(line, text)| Key { line, text: Some(text) }).collect();
        let job = self.warming.begin(lookup, keys, Pacing { per_second, renew: None }).map_err(CannotObey::from)?;
        tokio::spawn(see_through(job));
        Ok(format!("{count} keys of {lookup} are warmed; /v1/status tells how far"))
    }

    async fn ingest(&self, lookup: &str, records: Vec<Pushed>, reach: Reach) -> Result<String, CannotObey> {
        let found = self.find(lookup)?;
        let at = match reach {
            Reach::Everybody => None,
            Reach::Here { at } => Some(at),
        };
        let (count, mut bad, mut first) = (records.len(), 0_usize, None);
        for (place, record) in (1_usize..).zip(records) {
            if let Err(why) = found.ingest(record, at) {
                bad += 1;
                first.get_or_insert_with(|| format!("record {place}: {why}"));
            }
            if place.is_multiple_of(RUN) {
                tokio::task::yield_now().await;
            }
        }
        match first {
            None => Ok(format!("{count} records of {lookup} are kept")),
            Some(first) => Err(CannotObey::Wrong(format!("{bad} of {count} records are not kept; {first}"))),
        }
    }

    /// The lookup of this name.
    ///
    /// # Errors
    /// [`CannotObey::Unknown`] tells which there are.
    pub fn find(&self, name: &str) -> Result<Arc<Lookup>, CannotObey> {
        self.lookups.find(name).ok_or_else(|| {
            let known: Vec<_> = self.lookups.all().iter().map(|lookup| lookup.policy.name.to_string()).collect();
            CannotObey::Unknown(format!("no lookup `{name}`; there are {}", known.join(", ")))
        })
    }
}

fn no_table(lookup: &Lookup, wanted: Option<&str>) -> String {
    let name = &lookup.policy.name;
    let known: Vec<_> = lookup.tables().map(|(member, _)| member.name.to_string()).collect();
    let known = if known.is_empty() { "it has none".to_owned() } else { format!("there are {}", known.join(", ")) };
    wanted.map_or_else(|| format!("{name} has no table"), |wanted| format!("{name} has no table `{wanted}`; {known}"))
}

/// A job ends when nobody holds it: held until it is done.
async fn see_through(mut job: Job) {
    loop {
        let told = job.told_after(Duration::from_secs(60)).await;
        if told.state.is_over() {
            tracing::info!(lookup = &*told.lookup, state = ?told.state, "a warm job that was ordered has ended");
            return;
        }
    }
}
