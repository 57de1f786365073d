//! Dependent steps: other lookups, asked with keys from this one's record, all at once and within its budget.
//!
//! It makes no difference how the record came about: from whichever upstream, or as the fallback. A step
//! whose key comes out empty has nothing to ask. One that is late or finds nothing leaves its fields out,
//! and the record is partial.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt, join_all};
use minijinja::Value;
use serde_json::Map;

use crate::answer::{Answer, Outcome, Record};
use crate::deadline::Deadline;
use crate::lookup::Lookup;
use crate::lookup::member::Given;
use crate::policy::{Question, Reading, Scope, Then, UpstreamPolicy};

/// What a step brought.
enum Step {
    /// Nothing was to be asked.
    NotAsked,
    /// Its fields could not be had.
    Missing,
    Fields(Map<String, serde_json::Value>),
}

/// The record with the steps' fields, and whether none is missing. Boxed: the steps run the whole pipeline again.
pub(super) fn complete<'a>(
    lookup: &'a Lookup,
    question: &'a Question,
    record: Record,
    deadline: Deadline,
) -> BoxFuture<'a, (Record, bool)> {
    async move {
        let fields = record.to_map();
        // A record is JSON of our own making; were it none, no step would have a key.
        let shown: Value = serde_json::from_str(record.as_json()).unwrap_or_default();
        let scope = Scope::of_question_and(question, [("record", shown)]);
        let steps = lookup.policy.chain.then.iter().map(|then| step(lookup, then, &scope, deadline));
        let steps = join_all(steps).await;
        let mut whole = true;
        let mut completed = fields;
        for step in steps {
            match step {
                Step::NotAsked => {}
                Step::Missing => whole = false,
                Step::Fields(more) => {
                    for (name, value) in more {
                        completed.entry(name).or_insert(value);
                    }
                }
            }
        }
        (Record::from_map(&completed), whole)
    }
    .boxed()
}

async fn step(lookup: &Lookup, then: &Then, scope: &Scope, deadline: Deadline) -> Step {
    let Some((key, inputs)) = asked(then, scope) else { return Step::Missing };
    if key.is_empty() {
        return Step::NotAsked;
    }
    let Some(other) = lookup.peer(&then.lookup) else { return Step::Missing };
    let inputs: Vec<(&str, &str)> = inputs.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let Ok(question) = other.policy.question(&key, &inputs) else { return Step::Missing };
    let answer = match other.hit(&question) {
        Some(answer) => answer,
        // What is left may be nothing; the other lookup then goes on by itself, and knows it next time.
        None => other.miss(question, deadline.earlier(Deadline::after(other.call_budget()))).await,
    };
    match answer.record.filter(|_| answer.outcome.has_record()) {
        Some(record) => Step::Fields(taken(then, record)),
        None => Step::Missing,
    }
}

/// What a step asks for with this record in view: key and inputs; `None` where they do not render.
pub(crate) fn asked<'t>(then: &'t Then, scope: &Scope) -> Option<(String, Vec<(&'t str, String)>)> {
    let inputs = then.inputs.iter().map(|(name, value)| Some((name.as_str(), value.render(scope).ok()?)));
    Some((then.key.render(scope).ok()?, inputs.collect::<Option<_>>()?))
}

/// What a step takes of the other lookup's record.
pub(crate) fn taken(then: &Then, record: Record) -> Map<String, serde_json::Value> {
    let mut there = record.to_map();
    then.fields.iter().filter_map(|(here, name)| Some((here.clone(), there.remove(name)?))).collect()
}

impl Lookup {
    /// The fallback's record with what the dependent steps know, as far as the time goes.
    pub(super) async fn followed(&self, question: &Question, answer: Answer, deadline: Deadline) -> Answer {
        match &answer.record {
            Some(record) if answer.outcome == Outcome::Fallback && !self.policy.chain.then.is_empty() => {
                let (record, _) = complete(self, question, record.clone(), deadline).await;
                Answer { record: Some(record), ..answer }
            }
            _ => answer,
        }
    }

    /// Stores what an answer tells about other lookups' records of the same key.
    pub(super) fn tell(&self, upstream: &UpstreamPolicy, question: &Question, reading: &Reading) {
        for also in &upstream.also {
            let Some(other) = self.peer(&also.lookup) else { continue };
            let Ok(asked) = other.policy.question(&question.key, &[]) else { continue };
            let record = upstream.tells(also, other.policy.kind, question, reading);
            if let Some(record) = record.filter(|_| other.policy.applies(&asked)) {
                let (outcome, from) = (Outcome::Found, Arc::clone(&upstream.name));
                let given = Given { outcome, record: Some(record), ttl: None, from, keep: true, next: None };
                other.keep(&asked, given, || false);
            }
        }
    }
}
