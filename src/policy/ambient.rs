//! What a policy's templates see beside the question: `[vars]` and `[secrets]`.
//!
//! A variable is known when the policy is loaded: its own value, or the one that a site or a test puts in
//! its place. A secret may be read anew while the policy runs, so templates ask for it each time.

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object};

use super::Secret;

/// Values that a site puts in the place of policies' own `[vars]`: main config or environment.
pub type Vars = BTreeMap<String, String>;

/// The names under which templates find them.
pub const NAMES: [&str; 2] = ["vars", "secrets"];

/// The `[vars]` and `[secrets]` of one policy.
#[derive(Debug, Default)]
pub struct Ambient {
    /// Fixed text by name.
    pub vars: Vars,
    /// Secrets by name.
    pub secrets: BTreeMap<String, Secret>,
}

impl Ambient {
    /// `vars.a`, `secrets.b`: what templates may write.
    pub fn names(&self) -> Vec<String> {
        let vars = self.vars.keys().map(|name| format!("vars.{name}"));
        vars.chain(self.secrets.keys().map(|name| format!("secrets.{name}"))).collect()
    }

    /// The values behind [`NAMES`].
    pub(super) fn values(self: &Arc<Self>) -> [Value; 2] {
        let part = |secret| Value::from_object(Part { of: Arc::clone(self), secret });
        [part(false), part(true)]
    }
}

/// One of the two tables.
#[derive(Debug)]
struct Part {
    of: Arc<Ambient>,
    secret: bool,
}

impl Object for Part {
    fn get_value(self: &Arc<Self>, name: &Value) -> Option<Value> {
        let name = name.as_str()?;
        if self.secret {
            self.of.secrets.get(name).map(|secret| Value::from(secret.current().as_str()))
        } else {
            self.of.vars.get(name).map(|value| Value::from(value.as_str()))
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }
}
