//! What `stats` tells: memcached's own names, as far as they mean something here.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use crate::deadline::{Instant, now, wall_clock};
use crate::front::memcached::store::Fill;
use crate::telemetry::Striped;

/// What `version` tells. Clients read the version of the protocol's reference from it, so that comes first.
pub const VERSION: &str = concat!("1.6.18-dipcache-", env!("CARGO_PKG_VERSION"));

/// What is counted over all connections.
#[derive(Debug)]
pub struct Counters {
    started: Instant,
    connections: AtomicU64,
    connections_ever: AtomicU64,
    gets: Striped,
    hits: Striped,
    sets: Striped,
}

/// What one connection counts before it tells: once a batch, not once a key.
#[derive(Debug, Default)]
pub struct Tally {
    /// Keys that were asked for.
    pub gets: u64,
    /// Those that were there.
    pub hits: u64,
    /// Values that came in.
    pub sets: u64,
}

/// A connection, counted while it lives.
pub struct Present<'a>(&'a Counters);

impl Counters {
    /// Nothing yet.
    pub fn new() -> Self {
        let zero = || AtomicU64::new(0);
        let [gets, hits, sets] = Default::default();
        Self { started: now(), connections: zero(), connections_ever: zero(), gets, hits, sets }
    }

    /// Counts a connection until the guard is dropped.
    pub fn connection(&self) -> Present<'_> {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.connections_ever.fetch_add(1, Ordering::Relaxed);
        Present(self)
    }

    /// Adds what a connection has counted.
    pub fn add(&self, tally: &mut Tally) {
        let Tally { gets, hits, sets } = std::mem::take(tally);
        for (counter, more) in [(&self.gets, gets), (&self.hits, hits), (&self.sets, sets)] {
            if more > 0 {
                counter.add(more);
            }
        }
    }

    /// Starts counting commands anew.
    pub fn reset(&self) {
        for counter in [&self.gets, &self.hits, &self.sets] {
            counter.take();
        }
    }

    /// The whole reply to `stats`.
    pub fn tell(&self, fill: Fill, out: &mut Vec<u8>) {
        let unix = wall_clock().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (gets, hits) = (self.gets.sum(), self.hits.sum());
        let figures = [
            ("pid", u64::from(std::process::id())),
            ("uptime", now().saturating_duration_since(self.started).as_secs()),
            ("time", unix),
            ("pointer_size", u64::from(usize::BITS)),
            ("curr_connections", count(&self.connections)),
            ("total_connections", count(&self.connections_ever)),
            ("cmd_get", gets),
            ("cmd_set", self.sets.sum()),
            ("get_hits", hits),
            ("get_misses", gets.saturating_sub(hits)),
            ("limit_maxbytes", fill.max_bytes as u64),
            ("bytes", fill.bytes as u64),
            ("curr_items", fill.items as u64),
            ("evictions", fill.evictions),
        ];
        let mut text = format!("STAT version {VERSION}\r\n");
        for (name, figure) in figures {
            // Writing to memory does not fail.
            let _ = write!(text, "STAT {name} {figure}\r\n");
        }
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(b"END\r\n");
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
