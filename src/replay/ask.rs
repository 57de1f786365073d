//! One case: the question is asked of stubs instead of upstreams.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use compact_str::CompactString;
use minijinja::Value;
use minijinja::value::Serde;
use serde_json::{Map, Value as Json};

use super::cases::{Case, Stub, StubbedFailure};
use super::compare::{self, Difference};
use crate::answer::{Outcome, Record};
use crate::lookup::{Gathering, Given, asked, taken};
use crate::policy::{BadInput, Judgement, Kind, Policy, Question, Reading, Scope, TransportPolicy, UpstreamPolicy};
use crate::upstream::http::Stamp;
use crate::upstream::table::Table;
use crate::upstream::{Failure, FailureKind, dns};

/// How a case's dip ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) rule: CompactString,
    pub(super) record: Option<Map<String, Json>>,
    /// The life that rule or answer brought.
    pub(super) ttl: Option<Duration>,
    pub(super) hold: Option<Duration>,
    pub(super) detail: Option<String>,
    /// The upstream that said so.
    from: Option<Arc<str>>,
}

impl Ended {
    /// Without an upstream's answer.
    fn early(outcome: Outcome, rule: &str, detail: Option<String>) -> Self {
        Self { outcome, rule: rule.into(), record: None, ttl: None, hold: None, detail, from: None }
    }

    fn failed(failure: &Failure) -> Self {
        Self::early(failure.outcome(), "no answer", Some(failure.to_string()))
    }

    fn judged(judged: Judgement) -> Self {
        let record = judged.record.and_then(|record| serde_json::from_str(record.as_json()).ok());
        let Judgement { outcome, rule, ttl, hold, detail, .. } = judged;
        Self { outcome, rule, record, ttl, hold, detail, from: None }
    }

    /// The answer, if it is one.
    fn given(&self, upstream: &UpstreamPolicy, next: Option<bool>) -> Option<Given> {
        self.outcome.is_answer().then(|| Given {
            outcome: self.outcome,
            record: self.record.as_ref().map(Record::from_map),
            ttl: self.ttl,
            keep: true,
            from: Arc::clone(&upstream.name),
            next,
        })
    }
}

/// Asks each upstream's stub in turn until the answer cannot become better, and the dependent steps behind it. What differs in a request comes back, too.
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
    let stamp = case.at.and_then(|at| DateTime::from_timestamp(at, 0)).map_or_else(Stamp::now, Stamp::at);
    let mut told: Vec<(usize, Ended)> = Vec::new();
    let mut differences = Vec::new();
    let mut gathering = Gathering::new(policy);
    for (index, upstream) in policy.upstreams.iter().enumerate().filter(|(_, upstream)| is_asked(case, upstream)) {
        if gathering.is_done() {
            break;
        }
        if !gathering.wants(index) {
            continue;
        }
        let (end, next, differs) = ask_one(policy, upstream, &question, case, &stamp);
        match end.given(upstream, next) {
            Some(given) => gathering.given(index, given),
            None => gathering.failed(index, next),
        }
        told.push((index, end));
        differences = differs;
    }
    let Some((_, last)) = told.pop() else {
        let names: Vec<&str> = policy.upstreams.iter().map(|upstream| &*upstream.name).collect();
        let named = case.upstream.as_deref().unwrap_or_default();
        let differs = Difference::new("upstream", named, names.join(", "));
        return (Ended::early(Outcome::Open, "nobody was asked", None), vec![differs]);
    };
    // One that is asked alone is shown as it answered.
    if case.upstream.is_some() {
        return (last, differences);
    }
    let ended = match gathering.result() {
        None => last,
        Some(given) => {
            let giver = told.into_iter().map(|(_, end)| end).find(|end| end.from.as_ref() == Some(&given.from));
            let record = given.record.as_ref().map(Record::to_map);
            let giver = if last.from.as_ref() == Some(&given.from) { last } else { giver.unwrap_or(last) };
            Ended { outcome: given.outcome, record, ttl: given.ttl, ..giver }
        }
    };
    let (ended, differs) = steps(policy, &question, case, ended);
    differences.extend(differs);
    (ended, differences)
}

/// The record with what the dependent steps bring, and what they were asked that the case does not expect.
fn steps(policy: &Policy, question: &Question, case: &Case, mut ended: Ended) -> (Ended, Vec<Difference>) {
    let mut differences = Vec::new();
    let Some(record) = ended.record.as_mut().filter(|_| ended.outcome.has_record()) else {
        return (ended, differences);
    };
    let scope = Scope::of_question_and(question, [("record", Value::from(Serde(record.clone())))]);
    for then in &policy.chain.then {
        let (key, _) = asked(then, &scope).unwrap_or_default();
        if key.is_empty() {
            continue;
        }
        let stub = case.steps.get(&*then.lookup);
        if let Some(expected) = stub.and_then(|stub| stub.key.as_ref()).filter(|expected| **expected != key) {
            differences.push(Difference::new(format!("steps.{}.key", then.lookup), expected, &key));
        }
        match stub.and_then(|stub| stub.record.as_ref()) {
            Some(there) => {
                for (name, value) in taken(then, Record::from_map(there)) {
                    record.entry(name).or_insert(value);
                }
            }
            None => ended.outcome = Outcome::Partial,
        }
    }
    (ended, differences)
}

fn is_asked(case: &Case, upstream: &UpstreamPolicy) -> bool {
    case.upstream.as_deref().is_none_or(|named| *upstream.name == *named)
}

/// How one upstream's turn ends, its rule's word on the next one, and what differs in its request.
fn ask_one(
    policy: &Policy,
    upstream: &UpstreamPolicy,
    question: &Question,
    case: &Case,
    stamp: &Stamp,
) -> (Ended, Option<bool>, Vec<Difference>) {
    let differences = match compare::request(case.request.as_ref(), upstream, question, stamp) {
        Ok(differences) => differences,
        Err(failure) => return (Ended::failed(&failure), None, Vec::new()),
    };
    let Some(stub) = case.answers.get(&*upstream.name).or(case.answer.as_ref()) else {
        let asked = Difference::new("answer", "no request", format!("a request to `{}`", upstream.name));
        return (Ended::early(Outcome::Open, "the case has no answer", None), None, vec![asked]);
    };
    match reading(policy.kind, upstream, question, stub) {
        Ok(reading) => {
            let judged = upstream.judge(policy.kind, question, &reading);
            let next = judged.next;
            (Ended { from: Some(Arc::clone(&upstream.name)), ..Ended::judged(judged) }, next, differences)
        }
        Err(failure) => (Ended::failed(&failure), None, differences),
    }
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
            let headers = stub.headers.iter().map(|(name, value)| (name.into(), value.into())).collect();
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
