//! Records that another system pushes: a porting feed, a change of an account. No vendor is asked.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::answer::{Outcome, Record};
use crate::cache::entry::{Entry, Freshness};
use crate::deadline::{calendar, tick};
use crate::lookup::Lookup;
use crate::policy::Question;

/// Clocks of different machines differ by less: what was pushed within this time is of now.
const OF_NOW: Duration = Duration::from_secs(30);

/// One record as it is pushed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a record: a JSON object with `key` and `record`")]
pub struct Pushed {
    /// The key.
    pub key: String,
    /// Further inputs by name.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub inputs: Map<String, Value>,
    /// `found` where there is a record; `not_found` and `invalid_number` have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Its fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Map<String, Value>>,
    /// How long it lives, in seconds, within the policy's `min_ttl` and `max_ttl`; without it the policy's own time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u32>,
}

impl Lookup {
    /// Keeps a pushed record, here and in the memory that nodes share, as if it had been asked for `at` that time, in
    /// milliseconds since 1970; `None`: just now. One that is older than what is known changes nothing.
    ///
    /// # Errors
    /// What is wrong with it, in words that repeat no key.
    pub fn ingest(&self, pushed: Pushed, at: Option<u64>) -> Result<(), String> {
        let text = |(name, value): (&String, &Value)| match value {
            Value::String(text) => Ok((name.clone(), text.clone())),
            Value::Number(number) => Ok((name.clone(), number.to_string())),
            _ => Err(format!("input `{}` is neither text nor a number", name.escape_debug())),
        };
        let inputs: Vec<(String, String)> = pushed.inputs.iter().map(text).collect::<Result<_, _>>()?;
        let inputs: Vec<(&str, &str)> = inputs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let question = self.policy.question(&pushed.key, &inputs).map_err(|bad| bad.to_string())?;
        if !self.policy.applies(&question) {
            return Err("this key is never asked for: `applies_when` does not hold".to_owned());
        }
        let no = |name: &str| Outcome::from_name(name).filter(|outcome| outcome.is_answer() && !outcome.has_record());
        let (outcome, record) = match (pushed.outcome.as_deref(), pushed.record) {
            (None | Some("found" | "partial"), Some(fields)) => {
                let (outcome, record) = self.policy.record_of_pushed(fields)?;
                (outcome, Some(record))
            }
            (None | Some("found" | "partial"), None) => return Err("there is no `record`".to_owned()),
            (Some(name), None) if no(name).is_some() => (no(name).unwrap_or(Outcome::NotFound), None),
            (Some(name), Some(_)) if no(name).is_some() => return Err(format!("`{name}` has no record")),
            (Some(_), _) => return Err("`outcome` is found, partial, not_found or invalid_number".to_owned()),
        };
        if self.policy.cache.life(outcome).is_zero() {
            return Err(format!("the policy keeps no `{}`", outcome.as_str()));
        }
        let ttl = pushed.ttl.map(|seconds| Duration::from_secs(seconds.into()));
        let age = at.map_or(0, |at| calendar().saturating_sub(at));
        let age = if u128::from(age) < OF_NOW.as_millis() { 0 } else { age };
        self.keep_pushed(&question, outcome, record, ttl, age);
        Ok(())
    }

    fn keep_pushed(
        &self,
        question: &Question,
        outcome: Outcome,
        record: Option<Record>,
        ttl: Option<Duration>,
        age_ms: u64,
    ) {
        let (id, now) = (&question.id, tick());
        let born = now.saturating_sub(age_ms);
        let Some(entry) = Entry::seal(&self.policy.cache, outcome, record, ttl, fastrand::f64(), born) else { return };
        let is_old_news = || {
            self.local.peek(id, now).is_some_and(|ours| !entry.is_younger_than(&ours))
                || self.was_flushed(&entry, id, now)
        };
        if age_ms > 0 && is_old_news() {
            return;
        }
        // A dip that is under way asked before this, and what is on disk is older.
        self.forget_here(id);
        if entry.freshness(now) != Freshness::Dead {
            self.share(id, &entry);
            self.local.put(id.clone(), entry);
        }
    }
}
