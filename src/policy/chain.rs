//! How several answers make one: merging, dependent steps, what one answer tells other lookups, and what it all costs.

use std::sync::Arc;

use super::{Expr, Template};
use crate::answer::Outcome;

/// How the upstreams of a lookup, and other lookups, play together.
#[derive(Debug, Default)]
pub struct Chain {
    /// True: missing fields come from the next upstream; false: the first usable answer is the answer.
    pub merge: bool,
    /// Whose value of a field goes first, by upstream; where nothing is said, the upstreams' order counts.
    pub precedence: Vec<(String, Vec<Arc<str>>)>,
    /// Other lookups that are asked with keys from this one's record.
    pub then: Vec<Then>,
    /// What dips cost, and how much may be spent.
    pub cost: Option<Cost>,
    /// True: somebody's life may depend on it. Asked whatever the breaker says, never stale, no answer "no" is kept.
    pub emergency: bool,
    /// When and how often the next upstream is asked before the one before it has answered.
    pub hedge: Hedge,
}

/// When and how often a dip is hedged.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Hedge {
    /// True: after the upstream's own 95th percentile instead of a fixed time, once there are enough samples.
    pub p95: bool,
    /// The most extra requests, as a share of all dips, 0 to 1.
    pub max: f64,
}

/// A dependent step.
#[derive(Debug)]
pub struct Then {
    /// The lookup that is asked.
    pub lookup: Arc<str>,
    /// Its key, over the question and `record`. One that comes out empty asks nothing.
    pub key: Template,
    /// Its further inputs, likewise.
    pub inputs: Vec<(String, Template)>,
    /// Fields of this record, and the fields of the other one that they are filled from.
    pub fields: Vec<(String, String)>,
}

/// What an answer tells about another lookup's record of the same key.
#[derive(Debug)]
pub struct Also {
    /// The other lookup.
    pub lookup: Arc<str>,
    /// Its fields, over this answer.
    pub fields: Vec<(String, Expr)>,
}

/// What dips cost, in the operator's currency.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cost {
    /// The price of one dip by its outcome; an outcome that is not here is free.
    pub per: Vec<(Outcome, f64)>,
    /// The most that may be spent in a day (UTC).
    pub per_day: Option<f64>,
    /// The most that may be spent in a calendar month (UTC).
    pub per_month: Option<f64>,
    /// The most dips that are paid for in a day.
    pub dips_per_day: Option<u64>,
    /// The most dips that are paid for in a month.
    pub dips_per_month: Option<u64>,
}

impl Cost {
    /// The price of this outcome; `None` for one that is free.
    pub fn price(&self, outcome: Outcome) -> Option<f64> {
        self.per.iter().find(|(priced, _)| *priced == outcome).map(|(_, price)| *price)
    }
}

impl Chain {
    /// The place of an upstream in the order of a field's givers: less goes first.
    pub fn rank(&self, field: &str, upstream: &str, index: usize) -> usize {
        let named = self.precedence.iter().find(|(name, _)| name == field).map(|(_, order)| order.as_slice());
        let order = named.unwrap_or_default();
        order.iter().position(|name| **name == *upstream).unwrap_or(order.len() + index)
    }
}
