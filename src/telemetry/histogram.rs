//! Histograms with fixed buckets, one relaxed add a sample.
//!
//! The exporter's own histograms keep every sample until somebody renders them, which at a hundred
//! thousand hits a second is memory and work that a hit should not cause.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use parking_lot::RwLock;

/// Upper bounds in microseconds; finer where call set-up decides, between 0.1 and 100 ms.
const BOUNDS: [u64; 20] = [
    50, 100, 200, 500, 1_000, 2_000, 3_000, 5_000, 10_000, 20_000, 30_000, 50_000, 75_000, 100_000, 150_000, 250_000,
    500_000, 1_000_000, 2_500_000, 10_000_000,
];

/// Counts of samples by size.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl Histogram {
    /// Counts one sample.
    #[inline]
    pub fn record(&self, took: Duration) {
        self.record_many(took, 1);
    }

    /// Counts so many samples of one size.
    pub fn record_many(&self, took: Duration, samples: u64) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        self.buckets[bucket].fetch_add(samples, Ordering::Relaxed);
        self.micros.fetch_add(micros.saturating_mul(samples), Ordering::Relaxed);
    }

    /// The counts now.
    pub fn counts(&self) -> [u64; BOUNDS.len() + 1] {
        std::array::from_fn(|bucket| self.buckets[bucket].load(Ordering::Relaxed))
    }
}

/// The size below which this share of the samples lies, read off the buckets; `None` without samples.
pub fn quantile(counts: &[u64], share: f64) -> Option<Duration> {
    let total: u64 = counts.iter().sum();
    if total == 0 {
        return None;
    }
    let wanted = ((total as f64) * share).ceil() as u64;
    let mut below = 0;
    for (bucket, count) in counts.iter().enumerate() {
        below += count;
        if below >= wanted {
            return Some(Duration::from_micros(*BOUNDS.get(bucket).unwrap_or(&BOUNDS[BOUNDS.len() - 1])));
        }
    }
    None
}

struct Named {
    name: &'static str,
    labels: String,
    histogram: Arc<Histogram>,
}

/// Every histogram of the process: what `/metrics` shows.
static ALL: LazyLock<RwLock<Vec<Named>>> = LazyLock::new(RwLock::default);

/// The histogram of this name and these labels; the same one each time, so that a reload goes on counting.
pub fn histogram(name: &'static str, labels: &[(&str, &str)]) -> Arc<Histogram> {
    let labels =
        labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escape(value))).collect::<Vec<_>>().join(",");
    let mut all = ALL.write();
    if let Some(found) = all.iter().find(|named| named.name == name && named.labels == labels) {
        return Arc::clone(&found.histogram);
    }
    let histogram = Arc::new(Histogram::default());
    all.push(Named { name, labels, histogram: Arc::clone(&histogram) });
    histogram
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Writes all histograms in Prometheus' text format; those without a sample are left out.
pub fn render(out: &mut String) {
    let all = ALL.read();
    let mut names: Vec<&'static str> = all.iter().map(|named| named.name).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let _ = writeln!(out, "# TYPE {name} histogram");
        for named in all.iter().filter(|named| named.name == name) {
            render_one(out, named);
        }
    }
}

fn render_one(out: &mut String, named: &Named) {
    let (name, labels, counts) = (named.name, &named.labels, named.histogram.counts());
    let total: u64 = counts.iter().sum();
    if total == 0 {
        return;
    }
    let mut below = 0;
    // Writing to a String cannot fail.
    for (bound, count) in BOUNDS.iter().zip(counts) {
        below += count;
        let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{}\"}} {below}", *bound as f64 / 1e6);
    }
    let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {total}");
    let _ = writeln!(out, "{name}_sum{{{labels}}} {}", named.histogram.micros.load(Ordering::Relaxed) as f64 / 1e6);
    let _ = writeln!(out, "{name}_count{{{labels}}} {total}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_fall_into_their_buckets_and_the_text_adds_up() {
        let histogram = histogram("dipcache_test_seconds", &[("lookup", "l\"rn")]);
        for micros in [1, 50, 51, 4_000, 60_000_000] {
            histogram.record(Duration::from_micros(micros));
        }
        let mut text = String::new();
        render(&mut text);
        assert!(text.contains(r#"dipcache_test_seconds_bucket{lookup="l\"rn",le="0.00005"} 2"#), "{text}");
        assert!(text.contains(r#"dipcache_test_seconds_bucket{lookup="l\"rn",le="0.005"} 4"#), "{text}");
        assert!(text.contains(r#"dipcache_test_seconds_bucket{lookup="l\"rn",le="10"} 4"#), "{text}");
        assert!(text.contains(r#"dipcache_test_seconds_count{lookup="l\"rn"} 5"#), "{text}");
        assert_eq!(quantile(&histogram.counts(), 0.5), Some(Duration::from_micros(100)));
        assert_eq!(quantile(&Histogram::default().counts(), 0.5), None);
    }
}
