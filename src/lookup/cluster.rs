//! What this node shares with the others: the memory, the verdicts, the flags, the orders, the prober's turn.
//!
//! One task beats a few times a second, and at once when something has changed: it puts this node's votes into the
//! node documents, follows their verdicts, carries out other nodes' orders, and keeps the flags in memcached alive.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::cache::SharedCache;
use crate::cache::shared::Fault;
use crate::deadline::{Deadline, Instant, now};
use crate::events::{Event, EventType, Events};
use crate::health::Override;
use crate::health::flags::{Beaten, Document, Mind, Part, Vote};
use crate::lookup::{Lookup, Lookups, Member};

/// Between two beats.
const BEAT: Duration = Duration::from_millis(200);
/// Between two writings of flags that have not changed.
const REFRESH: Duration = Duration::from_millis(700);
/// How long a flag lives when nobody refreshes it: memcached cuts up to a second off.
const FLAG_LIFE: u32 = 3;
/// How long a node waits at its start for the shared memory, so that its first dips find it.
const START: Duration = Duration::from_millis(250);
/// For so long a node that has not asked anybody yet has no opinion. By then the vote of the one that it may have taken the
/// place of is gone; two votes of what is one node would tip a quorum.
const NEW: Duration = Duration::from_secs(3);
/// How long a probing node keeps its turn, in seconds, beyond what a probe takes.
const TURN: u32 = 2;

/// This node among the others.
#[derive(Debug)]
pub struct Cluster {
    shared: Arc<SharedCache>,
    /// This node's name, and a part of chance: two processes of one machine often have one name.
    node: String,
    nudge: Notify,
    events: Arc<Events>,
}

/// The flags as they are to be written.
#[derive(Debug, Default, PartialEq, Eq)]
struct Flags {
    /// As the cluster sees them.
    agreed: Vec<(String, bool)>,
    /// As this node alone sees them.
    alone: Vec<(String, bool)>,
}

impl Cluster {
    /// This node among the others; looks after the shared cache from now on. Must be called within a tokio runtime.
    pub fn start(settings: crate::config::Shared, name: &str, events: &Arc<Events>) -> Arc<Self> {
        let node = format!("{name}/{:06x}", fastrand::u32(..1 << 24));
        Arc::new(Self {
            shared: SharedCache::start(settings, events),
            node,
            nudge: Notify::new(),
            events: Arc::clone(events),
        })
    }

    /// The shared cache.
    pub fn shared(&self) -> &SharedCache {
        &self.shared
    }

    /// This node's name among the others.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Has the next beat come at once.
    pub(crate) fn nudge(&self) {
        self.nudge.notify_one();
    }

    /// The first beat: waits a moment for the shared memory, so that a cold node's first dips find what others know.
    pub async fn join(&self, lookups: &Lookups) {
        let _ = Deadline::after(START).limit(self.shared.ready()).await;
        self.beat(lookups).await;
    }

    /// Beats until `leaving`, then takes this node's votes out.
    pub async fn run(&self, lookups: Arc<Lookups>, leaving: impl Future<Output = ()>) {
        let mut leaving = std::pin::pin!(leaving);
        let mut written: Option<(Flags, Instant)> = None;
        let mut minds = HashMap::new();
        loop {
            self.give_up(&lookups, &mut minds).await;
            let flags = self.beat(&lookups).await;
            let due = written.as_ref().is_none_or(|(old, at)| *old != flags || now() - *at >= REFRESH);
            if due {
                let at = now();
                let should_be_there = written.as_ref().is_some_and(|(old, _)| old.agreed == flags.agreed);
                self.shared.set_everywhere("health", &flags.agreed, FLAG_LIFE, should_be_there).await;
                self.shared.agree_everywhere("health", &flags.alone, FLAG_LIFE).await;
                written = Some((flags, at));
            }
            tokio::select! {
                () = tokio::time::sleep(BEAT) => {}
                () = self.nudge.notified() => {}
                () = &mut leaving => break,
            }
        }
        for lookup in lookups.all().iter() {
            // Who cannot say goodbye is dead to the others a few seconds later.
            let _ = self.take_part(&lookup.policy.name, &lookup.mind, Part::Leaves).await;
        }
    }

    /// Takes this node's votes out about lookups that a reload has taken away.
    async fn give_up(&self, lookups: &Lookups, minds: &mut HashMap<Arc<str>, Arc<Mind>>) {
        let all = lookups.all();
        let gone: Vec<_> = minds.extract_if(|name, _| all.iter().all(|lookup| lookup.policy.name != *name)).collect();
        for (name, mind) in gone {
            let turned = self.take_part(&name, &mind, Part::GivesUp).await.map(|beaten| beaten.tell);
            for turn in turned.unwrap_or_default() {
                self.events.raise(Event {
                    lookup: Some(Arc::clone(&name)),
                    from: "0",
                    to: "1",
                    epoch: Some(turn.epoch),
                    ..Event::of_node(EventType::Recovered, turn.reason)
                });
            }
        }
        minds.extend(all.iter().map(|lookup| (Arc::clone(&lookup.policy.name), Arc::clone(&lookup.mind))));
    }

    async fn take_part(&self, name: &str, mind: &Mind, part: Part<'_>) -> Result<Beaten, Fault> {
        mind.beat(&self.shared, name, &self.node, part, self.shared.settings().quorum).await
    }

