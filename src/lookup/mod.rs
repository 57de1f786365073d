//! The pipeline: one dip from question to answer.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::answer::Answer;
use crate::deadline::Deadline;
use crate::front::Front;
use crate::policy::{Policy, Question};

/// All lookups, by name; swapped whole on reload.
#[derive(Debug, Default)]
pub struct Lookups {
    by_name: ArcSwap<Vec<Arc<Lookup>>>,
}

impl Lookups {
    /// The lookup of this name.
    pub fn find(&self, name: &str) -> Option<Arc<Lookup>> {
        self.by_name.load().iter().find(|lookup| &*lookup.policy.name == name).cloned()
    }

    /// All of them, in order of name.
    pub fn all(&self) -> Arc<Vec<Arc<Lookup>>> {
        self.by_name.load_full()
    }

    /// Counts a request for a lookup that does not exist.
    pub fn unknown(&self, front: Front) {
        let _ = front;
    }
}

/// One lookup, running: its policy, its cache, its flights, its upstreams and their health.
#[derive(Debug)]
pub struct Lookup {
    /// The policy it runs.
    pub policy: Arc<Policy>,
}

impl Lookup {
    /// What a caller ever waits.
    pub fn call_budget(&self) -> Duration {
        self.policy.budget.call
    }

    /// The fresh answer from the local cache, if there is one. Waits for nothing.
    pub fn hit(&self, question: &Question) -> Option<Answer> {
        let _ = question;
        None
    }

    /// An answer in time: shared with whoever asks the same, from an upstream, or of the second rank.
    pub async fn miss(self: &Arc<Self>, question: Question, deadline: Deadline) -> Answer {
        let _ = (question, deadline);
        todo!()
    }

    /// The 1/0 that a routing script checks before it asks.
    pub fn is_up(&self) -> bool {
        true
    }

    /// Counts an answer that a front is about to write. `took` is zero for a hit.
    pub fn answered(&self, front: Front, answer: &Answer, took: Duration) {
        let _ = (front, answer, took);
    }
}
