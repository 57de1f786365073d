//! The books of one way out: queued = delivered + spooled + dropped + pending, at any moment.
//!
//! Each figure is counted where it happens, and none is the difference of others, so that the sum proves something.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::events::spool::Journal;

/// One way out: a sink, or the sinks of a failover together.
#[derive(Debug)]
pub struct Books {
    /// Its name.
    pub name: Arc<str>,
    journal: Arc<Journal>,
    /// The first number of this run.
    start: u64,
    told: Mutex<Tally>,
}

/// What a courier counts. It is told as a whole: figures of one moment add up.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub delivered: u64,
    /// Lost for want of room, by damage, or refused by the sink for good.
    pub dropped: u64,
    /// Those of the dropped that are in the dead-letter file.
    pub dead: u64,
    pub pending: u64,
    /// The next number to be sent, and how many above it are sent already.
    pub next: u64,
    pub ahead: u64,
    /// How many from `next` on are lost already.
    pub missing: u64,
    pub sinks: Vec<SinkFigures>,
}

/// One sink of a way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkFigures {
    /// Its name.
    pub name: Arc<str>,
    /// What it has taken.
    pub delivered: u64,
    /// Why it takes nothing; `None` where it does.
    pub down: Option<String>,
}

/// The books at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// What an earlier run left, and what was raised since.
    pub queued: u64,
    /// What a sink has confirmed.
    pub delivered: u64,
    /// What waits in the spool.
    pub spooled: u64,
    /// What is lost: for want of room, by damage, or refused for good.
    pub dropped: u64,
    /// Those of the dropped that are in the dead-letter file.
    pub dead: u64,
    /// What a sink has and has not confirmed.
    pub pending: u64,
    /// The sinks.
    pub sinks: Vec<SinkFigures>,
}

impl Books {
    /// The books of a courier that begins with the event of this number.
    pub(super) fn new(name: Arc<str>, journal: Arc<Journal>, start: u64, tally: Tally) -> Self {
        Self { name, journal, start, told: Mutex::new(tally) }
    }

    /// What the courier has counted so far.
    pub(super) fn tell(&self, tally: &Tally) {
        self.told.lock().clone_from(tally);
    }

    /// The books now. `lost` found the queue before the spool full.
    pub fn figures(&self, lost: u64) -> Figures {
        let state = self.told.lock().clone();
        let (next, refused) = (self.journal.next(), self.journal.refused() + lost);
        Figures {
            queued: next.saturating_sub(self.start) + refused,
            delivered: state.delivered,
            spooled: next.saturating_sub(state.next).saturating_sub(state.ahead + state.missing),
            dropped: state.dropped + state.missing + refused,
            dead: state.dead,
            pending: state.pending,
            sinks: state.sinks,
        }
    }
}

impl Figures {
    /// Those of the dropped that are nowhere.
    pub fn lost(&self) -> u64 {
        self.dropped - self.dead
    }

    /// True when nothing is unaccounted for.
    pub fn balance(&self) -> bool {
        self.queued == self.delivered + self.spooled + self.dropped + self.pending
    }
}
