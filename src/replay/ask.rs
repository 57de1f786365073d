//! One case: the question is asked of stubs instead of upstreams.

use std::time::Duration;

use minijinja::Value;
use minijinja::value::Serde;
use serde_json::{Map, Value as Json};

use super::cases::{Case, Stub, StubbedFailure};
use super::compare::{self, Difference};
use crate::answer::Outcome;
use crate::policy::{BadInput, Judgement, Kind, Policy, Question, Reading, TransportPolicy, UpstreamPolicy};
use crate::upstream::table::Table;
use crate::upstream::{Failure, FailureKind, dns};

/// How a case's dip ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) rule: String,
    pub(super) record: Option<Map<String, Json>>,
    /// The life that rule or answer brought.
    pub(super) ttl: Option<Duration>,
    pub(super) hold: Option<Duration>,
    pub(super) detail: Option<String>,
}

impl Ended {
    /// Without an upstream's answer.
    fn early(outcome: Outcome, rule: &str, detail: Option<String>) -> Self {
        Self { outcome, rule: rule.to_owned(), record: None, ttl: None, hold: None, detail }
    }

    fn failed(failure: &Failure) -> Self {
        Self::early(failure.outcome(), "no answer", Some(failure.to_string()))
    }

    fn judged(judged: Judgement) -> Self {
        let record = judged.record.and_then(|record| serde_json::from_str(record.as_json()).ok());
        let Judgement { outcome, rule, ttl, hold, detail, .. } = judged;
        Self { outcome, rule, record, ttl, hold, detail }
    }
}

/// Asks each upstream's stub in turn until one answers. What differs in a request comes back, too.
pub(super) fn ask(policy: &Policy, case: &Case) -> (Ended, Vec<Difference>) {
    let inputs: Vec<(&str, &str)> = case.inputs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let question = match policy.question(&case.key, &inputs) {
        Ok(question) => question,
        Err(error) => {
            let outcome = match &error {
                BadInput::Key { number: true, .. } => Outcome::InvalidNumber,
                _ => Outcome::InvalidInput,
            };
            return (Ended::early(outcome, "the question", Some(error.to_string())), Vec::new());
        }
    };
    if !policy.applies(&question) {
        return (Ended::early(Outcome::NotApplicable, "applies_when", None), Vec::new());
    }
    let mut ended = None;
    let mut differences = Vec::new();
    for upstream in policy.upstreams.iter().filter(|upstream| is_asked(case, upstream)) {
        let (end, differs) = ask_one(policy, upstream, &question, case);
        let answered = end.outcome.is_answer();
        (ended, differences) = (Some(end), differs);
        if answered {
            break;
        }
    }
    match ended {
        Some(ended) => (ended, differences),
        None => {
            let names: Vec<&str> = policy.upstreams.iter().map(|upstream| &*upstream.name).collect();
            let named = case.upstream.as_deref().unwrap_or_default();
            let differs = Difference::new("upstream", named, names.join(", "));
            (Ended::early(Outcome::Open, "nobody was asked", None), vec![differs])
        }
    }
}

fn is_asked(case: &Case, upstream: &UpstreamPolicy) -> bool {
    case.upstream.as_deref().is_none_or(|named| *upstream.name == *named)
}

fn ask_one(policy: &Policy, upstream: &UpstreamPolicy, question: &Question, case: &Case) -> (Ended, Vec<Difference>) {
    let differences = match compare::request(case.request.as_ref(), upstream, question) {
        Ok(differences) => differences,
        Err(failure) => return (Ended::failed(&failure), Vec::new()),
    };
    let Some(stub) = case.answers.get(&*upstream.name).or(case.answer.as_ref()) else {
        let asked = Difference::new("answer", "no request", format!("a request to `{}`", upstream.name));
        return (Ended::early(Outcome::Open, "the case has no answer", None), vec![asked]);
    };
    let ended = match reading(policy.kind, upstream, question, stub) {
        Ok(reading) => Ended::judged(upstream.judge(policy.kind, question, &reading)),
        Err(failure) => Ended::failed(&failure),
    };
    (ended, differences)
}

/// The stub in the form in which the transport would have brought it.
fn reading(kind: Kind, upstream: &UpstreamPolicy, question: &Question, stub: &Stub) -> Result<Reading, Failure> {
    match stub.failure {
        Some(StubbedFailure::Timeout) => return Err(Failure::new(FailureKind::Timeout, "the case says so")),
        Some(StubbedFailure::Connect) => return Err(Failure::new(FailureKind::Connect, "the case says so")),
        None => {}
    }
    match &upstream.transport {
        TransportPolicy::Http(_) => {
            let headers = stub.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            let body = stub.bytes().map_err(|why| Failure::new(FailureKind::Policy, why))?;
            Ok(Reading::of_http(stub.status.unwrap_or(200), headers, &body, &upstream.decoding))
        }
        TransportPolicy::Dns(policy) => Ok(Reading {
            rcode: Some(stub.rcode.clone().unwrap_or_else(|| "NOERROR".to_owned())),
            answers: Value::from(Serde(stub.answers.as_deref().unwrap_or_default())),
            enumeration: dns::enumeration(policy, question, stub.answers.as_deref().unwrap_or_default()),
            ttl: stub.ttl.map(Duration::from_secs),
            ..Reading::default()
        }),
        TransportPolicy::Sql(_) => {
            Ok(Reading { rows: Value::from(Serde(stub.rows.as_deref().unwrap_or_default())), ..Reading::default() })
        }
        // The case's rows are the whole table.
        TransportPolicy::Table(table) => Table::of_rows(kind, upstream, stub.rows.as_deref().unwrap_or_default())
            .map_err(|why| Failure::new(FailureKind::Policy, why))?
            .ask(table, question),
    }
}
