//! The longest prefix among ten million: how fast, in how much memory, and what a swap does to those who ask.
//!
//! `cargo bench --bench table`; `ROWS=1000000` for a smaller one. Prints the bytes against the raw ones, and fails when
//! they are more than twice as many.

#![allow(clippy::expect_used, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "what is measured is the real clock's time")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use dipcache::policy::TableMatch;
use dipcache::upstream::table::{Builder, Snapshot};

fn rows() -> u64 {
    std::env::var("ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(10_000_000)
}

/// Scatters numbers, the same in every run.
fn scattered(n: u64) -> u64 {
    let mut x = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^= x >> 31;
    x.wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ (x >> 27)
}

/// A deck as carriers send it: half of it deep in North America, prefixes of 4 to 11 digits, two thousand prices.
fn prefix(n: u64) -> String {
    let x = scattered(n);
    if n.is_multiple_of(2) {
        let text = format!("1{:010}", 2_000_000_000 + x % 8_000_000_000);
        text[..(7 + x as usize % 5).min(text.len())].to_owned()
    } else {
        let text = format!("{:011}", 20_000_000_000 + x % 80_000_000_000);
        text[..4 + x as usize % 8].to_owned()
    }
}

fn record(n: u64) -> String {
    format!("{{\"rate_inter\":0.{:04}}}", scattered(n) % 2000)
}

/// The table and the bytes of its distinct prefixes with the value of each as it stands in a file.
fn table(rows: u64) -> (Snapshot, usize) {
    let mut builder = Builder::new(TableMatch::LongestPrefix);
    let mut known = std::collections::HashMap::new();
    for n in 0..rows {
        let (prefix, record) = (prefix(n), record(n));
        builder.push(&[&prefix], &record).expect("it fits");
        let digits: u64 = prefix.parse().expect("digits, none of them 0 in front");
        // The value alone, `0.1234`, without the field's name.
        known.insert(digits, prefix.len() + record.len() - "{\"rate_inter\":}".len());
    }
    (builder.finish(), known.values().sum())
}

fn keys() -> Vec<String> {
    (0..100_000).map(|n| format!("+{}{:04}", prefix(n * 97 % rows()), n % 10_000)).collect()
}

fn longest_prefix(c: &mut Criterion) {
    let began = Instant::now();
    let (snapshot, raw) = table(rows());
    let (rows, bytes) = (snapshot.rows(), snapshot.bytes());
    println!(
        "{rows} rows in {:?}: {bytes} bytes, {:.2} times the raw {raw}",
        began.elapsed(),
        bytes as f64 / raw as f64
    );
    assert!(bytes <= 2 * raw, "more than twice the raw prefixes and values");

    let keys = keys();
    let found = keys.iter().filter(|key| snapshot.find(key).is_some()).count();
    assert!(found > keys.len() * 9 / 10, "only {found} of {} keys are found", keys.len());
    percentiles(&snapshot, &keys);
    let mut next = keys.iter().cycle();
    c.bench_function("longest prefix, found", |b| {
        b.iter_batched(|| next.next().expect("a cycle"), |key| black_box(snapshot.find(key)), BatchSize::SmallInput);
    });
    swap_under_load(snapshot, &keys);
}

/// Each question by itself, the clock's own time included.
fn percentiles(snapshot: &Snapshot, keys: &[String]) {
    let mut times: Vec<Duration> = keys
        .iter()
        .map(|key| {
            let began = Instant::now();
            black_box(snapshot.find(key));
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    let at = |share: f64| times[(times.len() as f64 * share) as usize];
    println!("one question: p50 {:?}, p99 {:?}, p99.9 {:?}", at(0.5), at(0.99), at(0.999));
    assert!(at(0.5) < Duration::from_micros(1), "p50 of 1 µs or more");
}

/// Asks while another table of the same size is made, swapped in, and the old one is freed by its maker.
fn swap_under_load(snapshot: Snapshot, keys: &[String]) {
    let current = Arc::new(ArcSwap::from_pointee(snapshot));
    let maker = {
        let current = Arc::clone(&current);
        std::thread::spawn(move || {
            let _ = rustix::process::setpriority_process(None, 19);
            let mut old = current.swap(Arc::new(table(rows()).0));
            while let Err(held) = Arc::try_unwrap(old) {
                old = held;
                std::thread::sleep(Duration::from_millis(1));
            }
        })
    };
    let (mut slowest, mut asked) = (Duration::ZERO, 0_u64);
    for key in keys.iter().cycle() {
        let began = Instant::now();
        black_box(current.load().find(key));
        slowest = slowest.max(began.elapsed());
        asked += 1;
        if asked.is_multiple_of(1000) {
            if maker.is_finished() {
                break;
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }
    maker.join().expect("the maker ends well");
    println!("a load and a swap under load: {asked} questions, the slowest {slowest:?}");
}

criterion_group!(benches, longest_prefix);
criterion_main!(benches);
