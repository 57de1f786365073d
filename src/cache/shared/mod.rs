//! The memory that many nodes have in common: memcached, which may die, hang or lie at any moment.
//!
//! ```text
//! key        a legal key, whatever it is made of; shape and era inside it
//! ring       which server has it: libmemcached's ketama
//! server     breaker, pooled connections, one deadline an operation
//! connection memcache-async over a `guard` that sees every byte first
//! stored     what an answer looks like there, and why it is believed (`cache/stored.rs`)
//! keeper     looks at each server: does it answer, is what it holds of today?
//! behind     writes, which no caller waits for
//! ```
//!
//! Invariants: no operation takes longer than `[shared] timeout`; a connection goes back to its pool only after the
//! last byte of an answer; whatever is in doubt is a miss. Absent on purpose: a second copy of a key, and
//! another server in place of one that is down. The upstreams are the second copy. After a change of the servers a key's
//! former owner is asked beside the new one, for a while.

mod key;
mod ring;
mod guard;
mod connection;
mod generation;
mod server;
mod keeper;
mod behind;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::cache::Entry;
use crate::cache::entry::Freshness;
use crate::cache::stored::{self, Moment};
use crate::config::Shared;
use crate::deadline::{Instant, now};
use crate::events::Events;

use behind::Behind;
use connection::Write;
use guard::LONGEST_VALUE;
use server::{Op, Server};

pub use connection::Fault;
pub use ring::Ring;

/// The longest that memcached takes as a span and not as a date, in seconds.
const LONGEST_LIFE: u32 = 30 * 86_400;

/// For this long after the start a key's former owner is asked too, where `[shared] before` names one.
const MOVING: Duration = Duration::from_secs(600);

/// Where an answer is kept: everything that makes it the answer to this question under this policy.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The lookup's name.
    pub lookup: &'a str,
    /// The policy's shape: answers of another one mean something else.
    pub shape: u64,
    /// The era: each flush of the whole lookup begins a new one.
    pub era: u64,
    /// The question.
    pub id: &'a str,
}

/// The shared cache of this node.
#[derive(Debug)]
pub struct SharedCache {
    settings: Shared,
    ring: Ring,
    former: Option<Former>,
    /// Those of the ring, then those that have only been.
    servers: Vec<Arc<Server>>,
    behind: Vec<Behind>,
    /// The keepers and the writers; they end with the cache.
    _tasks: JoinSet<()>,
}

/// The ring of before.
#[derive(Debug)]
struct Former {
    ring: Ring,
    /// Where its servers stand among all.
    places: Vec<usize>,
    until: Instant,
}

impl Former {
    fn find(&self, key: &str) -> Option<usize> {
        (now() < self.until).then(|| self.places[self.ring.find(key)])
    }
}

impl SharedCache {
    /// Starts looking after the servers. Connects to nobody yet; must be called within a tokio runtime.
    pub fn start(settings: Shared, events: &Arc<Events>) -> Arc<Self> {
        let mut tasks = JoinSet::new();
        let server = |name: &String| {
            let generation = key::plain(&settings.prefix, "generation", "");
            Arc::new(Server::new(name, generation, settings.timeout, Arc::clone(events)))
        };
        let gone = settings.before.iter().filter(|name| !settings.servers.contains(name));
        let servers: Vec<_> = settings.servers.iter().chain(gone).map(server).collect();
        let mut behind = Vec::with_capacity(servers.len());
        for server in &servers {
            tasks.spawn(keeper::keep(Arc::clone(server)));
            let (queue, writer) = Behind::new(Arc::clone(server));
            tasks.spawn(writer);
            behind.push(queue);
        }
        let ring = Ring::new(&settings.servers, settings.ring);
        let place = |name: &String| servers.iter().position(|server| server.name == *name);
        let former = (!settings.before.is_empty()).then(|| Former {
            ring: Ring::new(&settings.before, settings.ring),
            // Each of them is there: see `gone`.
            places: settings.before.iter().filter_map(place).collect(),
            until: now() + MOVING,
        });
        Arc::new(Self { settings, ring, former, servers, behind, _tasks: tasks })
    }

    /// Its settings.
    pub fn settings(&self) -> &Shared {
        &self.settings
    }

    /// The servers and whether each of them answers.
    pub fn servers(&self) -> impl Iterator<Item = (&str, bool)> {
        self.servers.iter().map(|server| (server.name.as_str(), server.is_up()))
    }

    /// True while any server answers.
    pub fn is_any_up(&self) -> bool {
        self.servers.iter().any(|server| server.is_up())
    }

