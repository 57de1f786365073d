//! What a job has done so far, and what is told of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::answer::Outcome;
use crate::deadline::{Instant, now};
use crate::telemetry::WarmMeters;

/// Bad lines that are told; the others are only counted.
const TOLD_LINES: usize = 10;

/// What a job does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It asks.
    #[default]
    Running,
    /// It stands still: `why` says for what.
    Waiting,
    /// Every key is settled.
    Done,
    /// It ended before the last key: `why` says what happened.
    Stopped,
}

impl State {
    /// True once it has ended.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Stopped)
    }
}

/// A line that is no key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadLine {
    /// Which one, from 1.
    pub line: u64,
    /// What is wrong with it. The key itself is not repeated.
    pub why: String,
}

/// What is told of a job: one line of its progress.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The lookup.
    pub lookup: String,
    /// What it does.
    pub state: State,
    /// Why it waits, or ended early.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// Up to this line all are settled: a job that is cut off goes on behind it.
    pub through: u64,
    /// Keys that are settled.
    pub keys: u64,
    /// Of these: fresh already, or never asked at all.
    pub hits: u64,
    /// Of these: asked, and known now.
    pub dips: u64,
    /// Of these: asked in vain, as often as it makes sense.
    pub failed: u64,
    /// Of these: no keys.
    pub bad: u64,
    /// Dips that failed and were made again.
    pub again: u64,
    /// What the dips that are given up ended in, by outcome.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub failures: serde_json::Map<String, serde_json::Value>,
    /// The first bad lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bad_lines: Vec<BadLine>,
    /// Seconds since it began.
    pub seconds: f64,
}

/// How a key was settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    Hit,
    Dip,
    Failed(Outcome),
    Bad(String),
}

/// What a job has done so far.
#[derive(Debug)]
pub struct Tally {
    began: Instant,
    inner: Mutex<Inner>,
    stop: Notify,
    meters: WarmMeters,
}

#[derive(Debug, Default)]
struct Inner {
    told: Told,
    /// Lines that are begun and not settled.
    open: BTreeSet<u64>,
    /// The last line that was begun.
    last: u64,
}

impl Tally {
    pub(super) fn new(lookup: &Arc<str>) -> Self {
        let told = Told { lookup: lookup.to_string(), ..Told::default() };
        let meters = WarmMeters::new(lookup);
        meters.jobs.increment(1.0);
        Self { began: now(), inner: Mutex::new(Inner { told, ..Inner::default() }), stop: Notify::new(), meters }
    }

    /// What is to be told now.
    pub fn told(&self) -> Told {
        let told = self.inner.lock().told.clone();
        // What has ended has its time already.
        let seconds = if told.state.is_over() { told.seconds } else { self.seconds() };
        Told { seconds, ..told }
    }

    /// Asks the job to end.
    pub(super) fn stop(&self) {
        self.stop.notify_one();
    }

    pub(super) async fn stopped(&self) {
        self.stop.notified().await;
    }

    pub(super) fn begun(&self, line: u64) {
        let mut inner = self.inner.lock();
        inner.open.insert(line);
        inner.last = line;
    }

    /// A line is settled, and needs not be looked at again.
    pub(super) fn settled(&self, line: u64, how: Settled) {
        let mut inner = self.inner.lock();
        inner.open.remove(&line);
        inner.told.through = inner.open.first().map_or(inner.last, |first| first - 1);
        let told = &mut inner.told;
        told.keys += 1;
        match how {
            Settled::Hit => {
                told.hits += 1;
                self.meters.hits.increment(1);
            }
            Settled::Dip => {
                told.dips += 1;
                self.meters.dips.increment(1);
            }
            Settled::Failed(outcome) => {
                told.failed += 1;
                self.meters.failed.increment(1);
                let count = told.failures.get(outcome.as_str()).and_then(serde_json::Value::as_u64).unwrap_or(0);
                told.failures.insert(outcome.as_str().to_owned(), (count + 1).into());
            }
            Settled::Bad(why) => {
                told.bad += 1;
                self.meters.bad.increment(1);
                if told.bad_lines.len() < TOLD_LINES {
                    told.bad_lines.push(BadLine { line, why });
                }
            }
        }
    }

    pub(super) fn again(&self) {
        self.inner.lock().told.again += 1;
    }

    pub(super) fn state(&self, state: State, why: &str) {
        let mut inner = self.inner.lock();
        inner.told.state = state;
        if inner.told.why != why {
            why.clone_into(&mut inner.told.why);
        }
        if state.is_over() {
            inner.told.seconds = self.seconds();
        }
    }

    /// The job's task is gone.
    pub(super) fn over(&self) {
        if !self.inner.lock().told.state.is_over() {
            self.state(State::Stopped, "it was cut off");
        }
    }

    fn seconds(&self) -> f64 {
        let span: Duration = now().saturating_duration_since(self.began);
        (span.as_secs_f64() * 1000.0).round() / 1000.0
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.meters.jobs.decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_goes_on_behind_the_last_line_before_which_all_are_settled() {
        let tally = Tally::new(&"lrn".into());
        for line in [1, 2, 4, 5] {
            tally.begun(line);
        }
        tally.settled(2, Settled::Dip);
        tally.settled(5, Settled::Hit);
        assert_eq!(tally.told().through, 0, "line 1 is open");
        tally.settled(1, Settled::Failed(Outcome::Timeout));
        assert_eq!(tally.told().through, 3, "line 3 held no key");
        tally.settled(4, Settled::Bad("no number".to_owned()));
        let told = tally.told();
        assert_eq!((told.through, told.keys, told.hits, told.dips, told.failed, told.bad), (5, 4, 1, 1, 1, 1));
        assert_eq!(told.bad_lines, [BadLine { line: 4, why: "no number".to_owned() }]);
        tally.over();
        assert_eq!(tally.told().state, State::Stopped);
    }
}
