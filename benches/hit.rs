//! What a hit is made of: the key, the entry, the breaker, a line of memcached's.
//!
//! `cargo bench --bench hit`; `-- --test` runs each once. `benches/table.rs` has the tables, `tests/allocations.rs` counts.

#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dipcache::answer::{Outcome, Record};
use dipcache::cache::Entry;
use dipcache::deadline::{now, tick};
use dipcache::events::Events;
use dipcache::front::memcached::command::parse;
use dipcache::health::Breaker;
use dipcache::lookup::{Lookup, Lookups};
use dipcache::policy::{Policy, check};

const LRN: &str = r#"kind = "lrn"
[input]
key = { type = "tn", country = "US" }
ani = { type = "tn", optional = true }
[[upstream]]
type = "http"
url = "http://127.0.0.1:9/"
[upstream.fields]
lrn = "body.lrn"
"#;

/// Known keys; more than the processor's caches hold.
const KEYS: u64 = 100_000;

fn policy() -> Policy {
    check::parse("lrn", Path::new("lrn.toml"), LRN).unwrap()
}

/// The n-th known number.
fn number(n: u64) -> String {
    format!("1303{:07}", 2_000_000 + n % KEYS * 37)
}

fn lookup() -> Arc<Lookup> {
    let lookups = Lookups::default();
    lookups.install(vec![policy()], &Arc::new(Events::default())).unwrap();
    let lookup = lookups.find("lrn").unwrap();
    for n in 0..KEYS {
        let question = lookup.policy.question(&number(n), &[]).unwrap();
        let record = Some(Record::from_json(format!("{{\"lrn\":\"+{}\"}}", number(n))));
        let entry = Entry::seal(&lookup.policy.cache, Outcome::Found, record, None, 0.0, tick()).unwrap();
        lookup.local.put(question.id.clone(), entry);
    }
    lookup
}

fn hit(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let _inside = runtime.enter();
    let lookup = lookup();
    let questions: Vec<_> = (0..KEYS).map(|n| lookup.policy.question(&number(n * 7919), &[]).unwrap()).collect();
    c.bench_function("hit, one key", |b| b.iter(|| black_box(lookup.hit(&questions[0]).unwrap())));
    let mut next = questions.iter().cycle();
    c.bench_function("hit, 100 000 keys", |b| b.iter(|| black_box(lookup.hit(next.next().unwrap()).unwrap())));
}

fn key(c: &mut Criterion) {
    let policy = policy();
    for text in ["+13035550123", "3035550123", "tel:+1-303-555-0123;npdi", "sip:3035550123@edge.example;user=phone"] {
        c.bench_function(&format!("key, {text}"), |b| b.iter(|| policy.question(black_box(text), &[]).unwrap()));
    }
    c.bench_function("key and an input", |b| {
        b.iter(|| policy.question(black_box("3035550123"), &[("ani", "+12025550123")]).unwrap());
    });
}

fn breaker(c: &mut Criterion) {
    let began = now();
    let mut breaker = Breaker::new(policy().breaker, began);
    let mut n = 0_u64;
    c.bench_function("breaker, a sample of a good dip", |b| {
        b.iter(|| {
            n += 1;
            black_box(breaker.sample(began + Duration::from_micros(n * 100), false, Duration::from_millis(5)))
        });
    });
    assert!(breaker.is_closed());
    let mut n = 0_u64;
    c.bench_function("breaker, one dip in five fails", |b| {
        b.iter(|| {
            n += 1;
            black_box(breaker.sample(
                began + Duration::from_micros(n * 100),
                n.is_multiple_of(5),
                Duration::from_millis(5),
            ))
        });
    });
}

fn memcached(c: &mut Criterion) {
    let ten: String = (0..10).map(|n| format!(" lrn:{}", number(n))).collect();
    let lines = [
        ("get", "get lrn:13035550123\r".to_owned()),
        ("get of ten keys", format!("get{ten}\r")),
        ("set", "set plain:key 1 60 64 noreply\r".to_owned()),
        ("meta get", "mg lrn:13035550123 v t f k O4711\r".to_owned()),
    ];
    let mut group = c.benchmark_group("memcached line");
    for (name, line) in &lines {
        group.throughput(Throughput::Bytes(line.len() as u64));
        group.bench_function(*name, |b| b.iter(|| black_box(parse(black_box(line.as_bytes()))).is_ok()));
    }
}

criterion_group!(benches, hit, key, breaker, memcached);
criterion_main!(benches);
