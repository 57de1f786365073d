//! Looking after a sick upstream by the clock: one probe at a time, none in a caller's way.
//!
//! The watch begins when a breaker opens and ends when it closes. A probe asks what the upstream was
//! asked last, since a health path of the vendor's proves little and a dip of our own is what callers
//! need; its answer is kept like any other.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::deadline::{Deadline, Instant, now};
use crate::health::State;
use crate::lookup::Lookup;
use crate::lookup::attempt::{Times, attempt, note_change};

/// A probe that ended without proof (our own overload, say) is followed by the next one after this.
const BREATH: Duration = Duration::from_millis(100);

/// While another node probes, this often is looked whether it is our turn.
const OTHERS: Duration = Duration::from_millis(100);

/// After so many failed probes in a row another node gets its turn: ours may be the one that is badly connected.
const TURNS: u32 = 3;

/// Watches this upstream until its breaker closes. Does nothing when somebody does already.
pub(super) fn watch(lookup: &Arc<Lookup>, index: usize) {
    if lookup.members[index].take_watch() {
        tokio::spawn(keep_watch(Arc::downgrade(lookup), index));
    }
}

/// Holds the watch; it ends with the task, however that ends.
struct Watch(Weak<Lookup>, usize);

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(lookup) = self.0.upgrade() {
            lookup.members[self.1].end_watch();
        }
    }
}

async fn keep_watch(lookup: Weak<Lookup>, index: usize) {
    let _watch = Watch(Weak::clone(&lookup), index);
    // A reload that retires the lookup ends the watch: the reference is weak.
    let mut failed = 0;
    while let Some(due) = next_probe(&lookup, index) {
        tokio::time::sleep_until(due).await;
        let Some(lookup) = lookup.upgrade() else { return };
        let Some(cluster) = lookup.cluster.clone() else {
            probe(&lookup, index).await;
            continue;
        };
        // One prober in the cluster: each node wants its own proof, but one after the other.
        let name = format!("{}:{}", lookup.policy.name, lookup.members[index].name);
        if !cluster.may_probe(&name, lookup.call_budget()).await {
            tokio::time::sleep(OTHERS.mul_f64(0.5 + fastrand::f64())).await;
            continue;
        }
        probe(&lookup, index).await;
        failed += 1;
        let closed = matches!(lookup.members[index].health.breaker(now()).0, State::Closed);
        if closed || failed >= TURNS {
            cluster.pass_probe_on(&name);
            failed = 0;
            if !closed {
                tokio::time::sleep(OTHERS * 3).await;
            }
        }
    }
}

fn next_probe(lookup: &Weak<Lookup>, index: usize) -> Option<Instant> {
    let lookup = lookup.upgrade()?;
    match lookup.members[index].health.breaker(now()).0 {
        State::Closed => None,
        State::Open { until } => Some(until),
        State::HalfOpen => Some(now()),
    }
}

async fn probe(lookup: &Arc<Lookup>, index: usize) {
    let member = &lookup.members[index];
    let (pass, change) = member.health.probe(now());
    if let Some(change) = change {
        note_change(lookup, index, change);
    }
    let (Some(pass), Some(question)) = (pass, member.last_question()) else {
        tokio::time::sleep(BREATH).await;
        return;
    };
    let cut = Deadline::after(lookup.call_budget());
    match attempt(Arc::clone(lookup), index, Arc::new(question.clone()), pass, Times { overdue: cut, cut }).await {
        Ok(given) => {
            lookup.keep(&question, given);
        }
        Err(_) if matches!(member.health.breaker(now()).0, State::HalfOpen) => tokio::time::sleep(BREATH).await,
        Err(_) => {}
    }
}

/// Looks at the flag again when a hold ends, since nothing else may happen at that moment.
pub(super) fn wake_after_hold(lookup: &Arc<Lookup>, until: Instant) {
    let lookup = Arc::downgrade(lookup);
    tokio::spawn(async move {
        tokio::time::sleep_until(until).await;
        if let Some(lookup) = lookup.upgrade() {
            lookup.reassess();
        }
    });
}
