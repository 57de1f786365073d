//! `dipcache try`: one dip outside the caches, and all that an operator wants to see of it.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use compact_str::CompactString;
use serde_json::{Value, json};

use crate::answer::Outcome;
use crate::cli::{Input, check, policies, runtime, say};
use crate::config;
use crate::deadline::{Deadline, now};
use crate::policy::check::Folder;
use crate::policy::{Policy, Question, UpstreamPolicy};
use crate::upstream::Upstream;

/// What was typed.
pub(super) struct Ask {
    pub lookup: String,
    pub key: String,
    pub inputs: Vec<Input>,
    pub upstream: Option<String>,
    pub json: bool,
}

/// What one upstream did with the question.
struct Tried {
    upstream: Arc<str>,
    request: String,
    took: Duration,
    outcome: Outcome,
    rule: CompactString,
    detail: Option<String>,
    record: Option<String>,
}

/// Asks each upstream in turn until one answers; exit code 1 when none does.
pub(super) fn run(config: Option<&Path>, ask: &Ask) -> anyhow::Result<ExitCode> {
    let config = config::load(config).map_err(|faults| check::summed_up(&faults))?;
    let read = policies::read(&config)?;
    let Folder { policies, off, faults, .. } = &read.folder;
    let Some(policy) = policies.iter().find(|policy| *policy.name == *ask.lookup) else {
        if !faults.is_empty() {
            return Err(check::summed_up(faults));
        }
        if let Some(off) = off.iter().find(|off| off.lookup == ask.lookup) {
            bail!("`{}` is off until there is a secret at {}", off.lookup, off.missing.join(", "));
        }
        let known: Vec<&str> = policies.iter().map(|policy| &*policy.name).collect();
        bail!("no policy `{}` in {}; there are {}", ask.lookup, config.policies.display(), known.join(", "));
    };
    let inputs: Vec<_> = ask.inputs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let question = policy.question(&ask.key, &inputs)?;
    if !policy.applies(&question) {
        say(if ask.json {
            "[{\"outcome\":\"not_applicable\"}]\n"
        } else {
            "not_applicable: the policy's `applies_when` says that this key is never asked\n"
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    let tried = runtime()?.block_on(try_all(policy, &question, ask.upstream.as_deref()))?;
    if ask.json {
        say(format_args!("{}\n", Value::from(tried.iter().map(as_json).collect::<Vec<_>>())))?;
    } else {
        tried.iter().try_for_each(print)?;
    }
    let answered = tried.iter().any(|tried| tried.outcome.is_answer());
    Ok(if answered { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn try_all(policy: &Policy, question: &Question, only: Option<&str>) -> anyhow::Result<Vec<Tried>> {
    let mut tried = Vec::new();
    for upstream in policy.upstreams.iter().filter(|upstream| only.is_none_or(|only| *upstream.name == *only)) {
        tried.push(try_one(policy, upstream, question).await?);
        if tried.last().is_some_and(|tried| tried.outcome.is_answer()) {
            break;
        }
    }
    if tried.is_empty() {
        let known: Vec<&str> = policy.upstreams.iter().map(|upstream| &*upstream.name).collect();
        bail!("no upstream `{}`; there are {}", only.unwrap_or_default(), known.join(", "));
    }
    Ok(tried)
}

async fn try_one(policy: &Policy, upstream: &UpstreamPolicy, question: &Question) -> anyhow::Result<Tried> {
    let transport = Upstream::build(upstream).with_context(|| format!("upstream `{}`", upstream.name))?;
    if let Some(table) = transport.table() {
        // Nothing else runs here: the load may have this thread.
        table.load_here(policy.kind, upstream).with_context(|| format!("upstream `{}`", upstream.name))?;
    }
    let request = transport.describe(upstream, question).unwrap_or_else(|why| why.to_string());
    let began = now();
    // As long as a dip that nobody waits for: who types `try` wants to see the answer, late or not.
    let limit = upstream.total_timeout.unwrap_or(policy.budget.background).min(policy.budget.background);
    let deadline = Deadline::after(limit);
    let reading = deadline.limit(transport.ask(upstream, question, deadline)).await;
    let took = now() - began;
    let name = Arc::clone(&upstream.name);
    Ok(match reading {
        Some(Ok(reading)) => {
            let judged = upstream.judge(policy.kind, question, &reading);
            let record = judged.record.map(|record| record.as_json().to_owned());
            let (outcome, rule, detail) = (judged.outcome, judged.rule, judged.detail);
            Tried { upstream: name, request, took, outcome, rule, detail, record }
        }
        Some(Err(failure)) => {
            let (outcome, detail) = (failure.outcome(), Some(failure.to_string()));
            Tried { upstream: name, request, took, outcome, rule: "no answer".into(), detail, record: None }
        }
        None => {
            let (rule, detail) = ("no answer".into(), Some(format!("nothing came within {limit:?}")));
            Tried { upstream: name, request, took, outcome: Outcome::Timeout, rule, detail, record: None }
        }
    })
}

fn print(tried: &Tried) -> std::io::Result<()> {
    say(format_args!("upstream  {}\n", tried.upstream))?;
    say(format_args!("request   {}\n", tried.request.replace('\n', "\n          ")))?;
    say(format_args!("took      {:.1} ms\n", tried.took.as_secs_f64() * 1000.0))?;
    say(format_args!("outcome   {} ({})\n", tried.outcome, tried.rule))?;
    if let Some(detail) = &tried.detail {
        say(format_args!("detail    {detail}\n"))?;
    }
    if let Some(record) = &tried.record {
        say(format_args!("record    {record}\n"))?;
    }
    say("\n")
}

fn as_json(tried: &Tried) -> Value {
    let record = tried.record.as_deref().map(|record| serde_json::from_str::<Value>(record).unwrap_or_default());
    json!({
        "upstream": &*tried.upstream, "request": tried.request, "took_ms": tried.took.as_secs_f64() * 1000.0,
        "outcome": tried.outcome.as_str(), "rule": tried.rule, "detail": tried.detail, "record": record,
    })
}
