//! One server: its connections, its breaker, and whether what it holds may be believed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{Counter, counter};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use crate::cache::shared::connection::{Command, Connection, Fault, Reply, Write};
use crate::cache::shared::generation;
use crate::deadline::{Deadline, calendar, now};
use crate::events::{Event, EventType, Events};
use crate::health::{Breaker, Change, State};
use crate::policy::BreakerRules;
use crate::telemetry::Histogram;
use crate::telemetry::histogram::histogram;

/// Connections open at once to one server.
const CONNECTIONS: usize = 32;

/// Four failures in a row and nobody waits for it any more; it is looked at again a few times a second.
const RULES: BreakerRules = BreakerRules {
    window: Duration::from_secs(1),
    min_samples: 20,
    failure_ratio: 0.5,
    slow: Duration::MAX,
    slow_ratio: 1.0,
    consecutive: 4,
    open: Duration::from_millis(200),
    open_max: Duration::from_millis(400),
    probes: 1,
};

/// What is done, as metrics call it.
#[derive(Clone, Copy, Debug)]
#[repr(usize)]
pub(super) enum Op {
    Get = 0,
    Add = 1,
    Cas = 2,
    Set = 3,
    Probe = 4,
}

const OPS: [&str; 5] = ["get", "add", "cas", "set", "probe"];

/// One server.
#[derive(Debug)]
pub(super) struct Server {
    /// As the config names it.
    pub name: String,
    /// Where its generation stands.
    pub generation_key: String,
    timeout: Duration,
    idle: Mutex<Vec<Connection>>,
    seats: Semaphore,
    breaker: Mutex<Breaker>,
    /// What answers must carry to be believed; zero until the keeper has looked.
    generation: AtomicU64,
    /// Wakes the keeper.
    pub doubt: Notify,
    events: Arc<Events>,
    seconds: [Arc<Histogram>; OPS.len()],
}

impl Server {
    /// A server that nobody has spoken to yet.
    pub(super) fn new(name: &str, generation_key: String, timeout: Duration, events: Arc<Events>) -> Self {
        Self {
            name: name.to_owned(),
            generation_key,
            timeout,
            idle: Mutex::default(),
            seats: Semaphore::new(CONNECTIONS),
            breaker: Mutex::new(Breaker::new(RULES, now())),
            generation: AtomicU64::new(0),
            doubt: Notify::new(),
            events,
            seconds: OPS.map(|op| histogram("dipcache_shared_seconds", &[("op", op)])),
        }
    }

    /// The generation that answers must carry, if it is known.
    pub(super) fn generation(&self) -> Option<u64> {
        Some(self.generation.load(Ordering::Acquire)).filter(|generation| *generation > 0)
    }

    pub(super) fn set_generation(&self, generation: u64) {
        self.generation.store(generation, Ordering::Release);
    }

    /// True while it may be asked.
    pub(super) fn is_up(&self) -> bool {
        self.breaker.lock().is_closed()
    }

    /// Where its breaker stands.
    pub(super) fn state(&self) -> State {
        self.breaker.lock().state()
    }

    /// Several values.
    pub(super) async fn get(&self, keys: &[String]) -> Result<HashMap<String, Vec<u8>>, Fault> {
        match self.run(Op::Get, Command::Get(keys)).await? {
            Reply::Values(values) => Ok(values),
            Reply::Value(_) | Reply::Written(_) => Err(Fault::Garbage),
        }
    }

    /// One value with its version.
    pub(super) async fn gets(&self, op: Op, key: &str) -> Result<Option<(Vec<u8>, u64)>, Fault> {
        match self.run(op, Command::Gets(key)).await? {
            Reply::Value(value) => Ok(value),
            Reply::Values(_) | Reply::Written(_) => Err(Fault::Garbage),
        }
    }

    /// Writes where nothing is (no version) or where this version is; false when something else is there.
    pub(super) async fn swap(&self, op: Op, write: &Write, version: Option<u64>) -> Result<bool, Fault> {
        let command = version.map_or(Command::Add(write), |version| Command::Cas(write, version));
        Ok(matches!(self.run(op, command).await?, Reply::Written(true)))
    }

