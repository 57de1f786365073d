//! One job: key after key, each in its turn, a few under way at once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::answer::Outcome;
use crate::deadline::{Instant, now, sleep_sharply};
use crate::health::{Pace, Refused};
use crate::lookup::{Idle, Lookup, Lookups, Warmed};
use crate::policy::Question;
use crate::warm::keys::{Key, Keys};
use crate::warm::tally::{Settled, State, Tally};

/// How often a key is asked before it is given up.
const TRIES: u32 = 3;

/// While there is no room it is looked for this often: calls leave it without a word.
const LOOK: Duration = Duration::from_millis(20);

/// A wait that is shorter is none to speak of.
const WORTH_TELLING: Duration = Duration::from_millis(200);

/// Keys that need no dip are settled in runs of this many before somebody else may have the thread.
const RUN: u32 = 64;

/// How fast a job may ask.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pacing {
    /// Dips a second at most; `None`: what the upstream's own rate and the calls leave over.
    pub per_second: Option<f64>,
    /// What is past this share of its life is asked for; `None`: as the policy's `refresh_ahead` says.
    pub renew: Option<f64>,
}

/// A key, and how often it was asked in vain.
#[derive(Debug)]
struct Tried {
    key: Key,
    tries: u32,
}

struct Run<K> {
    lookups: Arc<Lookups>,
    lookup: Arc<Lookup>,
    keys: K,
    pace: Option<Pace>,
    renew: Option<f64>,
    tally: Arc<Tally>,
    dips: JoinSet<(Tried, Warmed)>,
    /// Asked in vain, to be asked again before any new key.
    again: VecDeque<Tried>,
    /// When the wait began that is going on.
    waits_since: Option<Instant>,
    settled_in_a_row: u32,
}

/// Why a job ends before its last key.
enum Early {
    Told,
    Because(String),
}

/// Settles every key, and says in the tally how it went.
pub(super) async fn run(lookups: Arc<Lookups>, keys: impl Keys, pacing: Pacing, tally: Arc<Tally>) {
    let name = tally.told().lookup;
    let Some(lookup) = lookups.find(&name) else { return };
    let mut run = Run {
        lookups,
        lookup,
        keys,
        pace: pacing.per_second.map(|rate| Pace::new(rate, now())),
        renew: pacing.renew,
        tally: Arc::clone(&tally),
        dips: JoinSet::new(),
        again: VecDeque::new(),
        waits_since: None,
        settled_in_a_row: 0,
    };
    let ended = tokio::select! {
        ended = run.all() => ended,
        () = tally.stopped() => Err(Early::Told),
    };
    match ended {
        Ok(()) => tally.state(State::Done, ""),
        Err(Early::Told) => tally.state(State::Stopped, "the proxy is stopping"),
        Err(Early::Because(why)) => tally.state(State::Stopped, &why),
    }
}

impl<K: Keys> Run<K> {
    async fn all(&mut self) -> Result<(), Early> {
        while let Some(tried) = self.next().await? {
            let Some(question) = self.question_of(&tried).await? else { continue };
            let idle = self.room().await?;
            let lookup = Arc::clone(&self.lookup);
            self.dips.spawn(async move { (tried, lookup.warm(question, idle).await) });
            self.settle_ended();
        }
        Ok(())
    }

    /// The next key to look at: one that failed, or a new one. `None` once all are settled.
    async fn next(&mut self) -> Result<Option<Tried>, Early> {
        let mut more = true;
        loop {
            if let Some(tried) = self.again.pop_front() {
                return Ok(Some(tried));
            }
            if !more && self.dips.is_empty() {
                return Ok(None);
            }
            let key = tokio::select! {
                biased;
                Some(ended) = self.dips.join_next() => { self.settle(ended); continue }
                key = self.keys.next(), if more => key,
            };
            match key {
                Ok(Some(key)) => {
                    self.tally.begun(key.line);
                    return Ok(Some(Tried { key, tries: 0 }));
                }
                Ok(None) => more = false,
                Err(early) => {
                    // What is under way still counts.
                    while let Some(ended) = self.dips.join_next().await {
                        self.settle(ended);
                    }
                    return Err(Early::Because(early.to_string()));
                }
            }
        }
    }

