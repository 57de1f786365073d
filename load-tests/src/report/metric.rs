//! The figures that promises speak of.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::median;
use crate::load::sample::{Kind, Sample};
use crate::run::Run;
use crate::scenario::Plan;
use crate::scenario::promise::{Bound, Measure, Promise, When, Window};

/// What a load has.
pub const LOAD: &[&str] = &[
    "asked",
    "p50_ms",
    "p90_ms",
    "p99_ms",
    "p999_ms",
    "max_ms",
    "min_ms",
    "answered",
    "useful",
    "hit",
    "fresh",
    "stale",
    "fallback",
    "empty",
    "shed",
    "failed",
    "wrong",
    "rate",
    "goodput",
    "over_p50_ms",
    "over_p99_ms",
    "over_p999_ms",
    "early",
    "lag_p99_ms",
];

/// What a vendor has.
pub const VENDOR: &[&str] = &["requests"];

/// What the proxy has.
pub const PROXY: &[&str] = &["ready_ms", "rss_mb", "rss_growth_mb", "cpu_percent"];

/// A promise, and what became of it.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The promise.
    pub promise: Promise,
    /// What was measured; `None` when there was nothing to measure.
    pub value: Option<f64>,
    /// What it was compared with.
    pub bound: Option<f64>,
    /// Whether it was kept.
    pub kept: bool,
}

/// Weighs a promise against a run. What could not be measured is not kept.
pub fn weigh(run: &Run, promise: &Promise) -> Verdict {
    let bound = match &promise.bound {
        Bound::Is(figure) => Some(*figure),
        Bound::Times(by, measure) => value(run, measure).map(|other| by * other),
        Bound::Plus(more, measure) => value(run, measure).map(|other| more + other),
    };
    let value = value(run, &promise.measure);
    let kept = value.zip(bound).is_some_and(|(value, bound)| promise.than.holds(value, bound));
    Verdict { promise: promise.clone(), value, bound, kept }
}

/// What a measure came to; `None` when nothing was seen in its window.
pub fn value(run: &Run, measure: &Measure) -> Option<f64> {
    let Measure { of, metric, when } = measure;
    match when {
        When::In(window) => value_in(run, of, metric, *window),
        When::Turns { of: others, with } => {
            let plan = load(run, others)?;
            let turns = plan.turns?.windows(plan.from, plan.to, *with);
            let values: Vec<f64> = turns.into_iter().filter_map(|turn| value_in(run, of, metric, Some(turn))).collect();
            (!values.is_empty()).then(|| median(&values))
        }
    }
}

fn value_in(run: &Run, of: &str, metric: &str, window: Window) -> Option<f64> {
    if of == "proxy" {
        return of_proxy(run, metric, window);
    }
    match run.loads.get(of) {
        Some(samples) => of_load(&within(samples, window), metric, seconds(load(run, of)?, window)),
        None => of_vendor(run, of, window),
    }
}

fn load<'a>(run: &'a Run, name: &str) -> Option<&'a Plan> {
    run.scenario.loads.iter().find(|load| load.name == name)
}

/// The callers who were due in this window.
pub fn within(samples: &[Sample], window: Window) -> Vec<Sample> {
    let Some((from, to)) = window else { return samples.to_vec() };
    let window = from.as_micros()..to.as_micros();
    samples.iter().filter(|sample| window.contains(&u128::from(sample.due_us))).copied().collect()
}

/// How long the callers of a load came, within the window.
fn seconds(load: &Plan, window: Window) -> f64 {
    let open_until = |moment: Duration| {
        let span = moment.min(load.to).saturating_sub(load.from);
        load.turns.map_or(span, |turns| turns.open(span)).as_secs_f64()
    };
    let (from, to) = window.unwrap_or((load.from, load.to));
    open_until(to) - open_until(from)
}

