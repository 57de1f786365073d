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
        lookup.spawn_home(keep_watch(Arc::downgrade(lookup), index));
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
    // Failed probes of our turn: another node may be better connected.
    let mut failed = 0;
    loop {
        let watch = Watch(Weak::clone(&lookup), index);
        while let Some(due) = next_probe(&lookup, index) {
            tokio::time::sleep_until(due).await;
            let Some(lookup) = lookup.upgrade() else { return };
            // In a task of its own: a panic costs one probe, and not the watch, without which nobody would ask again.
            match tokio::spawn(async move { probe_in_turn(&lookup, index, failed).await }).await {
                Ok(count) => failed = count,
                Err(_) => tokio::time::sleep(BREATH).await,
            }
        }
        drop(watch);
        if !is_taken_again(&lookup, index) {
            return;
        }
    }
}

/// Between our last look at the breaker and the end of our watch it may have opened again, and whoever
/// opened it found it watched. Then the watch is ours once more.
fn is_taken_again(lookup: &Weak<Lookup>, index: usize) -> bool {
    next_probe(lookup, index).is_some() && lookup.upgrade().is_some_and(|lookup| lookup.members[index].take_watch())
}

/// When the next probe is due; `None` when none is needed, or the lookup runs no more.
fn next_probe(lookup: &Weak<Lookup>, index: usize) -> Option<Instant> {
    let lookup = lookup.upgrade()?;
    if lookup.is_retired() {
        return None;
    }
    match lookup.members[index].health.breaker(now()).0 {
        State::Closed => None,
        State::Open { until } => Some(until),
        State::HalfOpen => Some(now()),
    }
}

/// Probes if it is this node's turn, where it shares a memory with others: each wants a proof of its own, but one after
/// the other. `failed` probes of ours came before; answers how many it is now.
async fn probe_in_turn(lookup: &Arc<Lookup>, index: usize, failed: u32) -> u32 {
    let Some(cluster) = &lookup.cluster else {
        probe(lookup, index).await;
        return 0;
    };
    let name = format!("{}:{}", lookup.policy.name, lookup.members[index].name);
    if !cluster.may_probe(&name, lookup.call_budget(), lookup.mind.view(now()).is_none()).await {
        tokio::time::sleep(OTHERS.mul_f64(0.5 + fastrand::f64())).await;
        return failed;
    }
    probe(lookup, index).await;
    let closed = matches!(lookup.members[index].health.breaker(now()).0, State::Closed);
    if !closed && failed + 1 < TURNS {
        return failed + 1;
    }
    cluster.pass_probe_on(&name);
    if !closed {
        tokio::time::sleep(OTHERS * 3).await;
    }
    0
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
    match attempt(Arc::clone(lookup), index, Arc::clone(&question), pass, Times { overdue: cut, cut }).await {
        Ok(given) => {
            lookup.keep(&question, given, || false);
        }
        Err(_) if matches!(member.health.breaker(now()).0, State::HalfOpen) => tokio::time::sleep(BREATH).await,
        Err(_) => {}
    }
}

/// Looks at the flag again when an upstream's hold ends, since nothing else may happen at that moment.
pub(super) fn wake_after_hold(lookup: &Arc<Lookup>, index: usize) {
    let home = Arc::clone(lookup);
    let lookup = Arc::downgrade(lookup);
    home.spawn_home(async move {
        // A hold may grow while it lasts.
        while let Some(until) = held_until(&lookup, index) {
            tokio::time::sleep_until(until).await;
        }
        if let Some(lookup) = lookup.upgrade() {
            lookup.reassess();
        }
    });
}

fn held_until(lookup: &Weak<Lookup>, index: usize) -> Option<Instant> {
    lookup.upgrade()?.members[index].health.hold(now()).map(|hold| hold.until)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::lookup::Lookups;
    use crate::policy::check::parse;

    const POLICY: &str = "kind = \"lrn\"\n[input]\nkey = { type = \"tn\", country = \"US\" }\n\
        [breaker]\nconsecutive = 1\n[[upstream]]\nname = \"a\"\ntype = \"http\"\nurl = \"http://127.0.0.1:9/\"\n\
        [upstream.fields]\nlrn = \"body.lrn\"\n";

    /// A lookup with one upstream that is never asked.
    fn lookup() -> (Lookups, Arc<Lookup>) {
        let lookups = Lookups::default();
        lookups.install(vec![parse("lrn", Path::new("lrn.toml"), POLICY).unwrap()], &Arc::default()).unwrap();
        let lookup = lookups.find("lrn").unwrap();
        (lookups, lookup)
    }

    #[tokio::test]
    async fn a_breaker_that_opens_while_its_watch_ends_is_watched_again() {
        let (_lookups, lookup) = lookup();
        assert!(lookup.members[0].take_watch());
        let watch = Watch(Arc::downgrade(&lookup), 0);
        // The watch has seen it closed; now it opens, and its watcher is not yet gone.
        let opened = lookup.members[0].health.pass(now()).unwrap().end(now(), Some(true)).unwrap();
        note_change(&lookup, 0, opened);
        drop(watch);
        assert!(is_taken_again(&Arc::downgrade(&lookup), 0), "or nobody would ever ask this upstream again");
        assert!(!is_taken_again(&Arc::downgrade(&lookup), 0), "one watch at a time");
    }

    #[tokio::test]
    async fn a_retired_lookup_is_watched_no_more() {
        let (lookups, lookup) = lookup();
        let opened = lookup.members[0].health.pass(now()).unwrap().end(now(), Some(true)).unwrap();
        assert!(next_probe(&Arc::downgrade(&lookup), 0).is_some());
        lookups.install(Vec::new(), &Arc::default()).unwrap();
        assert!(next_probe(&Arc::downgrade(&lookup), 0).is_none());
        note_change(&lookup, 0, opened);
        assert!(lookup.events.recent().iter().all(|told| told.upstream.is_none()), "and it tells nothing more");
    }
}
