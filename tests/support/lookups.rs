//! Lookups of policies written in a test, without fronts around them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dipcache::answer::Answer;
use dipcache::deadline::Deadline;
use dipcache::events::{EventType, Events};
use dipcache::lookup::{Lookup, Lookups};
use dipcache::policy::{Policy, check};

/// Lookups and what they tell.
pub struct Desk {
    pub lookups: Arc<Lookups>,
    pub events: Arc<Events>,
}

/// A policy of this text, which must be without fault.
pub fn policy(name: &str, text: &str) -> Policy {
    check::parse(name, Path::new(name), text).unwrap_or_else(|faults| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        panic!("{}", lines.join("\n"))
    })
}

impl Desk {
    /// Runs these policies: name and text of each.
    pub fn new(policies: &[(&str, &str)]) -> Self {
        let desk = Self { lookups: Arc::default(), events: Arc::default() };
        desk.install(policies);
        desk
    }

    /// Runs these from now on.
    pub fn install(&self, policies: &[(&str, &str)]) {
        let policies = policies.iter().map(|(name, text)| policy(name, text)).collect();
        self.lookups.install(policies, &self.events).expect("upstreams that can be built");
    }

    /// The lookup of this name.
    pub fn lookup(&self, name: &str) -> Arc<Lookup> {
        self.lookups.find(name).expect("a lookup of this name")
    }

    /// How often this was told.
    pub fn told(&self, event: EventType) -> usize {
        self.events.recent().iter().filter(|told| told.event == event).count()
    }
}

/// Asks within this budget.
pub async fn ask(lookup: &Arc<Lookup>, key: &str, budget_ms: u64) -> Answer {
    let question = lookup.policy.question(key, &[]).expect("a key that fits");
    lookup.ask(question, Deadline::after(Duration::from_millis(budget_ms))).await
}
