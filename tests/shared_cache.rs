//! The shared cache against a real memcached that hangs, dies, comes back, and a line that cuts, delays and lies.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/mod.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dipcache::answer::{Outcome, Record};
use dipcache::cache::Entry;
use dipcache::cache::shared::{Place, SharedCache};
use dipcache::config::Shared;
use dipcache::deadline::{now, tick};
use dipcache::events::{EventType, Events};
use dipcache::telemetry::recorder;

use support::lookups::policy;
use support::meddler::{Meddler, Meddling};
use support::memcached::Memcached;
use support::nodes::shared;
use support::process::until;

const POLICY: &str = r#"
[input]
key = { type = "text" }
[[upstream]]
name = "vendor"
type = "http"
url = "http://127.0.0.1:1/{{ key }}"
[upstream.fields]
a = "body.a"
"#;

/// An answer that says which key it belongs to.
fn entry(id: &str) -> Entry {
    let rules = policy("cnam", POLICY).cache;
    seal(&rules, id)
}

fn seal(rules: &dipcache::policy::CacheRules, id: &str) -> Entry {
    let record = Record::from_json(format!(r#"{{"key":"{id}"}}"#));
    Entry::seal(rules, Outcome::Found, Some(record), None, 0.0, tick()).unwrap()
}

fn place(id: &str) -> Place<'_> {
    Place { lookup: "cnam", shape: 1, era: 1, id }
}

async fn cache(settings: Shared) -> (Arc<SharedCache>, Arc<Events>) {
    let events = Arc::new(Events::default());
    let cache = SharedCache::start(settings, &events);
    tokio::time::timeout(Duration::from_secs(5), cache.ready()).await.expect("the servers answer");
    (cache, events)
}

/// Keeps this key, again and again until it can be read.
async fn keeps(cache: &SharedCache, id: &str, within: Duration) -> bool {
    let read = async || {
        cache.put(place(id), &entry(id));
        tokio::time::sleep(Duration::from_millis(5)).await;
        cache.get(place(id)).await
    };
    until(within, read).await.is_some()
}

/// Waits until this key is there (or is not).
async fn settles(cache: &SharedCache, id: &str, there: bool, within: Duration) -> bool {
    let look = async || (cache.get(place(id)).await.is_some() == there).then_some(());
    until(within, look).await.is_some()
}

fn told(events: &Events, event: EventType) -> usize {
    events.recent().iter().filter(|told| told.event == event).count()
}

#[tokio::test]
async fn what_one_node_writes_another_reads_over_several_servers() {
    let (Some(one), Some(two)) = (Memcached::start().await, Memcached::start().await) else { return };
    let servers = [one.address(), two.address()];
    let ((writer, _), (reader, _)) = (cache(shared(&servers)).await, cache(shared(&servers)).await);
    let long = "x".repeat(400);
    let mut ids: Vec<String> = (0..200).map(|n| format!("+1303555{n:04}")).collect();
    ids.extend([long, "a b\r\nset c 0 0 1\r\n".replace('"', ""), "ünï".to_owned()]);
    for id in &ids {
        let plain = id.escape_default().to_string();
        let rules = policy("cnam", POLICY).cache;
        writer.put(place(id), &seal(&rules, &plain.replace('\\', "/")));
    }
    assert!(settles(&reader, ids.last().unwrap(), true, Duration::from_secs(5)).await);
    let places: Vec<_> = ids.iter().map(|id| place(id)).collect();
    let found = reader.get_many(&places).await;
    assert_eq!(found.iter().flatten().count(), ids.len(), "one question a server brings them all");
    assert!(reader.get(Place { shape: 2, ..place(&ids[0]) }).await.is_none(), "another shape is another answer");
    writer.forget(place(&ids[0]));
    assert!(settles(&reader, &ids[0], false, Duration::from_secs(5)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_costs_one_timeout_each_then_nothing_and_is_used_again() {
    let Some(memcached) = Memcached::start().await else { return };
    let (cache, events) = cache(shared(&[memcached.address()])).await;
    cache.put(place("a"), &entry("a"));
    assert!(settles(&cache, "a", true, Duration::from_secs(5)).await);

    memcached.pause();
    let paused = now();
    while now() - paused < Duration::from_secs(1) {
        let began = now();
        cache.get(place("a")).await;
        let took = now() - began;
        assert!(took < Duration::from_millis(60), "one get took {took:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut waited = Duration::ZERO;
    for _ in 0..500 {
        let began = now();
        assert!(cache.get(place("a")).await.is_none());
        waited += now() - began;
    }
    assert!(waited < Duration::from_millis(100), "500 gets of a server known to be down took {waited:?}");
    assert_eq!(told(&events, EventType::SharedDown), 1);

    memcached.resume();
    let resumed = now();
    let back = async || {
        cache.put(place("b"), &entry("b"));
        cache.get(place("b")).await
    };
    assert!(until(Duration::from_secs(5), back).await.is_some());
    assert!(now() - resumed < Duration::from_secs(2), "used again after {:?}", now() - resumed);
    assert_eq!(told(&events, EventType::SharedUp), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_restarted_empty_it_is_used_again_within_two_seconds() {
    let Some(mut memcached) = Memcached::start().await else { return };
    let (cache, _) = cache(shared(&[memcached.address()])).await;
    memcached.kill();
    for _ in 0..50 {
        assert!(cache.get(place("a")).await.is_none());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    memcached.restart().await;
    let back = now();
    let used = async || {
        cache.put(place("b"), &entry("b"));
        cache.get(place("b")).await
    };
    assert!(until(Duration::from_secs(5), used).await.is_some());
    assert!(now() - back < Duration::from_secs(2), "used again after {:?}", now() - back);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn yesterdays_data_is_never_served() {
    let (Some(today), Some(other)) = (Memcached::start().await, Memcached::start().await) else { return };
    let line = Meddler::before(today.port()).await;
    let (cache, _) = cache(shared(&[line.address.to_string()])).await;
    cache.put(place("a"), &entry("a"));
    assert!(settles(&cache, "a", true, Duration::from_secs(5)).await);

    // Another, empty server stands in its place for a while; then the old one comes back with all that it held.
    line.turn_to(other.port());
    assert!(settles(&cache, "a", false, Duration::from_secs(5)).await);
    assert!(keeps(&cache, "b", Duration::from_secs(5)).await);
    line.turn_to(today.port());
    let back = now();
    while now() - back < Duration::from_secs(3) {
        assert!(cache.get(place("a")).await.is_none(), "yesterday's answer after {:?}", now() - back);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(keeps(&cache, "c", Duration::from_secs(2)).await, "it is used again all the same");

    // Away for longer than anybody could vouch for it.
    line.set(Meddling::Refuse);
    tokio::time::sleep(Duration::from_millis(3600)).await;
    line.set(Meddling::None);
    let back = now();
    while now() - back < Duration::from_secs(2) {
        assert!(cache.get(place("c")).await.is_none(), "nobody vouched for it");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_lie_is_believed_and_none_takes_longer_than_the_timeout() {
    let Some(memcached) = Memcached::start().await else { return };
    let line = Meddler::before(memcached.port()).await;
    let (cache, _) = cache(shared(&[line.address.to_string()])).await;
    for mode in [
        Meddling::Garbage,
        Meddling::Huge,
        Meddling::Swallow,
        Meddling::Refuse,
        Meddling::Delay(Duration::from_millis(100)),
    ] {
        line.set(mode);
        for _ in 0..100 {
            let began = now();
            assert!(cache.get(place("a")).await.is_none(), "{mode:?}");
            let took = now() - began;
            assert!(took < Duration::from_millis(60), "{mode:?}: {took:?}");
        }
        line.set(Meddling::None);
        let good = async || {
            cache.put(place("ok"), &entry("ok"));
            cache.get(place("ok")).await
        };
        assert!(until(Duration::from_secs(5), good).await.is_some(), "after {mode:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fourth_server_takes_over_what_the_three_before_knew() {
    const KEYS: usize = 1000;
    let mut servers = Vec::new();
    for _ in 0..4 {
        let Some(server) = Memcached::start().await else { return };
        servers.push(server);
    }
    let addresses: Vec<String> = servers.iter().map(Memcached::address).collect();
    let timeout = Duration::from_millis(500);
    let three = Shared { timeout, ..shared(&addresses[..3]) };
    let four = Shared { timeout, ..shared(&addresses) };
    let (old, _) = cache(three).await;
    let ids: Vec<String> = (0..KEYS).map(|n| n.to_string()).collect();
    ids.iter().for_each(|id| old.put(place(id), &entry(id)));
    assert!(settles(&old, ids.last().unwrap(), true, Duration::from_secs(5)).await);
    let places: Vec<_> = ids.iter().map(|id| place(id)).collect();
    let known = async |cache: &SharedCache| cache.get_many(&places).await.iter().flatten().count();
    assert!(until(Duration::from_secs(5), async || (known(&old).await == KEYS).then_some(())).await.is_some());

    let (without, _) = cache(four.clone()).await;
    let stayed = known(&without).await;
    // Three quarters on average; where the points fall on the ring depends on the ports.
    assert!((KEYS * 6 / 10..KEYS).contains(&stayed), "{stayed} of {KEYS} stayed where they were");
    let (moving, _) = cache(Shared { before: addresses[..3].to_vec(), ..four }).await;
    assert_eq!(known(&moving).await, KEYS, "their former owners know them");
    let moved = async || (known(&without).await == KEYS).then_some(());
    assert!(until(Duration::from_secs(5), moved).await.is_some(), "and now their new ones");
}

#[tokio::test]
async fn a_document_that_is_gone_is_no_error_and_one_that_changed_is_not_written_over() {
    let Some(memcached) = Memcached::start().await else { return };
    let settings = Shared { timeout: Duration::from_millis(500), ..shared(&[memcached.address()]) };
    let (cache, _) = cache(settings).await;
    let (name, value) = (("nodes", "x"), || b"1".to_vec());
    assert_eq!(cache.swap(name, value(), Some(1), 0).await, Ok(false), "memcached says NOT_FOUND");
    assert_eq!(cache.swap(name, value(), None, 0).await, Ok(true));
    assert_eq!(cache.swap(name, value(), None, 0).await, Ok(false));
    let (_, version) = cache.read("nodes", "x").await.unwrap().unwrap();
    assert_eq!(cache.swap(name, value(), Some(version), 0).await, Ok(true));
    assert_eq!(cache.swap(name, value(), Some(version), 0).await, Ok(false));
}

/// The library waits for no reply to a `set`: a refusal must neither go unseen nor pass for the next answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_write_is_seen_and_ends_its_connection() {
    let Some(memcached) = Memcached::start().await else { return };
    let line = Meddler::before(memcached.port()).await;
    recorder::install();
    let settings = Shared { timeout: Duration::from_millis(100), ..shared(&[line.address.to_string()]) };
    let (cache, events) = cache(settings).await;
    line.set(Meddling::Stray);
    let refused = format!("dipcache_shared_errors_total{{server=\"{}\",kind=\"refused\"}}", line.address);
    let seen = async || {
        cache.put(place("a"), &entry("a"));
        recorder::render().contains(&refused).then_some(())
    };
    assert!(until(Duration::from_secs(3), seen).await.is_some(), "{}", recorder::render());
    line.set(Meddling::None);
    assert!(keeps(&cache, "b", Duration::from_secs(2)).await);
    assert_eq!(told(&events, EventType::SharedDown), 0, "a server that says no is alive");
}

/// 100,000 keys whose values name them, through a line that cuts, delays past the deadline and flips bits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_keys_and_never_a_wrong_value() {
    const KEYS: usize = 100_000;
    let (Some(one), Some(two)) = (Memcached::start().await, Memcached::start().await) else { return };
    let lines = [Meddler::before(one.port()).await, Meddler::before(two.port()).await];
    let servers: Vec<String> = lines.iter().map(|line| line.address.to_string()).collect();
    let settings = Shared { timeout: Duration::from_millis(20), ..shared(&servers) };
    let (cache, _) = cache(settings).await;
    let rules = Arc::new(policy("cnam", POLICY).cache);
    let (next, right) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let workers: Vec<_> = (0..16)
        .map(|_| {
            let (cache, next, right, rules) = (cache.clone(), next.clone(), right.clone(), rules.clone());
            tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= KEYS {
                        return;
                    }
                    // A cache that is known to be down tests nothing.
                    while cache.servers().any(|(_, up)| !up) {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    cache.put(place(&n.to_string()), &seal(&rules, &n.to_string()));
                    for id in [n.saturating_sub(fastrand::usize(..200)), n].map(|n| n.to_string()) {
                        if let Some(found) = cache.get(place(&id)).await {
                            let record = found.record.expect("found has a record");
                            assert_eq!(record.as_json(), format!(r#"{{"key":"{id}"}}"#));
                            right.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            })
        })
        .collect();
    let ill = [
        Meddling::None,
        Meddling::Late(50, Duration::from_millis(30)),
        Meddling::None,
        Meddling::Cut(30),
        Meddling::None,
        Meddling::Flip(20),
    ];
    let mut turn = 0;
    while workers.iter().any(|worker| !worker.is_finished()) {
        lines.iter().enumerate().for_each(|(n, line)| line.set(ill[(turn + 2 * n) % ill.len()]));
        turn += 1;
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    for worker in workers {
        worker.await.expect("no wrong value");
    }
    let right = right.load(Ordering::Relaxed);
    assert!(right > KEYS / 10, "only {right} hits: this proves little");
}
