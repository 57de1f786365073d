//! The Grafana dashboard asks for metrics that there are.

#![allow(clippy::expect_used)] // A test: what cannot be read fails it.

use std::collections::BTreeSet;

use dipcache::telemetry::{Meters, recorder};

/// The names of our metrics in a text, without the endings that Prometheus adds.
fn names(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("dipcache_"))
        .map(|word| {
            let word = word.strip_suffix("_bucket").or(word.strip_suffix("_count")).unwrap_or(word);
            word.strip_suffix("_sum").unwrap_or(word).to_owned()
        })
        .collect()
}

#[test]
fn every_metric_of_the_dashboard_exists() {
    recorder::install();
    let meters = Meters::new(&"lrn".into(), &["vendor-a".into()]);
    meters.upstreams[0].breaker.set(0.0);
    meters.upstreams[0].seconds.record(std::time::Duration::from_millis(1));
    let answer = dipcache::answer::Answer::empty(
        dipcache::answer::Outcome::NotFound,
        dipcache::answer::Source::Upstream("vendor-a".into()),
    );
    meters.answered(dipcache::telemetry::FrontName::Http, &answer, std::time::Duration::from_millis(1));
    let there = names(&recorder::render());
    let dashboard = std::fs::read_to_string("config/grafana-dashboard.json").expect("the dashboard");
    let parsed: serde_json::Value = serde_json::from_str(&dashboard).expect("JSON");
    let asked = names(&parsed.to_string());
    assert!(asked.len() >= 8, "{asked:?}");
    let missing: Vec<_> = asked.difference(&there).collect();
    assert!(missing.is_empty(), "the dashboard asks for {missing:?}; there are {there:?}");
}