    /// One beat of every lookup, side by side.
    async fn beat(&self, lookups: &Lookups) -> Flags {
        let all = lookups.all();
        let beats = all.iter().map(async |lookup| {
            let vote = lookup.vote();
            lookup.apply(self.take_part(&lookup.policy.name, &lookup.mind, Part::Votes(&vote)).await);
        });
        futures_util::future::join_all(beats).await;
        let mut flags = Flags::default();
        for lookup in all.iter() {
            lookup.flags(self.shared.settings().quorum, &mut flags);
        }
        flags
    }

    /// True when it is this node's turn to probe this upstream; each node's own affair while it decides `alone`.
    pub(super) async fn may_probe(&self, name: &str, takes: Duration, alone: bool) -> bool {
        let life = u32::try_from(takes.as_secs()).unwrap_or(60).min(60) + TURN;
        let own = || self.node.as_bytes().to_vec();
        let turn = match self.shared.read("probe", name).await {
            Ok(None) => self.shared.swap(("probe", name), own(), None, life).await,
            Ok(Some((holder, version))) if holder == self.node.as_bytes() => {
                self.shared.swap(("probe", name), own(), Some(version), life).await
            }
            Ok(Some(_)) => Ok(false),
            Err(fault) => Err(fault),
        };
        // One answer that is late is no reason to probe beside another node; no answer for a while is.
        turn.unwrap_or(alone)
    }

    /// Gives the turn to whoever wants it.
    pub(super) fn pass_probe_on(&self, name: &str) {
        self.shared.remove("probe", name);
    }
}

impl Lookup {
    /// What this node sees.
    fn vote(&self) -> Vote {
        let now = now();
        let down: Vec<String> =
            self.members.iter().filter(|member| !member.is_usable(now)).map(|member| member.name.to_string()).collect();
        let reason = if down.is_empty() { String::new() } else { format!("not usable: {}", down.join(", ")) };
        let idle = |member: &Member| member.health.breaker(now).2.total == 0;
        let abstains = down.is_empty() && now - self.since < NEW && self.members.iter().all(idle);
        Vote { up: down.len() < self.members.len(), at: 0, abstains, down, reason }
    }

    /// Carries out what a beat has brought.
    fn apply(&self, beaten: Result<Beaten, Fault>) {
        let _turn = self.turning.lock();
        let view = self.mind.view(now());
        let turned_alone = match (&beaten, &view) {
            (Ok(Beaten { news, .. }), _) => {
                if let Some(hand) = news.hand {
                    self.verdict.lay(hand);
                }
                if news.flush {
                    self.start_over(|| self.mind.enter_era());
                }
                // Also the first one, which ends nothing.
                self.mind.enter_era();
                news.forget.iter().for_each(|id| {
                    self.forget_here(id);
                });
                for prefix in &news.prefixes {
                    self.disown_prefix(prefix);
                    // It looks at every entry: on a thread that no call needs.
                    let (local, prefix) = (Arc::clone(&self.local), prefix.clone());
                    tokio::task::spawn_blocking(move || local.forget_prefix(&prefix));
                }
                news.notes.iter().for_each(|(name, note)| self.hear_of_target(name, note));
                self.verdict.follow(view.as_ref().map(|view| view.up));
                false
            }
            // For a moment the others' last word still holds.
            (Err(_), Some(_)) => false,
            (Err(_), None) => self.verdict.follow(None),
        };
        if turned_alone {
            self.flag_turned_alone("the other nodes saw it otherwise");
        }
        for turn in beaten.map(|beaten| beaten.tell).unwrap_or_default() {
            self.tell_flag(turn.up, &turn.reason, Some(turn.epoch));
        }
        if !self.is_retired() {
            self.show_flag();
        }
    }

    /// The flags of this lookup and its upstreams.
    fn flags(&self, quorum: crate::config::Quorum, flags: &mut Flags) {
        let now = now();
        let name = &self.policy.name;
        let view: Option<Document> = self.mind.view(now);
        let list = if view.is_some() { &mut flags.agreed } else { &mut flags.alone };
        list.push((name.to_string(), self.is_up()));
        for member in &self.members {
            let up = match &view {
                Some(view) => view.upstream(&member.name, quorum),
                None => member.is_usable(now),
            };
            list.push((format!("{name}:{}", member.name), up));
        }
    }

    /// Lays the operator's hand on the flag, on every node.
    pub fn lay_hand(&self, hand: Override) {
        let _turn = self.turning.lock();
        self.mind.lay(hand);
        self.show_hand(hand);
    }

    /// As [`Lookup::lay_hand`], by an order that every node hears by itself, given at this time (milliseconds since 1970).
    /// A later one counts more.
    pub fn lay_hand_as_told(&self, hand: Override, at: u64) {
        let _turn = self.turning.lock();
        if self.mind.lay_as_told(hand, at) {
            self.show_hand(hand);
        }
    }

    fn show_hand(&self, hand: Override) {
        let turned = self.verdict.lay(hand);
        match &self.cluster {
            // The node whose `cas` turns the cluster's verdict tells of it.
            Some(cluster) if self.verdict.cluster().is_some() => cluster.nudge(),
            _ if turned => self.flag_turned_alone("by the operator's hand"),
            _ => {}
        }
        self.show_flag();
    }
}
