//! `[bundle.NAME]`: lookups that one call asks together, under one budget.
//!
//! ```toml
//! [bundle.inbound]
//! budget = "80ms"                                   # left out: the longest call budget among its lookups
//! parameters = ["called", "calling"]                # what a request brings; these two where it is left out
//! lrn.key = "called"                                # an expression…
//! lerg.key = "{{ parts.lrn.lrn | npa }}{{ parts.lrn.lrn | nxx }}"     # …or a template; this one waits for `lrn`
//! cnam = { key = "calling", inputs = { dnis = "called" } }
//! owner = { lookup = "account", key = "calling" }   # a part with a name of its own
//! ```
//!
//! Which part waits for which is read from the templates: whoever names `parts.lrn` waits for `lrn`.

mod check;
mod file;

use std::time::Duration;

use crate::policy::{Fault, Policy, Scope, Template};
use crate::written::nearest;

pub(super) use check::check;
pub(super) use file::BundleFile;

/// The most parts of one bundle, and of one request that names its own.
pub const MOST_PARTS: usize = 32;

/// Lookups that are asked together.
#[derive(Debug)]
pub struct Bundle {
    /// Its name in requests.
    pub name: String,
    /// What all of it may take; `None`: as long as its slowest lookup may.
    pub budget: Option<Duration>,
    /// The parameters that a request may bring.
    pub parameters: Vec<String>,
    /// Its parts, in the order in which they are answered.
    pub parts: Vec<Part>,
}

/// One lookup of a bundle.
#[derive(Debug)]
pub struct Part {
    /// Its name in the answer, and in other parts' templates.
    pub name: String,
    /// The lookup that is asked.
    pub lookup: String,
    /// The key that it is asked with.
    pub key: Text,
    /// Further inputs.
    pub inputs: Vec<(String, Text)>,
    /// The parts that must have ended before, by their place in the bundle. Never a circle.
    pub needs: Vec<usize>,
    /// Where it is written; `None` for a part of a request.
    written: Option<Fault>,
}

/// A key or an input of a part.
#[derive(Debug)]
pub enum Text {
    /// As it stands.
    Fixed(String),
    /// From the request's parameters and the parts before.
    Template(Template),
}

impl Text {
    /// The text; empty where a template does not run, or says nothing.
    pub fn render(&self, scope: &Scope) -> String {
        match self {
            Self::Fixed(text) => text.clone(),
            Self::Template(template) => template.render(scope).unwrap_or_default().trim().to_owned(),
        }
    }
}

impl Part {
    /// A part that a request brings.
    pub fn fixed(name: String, lookup: String, key: String, inputs: Vec<(String, String)>) -> Self {
        let inputs = inputs.into_iter().map(|(name, value)| (name, Text::Fixed(value))).collect();
        Self { name, lookup, key: Text::Fixed(key), inputs, needs: Vec::new(), written: None }
    }
}

impl Bundle {
    /// What does not fit the policies there are: lookups that do not exist, inputs that they do not take. `known` are the
    /// names of lookups that wait for a secret, whose inputs are not known.
    pub fn misfits(&self, policies: &[Policy], known: &[&str]) -> Vec<Fault> {
        self.parts.iter().filter_map(|part| self.misfit(part, policies, known)).collect()
    }

    fn misfit(&self, part: &Part, policies: &[Policy], known: &[&str]) -> Option<Fault> {
        let place = part.written.clone()?;
        let Some(policy) = policies.iter().find(|policy| *policy.name == *part.lookup) else {
            if known.contains(&part.lookup.as_str()) {
                return None;
            }
            let names: Vec<&str> = policies.iter().map(|policy| &*policy.name).collect();
            let near = nearest(&part.lookup, names.iter().copied())
                .map_or(String::new(), |near| format!("did you mean `{near}`? "));
            let what = format!(
                "part `{}` of bundle `{}` asks `{}`, and no policy has this name",
                part.name, self.name, part.lookup
            );
            let mend = format!("{near}there are {}; a part of another name needs `lookup = \"…\"`", names.join(", "));
            return Some(Fault { what, mend, ..place });
        };
        let takes = |name: &str| policy.inputs.further.iter().any(|input| *input.name == *name);
        let (name, _) = part.inputs.iter().find(|(name, _)| !takes(name))?;
        let names: Vec<&str> = policy.inputs.further.iter().map(|input| &*input.name).collect();
        let mend = if names.is_empty() {
            format!("take `inputs` out: `{}` takes a key and nothing else", part.lookup)
        } else {
            format!("its inputs are {}", names.join(", "))
        };
        Some(Fault { what: format!("the lookup `{}` has no input `{name}`", part.lookup), mend, ..place })
    }
}
