//! A run for people, in lines of text.

use std::fmt::Write;

use super::metric::{self, Verdict};
use crate::load::sample::{Kind, Sample};
use crate::run::Run;
use crate::scenario::Scenario;
use crate::scenario::promise::{Measure, When};

/// A scenario in two lines: its name, and what it is about.
pub fn overview(scenario: &Scenario) -> String {
    let needs = if scenario.needs.is_empty() { String::new() } else { format!(", needs {:?}", scenario.needs) };
    format!("{:<22} {:>4.0} s{needs}\n    {}\n", scenario.name, scenario.time.as_secs_f64(), scenario.tells)
}

/// What the callers got, what the proxy used, and which promises were kept.
pub fn table(run: &Run, verdicts: &[Verdict]) -> String {
    let mut text = format!(
        "\n{}: {}\n\n  {:<16} {:>8} {:>8} {:>8} {:>8} {:>8}   {:<44} {:>6}\n",
        run.scenario.name, run.scenario.tells, "ms", "asked", "p50", "p99", "p99.9", "max", "what they got", "late"
    );
    for (name, samples) in &run.loads {
        let of = |metric| metric::of_load(samples, metric, 1.0).unwrap_or(f64::NAN);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "  {name:<16} {:>8} {:>8.2} {:>8.2} {:>8.2} {:>8.2}   {:<44} {:>6.2}",
            samples.len(),
            of("p50_ms"),
            of("p99_ms"),
            of("p999_ms"),
            of("max_ms"),
            kinds(samples),
            of("lag_p99_ms"),
        );
    }
    let proxy = |metric: &str| {
        let measure = Measure { of: "proxy".to_owned(), metric: metric.to_owned(), when: When::In(None) };
        metric::value(run, &measure).unwrap_or(f64::NAN)
    };
    let _ = writeln!(
        text,
        "\n  the proxy: ready after {:.0} ms, {:.1} MiB at most, {:.1} % of a core",
        proxy("ready_ms"),
        proxy("rss_mb"),
        proxy("cpu_percent")
    );
    let asked = run.scenario.vendors.keys().map(|name| {
        let measure = Measure { of: name.clone(), metric: "requests".to_owned(), when: When::In(None) };
        format!("{name} {:.0}", metric::value(run, &measure).unwrap_or(0.0))
    });
    let _ = writeln!(text, "  asked upstream: {}\n", asked.collect::<Vec<_>>().join(", "));
    for verdict in verdicts {
        let figure = |value: Option<f64>| value.map_or("nothing seen".to_owned(), |value| format!("{value:.3}"));
        let than = match verdict.promise.bound {
            crate::scenario::promise::Bound::Is(_) => String::new(),
            _ => format!(", to be held against {}", figure(verdict.bound)),
        };
        let word = if verdict.kept { "kept  " } else { "BROKEN" };
        let _ = writeln!(text, "  {word}  {}   ({}{than})", verdict.promise, figure(verdict.value));
    }
    text
}

/// `hit 90.1 %, fresh 9.9 %`
fn kinds(samples: &[Sample]) -> String {
    let shares = Kind::ALL.into_iter().filter_map(|kind| {
        let count = samples.iter().filter(|sample| sample.kind == kind).count();
        (count > 0).then(|| format!("{} {:.4}", kind.as_str(), count as f64 / samples.len() as f64))
    });
    shares.collect::<Vec<_>>().join(", ")
}
