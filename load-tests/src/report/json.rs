//! A run for machines: totals, verdicts, and the course of it.

use serde_json::{Map, Value, json};

use super::metric::{self, Verdict};
use super::slices::slices;
use crate::load::sample::Kind;
use crate::run::Run;
use crate::scenario::promise::{Measure, When};

/// The whole of a run but the single callers.
pub fn json(run: &Run, verdicts: &[Verdict]) -> Value {
    let total = |of: &str, metrics: &[&str]| -> Map<String, Value> {
        let value = |metric: &str| {
            metric::value(run, &Measure { of: of.to_owned(), metric: metric.to_owned(), when: When::In(None) })
        };
        metrics.iter().map(|name| ((*name).to_owned(), value(name).map_or(Value::Null, rounded))).collect()
    };
    let loads: Map<String, Value> = run
        .loads
        .iter()
        .map(|(name, samples)| {
            let course = slices(samples.iter(), run.scenario.time).into_iter().map(|slice| {
                let kinds: Map<String, Value> = Kind::ALL
                    .iter()
                    .zip(slice.kinds)
                    .filter(|(_, count)| *count > 0)
                    .map(|(kind, count)| (kind.as_str().to_owned(), count.into()))
                    .collect();
                json!({ "at_s": rounded(slice.at), "p50_ms": slice.quantile(0.5), "p99_ms": slice.quantile(0.99), "kinds": kinds })
            });
            (name.clone(), json!({ "total": total(name, metric::LOAD), "course": course.collect::<Vec<_>>() }))
        })
        .collect();
    let vendors: Map<String, Value> =
        run.scenario.vendors.keys().map(|name| (name.clone(), Value::Object(total(name, metric::VENDOR)))).collect();
    let promises: Vec<Value> = verdicts
        .iter()
        .map(|verdict| {
            json!({ "promise": verdict.promise.text, "value": verdict.value, "bound": verdict.bound, "kept": verdict.kept })
        })
        .collect();
    let timeline: Vec<Value> = run
        .scenario
        .timeline
        .iter()
        .map(|event| json!({ "at_s": event.at.as_secs_f64(), "what": event.told }))
        .collect();
    json!({
        "scenario": run.scenario.name,
        "tells": run.scenario.tells,
        "begun": run.date.to_rfc3339(),
        "machine": run.machine,
        "dipcache": run.version,
        "kept": verdicts.iter().all(|verdict| verdict.kept),
        "promises": promises,
        "timeline": timeline,
        "loads": loads,
        "vendors": vendors,
        "proxy": total("proxy", metric::PROXY),
    })
}

/// To six digits behind the point: no more is known.
fn rounded(value: f64) -> Value {
    json!((value * 1e6).round() / 1e6)
}
