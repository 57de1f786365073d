//! `GET /v1/call/{bundle}?called=…` and `POST /v1/call`: from a request to a [`Call`].
//!
//! ```json
//! {"budget_ms": 80, "lookups": {"lrn": {"key": "+1303…"}, "name": {"lookup": "cnam", "key": "…", "inputs": {"dnis": "…"}}}}
//! {"budget_ms": 80, "bundle": "inbound", "called": "+1303…", "calling": "+1202…"}
//! ```

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value as Json;

use crate::answer::{Answer, Outcome, Source};
use crate::config::{Bundle, MOST_PARTS, Part};
use crate::front::Front;
use crate::front::call::Call;
use crate::front::desk::Desk;
use crate::front::form::Form;
use crate::front::http::ask::{Said, Step};
use crate::front::http::escape;
use crate::front::http::query::Wishes;

/// The largest body, in bytes.
pub const MAX_BODY: usize = 64 * 1024;

/// A body of `POST /v1/call`.
#[derive(Debug, Deserialize)]
struct Asked {
    budget_ms: Option<u32>,
    bundle: Option<String>,
    lookups: Option<IndexMap<String, AskedPart>>,
    /// The parameters of `bundle`.
    #[serde(flatten)]
    parameters: IndexMap<String, Json>,
}

/// One lookup of a body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedPart {
    /// The part's own name where it is left out.
    lookup: Option<String>,
    key: String,
    #[serde(default)]
    inputs: IndexMap<String, Json>,
}

/// A bundle of the config, asked by its name.
pub fn named<D: Desk>(desk: &D, bundle: &str, query: &str) -> Step<D::Line> {
    let Some(bundle) = escape::path(bundle).ok().and_then(|name| desk.bundle(&name)) else { return unknown(desk) };
    let wishes = match Wishes::read(query) {
        Ok(wishes) if wishes.form == Form::Json => wishes,
        Ok(_) => return refuse(400, "several lookups are answered as JSON and nothing else"),
        Err(bad) => return refuse(400, bad),
    };
    let own = |inputs: &[(&str, &str)]| {
        inputs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    parameters(desk, bundle, wishes.with_inputs(own), wishes.budget)
}

/// What a body asks.
pub fn posted<D: Desk>(desk: &D, body: &[u8]) -> Step<D::Line> {
    let asked: Asked = match serde_json::from_slice(body) {
        Ok(asked) => asked,
        Err(error) => return refuse(400, format_args!("the body does not read: {error}")),
    };
    let budget = match asked.budget_ms {
        Some(0) => return refuse(400, "`budget_ms` is not a positive whole number"),
        budget => budget.map(|ms| Duration::from_millis(ms.into())),
    };
    match (asked.bundle, asked.lookups) {
        (Some(name), None) => {
            let Some(bundle) = desk.bundle(&name) else { return unknown(desk) };
            match texts(asked.parameters) {
                Ok(values) => parameters(desk, bundle, values, budget),
                Err(name) => refuse(400, format_args!("`{name}` is neither text nor a number")),
            }
        }
        (None, Some(lookups)) => match asked.parameters.keys().next() {
            Some(name) => refuse(400, format_args!("`{name}` means nothing beside `lookups`")),
            None => own(desk, lookups, budget),
        },
        _ => refuse(400, "the body must have `lookups` or `bundle`, and not both"),
    }
}

/// The lookups that a request names itself.
fn own<D: Desk>(desk: &D, lookups: IndexMap<String, AskedPart>, budget: Option<Duration>) -> Step<D::Line> {
    if lookups.is_empty() || lookups.len() > MOST_PARTS {
        return refuse(400, format_args!("`lookups` has {} of 1 to {MOST_PARTS} lookups", lookups.len()));
    }
    let mut parts = Vec::with_capacity(lookups.len());
    for (name, asked) in lookups {
        let inputs = match texts(asked.inputs) {
            Ok(inputs) => inputs,
            Err(input) => return refuse(400, format_args!("input `{input}` of `{name}` is neither text nor a number")),
        };
        let lookup = asked.lookup.unwrap_or_else(|| name.clone());
        parts.push(Part::fixed(name, lookup, asked.key, inputs));
    }
    let bundle = Bundle { name: String::new(), budget: None, parameters: Vec::new(), parts };
    Step::Call(Call::new(desk, Arc::new(bundle), Vec::new(), budget))
}

fn parameters<D: Desk>(
    desk: &D,
    bundle: Arc<Bundle>,
    values: Vec<(String, String)>,
    budget: Option<Duration>,
) -> Step<D::Line> {
    if let Some((name, _)) = values.iter().find(|(name, _)| !bundle.parameters.contains(name)) {
        let known = bundle.parameters.join("`, `");
        return refuse(400, format_args!("there is no parameter `{name}`; this bundle takes `{known}`"));
    }
    Step::Call(Call::new(desk, bundle, values, budget))
}

/// Values as text. A null is none.
///
/// # Errors
/// The name of one that is a list, a table or a boolean.
fn texts(values: IndexMap<String, Json>) -> Result<Vec<(String, String)>, String> {
    let mut texts = Vec::with_capacity(values.len());
    for (name, value) in values {
        match value {
            Json::Null => {}
            Json::String(text) => texts.push((name, text)),
            Json::Number(number) => texts.push((name, number.to_string())),
            _ => return Err(name),
        }
    }
    Ok(texts)
}

/// What does not fit, with its status.
pub fn refuse<L>(status: u16, why: impl std::fmt::Display) -> Step<L> {
    let answer = Answer::empty(Outcome::InvalidInput, Source::Nobody);
    Step::Say(Said::Refusal { status, answer, why: compact_str::format_compact!("{why}") })
}

fn unknown<D: Desk>(desk: &D) -> Step<D::Line> {
    desk.unknown(Front::Http);
    let answer = Answer::empty(Outcome::UnknownLookup, Source::Nobody);
    Step::Say(Said::Refusal { status: 404, answer, why: "no bundle has this name".into() })
}
