//! What the upstreams of one dip have said so far, and the one answer that it makes.
//!
//! Where the first usable answer is the answer, one that a rule sends on (`next = true`) is kept for the case that
//! nobody has a better one. Where answers are merged, each field comes from the upstream that goes first for
//! it among those that gave it.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::answer::{Outcome, Record};
use crate::lookup::member::Given;
use crate::policy::Policy;

/// What came of one upstream's turn.
#[derive(Debug)]
enum Turn {
    /// It has not ended, or not begun.
    Open,
    /// It gave no answer.
    Failed,
    Given(Given),
}

/// The answers of one dip.
#[derive(Debug)]
pub(crate) struct Gathering<'a> {
    policy: &'a Policy,
    turns: Vec<Turn>,
    over: bool,
}

impl<'a> Gathering<'a> {
    pub(crate) fn new(policy: &'a Policy) -> Self {
        Self { policy, turns: policy.upstreams.iter().map(|_| Turn::Open).collect(), over: false }
    }

    /// An upstream answered.
    pub(crate) fn given(&mut self, index: usize, given: Given) {
        let goes_on = match self.policy.chain.merge {
            true => given.outcome != Outcome::InvalidNumber && given.next != Some(false),
            false => given.next == Some(true),
        };
        self.over |= !goes_on;
        self.turns[index] = Turn::Given(given);
    }

    /// An upstream gave no answer; `next` is its rule's word on whether the next one is asked.
    pub(crate) fn failed(&mut self, index: usize, next: Option<bool>) {
        self.over |= next == Some(false);
        self.turns[index] = Turn::Failed;
    }

    /// True when no further upstream could make the answer better.
    pub(crate) fn is_done(&self) -> bool {
        self.over || (0..self.turns.len()).all(|index| !matches!(self.turns[index], Turn::Open) || !self.wants(index))
    }

    /// Whether this upstream could make the answer better.
    pub(crate) fn wants(&self, index: usize) -> bool {
        if !self.policy.chain.merge {
            return true;
        }
        let upstream = &self.policy.upstreams[index];
        upstream.fields.iter().any(|(field, _)| match self.giver(field) {
            Some(giver) => self.rank(field, index) < self.rank(field, giver),
            None => true,
        })
    }

    /// True when there is something to answer with.
    pub(crate) fn has_any(&self) -> bool {
        self.turns.iter().any(|turn| matches!(turn, Turn::Given(_)))
    }

    /// The one answer of all that is there.
    pub(crate) fn result(&self) -> Option<Given> {
        let worth = |given: &Given| match given.outcome {
            Outcome::Found => 0,
            Outcome::Partial => 1,
            _ => 2,
        };
        let best = self.all().min_by_key(|(_, given)| worth(given)).map(|(_, given)| given)?;
        if !self.policy.chain.merge || !best.outcome.has_record() {
            return Some(best.clone());
        }
        Some(self.merged(best))
    }

    fn merged(&self, best: &Given) -> Given {
        let mut fields = Map::new();
        for field in &self.policy.field_order {
            let value = self.giver(field).and_then(|giver| self.value(giver, field));
            fields.extend(value.map(|value| (field.clone(), value)));
        }
        // What one that failed or is late could have given is missing, and so is what some upstream requires.
        let silent = |index: &usize| !matches!(self.turns[*index], Turn::Given(_));
        let absent = |field: &str| !fields.contains_key(field);
        let late = (0..self.turns.len())
            .filter(silent)
            .any(|index| self.policy.upstreams[index].fields.iter().any(|(field, _)| absent(field)));
        let required = self.policy.upstreams.iter().flat_map(|upstream| &upstream.required).any(|field| absent(field));
        let outcome = if late || required { Outcome::Partial } else { Outcome::Found };
        let ttl: Option<Duration> = self.all().filter_map(|(_, given)| given.ttl).min();
        Given {
            outcome,
            record: Some(Record::from_map(&fields)),
            ttl,
            from: best.from.clone(),
            keep: best.keep,
            next: None,
        }
    }

    fn all(&self) -> impl Iterator<Item = (usize, &Given)> {
        self.turns.iter().enumerate().filter_map(|(index, turn)| match turn {
            Turn::Given(given) => Some((index, given)),
            _ => None,
        })
    }

    /// Who goes first for this field among those that gave it.
    fn giver(&self, field: &str) -> Option<usize> {
        let givers = self.all().map(|(index, _)| index).filter(|index| self.value(*index, field).is_some());
        givers.min_by_key(|index| self.rank(field, *index))
    }

    fn rank(&self, field: &str, index: usize) -> usize {
        self.policy.chain.rank(field, &self.policy.upstreams[index].name, index)
    }

    fn value(&self, index: usize, field: &str) -> Option<Value> {
        let Turn::Given(given) = &self.turns[index] else { return None };
        given.record.as_ref()?.to_map().remove(field)
    }
}
