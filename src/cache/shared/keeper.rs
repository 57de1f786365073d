//! Looks at one server a few times a second: does it answer, and is what it holds of today?
//!
//! Each server holds a generation: a number, and the time at which a node last vouched for it. Every answer kept
//! there carries the number. A server that was away comes back with a time that is long past (or with none, or
//! with an older number): whoever sees it first writes a new generation, and whatever is of an older one is a
//! miss from then on. Nobody else needs to be told: every node looks.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::shared::connection::{Fault, Write};
use crate::cache::shared::generation::{self, YESTERDAY};
use crate::cache::shared::server::{Op, Server};
use crate::deadline::{Instant, calendar, now};
use crate::health::State;

/// Between two looks.
const BEAT: Duration = Duration::from_millis(200);
/// Between two times that a node vouches.
const VOUCH: u64 = 1_000;
/// [`YESTERDAY`] for a node that has only just begun: all nodes may have been restarted together.
const LONG_AGO: u64 = 15 * 60_000;

/// Keeps one server until its task is ended.
pub(super) async fn keep(server: Arc<Server>) {
    let mut keeper = Keeper { server, latest: 0, met: None };
    loop {
        keeper.look().await;
        let server = &keeper.server;
        match server.state() {
            State::Open { until } => {
                tokio::time::sleep_until(until).await;
            }
            State::Closed | State::HalfOpen => {
                tokio::select! {
                    () = tokio::time::sleep(BEAT) => {}
                    () = server.doubt.notified() => {}
                }
            }
        }
    }
}

struct Keeper {
    server: Arc<Server>,
    /// The highest generation that was ever seen here.
    latest: u64,
    /// When this server first answered.
    met: Option<Instant>,
}

impl Keeper {
    async fn look(&mut self) {
        let probing = !self.server.is_up();
        if probing && !self.server.probe_due() {
            return;
        }
        let looked = self.examine().await;
        match looked {
            Ok(generation) => self.server.set_generation(generation),
            // Doubt stays until a look succeeds.
            Err(_) => self.server.set_generation(0),
        }
        if probing {
            self.server.probe_ended(looked.is_err());
        }
    }

    /// The generation of what it holds, a new one if need be.
    async fn examine(&mut self) -> Result<u64, Fault> {
        // Another node may be at the same: whoever loses looks again.
        for _ in 0..5 {
            let found = self.server.gets(Op::Probe, &self.server.generation_key).await?;
            let now_ms = calendar();
            let Some((bytes, version)) = found else {
                let fresh = self.next(now_ms);
                if self.swap(fresh, now_ms, None).await? {
                    return Ok(self.adopt(fresh));
                }
                continue;
            };
            match generation::parse(&bytes)
                .filter(|(generation, vouched)| self.is_of_today(*generation, *vouched, now_ms))
            {
                Some((generation, vouched)) => {
                    if now_ms > vouched + VOUCH {
                        // If another node was faster, all the better.
                        self.swap(generation, now_ms, Some(version)).await?;
                    }
                    return Ok(self.adopt(generation));
                }
                None => {
                    let fresh = self.next(now_ms);
                    if self.swap(fresh, now_ms, Some(version)).await? {
                        return Ok(self.adopt(fresh));
                    }
                }
            }
        }
        Err(Fault::Generation)
    }

    fn is_of_today(&self, generation: u64, vouched: u64, now_ms: u64) -> bool {
        let known_for = self.met.map_or(0, |met| (now() - met).as_millis());
        let limit = if known_for > u128::from(YESTERDAY) { YESTERDAY } else { LONG_AGO };
        generation >= self.latest && now_ms.saturating_sub(vouched) <= limit
    }

    /// A generation above all that were: the calendar's time, unless that went back.
    fn next(&self, now_ms: u64) -> u64 {
        now_ms.max(self.latest + 1)
    }

    fn adopt(&mut self, generation: u64) -> u64 {
        self.latest = self.latest.max(generation);
        self.met.get_or_insert_with(now);
        generation
    }

    async fn swap(&self, generation: u64, vouched: u64, version: Option<u64>) -> Result<bool, Fault> {
        let value = format!("{generation} {vouched}").into_bytes();
        let write = Write { key: self.server.generation_key.clone(), value: Some(value), life: 0 };
        self.server.swap(Op::Probe, &write, version).await
    }
}
