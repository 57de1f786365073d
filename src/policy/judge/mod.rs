//! From what an upstream said to what it means: the ordered rules, and the tail behind them.
//!
//! The operator's rules come first, in order, and the first that holds decides. A rule that does not run
//! (an expression over a body that did not decode, say) does not hold. Behind them stands `tail`, which
//! knows what the transport's own codes usually mean. Only then is a record made (`record`), for an
//! outcome that has one: an answer in which none of the policy's fields is to be found is `not_found`.
//!
//! All this happens before the cache and the breaker see the answer: a vendor's status code alone never decides.

mod record;
mod tail;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::answer::{Outcome, Record};
use crate::deadline::wall_clock;
use crate::policy::kind::Kind;
use crate::policy::{Also, Expr, FallbackValue, Policy, Question, Reading, UpstreamPolicy};

use super::expr::Scope;

/// How long a vendor is left alone that has no money or plan left for us.
const QUOTA_HOLD: Duration = Duration::from_secs(600);

/// How long a vendor is left alone that refuses our credentials.
const AUTH_HOLD: Duration = Duration::from_secs(60);

/// How long a vendor is left alone for which there is no token: whoever gives them is asked again by then.
const TOKEN_HOLD: Duration = Duration::from_secs(5);

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
    /// Whether the next upstream is asked; by default where the outcome is no answer.
    pub next: Option<bool>,
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
    /// Whether the next upstream is asked, where the rule says so.
    pub next: Option<bool>,
    /// Which rule fired: `rule 2`, or `built in: 404`.
    pub rule: String,
    /// What went wrong, for logs and `try`; never a secret.
    pub detail: Option<String>,
}

impl UpstreamPolicy {
    /// Says what an upstream's answer means, and makes the record of it. `kind` is the policy's.
    pub fn judge(&self, kind: Kind, question: &Question, reading: &Reading) -> Judgement {
        let scope = Scope::of_reading(question, reading);
        let mut judgement = self.first_rule(&scope).unwrap_or_else(|| tail::judge(reading));
        if judgement.outcome.has_record() {
            self.fill(&mut judgement, kind, &scope);
        }
        judgement.ttl = judgement.ttl.or(reading.ttl);
        judgement.hold = self.hold_for(&judgement, reading);
        judgement
    }

    /// What an answer says about another lookup's record, of this kind; `None` where it says nothing.
    pub fn tells(&self, also: &Also, kind: Kind, question: &Question, reading: &Reading) -> Option<Record> {
        match record::of_fields(kind, &also.fields, &Scope::of_reading(question, reading)) {
            Ok(fields) => (!fields.is_empty()).then(|| Record::from_map(&fields)),
            Err(why) => {
                tracing::debug!(upstream = &*self.name, lookup = &*also.lookup, why, "nothing is told");
                None
            }
        }
    }

    fn first_rule(&self, scope: &Scope) -> Option<Judgement> {
        let holds = |rule: &Rule| match rule.when.is_true(scope) {
            Ok(holds) => holds,
            Err(error) => {
                tracing::debug!(upstream = &*self.name, rule = rule.when.source(), %error, "a rule does not run");
                false
            }
        };
        let (index, rule) = self.rules.iter().enumerate().find(|(_, rule)| holds(rule))?;
        Some(Judgement {
            ttl: rule.ttl,
            hold: rule.hold,
            next: rule.next,
            ..Judgement::new(rule.outcome, format!("rule {}", index + 1))
        })
    }

    /// Makes the record, which has the last word: nothing found is `not_found`, parts missing `partial`.
    fn fill(&self, judgement: &mut Judgement, kind: Kind, scope: &Scope) {
        match record::of_fields(kind, &self.fields, scope) {
            Ok(fields) if fields.is_empty() => {
                judgement.outcome = Outcome::NotFound;
                judgement.detail = Some("none of the policy's fields is in the answer".to_owned());
            }
            Ok(fields) => {
                let missing: Vec<&str> =
                    self.required.iter().map(String::as_str).filter(|name| !fields.contains_key(*name)).collect();
                if !missing.is_empty() {
                    judgement.outcome = Outcome::Partial;
                    judgement.detail = Some(format!("missing: {}", missing.join(", ")));
                }
                judgement.record = Some(Record::from_map(&fields));
            }
            Err(why) => {
                judgement.outcome = Outcome::VendorError;
                judgement.detail = Some(why);
            }
        }
    }

    /// How long the upstream is left alone: what the rule says, else what the vendor says, else the
    /// policy's or our own time for such a case.
    fn hold_for(&self, judgement: &Judgement, reading: &Reading) -> Option<Duration> {
        if !judgement.outcome.is_hold() {
            return judgement.hold;
        }
        let asked = || match judgement.outcome {
            Outcome::RateLimited => tail::retry_after(reading, wall_clock()),
            _ => None,
        };
        let usual = || match judgement.outcome {
            Outcome::QuotaExhausted => QUOTA_HOLD,
            Outcome::AuthError => AUTH_HOLD,
            _ => self.hold,
        };
        Some(asked().or(judgement.hold).unwrap_or_else(usual))
    }
}

impl Judgement {
    fn new(outcome: Outcome, rule: String) -> Self {
        Self { outcome, record: None, ttl: None, hold: None, next: None, rule, detail: None }
    }

    /// Our credentials were refused before the question could be asked.
    pub fn no_credentials(detail: &str) -> Self {
        let judgement = Self::new(Outcome::AuthError, "built in: no token".to_owned());
        Self { hold: Some(TOKEN_HOLD), detail: Some(detail.to_owned()), ..judgement }
    }
}

impl Policy {
    /// Whether this question is asked at all. A gate that does not run lets it through: asking in vain is
    /// the smaller harm.
    pub fn applies(&self, question: &Question) -> bool {
        let Some(gate) = &self.applies_when else { return true };
        match gate.is_true(&Scope::of_question(question)) {
            Ok(applies) => applies,
            Err(error) => {
                tracing::debug!(lookup = &*self.name, gate = gate.source(), %error, "applies_when does not run");
                true
            }
        }
    }

    /// The record that is answered when nothing else can be; `None` where the policy has none. A field
    /// whose template does not run is left out.
    pub fn fallback(&self, question: &Question) -> Option<Record> {
        let fields = self.fallback.as_ref()?;
        let scope = Scope::of_question(question);
        let values = fields.iter().filter_map(|(name, value)| match value {
            FallbackValue::Fixed(value) => Some((name.as_str(), value.clone())),
            FallbackValue::Text(template) => match template.render(&scope) {
                Ok(text) => Some((name.as_str(), text.into())),
                Err(error) => {
                    tracing::debug!(lookup = &*self.name, field = name, %error, "a fallback field does not render");
                    None
                }
            },
        });
        Some(Record::from_map(&record::of_values(self.kind, values)))
    }
}
