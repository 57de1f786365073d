//! What was expected against what there is, and each difference under its own name.

use serde_json::{Map, Value};

use super::ask::Ended;
use super::cases::{Expected, ExpectedRequest};
use crate::policy::{Auth, HttpPolicy, Policy, Question, TablePolicy, TableSource, TransportPolicy, UpstreamPolicy};
use crate::upstream::http::Stamp;
use crate::upstream::sql::Param;
use crate::upstream::table::Table;
use crate::upstream::{Failure, dns, http, sql};
use crate::written::in_units;

/// What stands for something that is not there.
const NOTHING: &str = "nothing";

/// One thing that is not as a case expects it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which thing: `outcome`, `record.lrn`, `request.url`, `request.headers.accept`.
    pub what: String,
    /// What the case expects.
    pub expected: String,
    /// What came.
    pub got: String,
}

impl Difference {
    pub(super) fn new(what: impl Into<String>, expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self { what: what.into(), expected: expected.into(), got: got.into() }
    }

    /// `None` where both are the same.
    fn between(what: impl Into<String>, expected: &str, got: &str) -> Option<Self> {
        (expected != got).then(|| Self::new(what, expected, got))
    }
}

/// The dip's end against what the case expects.
pub(super) fn ended(expect: &Expected, ended: &Ended, policy: &Policy) -> Vec<Difference> {
    let mut differences = Vec::new();
    if expect.outcome != ended.outcome {
        let why = ended.detail.as_deref().map_or(String::new(), |detail| format!(": {detail}"));
        let got = format!("{} ({}{why})", ended.outcome, ended.rule);
        differences.push(Difference::new("outcome", expect.outcome.as_str(), got));
    }
    if let Some(record) = &expect.record {
        let none = Map::new();
        differences.extend(tables("record", record, ended.record.as_ref().unwrap_or(&none)));
    }
    if let Some(ttl) = expect.ttl {
        differences.extend(Difference::between("ttl", &in_units(ttl), &in_units(life(ended, policy))));
    }
    if let Some(hold) = expect.hold {
        differences.extend(Difference::between("hold", &in_units(hold), &in_units(ended.hold.unwrap_or_default())));
    }
    if let Some(rule) = &expect.rule {
        differences.extend(Difference::between("rule", rule, &ended.rule));
    }
    differences
}

/// How long the cache would keep such an answer, before jitter.
fn life(ended: &Ended, policy: &Policy) -> std::time::Duration {
    let usual = policy.cache.life(ended.outcome);
    match ended.ttl {
        _ if usual.is_zero() => usual,
        Some(own) => own.clamp(policy.cache.min_ttl, policy.cache.max_ttl).min(policy.cache.ceiling),
        None => usual.min(policy.cache.ceiling),
    }
}

/// Every entry of both tables, in the order of the expected one.
fn tables(what: &str, expected: &Map<String, Value>, got: &Map<String, Value>) -> Vec<Difference> {
    let further = got.keys().filter(|name| !expected.contains_key(*name));
    let shown = |value: Option<&Value>| value.map_or(NOTHING.to_owned(), Value::to_string);
    expected
        .keys()
        .chain(further)
        .filter(|name| !same(expected.get(*name), got.get(*name)))
        .map(|name| Difference::new(format!("{what}.{name}"), shown(expected.get(name)), shown(got.get(name))))
        .collect()
}

/// Null in a case stands for "not there"; 1 and 1.0 are the same number.
fn same(expected: Option<&Value>, got: Option<&Value>) -> bool {
    match (expected, got) {
        (None | Some(Value::Null), None | Some(Value::Null)) => true,
        (Some(Value::Number(one)), Some(Value::Number(other))) => one == other || one.as_f64() == other.as_f64(),
        (one, other) => one == other,
    }
}

