//! Records that another system pushes: a porting feed, a change of an account. No vendor is asked.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::answer::Outcome;
use crate::lookup::Lookup;
use crate::lookup::member::Given;

/// Who gave it.
const PUSHED: &str = "ingest";

/// One record as it is pushed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pushed {
    /// The key.
    pub key: String,
    /// Further inputs by name.
    #[serde(default)]
    pub inputs: Map<String, Value>,
    /// `found` where there is a record; `not_found` and `invalid_number` have none.
    #[serde(default)]
    pub outcome: Option<String>,
    /// Its fields.
    #[serde(default)]
    pub record: Option<Map<String, Value>>,
    /// How long it lives, in seconds, within the policy's `min_ttl` and `max_ttl`; without it the policy's own time.
    #[serde(default)]
    pub ttl: Option<u32>,
}

impl Lookup {
    /// Keeps a pushed record, here and for the other nodes, as if it had been asked for just now.
    ///
    /// # Errors
    /// What is wrong with it, in words that repeat no key.
    pub fn ingest(&self, pushed: Pushed) -> Result<(), String> {
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
        let from: Arc<str> = PUSHED.into();
        self.keep(&question, Given { outcome, record, ttl, keep: true, from, next: None }, || false);
        Ok(())
    }
}