    /// Writes all of these.
    pub(super) async fn write(&self, writes: &[Write]) -> Result<(), Fault> {
        self.run(Op::Set, Command::Write(writes)).await.map(|_| ())
    }

    /// One operation, never longer than the timeout, never on a server that is down.
    async fn run(&self, op: Op, command: Command<'_>) -> Result<Reply, Fault> {
        let probing = matches!(op, Op::Probe);
        if !probing && !self.is_up() {
            self.failed(Fault::Open);
            return Err(Fault::Open);
        }
        let began = now();
        let done = Deadline::at(began + self.timeout)
            .limit(self.execute(command, probing))
            .await
            .unwrap_or(Err(Fault::Timeout));
        let took = now() - began;
        self.seconds[op as usize].record(took);
        if let Err(fault) = done {
            self.failed(fault);
        }
        if !probing || self.is_up() {
            let failed = done.as_ref().is_err_and(|fault| fault.is_theirs());
            let change = self.breaker.lock().sample(now(), failed, Duration::ZERO);
            self.note(change);
        }
        done
    }

    /// On an idle connection or a new one. A connection goes back only after a whole answer: one that was given up
    /// at a deadline is dropped with this future, and a late answer finds nobody.
    async fn execute(&self, command: Command<'_>, probing: bool) -> Result<Reply, Fault> {
        // The semaphore is never closed.
        let _seat = self.seats.acquire().await.map_err(|_| Fault::Timeout)?;
        if let Some(mut connection) = self.take_idle() {
            match connection.execute(command).await {
                Ok(reply) => {
                    self.idle.lock().push(connection);
                    return Ok(reply);
                }
                // It may have been closed long ago. A new connection tells.
                Err(Fault::Closed) => self.idle.lock().clear(),
                Err(fault) => return Err(fault),
            }
        }
        let mut connection = Connection::open(&self.name).await?;
        if !probing {
            self.recognise(&mut connection).await?;
        }
        let reply = connection.execute(command).await?;
        self.idle.lock().push(connection);
        Ok(reply)
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock();
        while let Some(connection) = idle.pop() {
            if connection.is_good() {
                return Some(connection);
            }
        }
        None
    }

    /// A new connection may lead to a server that has been restarted, or to another one: what it holds is believed
    /// only if it is of the generation that we know. Else the keeper looks into it, at once.
    async fn recognise(&self, connection: &mut Connection) -> Result<(), Fault> {
        let known = match connection.execute(Command::Gets(&self.generation_key)).await? {
            Reply::Value(Some((bytes, _))) => generation::is_known(&bytes, self.generation(), calendar()),
            _ => false,
        };
        if known {
            return Ok(());
        }
        self.set_generation(0);
        self.doubt.notify_one();
        Err(Fault::Generation)
    }

    /// The keeper's turn: true once a probe is due.
    pub(super) fn probe_due(&self) -> bool {
        self.breaker.lock().probe_due(now()).0
    }

    /// How the keeper's probe ended.
    pub(super) fn probe_ended(&self, failed: bool) {
        let change = self.breaker.lock().probe_ended(now(), failed, Duration::ZERO);
        self.note(change);
    }

    /// Tells when it goes and when it comes back, and not of every probe.
    fn note(&self, change: Option<Change>) {
        let Some(change) = change else { return };
        let (event, from, to) = match (change.from, change.to) {
            (State::Closed, State::Open { .. }) => (EventType::SharedDown, "up", "down"),
            (_, State::Closed) => (EventType::SharedUp, "down", "up"),
            _ => return,
        };
        if event == EventType::SharedDown {
            self.idle.lock().clear();
            self.set_generation(0);
            self.doubt.notify_one();
        }
        let reason = format!("{}: {}", self.name, change.reason);
        self.events.raise(Event { from, to, ..Event::of_node(event, reason) });
    }

    /// Counts a failure.
    pub(super) fn failed(&self, fault: Fault) {
        self.errors(fault.label()).increment(1);
    }

    /// The counter of this kind of failure. Failures are rare enough to look it up each time.
    pub(super) fn errors(&self, kind: &'static str) -> Counter {
        counter!("dipcache_shared_errors_total", "server" => self.name.clone(), "kind" => kind)
    }
}
