//! Synthetic calls: they arrive at a steady rate whatever becomes of those before, and each asks what a routing
//! script asks, through the same HTTP front.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::client::{Lane, Reply};
use super::numbers::Numbers;
use super::tally::{ASKED, Ending, Tally};
use crate::deadline::{Deadline, now};

/// How many calls arrive a second.
pub const RATE: u32 = 200;
/// Calls that may be in the asking at once; one more counts as lost. A call takes 230 ms at the very most when
/// the proxy keeps its budgets, so that 50 would do.
const MAX_CALLS: usize = 500;
/// When a caller gives up on a question that got no answer at all.
const PATIENCE: Duration = Duration::from_secs(1);
/// The share of calls that need an address of the carrier's.
const NEEDS_ADDRESS: f64 = 0.25;
/// The names that such a call may ask for.
const EDGES: [&str; 4] = ["sip.carrier.test", "edge-1.carrier.test", "edge-2.carrier.test", "edge-3.carrier.test"];

/// What all calls share.
#[derive(Debug)]
struct Exchange {
    front: SocketAddr,
    numbers: Numbers,
    tally: Arc<Tally>,
    /// Connections that nobody uses at the moment.
    idle: Mutex<Vec<Lane>>,
}

/// Lets calls arrive until it is dropped.
pub async fn arrive(front: SocketAddr, tally: Arc<Tally>) {
    let exchange = Arc::new(Exchange { front, numbers: Numbers::default(), tally, idle: Mutex::default() });
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / RATE);
    // Calls do not wait for us: those that came while we were kept busy are started at once.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut calls = JoinSet::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                if calls.len() < MAX_CALLS {
                    calls.spawn(exchange.clone().call());
                } else {
                    exchange.tally.enter(now(), 0, Duration::ZERO, Ending::Lost);
                }
            }
            Some(_) = calls.join_next() => {}
        }
    }
}

impl Exchange {
    /// One call: its questions one after the other, as in a script.
    async fn call(self: Arc<Self>) {
        let caller = self.numbers.pick(fastrand::f64());
        let called = self.numbers.pick(fastrand::f64());
        let account = 1001 + fastrand::u32(..24);
        self.ask("account", &account.to_string()).await;
        self.ask("lrn", called).await;
        self.ask("cnam", caller).await;
        self.ask("rate", called).await;
        if fastrand::f64() < NEEDS_ADDRESS {
            self.ask("carrier-dns", EDGES[fastrand::usize(..EDGES.len())]).await;
        }
    }

    async fn ask(&self, lookup: &str, key: &str) {
        let Some(asked) = ASKED.iter().position(|asked| asked.lookup == lookup) else { return };
        let begun = now();
        let ending = self.ending(&format!("/v1/lookup/{lookup}/{key}")).await.unwrap_or(Ending::Lost);
        let ended = now();
        self.tally.enter(ended, asked, ended - begun, ending);
    }

    async fn ending(&self, path: &str) -> io::Result<Ending> {
        let deadline = Deadline::after(PATIENCE);
        let (reply, lane) = self.exchange(path, deadline).await?;
        self.idle.lock().push(lane);
        Ok(Ending::of(reply.status, &reply.source))
    }

    /// Over a kept connection if there is one. It may have been closed while it was idle, which is nobody's
    /// fault: then once more over a new one.
    async fn exchange(&self, path: &str, deadline: Deadline) -> io::Result<(Reply, Lane)> {
        let kept = self.idle.lock().pop();
        if let Some(lane) = kept {
            match lane.get(path, deadline).await {
                Err(error) if error.kind() != io::ErrorKind::TimedOut => {}
                answered => return answered,
            }
        }
        Lane::open(self.front, deadline).await?.get(path, deadline).await
    }
}
