//! All lookups of the process, swapped whole on reload.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::answer::Outcome;
use crate::cache::LocalCache;
use crate::events::Events;
use crate::health::Verdict;
use crate::lookup::flight::Flights;
use crate::lookup::{Lookup, Member};
use crate::policy::Policy;
use crate::telemetry::{FrontName, Meters};
use crate::upstream::Failure;

/// All lookups, by name.
#[derive(Debug, Default)]
pub struct Lookups {
    current: ArcSwap<Vec<Arc<Lookup>>>,
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
    /// The lookup of this name.
    #[inline]
    pub fn find(&self, name: &str) -> Option<Arc<Lookup>> {
        self.current.load().iter().find(|lookup| &*lookup.policy.name == name).cloned()
    }

    /// All of them, in order of name.
    pub fn all(&self) -> Arc<Vec<Arc<Lookup>>> {
        self.current.load_full()
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
                _ => Arc::new(Lookup::build(policy, old, Arc::clone(events))?),
            });
        }
        after.sort_by(|a, b| a.policy.name.cmp(&b.policy.name));
        self.current.store(Arc::new(after));
        Ok(())
    }
}

impl Lookup {
    fn build(policy: Policy, old: Option<&Arc<Self>>, events: Arc<Events>) -> Result<Self, CannotBuild> {
        let members = policy.upstreams.iter().map(|upstream| {
            Member::build(upstream, policy.breaker).map_err(|why| CannotBuild {
                lookup: policy.name.to_string(),
                upstream: upstream.name.to_string(),
                why,
            })
        });
        let members = members.collect::<Result<Vec<_>, _>>()?;
        let names: Vec<_> = members.iter().map(|member| Arc::clone(&member.name)).collect();
        let (entries, bytes) = (policy.cache.max_entries, policy.cache.max_bytes);
        let same_answers = |old: &&Arc<Self>| {
            let rules = &old.policy.cache;
            old.policy.shape == policy.shape && (rules.max_entries, rules.max_bytes) == (entries, bytes)
        };
        let local = old
            .filter(same_answers)
            .map_or_else(|| Arc::new(LocalCache::new(entries, bytes)), |old| Arc::clone(&old.local));
        let meters = Meters::new(&policy.name, &names);
        meters.upstreams.iter().for_each(|upstream| upstream.breaker.set(0.0));
        let summary = old.map(|old| Arc::clone(&old.summary)).unwrap_or_default();
        let verdict = Verdict::default();
        // The operator's hand stays where it was laid.
        if let Some(old) = old {
            verdict.lay(old.verdict.hand());
        }
        meters.health.set(f64::from(u8::from(verdict.is_up())));
        Ok(Self { policy: Arc::new(policy), local, members, verdict, flights: Flights::new(), meters, summary, events })
    }
}