/// The request that this question makes against what the case expects of it.
///
/// # Errors
/// When the policy refuses to make a request of it.
pub(super) fn request(
    expect: Option<&ExpectedRequest>,
    upstream: &UpstreamPolicy,
    question: &Question,
    stamp: &Stamp,
) -> Result<Vec<Difference>, Failure> {
    // It is made in any case: a policy that can make none is found out also where nobody looks at the request.
    let nothing = ExpectedRequest::default();
    let expect = expect.unwrap_or(&nothing);
    Ok(match &upstream.transport {
        TransportPolicy::Http(policy) => {
            let mut differences = of_http("request", expect, &http::render_at(policy, question, stamp)?);
            if let Some(token) = &expect.token {
                differences.extend(of_token(token, policy, question));
            }
            differences
        }
        TransportPolicy::Dns(policy) => {
            let name = dns::render(policy, question)?.name;
            let differs = |expected: &String| Difference::between("request.name", expected, &name);
            expect.name.as_ref().and_then(differs).into_iter().collect()
        }
        TransportPolicy::Table(policy) => {
            let described = without_folder(Table::describe(policy, question)?, policy);
            let differs = |expected: &String| Difference::between("request.table", expected, &described);
            expect.table.as_ref().and_then(differs).into_iter().collect()
        }
        TransportPolicy::Sql(policy) => {
            let bound = sql::render(policy, question)?;
            let values = bound.0.iter().map(|(name, value)| (name.clone(), of_param(value))).collect();
            expect.parameters.as_ref().map_or(Vec::new(), |expected| tables("request.parameters", expected, &values))
        } // A table is in memory: nothing is sent.
    })
}

/// A case speaks of a table's file by its name: where the folder is differs from machine to machine.
fn without_folder(described: String, policy: &TablePolicy) -> String {
    match &policy.source {
        TableSource::File { path, .. } => match path.file_name() {
            Some(name) => described.replace(&*path.to_string_lossy(), &name.to_string_lossy()),
            None => described,
        },
        TableSource::Sql { .. } => described,
    }
}

fn of_token(expect: &ExpectedRequest, policy: &HttpPolicy, question: &Question) -> Vec<Difference> {
    match policy.auth_for(question) {
        Some((_, Auth::OAuth2(oauth2))) => of_http("request.token", expect, &http::token_request(oauth2)),
        _ => vec![Difference::new("request.token", "a request for a token", NOTHING)],
    }
}

fn of_http(what: &str, expect: &ExpectedRequest, request: &http::Request) -> Vec<Difference> {
    let mut differences = Vec::new();
    if let Some(method) = &expect.method {
        differences.extend(Difference::between(format!("{what}.method"), method, request.method.as_str()));
    }
    if let Some(url) = &expect.url {
        differences.extend(Difference::between(format!("{what}.url"), url, &request.url));
    }
    for (name, expected) in &expect.headers {
        let got = header(request, name).unwrap_or(NOTHING);
        let expected = expected.as_deref().unwrap_or(NOTHING);
        differences.extend(Difference::between(format!("{what}.headers.{name}"), expected, got));
    }
    if let Some(expected) = &expect.body {
        differences.extend(body(what, expected, request.body.as_ref().map_or("", |(_, text)| text)));
    }
    differences
}

fn header<'r>(request: &'r http::Request, name: &str) -> Option<&'r str> {
    if let (true, Some((content_type, _))) = (name.eq_ignore_ascii_case("content-type"), &request.body) {
        return Some(content_type);
    }
    let of_name = |(known, _): &&(String, String)| known.eq_ignore_ascii_case(name);
    request.headers.iter().find(of_name).map(|(_, value)| value.as_str())
}

fn body(what: &str, expected: &Value, got: &str) -> Option<Difference> {
    match expected {
        Value::String(text) => Difference::between(format!("{what}.body"), text, got),
        tree => {
            let is_same = serde_json::from_str::<Value>(got).is_ok_and(|got| got == *tree);
            (!is_same).then(|| Difference::new(format!("{what}.body"), tree.to_string(), got))
        }
    }
}

fn of_param(value: &Param) -> Value {
    match value {
        Param::Null => Value::Null,
        Param::Bool(value) => (*value).into(),
        Param::Int(value) => (*value).into(),
        Param::Float(value) => (*value).into(),
        Param::Text(value) => value.clone().into(),
    }
}
