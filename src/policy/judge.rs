//! From what an upstream said to what it means: the ordered rules, and the tail behind them.

use std::time::Duration;

use crate::answer::{Outcome, Record};
use crate::policy::Expr;

/// One rule: the first whose test holds decides.
#[derive(Debug)]
pub struct Rule {
    /// The test.
    pub when: Expr,
    /// What it means.
    pub outcome: Outcome,
    /// How long the upstream is left alone.
    pub hold: Option<Duration>,
    /// How long the answer lives, instead of the policy's time for this outcome.
    pub ttl: Option<Duration>,
}

/// What an upstream's answer means.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// How the dip ended.
    pub outcome: Outcome,
    /// The kept fields, where the outcome has any.
    pub record: Option<Record>,
    /// How long the answer lives, where rule or answer say so.
    pub ttl: Option<Duration>,
    /// How long the upstream is to be left alone.
    pub hold: Option<Duration>,
    /// Which rule fired: `rule 2`, or `built in: 404`.
    pub rule: String,
    /// What went wrong, for logs and `try`; never a secret.
    pub detail: Option<String>,
}

impl crate::policy::UpstreamPolicy {
    /// x
    pub fn judge(&self, _: &crate::policy::Inputs, _: &crate::policy::Question, _: &crate::policy::Reading) -> Judgement { todo!() }
}
impl crate::policy::Policy {
    /// x
    pub fn applies(&self, _: &crate::policy::Question) -> bool { true }
    /// x
    pub fn fallback(&self, _: &crate::policy::Question) -> Option<Record> { None }
}
