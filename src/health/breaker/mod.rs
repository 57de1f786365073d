//! The breaker: a state machine without a clock of its own.
//!
//! ```text
//! closed ──(failures in a row, or too many failed or slow in the window)──> open
//! open ──(its time is over)──> half-open
//! half-open ──(a probe fails)──> open, twice as long
//! half-open ──(so many probes pass in a row)──> closed
//! ```
//!
//! While it is not closed only the prober asks, one probe at a time (see `lookup::probe`). Samples that
//! ordinary dips bring home in that time are of the past and count for nothing.

use std::time::Duration;

use crate::deadline::Instant;
use crate::health::window::{Counts, Window};
use crate::policy::BreakerRules;

/// Where the breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// All is well: everybody may ask.
    Closed,
    /// Nobody asks until this moment.
    Open {
        /// When the next probe is due.
        until: Instant,
    },
    /// One probe at a time asks.
    HalfOpen,
}

impl State {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// A step from one state to another, with what was known at that moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// From where.
    pub from: State,
    /// To where.
    pub to: State,
    /// Why, in words.
    pub reason: String,
    /// What the window held.
    pub counts: Counts,
}

/// The breaker of one upstream.
#[derive(Debug)]
pub struct Breaker {
    rules: BreakerRules,
    state: State,
    window: Window,
    in_a_row: u32,
    probes_passed: u32,
    /// How long it stays open the next time.
    next_open: Duration,
    /// When the state was entered.
    since: Instant,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(rules: BreakerRules, now: Instant) -> Self {
        Self {
            rules,
            state: State::Closed,
            window: Window::new(rules.window, now),
            in_a_row: 0,
            probes_passed: 0,
            next_open: rules.open,
            since: now,
        }
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// When it came there.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// What the window holds.
    pub fn counts(&mut self, now: Instant) -> Counts {
        self.window.counts(now)
    }

    /// True while ordinary dips may ask.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Failures since the last success.
    pub fn failures_in_a_row(&self) -> u32 {
        self.in_a_row
    }

    // closed -> open

    /// An ordinary dip's end: it failed or not, and took so long.
    pub fn sample(&mut self, now: Instant, failed: bool, took: Duration) -> Option<Change> {
        if !self.is_closed() {
            return None;
        }
        self.window.count(now, failed, took > self.rules.slow);
        self.in_a_row = if failed { self.in_a_row.saturating_add(1) } else { 0 };
        let reason = self.verdict(now)?;
        self.next_open = self.rules.open;
        Some(self.open(now, reason))
    }

    fn verdict(&mut self, now: Instant) -> Option<String> {
        if self.rules.consecutive > 0 && self.in_a_row >= self.rules.consecutive {
            return Some(format!("{} failures in a row", self.in_a_row));
        }
        let counts = self.window.counts(now);
        if counts.total < self.rules.min_samples.max(1) {
            return None;
        }
        if counts.failed > 0 && counts.failure_ratio() >= self.rules.failure_ratio {
            return Some(format!("{} of {} dips failed", counts.failed, counts.total));
        }
        if counts.slow > 0 && counts.slow_ratio() >= self.rules.slow_ratio {
            return Some(format!("{} of {} dips were slow", counts.slow, counts.total));
        }
        None
    }

    fn open(&mut self, now: Instant, reason: String) -> Change {
        // A tenth either way, so that many nodes do not probe in step.
        let jittered = self.next_open.mul_f64(0.9 + 0.2 * fastrand::f64());
        self.next_open = (self.next_open * 2).min(self.rules.open_max);
        let until = now + jittered.min(self.rules.open_max);
        self.probes_passed = 0;
        self.enter(now, State::Open { until }, reason)
    }

    // open -> half-open

    /// The prober's turn: true once a probe is due. It must bring the probe's end home.
    pub fn probe_due(&mut self, now: Instant) -> (bool, Option<Change>) {
        match self.state {
            State::Closed => (false, None),
            State::Open { until } if now < until => (false, None),
            State::Open { .. } => (true, Some(self.enter(now, State::HalfOpen, "its time is over".to_owned()))),
            State::HalfOpen => (true, None),
        }
    }

    // half-open -> closed, half-open -> open

    /// A probe's end: it failed or not, and took so long.
    pub fn probe_ended(&mut self, now: Instant, failed: bool, took: Duration) -> Option<Change> {
        if self.state != State::HalfOpen {
            return None;
        }
        if failed {
            return Some(self.open(now, "the probe failed".to_owned()));
        }
        // Slowness may have opened it, and then a slow answer is no sign of health.
        if took > self.rules.slow {
            return Some(self.open(now, "the probe was slow".to_owned()));
        }
        self.probes_passed += 1;
        if self.probes_passed < self.rules.probes.max(1) {
            return None;
        }
        self.in_a_row = 0;
        self.next_open = self.rules.open;
        let change = self.enter(now, State::Closed, format!("{} probes passed", self.probes_passed));
        self.window.clear(now);
        Some(change)
    }

    fn enter(&mut self, now: Instant, to: State, reason: String) -> Change {
        let from = std::mem::replace(&mut self.state, to);
        self.since = now;
        Change { from, to, reason, counts: self.window.counts(now) }
    }
}

#[cfg(test)]
mod tests;
