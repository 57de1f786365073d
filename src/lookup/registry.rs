//! All lookups of the process, swapped whole on reload.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::answer::Outcome;
use crate::cache::LocalCache;
use crate::config::Bundle;
use crate::crew::Crew;
use crate::deadline::{now, wall_clock};
use crate::events::Events;
use crate::health::{Allowance, FailedTargets, Override, Spend, Verdict};
use crate::lookup::flight::{Flights, Room};
use crate::lookup::{Cluster, Lookup, Member, tables, targets};
use crate::policy::{CacheRules, Kind, Policy};
use crate::telemetry::{FrontName, Meters};
use crate::upstream::Failure;

/// All lookups, by name.
#[derive(Debug, Default)]
pub struct Lookups {
    /// In order of name.
    current: Arc<ArcSwap<Vec<Arc<Lookup>>>>,
    bundles: ArcSwap<Vec<Arc<Bundle>>>,
    room: Arc<Room>,
    failed: Arc<FailedTargets>,
    cluster: Option<Arc<Cluster>>,
    edition: AtomicU64,
    crew: Crew,
}

/// An upstream that could not be built.
#[derive(Debug, thiserror::Error)]
#[error("upstream `{upstream}` of lookup `{lookup}`")]
pub struct CannotBuild {
    /// The lookup.
    pub lookup: String,
    /// The upstream.
    pub upstream: String,
    /// Why.
    #[source]
    pub why: Failure,
}

impl Lookups {
    /// None yet; all of them will share what they know with other nodes.
    pub fn sharing(cluster: Arc<Cluster>) -> Self {
        Self { cluster: Some(cluster), ..Self::default() }
    }

    /// Has their dips made by these threads.
    pub fn served_by(self, crew: &Crew) -> Self {
        Self { crew: crew.clone(), ..self }
    }

    /// What they share with other nodes.
    pub fn cluster(&self) -> Option<&Arc<Cluster>> {
        self.cluster.as_ref()
    }

    /// The lookup of this name.
    #[inline]
    pub fn find(&self, name: &str) -> Option<Arc<Lookup>> {
        self.with(name, Arc::clone)
    }

    /// What `f` makes of the lookup of this name. A hit does not even count itself in: `f` must be short.
    #[inline]
    pub fn with<R>(&self, name: &str, f: impl FnOnce(&Arc<Lookup>) -> R) -> Option<R> {
        let all = self.current.load();
        let place = all.binary_search_by(|lookup| (*lookup.policy.name).cmp(name)).ok()?;
        Some(f(&all[place]))
    }

    /// All of them, in order of name.
    pub fn all(&self) -> Arc<Vec<Arc<Lookup>>> {
        self.current.load_full()
    }

    /// Changes whenever the lookups do: what was made of them before is to be made anew.
    #[inline]
    pub fn edition(&self) -> u64 {
        self.edition.load(Ordering::Acquire)
    }

    /// The bundle of this name.
    pub fn bundle(&self, name: &str) -> Option<Arc<Bundle>> {
        self.bundles.load().iter().find(|bundle| bundle.name == name).cloned()
    }

    /// Answers these bundles from now on.
    pub fn set_bundles(&self, bundles: Vec<Arc<Bundle>>) {
        self.bundles.store(Arc::new(bundles));
    }

    /// The destinations that somebody found dead, which all lookups avoid.
    pub fn failed_targets(&self) -> &FailedTargets {
        &self.failed
    }

    /// So many dips may be under way at once over all lookups; one more is shed.
    pub fn limit(&self, max_dips: usize) {
        self.room.set(max_dips);
    }

    /// Counts a request for a lookup that does not exist. The name that was asked for is no label: it is the caller's.
    pub fn unknown(&self, front: FrontName) {
        let outcome = Outcome::UnknownLookup.as_str();
        metrics::counter!("dipcache_requests_total", "front" => front.as_str(), "lookup" => "", "outcome" => outcome)
            .increment(1);
    }

    /// Runs these policies from now on, in place of those before; all of them or none.
    ///
    /// A lookup whose policy is unchanged goes on as it is, with its cache and its breakers. One whose
    /// answers still mean the same keeps its cache. Dips under way end with the policy they began with.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When an upstream cannot be built; then nothing has changed.
    pub fn install(&self, policies: Vec<Policy>, events: &Arc<Events>) -> Result<(), CannotBuild> {
        let before = self.all();
        let mut after = Vec::with_capacity(policies.len());
        for policy in policies {
            let old = before.iter().find(|lookup| lookup.policy.name == policy.name);
            after.push(match old {
                Some(old) if old.policy.fingerprint == policy.fingerprint => Arc::clone(old),
                _ => {
                    let around = Around {
                        events: Arc::clone(events),
                        cluster: self.cluster.clone(),
                        room: Arc::clone(&self.room),
                        peers: Arc::downgrade(&self.current),
                        failed: Arc::clone(&self.failed),
                        home: self.crew.any().cloned().or_else(|| Handle::try_current().ok()),
                    };
                    Arc::new(Lookup::build(policy, old, around)?)
                }
            });
        }
        after.sort_by(|a, b| a.policy.name.cmp(&b.policy.name));
        let after = Arc::new(after);
        self.current.store(Arc::clone(&after));
        // After the lookups themselves: who sees the new edition finds the new lookups.
        self.edition.fetch_add(1, Ordering::Release);
        succeed(&before, &after);
        after.iter().filter(|new| !before.iter().any(|old| Arc::ptr_eq(old, new))).for_each(tables::keep);
        Ok(())
    }
}

