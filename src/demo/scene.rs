//! The scene: upstreams fall ill and heal, and the calls must hardly notice.
//!
//! An [`Act`] breaks some upstreams of one lookup, waits, heals them, and weighs what was promised. Between acts
//! all is calm. What a person breaks by hand is theirs: an act whose upstreams are not all well does not begin.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::flags::Flags;
use super::promise::{FLAG_FALLS_WITHIN, FLAG_RISES_WITHIN, Promise};
use super::tally::{Ending, Tally};
use super::vendors::{Mode, Order, SimError, Simulator};
use crate::deadline::{Deadline, now};

/// How long the parts of the scene take.
#[derive(Clone, Copy, Debug)]
pub struct Tempo {
    /// Before the first act and between acts.
    pub calm: Duration,
    /// How long upstreams are ill.
    pub fault: Duration,
    /// At least this long after they healed.
    pub recovery: Duration,
}

impl Tempo {
    /// For a scene that somebody waits for: two acts in about 17 seconds.
    pub const BRISK: Self =
        Self { calm: Duration::from_secs(4), fault: Duration::from_secs(4), recovery: Duration::from_millis(500) };
    /// For a scene that somebody watches.
    pub const EASY: Self =
        Self { calm: Duration::from_secs(8), fault: Duration::from_secs(10), recovery: Duration::from_secs(4) };
}

/// What a lookup's flag must do while its upstreams are ill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flag {
    /// Nobody is left who could answer.
    Falls,
    /// Another upstream takes over.
    Stays,
}

/// One fault and what comes of it.
#[derive(Debug)]
pub struct Act {
    lookup: &'static str,
    upstreams: &'static [&'static str],
    mode: Mode,
    flag: Flag,
    /// Answers of the second rank that must be seen.
    seconds: &'static [(&'static str, Ending)],
    /// For the spectator.
    fault: &'static str,
    healed: &'static str,
}

/// Every act; a bounded scene plays the first [`SHORT`] of them.
pub const ACTS: &[Act] = &[
    Act {
        lookup: "cnam",
        upstreams: &["vendor-a", "vendor-b"],
        mode: Mode::Hang,
        flag: Flag::Falls,
        seconds: &[("stale", Ending::Stale), ("fallback", Ending::Fallback)],
        fault: "cnam: both vendors have stopped answering. Breakers open, the flag turns 0, calls keep flying from stale and fallback answers",
        healed: "cnam: both vendors answer again. Probes find out, the flag turns 1",
    },
    Act {
        lookup: "lrn",
        upstreams: &["vendor-a"],
        mode: Mode::Refuse,
        flag: Flag::Stays,
        seconds: &[],
        fault: "lrn: vendor-a refuses every connection. vendor-b takes over within the same budget, the flag stays 1",
        healed: "lrn: vendor-a is back",
    },
    Act {
        lookup: "carrier-dns",
        upstreams: &["ns-a"],
        mode: Mode::Error,
        flag: Flag::Falls,
        seconds: &[("stale", Ending::Stale)],
        fault: "carrier-dns: the name server answers SERVFAIL. Addresses that are known go on being served (RFC 8767)",
        healed: "carrier-dns: the name server is well again",
    },
    Act {
        lookup: "lrn",
        upstreams: &["vendor-a", "vendor-b"],
        mode: Mode::Garbage,
        flag: Flag::Falls,
        seconds: &[("stale", Ending::Stale), ("fallback", Ending::Fallback)],
        fault: "lrn: both vendors answer with rubbish. A 200 is not believed for its status: breakers open, the flag turns 0",
        healed: "lrn: both vendors answer properly again",
    },
    Act {
        lookup: "cnam",
        upstreams: &["vendor-a"],
        mode: Mode::Slow,
        flag: Flag::Stays,
        seconds: &[],
        fault: "cnam: vendor-a takes ten times as long. Slow is as bad as dead for a caller: vendor-b takes over",
        healed: "cnam: vendor-a is as quick as before",
    },
];

/// How many acts a bounded scene plays.
pub const SHORT: usize = 2;

