//! Holds of one key or of one set of credentials: where a rule says so, and wherever callers choose the server.

use std::sync::Arc;
use std::time::Duration;

use crate::answer::Outcome;
use crate::deadline::Instant;
use crate::health::Part;
use crate::lookup::Lookup;
use crate::policy::{HoldScope, Judgement, Question, TransportPolicy};
use crate::upstream::Failure;

/// How long a URL of the caller's is left alone that gave no answer, the first time.
const SILENT: Duration = Duration::from_secs(1);

/// Why this question is not asked now, though others are.
pub(super) fn held(lookup: &Lookup, index: usize, question: &Question, now: Instant) -> Option<Outcome> {
    let apart = &lookup.members[index].apart;
    if apart.is_empty() || lookup.policy.chain.emergency {
        return None;
    }
    let hold = parts(lookup, index, question).into_iter().find_map(|part| apart.hold(&part, now))?;
    Some(hold.outcome)
}

/// Notes how a question ended. True when the hold that comes of it, if any, is none of the whole upstream's.
pub(super) fn ended(
    lookup: &Lookup,
    index: usize,
    question: &Question,
    result: &Result<Judgement, Failure>,
    now: Instant,
) -> bool {
    let (apart, is_one_place) = (&lookup.members[index].apart, is_one_place(lookup, index));
    match result {
        Ok(judgement) if judgement.outcome.is_answer() => {
            if !apart.is_empty() {
                parts(lookup, index, question).iter().for_each(|part| apart.answered(part));
            }
            false
        }
        Ok(judgement) => {
            let scope = if is_one_place { judgement.hold_scope } else { HoldScope::Key };
            let [key, credential] = parts(lookup, index, question);
            let part = match scope {
                HoldScope::Upstream => return false,
                HoldScope::Key => key,
                HoldScope::Credential => credential,
            };
            if let Some(span) = judgement.hold
                && apart.hold_for(part, now, judgement.outcome, span, judgement.hold_grows)
            {
                tell(lookup, index, question, judgement.outcome, &judgement.rule);
            }
            true
        }
        Err(failure) if !is_one_place && failure.is_theirs() => {
            let [key, _] = parts(lookup, index, question);
            if apart.hold_for(key, now, failure.outcome(), SILENT, true) {
                tell(lookup, index, question, failure.outcome(), &failure.detail);
            }
            true
        }
        Err(_) => false,
    }
}

/// Whether every question goes to the same place.
pub(super) fn is_one_place(lookup: &Lookup, index: usize) -> bool {
    lookup.policy.upstreams[index].transport.is_one_place()
}

/// What a question is a part of: itself, and all with its credentials.
fn parts(lookup: &Lookup, index: usize, question: &Question) -> [Part; 2] {
    let name = match &lookup.policy.upstreams[index].transport {
        TransportPolicy::Http(http) => http.auth_for(question).and_then(|(name, _)| name),
        _ => None,
    };
    [Part::Key(question.id.clone()), Part::Credential(name.unwrap_or_default().into())]
}

/// Only to the log: an event for every number would be a flood.
fn tell(lookup: &Lookup, index: usize, question: &Question, outcome: Outcome, why: &str) {
    let (lookup, upstream) = (&*lookup.policy.name, Arc::clone(&lookup.members[index].name));
    tracing::debug!(lookup, upstream = &*upstream, key = &*question.id, outcome = outcome.as_str(), why, "held apart");
}
