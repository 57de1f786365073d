//! Callers that come when they are due: an open loop.
//!
//! A caller's time runs from the moment at which it was due and not from when its question was sent, so that a proxy
//! which stands still for a second is charged with everybody who came in that second. One thread a load, the kernel's
//! own timers: what is measured is tens of microseconds.

pub mod keys;
pub mod pace;
pub mod sample;
pub mod turns;
pub mod wire;
pub mod closed;
mod poll;
mod streams;
mod datagrams;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use keys::{Draw, Keys};
use pace::Pace;
use sample::{Kind, Sample};
use turns::Turns;
use wire::Wire;

pub use poll::{Poll, sharpen_timers};

/// Callers of one kind.
#[derive(Clone, Debug)]
pub struct Load {
    /// Its name in reports and promises.
    pub name: String,
    /// How they ask.
    pub wire: Wire,
    /// Where.
    pub address: SocketAddr,
    /// When they come.
    pub pace: Pace,
    /// Every other turn, where they come in turns.
    pub turns: Option<Turns>,
    /// What they ask for.
    pub keys: Keys,
    /// What each names as its budget, in milliseconds, between these two; 0 names none.
    pub budget_ms: (u16, u16),
    /// Connections, at most. A caller who finds none free waits for one, and that counts.
    pub connections: usize,
    /// When the first comes, from the run's beginning.
    pub from: Duration,
    /// When nobody comes any more.
    pub to: Duration,
    /// How long a caller waits before it gives up.
    pub patience: Duration,
}

/// A caller who is due.
#[derive(Clone, Copy, Debug)]
struct Call {
    key: u64,
    budget_ms: u16,
    due: Instant,
}

/// The callers of a load in the order in which they are due, and what became of them.
#[derive(Debug)]
struct Book {
    draw: Draw,
    pace: Pace,
    turns: Option<Turns>,
    budget_ms: (u16, u16),
    /// The run's beginning.
    begun: Instant,
    /// The load's.
    first: Instant,
    next: u64,
    /// Where in its stretch the next one comes; see [`Pace::due`].
    chance: f64,
    total: u64,
    samples: Vec<Sample>,
}

impl Book {
    fn new(load: &Load, begun: Instant) -> Self {
        let span = load.to.saturating_sub(load.from);
        let total = load.pace.callers_in(load.turns.map_or(span, |turns| turns.open(span)));
        Self {
            draw: Draw::new(load.keys, 0x00d1_9cac),
            pace: load.pace,
            turns: load.turns,
            budget_ms: load.budget_ms,
            begun,
            first: begun + load.from,
            next: 0,
            chance: fastrand::f64(),
            total,
            // A run's memory is bounded by what its file says, and known when it starts.
            samples: Vec::with_capacity(usize::try_from(total).unwrap_or(0)),
        }
    }

    /// When the next caller is due; `None` after the last.
    fn next_due(&self) -> Option<Instant> {
        let due = || self.pace.due(self.next, self.chance);
        (self.next < self.total).then(|| self.first + self.turns.map_or_else(due, |turns| turns.moment(due())))
    }

    /// The next caller, if it is due by now.
    fn take_due(&mut self, now: Instant) -> Option<Call> {
        let due = self.next_due().filter(|due| *due <= now)?;
        let (least, most) = self.budget_ms;
        let budget_ms = if least == most { least } else { fastrand::u16(least..=most) };
        let call = Call { key: self.draw.key(self.next), budget_ms, due };
        self.next += 1;
        self.chance = fastrand::f64();
        Some(call)
    }

    fn note(&mut self, call: Call, sent: Instant, now: Instant, kind: Kind) {
        self.samples.push(Sample {
            due_us: micros(call.due.saturating_duration_since(self.begun)),
            took_us: micros(now.saturating_duration_since(call.due)),
            lag_us: micros(sent.saturating_duration_since(call.due)),
            budget_ms: call.budget_ms,
            kind,
        });
    }
}

fn micros(span: Duration) -> u32 {
    u32::try_from(span.as_micros()).unwrap_or(u32::MAX)
}

impl Load {
    /// Sends all callers of this load and tells what they got. Returns when the last has its answer or has given up.
    ///
    /// # Errors
    /// When a connection cannot be opened before the first caller comes.
    pub fn run(&self, begun: Instant) -> io::Result<Vec<Sample>> {
        sharpen_timers();
        if self.wire.is_datagrams() { datagrams::run(self, begun) } else { streams::run(self, begun) }
    }
}
