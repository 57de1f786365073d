//! From what an upstream said to what it means: the ordered rules, and the tail behind them.
//!
//! The operator's rules come first, in order, and the first that holds decides. A rule that does not run
//! (an expression over a body that did not decode, say) does not hold. Behind them stands `tail`, which
//! knows what the transport's own codes usually mean. Only then is a record made (`record`), for an
//! outcome that has one: an answer in which none of the policy's fields is to be found is `not_found`.
//!
//! All this happens before the cache and the breaker see the answer: a vendor's status code alone never decides.

mod pem;
mod pushed;
mod record;
mod span;
mod tail;
#[cfg(test)]
mod tests;

use std::time::Duration;

use compact_str::{CompactString, format_compact};
use minijinja::Value;

use crate::answer::{Outcome, Record};
use crate::deadline::wall_clock;
use crate::policy::kind::Kind;
use crate::policy::{Also, Expr, FallbackValue, Policy, Question, Reading, TransportPolicy, UpstreamPolicy};

use super::expr::Scope;
use span::Life;

/// How long a vendor is left alone that has no money or plan left for us.
const QUOTA_HOLD: Duration = Duration::from_secs(600);

/// How long a vendor is left alone that refuses our credentials.
const AUTH_HOLD: Duration = Duration::from_secs(60);

/// How long a vendor is left alone for which there is no token: whoever gives them is asked again by then.
const TOKEN_HOLD: Duration = Duration::from_secs(5);
/// The longest hold that is taken from an answer: a mistyped year must not switch a vendor off.
const MAX_HOLD: Duration = Duration::from_secs(86_400);

/// The most characters of a vendor's words that are told.
const DETAIL_LENGTH: usize = 200;

/// Digits in a row that are told: a vendor's error code, and no subscriber.
const CODE_LENGTH: usize = 6;

/// One rule: the first whose test holds decides.
#[derive(Debug)]
pub struct Rule {
    /// The test.
    pub when: Expr,
    /// What it means.
    pub outcome: Outcome,
    /// How long the upstream is left alone, where the vendor does not say.
    pub hold: Option<Duration>,
    /// Where the vendor says how long it wants to be left alone: seconds or a moment.
    pub hold_from: Option<Expr>,
    /// How long the answer lives, instead of the policy's time for this outcome.
    pub ttl: Option<Duration>,
    /// Whether the next upstream is asked; by default where the outcome is no answer.
    pub next: Option<bool>,
    /// What went wrong in the vendor's own words, for logs, events and `try`.
    pub detail: Option<Expr>,
    /// Which questions are held back.
    pub hold_scope: HoldScope,
    /// Raises an event.
    pub alert: bool,
    /// False for an answer that is given and not kept.
    pub cacheable: bool,
    /// False for a failure that is no sample for the breaker.
    pub breaker: bool,
}

/// Which questions a hold concerns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HoldScope {
    /// All of them.
    #[default]
    Upstream,
    /// All that go out with the same credentials.
    Credential,
    /// The one that was asked.
    Key,
}

impl Rule {
    /// A rule without options.
    pub fn new(when: Expr, outcome: Outcome) -> Self {
        let (hold, hold_from, ttl, detail) = (None, None, None, None);
        let (next, hold_scope) = (None, HoldScope::default());
        let (alert, cacheable, breaker) = (false, true, true);
        Self { when, outcome, hold, hold_from, ttl, next, detail, hold_scope, alert, cacheable, breaker }
    }
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
    /// False for an answer that must not be kept.
    pub keep: bool,
    /// How long the upstream is to be left alone.
    pub hold: Option<Duration>,
    /// Whether the next upstream is asked, where the rule says so.
    pub next: Option<bool>,
    /// True when nobody said how long, so that each further hold may be longer than the one before.
    pub hold_grows: bool,
    /// Which questions are held back.
    pub hold_scope: HoldScope,
    /// True when somebody should look at it.
    pub alert: bool,
    /// False for a failure that is no sample for the breaker.
    pub sample: bool,
    /// Which rule fired: `rule 2`, or `built in: 404`.
    pub rule: CompactString,
    /// What went wrong, for logs and `try`; never a secret.
    pub detail: Option<String>,
}

impl UpstreamPolicy {
    /// Says what an upstream's answer means, and makes the record of it. `kind` is the policy's.
    pub fn judge(&self, kind: Kind, question: &Question, reading: &Reading) -> Judgement {
        if matches!(self.transport, TransportPolicy::Table(_)) {
            return tail::table(reading);
        }
        let scope = Scope::of_reading(question, reading);
        let rule = self.first_rule(&scope);
        let mut judgement = rule.map_or_else(|| tail::judge(reading), |(index, rule)| judged(index, rule, &scope));
        if judgement.outcome.has_record() {
            self.fill(&mut judgement, kind, &scope);
        } else if judgement.outcome.is_answer() {
            judgement.record = reading.kept.clone();
        }
        if judgement.outcome.is_answer() && judgement.ttl.is_none() {
            match span::life(&self.ttl, &scope, reading, wall_clock()) {
                Some(Life::For(life)) => judgement.ttl = Some(life),
                Some(Life::NotKept) => judgement.keep = false,
                None => {}
            }
        }
        let hold_from = rule.and_then(|(_, rule)| rule.hold_from.as_ref());
        self.hold(&mut judgement, hold_from, &scope, reading);
        judgement
    }