    /// The question of a key; `None` once it is settled without a dip.
    async fn question_of(&mut self, tried: &Tried) -> Result<Option<Question>, Early> {
        self.follow_reload()?;
        let settled = match tried.key.question(&self.lookup.policy) {
            Ok(question) if self.lookup.is_warm(&question, self.renew) => Settled::Hit,
            Ok(question) if self.lookup.is_known_elsewhere(&question).await => Settled::Hit,
            Ok(question) => return Ok(Some(question)),
            Err(why) => Settled::Bad(why),
        };
        self.tally.settled(tried.key.line, settled);
        self.settled_in_a_row += 1;
        if self.settled_in_a_row.is_multiple_of(RUN) {
            tokio::task::yield_now().await;
        }
        Ok(None)
    }

    /// Waits for its turn, and for room that calls leave.
    async fn room(&mut self) -> Result<Idle, Early> {
        loop {
            let at = now();
            let due = self.pace.as_ref().map_or(Ok(()), |pace| pace.due(at));
            let wait = match due {
                Err(wait) => wait,
                Ok(()) => match self.lookup.idle() {
                    Ok(idle) => {
                        if let Some(pace) = &mut self.pace {
                            // It was due just now.
                            let _ = pace.take(at);
                        }
                        self.waits_no_more();
                        return Ok(idle);
                    }
                    Err(refused) => {
                        self.waits(at, refused);
                        refused.retry_after.clamp(Duration::from_millis(1), LOOK)
                    }
                },
            };
            tokio::select! {
                // Turn by turn: the timers of the runtime go by the millisecond, and five turns in a row keep a call waiting.
                () = sleep_sharply(wait) => {}
                Some(ended) = self.dips.join_next() => self.settle(ended),
            }
            self.follow_reload()?;
        }
    }

    /// After a reload the successor's cache is the one to fill.
    fn follow_reload(&mut self) -> Result<(), Early> {
        if self.lookup.is_retired() {
            let name = &*self.lookup.policy.name;
            let gone = || Early::Because(format!("there is no lookup `{name}` any more"));
            self.lookup = self.lookups.find(name).ok_or_else(gone)?;
        }
        Ok(())
    }

    fn waits(&mut self, at: Instant, refused: Refused) {
        let since = *self.waits_since.get_or_insert(at);
        if at.saturating_duration_since(since) < WORTH_TELLING {
            return;
        }
        let why = match refused.outcome {
            Outcome::Open => "the breaker of the first upstream is not closed",
            Outcome::RateLimited => "the rate allows no more, or the vendor asks for patience",
            Outcome::QuotaExhausted => "there is no money left",
            Outcome::AuthError => "the vendor refuses our credentials",
            _ => "calls leave no room",
        };
        self.tally.state(State::Waiting, why);
    }

    fn waits_no_more(&mut self) {
        if self.waits_since.take().is_some() {
            self.tally.state(State::Running, "");
        }
    }

    fn settle_ended(&mut self) {
        while let Some(ended) = self.dips.try_join_next() {
            self.settle(ended);
        }
    }

    fn settle(&mut self, ended: Result<(Tried, Warmed), tokio::task::JoinError>) {
        // A task of ours that is gone has panicked; its line stays open, and is looked at again another time.
        let Ok((tried, warmed)) = ended else { return };
        let settled = match warmed {
            Warmed::Asked(_) => Settled::Dip,
            Warmed::Fresh => Settled::Hit,
            Warmed::Failed(outcome) if tried.tries + 1 >= TRIES => Settled::Failed(outcome),
            Warmed::Failed(_) => {
                self.tally.again();
                self.again.push_back(Tried { tries: tried.tries + 1, ..tried });
                return;
            }
        };
        self.tally.settled(tried.key.line, settled);
    }
}