const CALM: &str = "all is well: answers come from the cache, and from the vendors where they must";

/// Everything an act touches.
#[derive(Debug)]
pub struct Stage {
    /// Whose upstreams fall ill.
    pub simulator: Arc<Simulator>,
    /// What the callers see.
    pub tally: Arc<Tally>,
    /// What a routing script sees.
    pub flags: watch::Receiver<Flags>,
    /// What the spectator is told.
    pub narration: watch::Sender<String>,
    /// How long it all takes.
    pub tempo: Tempo,
}

impl Stage {
    /// Plays these acts once, and weighs every promise.
    ///
    /// # Errors
    /// When the simulator cannot do as it is told.
    pub async fn play(&mut self, acts: &[Act]) -> Result<Vec<Promise>, SimError> {
        let before = self.tally.ledger();
        let mut promises = Vec::new();
        for act in acts {
            self.say(CALM);
            tokio::time::sleep(self.tempo.calm).await;
            promises.extend(self.perform(act).await?);
        }
        let all = self.tally.ledger().since(&before).total();
        promises.push(Promise::none_lost(&all));
        promises.push(Promise::in_time(&all));
        Ok(promises)
    }

    /// Plays all acts in turn, for ever; a promise that breaks is told.
    ///
    /// # Errors
    /// As [`Stage::play`].
    pub async fn play_on(&mut self) -> Result<std::convert::Infallible, SimError> {
        loop {
            for promise in self.play(ACTS).await? {
                if !promise.kept {
                    self.say(&promise.to_string());
                    tokio::time::sleep(self.tempo.calm).await;
                }
            }
        }
    }

    async fn perform(&mut self, act: &Act) -> Result<Vec<Promise>, SimError> {
        if self.simulator.modes(act.lookup).iter().any(|(_, mode)| *mode != Mode::Ok) {
            self.say(&format!("{}: somebody changed a vendor by hand; the scene leaves it alone", act.lookup));
            return Ok(Vec::new());
        }
        let before = self.tally.ledger();
        let begun = now();
        self.order(act, act.mode).await?;
        self.say(act.fault);
        let fell = self.turned(act.lookup, false, self.tempo.fault).await;
        tokio::time::sleep_until(begun + self.tempo.fault).await;
        let during = self.tally.ledger().since(&before).of(act.lookup);

        self.order(act, Mode::Ok).await?;
        self.say(act.healed);
        let recovered = now() + self.tempo.recovery;
        let rose = self.turned(act.lookup, true, FLAG_RISES_WITHIN * 2).await;
        tokio::time::sleep_until(recovered).await;

        let mut promises = match act.flag {
            Flag::Falls => vec![
                Promise::flag_turned(act.lookup, 0, FLAG_FALLS_WITHIN, fell),
                Promise::flag_turned(act.lookup, 1, FLAG_RISES_WITHIN, rose),
            ],
            Flag::Stays => vec![Promise::flag_stayed(act.lookup, fell)],
        };
        promises.push(Promise::usable(act.lookup, &during));
        promises.extend(act.seconds.iter().map(|&(word, ending)| Promise::seen(act.lookup, word, during.of(ending))));
        Ok(promises)
    }

    async fn order(&self, act: &Act, mode: Mode) -> Result<(), SimError> {
        for upstream in act.upstreams {
            self.simulator.set(act.lookup, upstream, Order::mode(mode)).await?;
        }
        Ok(())
    }

    /// How long it took until the flag was so; `None` when it was not within `patience`.
    async fn turned(&mut self, lookup: &str, up: bool, patience: Duration) -> Option<Duration> {
        let begun = now();
        let waiting = self.flags.wait_for(|flags| flags.get(lookup) == Some(&up));
        let turned = Deadline::after(patience).limit(waiting).await;
        turned.and_then(Result::ok).map(|_| begun.elapsed())
    }

    fn say(&self, line: &str) {
        self.narration.send_replace(line.to_owned());
    }
}

#[cfg(test)]
mod tests;