/// Old lookups fall silent, and new ones show where they stand. An outage that was told is told to be over, or
/// whoever watches the events would wait for that for ever.
fn succeed(before: &[Arc<Lookup>], after: &[Arc<Lookup>]) {
    for old in before.iter().filter(|old| !after.iter().any(|new| Arc::ptr_eq(old, new))) {
        old.retire();
        match after.iter().find(|new| new.policy.name == old.policy.name) {
            Some(new) if !old.is_up() && new.is_up() => new.flag_turned_alone("a changed policy runs"),
            // In a cluster the other nodes may run it still: there its end is told by the node that leaves it last.
            None if !old.is_up() && old.verdict.cluster().is_none() => {
                old.verdict.lay(Override::Up);
                old.flag_turned_alone("its policy is gone");
            }
            _ => {}
        }
    }
    for new in after.iter().filter(|new| !before.iter().any(|old| Arc::ptr_eq(old, new))) {
        new.meters.upstreams.iter().for_each(|upstream| upstream.breaker.set(0.0));
        new.show_flag();
    }
}

/// What is around a lookup.
struct Around {
    events: Arc<Events>,
    cluster: Option<Arc<Cluster>>,
    room: Arc<Room>,
    peers: Weak<ArcSwap<Vec<Arc<Lookup>>>>,
    failed: Arc<FailedTargets>,
    home: Option<Handle>,
}

impl Lookup {
    fn build(policy: Policy, old: Option<&Arc<Self>>, around: Around) -> Result<Self, CannotBuild> {
        let members = policy.upstreams.iter().map(|upstream| {
            let before = old.and_then(|old| old.members.iter().find(|member| member.name == upstream.name));
            Member::build(upstream, policy.breaker, before).map_err(|why| CannotBuild {
                lookup: policy.name.to_string(),
                upstream: upstream.name.to_string(),
                why,
            })
        });
        let members = members.collect::<Result<Vec<_>, _>>()?;
        let names: Vec<_> = members.iter().map(|member| Arc::clone(&member.name)).collect();
        let rules = &policy.cache;
        let local = old
            .filter(|old| old.policy.shape == policy.shape && may_keep(&old.policy.cache, &policy.cache))
            .map_or_else(
                || Arc::new(LocalCache::new(rules.engine, rules.max_entries, rules.max_bytes)),
                |old| Arc::clone(&old.local),
            );
        let meters = Meters::new(&policy.name, &names);
        let summary = old.map(|old| Arc::clone(&old.summary)).unwrap_or_default();
        let verdict = Verdict::default();
        // The operator's hand stays where it was laid.
        if let Some(old) = old {
            verdict.lay(old.verdict.hand());
            verdict.follow(old.verdict.cluster());
        }
        let mind = old.map(|old| Arc::clone(&old.mind)).unwrap_or_default();
        let Around { events, cluster, room, peers, failed, home } = around;
        let before = old.and_then(|old| old.spend.as_ref());
        let spend = policy.chain.cost.clone().map(|cost| Spend::new(cost, before));
        // What was spent before a reload is spent still.
        if let Some(span) = spend.as_ref().and_then(|spend| spend.closed_for(wall_clock())) {
            for member in &members {
                member.health.hold_for(now(), Outcome::QuotaExhausted, span);
            }
        }
        members.iter().for_each(|member| member.upstream.prepare());
        let allowance = Mutex::new(Allowance::new(policy.chain.hedge.max));
        let tables_only = members.iter().all(|member| member.upstream.table().is_some());
        let steers = policy.kind == Kind::Dns && policy.field_order.iter().any(|field| field == targets::TARGETS);
        // Nothing has broken yet: the flag is set without an event. A table's first load turns it.
        verdict.note(members.iter().any(|member| member.is_usable(now())));
        Ok(Self {
            policy: Arc::new(policy),
            local,
            members,
            verdict,
            mind,
            cluster,
            tables_only,
            steers,
            failed,
            flights: Flights::new(room),
            meters,
            summary,
            events,
            allowance,
            spend,
            peers,
            turning: Mutex::default(),
            since: now(),
            retired: AtomicBool::new(false),
            flushed: Mutex::default(),
            home,
        })
    }
}

/// True when entries that were made under the old rules may go on under the new ones. Each carries how long it may be
/// served, so one that was made when stale records were allowed for longer would break a stricter contract.
fn may_keep(old: &CacheRules, new: &CacheRules) -> bool {
    (old.engine, old.max_entries, old.max_bytes) == (new.engine, new.max_entries, new.max_bytes)
        && old.stale <= new.stale
        && old.revalidate <= new.revalidate
        && old.ceiling <= new.ceiling
}