    /// Waits until every server has been looked at and may be believed. Bound it: one that is down never is.
    pub async fn ready(&self) {
        while self.servers.iter().any(|server| server.generation().is_none()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// The answer kept here, fresh or stale. Never longer than the timeout; whatever is in doubt is `None`.
    pub async fn get(&self, place: Place<'_>) -> Option<Entry> {
        self.get_many(&[place]).await.pop().flatten()
    }

    /// Several answers, one question a server, side by side.
    pub async fn get_many(&self, places: &[Place<'_>]) -> Vec<Option<Entry>> {
        let mut keys = vec![Vec::new(); self.servers.len()];
        let located: Vec<_> = places.iter().map(|place| self.locate(*place)).collect();
        let former = |(owner, key): &(usize, String)| {
            self.former.as_ref().and_then(|former| former.find(key)).filter(|former| former != owner)
        };
        let formers: Vec<_> = located.iter().map(former).collect();
        for ((owner, key), former) in located.iter().zip(&formers) {
            keys[*owner].push(key.clone());
            former.iter().for_each(|former| keys[*former].push(key.clone()));
        }
        let asked = self.servers.iter().zip(&keys).map(async |(server, keys)| {
            let generation = server.generation();
            if keys.is_empty() || generation.is_none() {
                return None;
            }
            // The generation of before the question: what arrives later may be of before a restart.
            Some((generation?, server.get(keys).await.ok()?))
        });
        let answers = futures_util::future::join_all(asked).await;
        let now = Moment::now();
        let read = |index: usize, place: &Place<'_>, key: &str| {
            let (generation, values) = answers[index].as_ref()?;
            let entry = stored::read(values.get(key)?, place.id, *generation, now);
            if let Err(bad) = &entry {
                self.servers[index].errors(bad.label()).increment(1);
            }
            entry.ok().filter(|entry| entry.freshness(now.tick) != Freshness::Dead)
        };
        let places = places.iter().zip(&located).zip(&formers);
        places
            .map(|((place, (owner, key)), former)| {
                read(*owner, place, key).or_else(|| {
                    let moved = read((*former)?, place, key)?;
                    self.put(*place, &moved);
                    Some(moved)
                })
            })
            .collect()
    }

    /// Keeps an answer for all nodes, soon; nobody waits for it.
    pub fn put(&self, place: Place<'_>, entry: &Entry) {
        let (index, key) = self.locate(place);
        // Without a generation nobody could tell later whether it is of today.
        let Some(generation) = self.servers[index].generation() else { return };
        let now = Moment::now();
        let life = entry.life_left(now.tick);
        if life.is_zero() || entry.record_bytes() > LONGEST_VALUE / 2 {
            return;
        }
        let value = stored::write(entry, place.id, generation, now);
        let life = u32::try_from(life.as_secs() + 1).unwrap_or(LONGEST_LIFE).min(LONGEST_LIFE);
        self.behind[index].write(Write { key, value: Some(value), life });
    }

    /// Forgets an answer, soon.
    pub fn forget(&self, place: Place<'_>) {
        let (index, key) = self.locate(place);
        self.behind[index].write(Write { key, value: None, life: 0 });
    }

    fn locate(&self, place: Place<'_>) -> (usize, String) {
        let key = key::of_answer(&self.settings.prefix, place.lookup, place.shape, place.era, place.id);
        (self.ring.find(&key), key)
    }

    // What the nodes tell each other: `kind` and `name` make the key.

    /// A document and its version.
    ///
    /// # Errors
    /// When its server does not answer in time.
    pub async fn read(&self, kind: &str, name: &str) -> Result<Option<(Vec<u8>, u64)>, Fault> {
        let key = key::plain(&self.settings.prefix, kind, name);
        self.servers[self.ring.find(&key)].gets(Op::Get, &key).await
    }

    /// Writes a document where this version is (or none): false when another node was faster. `life` in seconds,
    /// zero for ever.
    ///
    /// # Errors
    /// When its server does not answer in time; then it may or may not be written.
    pub async fn swap(
        &self,
        (kind, name): (&str, &str),
        value: Vec<u8>,
        version: Option<u64>,
        life: u32,
    ) -> Result<bool, Fault> {
        let write = Write { key: key::plain(&self.settings.prefix, kind, name), value: Some(value), life };
        let op = if version.is_some() { Op::Cas } else { Op::Add };
        self.servers[self.ring.find(&write.key)].swap(op, &write, version).await
    }

    /// Takes a document away, soon.
    pub fn remove(&self, kind: &str, name: &str) {
        let key = key::plain(&self.settings.prefix, kind, name);
        self.behind[self.ring.find(&key)].write(Write { key, value: None, life: 0 });
    }

    /// Sets these flags on every server, all servers side by side. Names and values; `life` in seconds. Where one that
    /// should still be there is gone (evicted, or flushed by somebody), that is counted.
    pub async fn set_everywhere(&self, kind: &str, flags: &[(String, bool)], life: u32, should_be_there: bool) {
        let writes = self.flag_writes(kind, flags, life);
        let keys: Vec<String> = writes.iter().map(|write| write.key.clone()).collect();
        let write = self.servers.iter().map(async |server| {
            if should_be_there && let Ok(found) = server.get(&keys).await {
                server.errors("flag_gone").increment((keys.len() - found.len()) as u64);
            }
            // A server that fails has counted it.
            let _ = server.write(&writes).await;
        });
        futures_util::future::join_all(write).await;
    }

    /// The same, where no other value stands: what a node does that does not hear the others.
    pub async fn agree_everywhere(&self, kind: &str, flags: &[(String, bool)], life: u32) {
        let writes = self.flag_writes(kind, flags, life);
        let agree = self.servers.iter().map(async |server| {
            for write in &writes {
                let Ok(found) = server.gets(Op::Get, &write.key).await else { return };
                let version = match &found {
                    None => None,
                    Some((value, version)) if Some(value) == write.value.as_ref() => Some(*version),
                    Some(_) => continue,
                };
                // Somebody else was faster: then it is theirs.
                let _ = server.swap(Op::Set, write, version).await;
            }
        });
        futures_util::future::join_all(agree).await;
    }

    fn flag_writes(&self, kind: &str, flags: &[(String, bool)], life: u32) -> Vec<Write> {
        let write = |(name, up): &(String, bool)| Write {
            key: key::plain(&self.settings.prefix, kind, name),
            value: Some(if *up { b"1".to_vec() } else { b"0".to_vec() }),
            life,
        };
        flags.iter().map(write).collect()
    }
}