    /// What an answer says about another lookup's record, of this kind; `None` where it says nothing.
    pub fn tells(&self, also: &Also, kind: Kind, question: &Question, reading: &Reading) -> Option<Record> {
        match record::of_fields(kind, &also.fields, &Scope::of_reading(question, reading)) {
            Ok(fields) => (!fields.is_empty()).then(|| fields.record()),
            Err(why) => {
                tracing::debug!(upstream = &*self.name, lookup = &*also.lookup, why, "nothing is told");
                None
            }
        }
    }

    /// The record of a table's row; `None` for one of which none of the fields says anything.
    ///
    /// # Errors
    /// Names the field that does not run, or says that the record is too large.
    pub fn record_of_row(&self, kind: Kind, row: Value) -> Result<Option<Record>, String> {
        let fields = record::of_fields(kind, &self.fields, &Scope::of_row(row))?;
        let complete = self.required.iter().all(|name| fields.has(name));
        Ok((complete && !fields.is_empty()).then(|| fields.record()))
    }

    /// As [`UpstreamPolicy::record_of_row`], of values that are there already, one a field.
    pub fn record_of_values<'a>(
        &self,
        kind: Kind,
        values: impl Iterator<Item = (&'a str, serde_json::Value)>,
    ) -> Option<Record> {
        let fields = record::of_values(kind, values);
        let complete = self.required.iter().all(|name| fields.has(name));
        (complete && !fields.is_empty()).then(|| fields.record())
    }

    fn first_rule(&self, scope: &Scope) -> Option<(usize, &Rule)> {
        let holds = |rule: &Rule| match rule.when.is_true(scope) {
            Ok(holds) => holds,
            Err(error) => {
                tracing::debug!(upstream = &*self.name, rule = rule.when.source(), %error, "a rule does not run");
                false
            }
        };
        self.rules.iter().enumerate().find(|(_, rule)| holds(rule))
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
                    self.required.iter().map(String::as_str).filter(|name| !fields.has(name)).collect();
                if !missing.is_empty() {
                    judgement.outcome = Outcome::Partial;
                    judgement.detail = Some(format!("missing: {}", missing.join(", ")));
                }
                judgement.record = Some(fields.record());
            }
            Err(why) => {
                judgement.outcome = Outcome::VendorError;
                judgement.detail = Some(why);
            }
        }
    }

    /// How long the upstream is left alone: what the rule finds in the answer, else what a rate limit's
    /// `Retry-After` says, else the rule's own time, else the policy's or our own for such a case, which grows.
    fn hold(&self, judgement: &mut Judgement, from: Option<&Expr>, scope: &Scope, reading: &Reading) {
        let outcome = judgement.outcome;
        let found = || {
            let value = from?.eval(scope);
            let value = value.inspect_err(|error| tracing::debug!(%error, "`hold_from` does not run")).ok()?;
            span::wait(&value, reading, wall_clock()).map(|wait| wait.min(MAX_HOLD))
        };
        let asked = || match outcome {
            Outcome::RateLimited => tail::retry_after(reading, wall_clock()),
            _ => None,
        };
        judgement.hold = found().or_else(asked).or(judgement.hold);
        if judgement.hold.is_none() && outcome.is_hold() {
            judgement.hold_grows = true;
            judgement.hold = Some(match outcome {
                Outcome::QuotaExhausted => QUOTA_HOLD,
                Outcome::AuthError => AUTH_HOLD,
                _ => self.hold,
            });
        }
    }
}

/// What a rule decides, before there is a record.
fn judged(index: usize, rule: &Rule, scope: &Scope) -> Judgement {
    Judgement {
        ttl: rule.ttl,
        hold: rule.hold,
        keep: rule.cacheable,
        alert: rule.alert,
        sample: rule.breaker,
        detail: rule.detail.as_ref().and_then(|detail| said(detail, scope)),
        next: rule.next,
        hold_scope: rule.hold_scope,
        ..Judgement::new(rule.outcome, format_compact!("rule {}", index + 1))
    }
}

/// The vendor's own words: one line, cut, and without what could be a telephone number.
fn said(detail: &Expr, scope: &Scope) -> Option<String> {
    let value = detail.eval(scope).ok().filter(|value| !value.is_undefined() && !value.is_none())?;
    let mut line = String::new();
    let mut digits = 0;
    for c in value.to_string().chars().filter(|c| !c.is_control()).take(DETAIL_LENGTH) {
        digits = if c.is_ascii_digit() { digits + 1 } else { 0 };
        // Codes are short; of anything longer the rest is not told.
        line.push(if digits > CODE_LENGTH { '*' } else { c });
    }
    Some(line.trim().to_owned()).filter(|line| !line.is_empty())
}

impl Judgement {
    fn new(outcome: Outcome, rule: impl Into<CompactString>) -> Self {
        Self {
            outcome,
            record: None,
            ttl: None,
            keep: true,
            hold: None,
            next: None,
            hold_grows: false,
            hold_scope: HoldScope::default(),
            alert: false,
            sample: true,
            rule: rule.into(),
            detail: None,
        }
    }

    /// Our credentials were refused before the question could be asked.
    pub fn no_credentials(detail: &str) -> Self {
        let judgement = Self::new(Outcome::AuthError, "built in: no token");
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
        Some(record::of_values(self.kind, values).record())
    }
}