/// A figure over these callers.
pub fn of_load(samples: &[Sample], metric: &str, seconds: f64) -> Option<f64> {
    if samples.is_empty() {
        return None;
    }
    let asked = samples.len() as f64;
    let count = |chosen: &dyn Fn(&Sample) -> bool| samples.iter().filter(|sample| chosen(sample)).count() as f64;
    let share = |kind: Kind| count(&|sample| sample.kind == kind) / asked;
    let quantile = |of: &dyn Fn(&Sample) -> u32, q| quantile_ms(samples.iter().map(of), q);
    let took = |sample: &Sample| sample.took_us;
    let over = |sample: &Sample| sample.took_us.saturating_sub(u32::from(sample.budget_ms) * 1000);
    Some(match metric {
        "asked" => asked,
        "p50_ms" => quantile(&took, 0.5),
        "p90_ms" => quantile(&took, 0.9),
        "p99_ms" => quantile(&took, 0.99),
        "p999_ms" => quantile(&took, 0.999),
        "max_ms" => quantile(&took, 1.0),
        "min_ms" => f64::from(samples.iter().map(took).min().unwrap_or(0)) / 1000.0,
        "over_p50_ms" => quantile(&over, 0.5),
        "over_p99_ms" => quantile(&over, 0.99),
        "over_p999_ms" => quantile(&over, 0.999),
        "lag_p99_ms" => quantile(&|sample| sample.lag_us, 0.99),
        "answered" => count(&|sample| sample.kind.is_answer()) / asked,
        "useful" => count(&|sample| sample.kind.has_record()) / asked,
        "rate" => count(&|sample| sample.kind.is_answer()) / seconds,
        "goodput" => {
            count(&|sample| sample.kind.has_record() && (sample.budget_ms == 0 || over(sample) == 0)) / seconds
        }
        "early" => count(&is_early),
        word => share(Kind::ALL.into_iter().find(|kind| kind.as_str() == word)?),
    })
}

/// Told that there is nothing before its own time was over, counted from when it asked.
fn is_early(sample: &Sample) -> bool {
    let nothing = !matches!(sample.kind, Kind::Hit | Kind::Fresh);
    nothing && sample.took_us - sample.lag_us.min(sample.took_us) < u32::from(sample.budget_ms) * 1000
}

/// The value at this quantile, in milliseconds, of values in microseconds.
pub fn quantile_ms(values: impl Iterator<Item = u32>, quantile: f64) -> f64 {
    // From 1 µs to more than an hour with three digits is within what the library can do.
    let Ok(mut histogram) = Histogram::<u64>::new_with_bounds(1, u64::from(u32::MAX), 3) else { return f64::NAN };
    values.for_each(|value| histogram.saturating_record(u64::from(value)));
    histogram.value_at_quantile(quantile) as f64 / 1000.0
}

fn of_vendor(run: &Run, name: &str, window: Window) -> Option<f64> {
    let place = run.scenario.vendors.get_index_of(name)?;
    let readings: Vec<u64> = run
        .readings
        .iter()
        .filter(|reading| window.is_none_or(|(from, to)| from <= reading.at && reading.at <= to))
        .filter_map(|reading| reading.requests.get(place).copied())
        .collect();
    Some((readings.last()? - readings.first()?) as f64)
}

fn of_proxy(run: &Run, metric: &str, window: Window) -> Option<f64> {
    if metric == "ready_ms" {
        return Some(run.ready.as_secs_f64() * 1000.0);
    }
    let mut readings =
        run.readings.iter().filter(|reading| window.is_none_or(|(from, to)| from <= reading.at && reading.at <= to));
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let first = readings.next()?;
    let last = readings.clone().next_back()?;
    Some(match metric {
        "rss_mb" => mib(readings.map(|reading| reading.spent.resident).max()?),
        "rss_growth_mb" => mib(last.spent.resident) - mib(first.spent.resident),
        "cpu_percent" => {
            let cpu = last.spent.cpu.saturating_sub(first.spent.cpu);
            100.0 * cpu.as_secs_f64() / (last.at - first.at).as_secs_f64()
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(due_ms: u32, took_us: u32, kind: Kind) -> Sample {
        Sample { due_us: due_ms * 1000, took_us, lag_us: 0, budget_ms: 10, kind }
    }

    #[test]
    fn every_metric_of_a_load_has_a_value() {
        let samples = [sample(0, 100, Kind::Hit), sample(1, 12_000, Kind::Empty), sample(2, 9_000, Kind::Stale)];
        let of = |metric| of_load(&samples, metric, 1.0).unwrap();
        assert!(LOAD.iter().all(|metric| of_load(&samples, metric, 1.0).is_some()));
        assert_eq!((of("asked"), of("goodput"), of("rate")), (3.0, 2.0, 3.0));
        assert!((of("over_p999_ms") - 2.0).abs() < 0.01 && (of("p50_ms") - 9.0).abs() < 0.01);
        assert_eq!(of("early"), 1.0, "a stale answer at 9 ms came before the 10 that its caller would have waited");
        assert!(of_load(&[], "p99_ms", 1.0).is_none(), "nothing seen is nothing promised");
    }
}
