//! What callers feel of a memcached that is stopped, killed, slow, cut off or mad: hits nothing, misses its timeout at most
//! and that for a second at most.

use std::net::SocketAddr;
use std::time::Duration;

use dipcache::deadline::{Deadline, Instant, now};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::harness::{cnam_within, node_within};
use crate::is_full;
use crate::support::SLACK;
use crate::support::caller::Caller;
use crate::support::meddler::{Meddler, Meddling};
use crate::support::memcached::Memcached;
use crate::support::proxy::Proxy;
use crate::support::vendor::{Mode, Vendor};

#[derive(Clone, Copy, Debug)]
enum Fault {
    Stopped,
    Killed,
    Line(Meddling),
}

const FAULTS: [Fault; 8] = [
    Fault::Stopped,
    Fault::Killed,
    Fault::Line(Meddling::Swallow),
    Fault::Line(Meddling::Refuse),
    Fault::Line(Meddling::Delay(Duration::from_millis(100))),
    Fault::Line(Meddling::Delay(Duration::from_millis(20))),
    Fault::Line(Meddling::Cut(1)),
    Fault::Line(Meddling::Garbage),
];

/// Microseconds that callers waited.
struct Waited {
    hits: Histogram<u64>,
    misses: Histogram<u64>,
}

impl Waited {
    fn line(&self) -> String {
        let of = |h: &Histogram<u64>| {
            let ms = |us: u64| us as f64 / 1000.0;
            let (p50, p99) = (ms(h.value_at_quantile(0.5)), ms(h.value_at_quantile(0.99)));
            format!("{p50:.2} / {p99:.2} / {:.2} ({})", ms(h.max()), h.len())
        };
        format!("hits {}, misses {} ms p50 / p99 / max", of(&self.hits), of(&self.misses))
    }
}

/// Half of the callers ask for what is in the local cache, half for what nobody knows; 800 calls a second.
async fn ask_for(time: Duration, door: SocketAddr) -> Waited {
    const EACH: Duration = Duration::from_millis(10);
    const CALLERS: u32 = 8;
    let end = now() + time;
    let mut callers = JoinSet::new();
    for n in 0..CALLERS {
        let mut due: Instant = now() + EACH * n / CALLERS;
        callers.spawn(async move {
            let mut caller = Caller::connect(door).await.expect("it listens");
            let (hits, mut all) = (n % 2 == 0, Vec::new());
            while due < end {
                tokio::time::sleep_until(due).await;
                let key = if hits { "warm".to_owned() } else { format!("{:x}", fastrand::u64(..)) };
                let began = now();
                let reply = caller.get(&format!("/v1/lookup/cnam/{key}")).await.expect("an answer");
                all.push((now() - began).as_micros() as u64);
                assert!(!hits || reply.source() == "local", "{}", reply.head);
                due = (due + EACH).max(now());
            }
            (hits, all)
        });
    }
    let new = || Histogram::new_with_max(60_000_000, 3).expect("a minute and three digits");
    let mut waited = Waited { hits: new(), misses: new() };
    while let Some(done) = callers.join_next().await {
        let (hits, all) = done.expect("no panic");
        let histogram = if hits { &mut waited.hits } else { &mut waited.misses };
        all.into_iter().for_each(|us| histogram.saturating_record(us));
    }
    waited
}

/// How long until one node's answer is the other's hit.
async fn used_again(other: &Proxy, node: &Proxy) -> Duration {
    let (began, end) = (now(), Deadline::after(Duration::from_secs(10)));
    let mut callers = [Caller::connect(other.http).await.unwrap(), Caller::connect(node.http).await.unwrap()];
    while !end.passed() {
        let path = format!("/v1/lookup/cnam/{:x}", fastrand::u64(..));
        callers[0].get(&path).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
        if callers[1].get(&path).await.unwrap().source() == "shared" {
            return now() - began;
        }
    }
    panic!("the shared cache is not used again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_of_memcached_costs_a_call_more_than_its_timeout_and_that_for_a_second() {
    let Some(mut memcached) = Memcached::start().await else { return };
    let line = Meddler::before(memcached.port()).await;
    let vendor = Vendor::start(Mode::Echo).await;
    // As it is set where nothing is set.
    let (budget, timeout) = (Duration::from_millis(100), Duration::from_millis(5));
    let policy = cnam_within(&vendor, budget);
    let node_a = node_within("a", &[line.address.to_string()], &policy, timeout).await;
    let node_b = node_within("b", &[memcached.address()], &policy, timeout).await;
    used_again(&node_b, &node_a).await;
    Caller::connect(node_a.http).await.unwrap().get("/v1/lookup/cnam/warm").await.unwrap();
    let (first, then) = (Duration::from_secs(1), Duration::from_secs(if is_full() { 10 } else { 1 }));
    let usual = ask_for(then, node_a.http).await;
    println!("{:<28} {}", "well", usual.line());
    for fault in FAULTS {
        match fault {
            Fault::Stopped => memcached.pause(),
            Fault::Killed => memcached.kill(),
            Fault::Line(mode) => line.set(mode),
        }
        let at_first = ask_for(first, node_a.http).await;
        let later = ask_for(then, node_a.http).await;
        match fault {
            Fault::Stopped => memcached.resume(),
            Fault::Killed => memcached.restart().await,
            Fault::Line(_) => line.set(Meddling::None),
        }
        let again = used_again(&node_b, &node_a).await;
        println!("{:<28} {}", format!("{fault:?}, the first second"), at_first.line());
        println!("{:<28} {}; used again after {again:?}", "  later", later.line());
        // A busy machine moves the tail by more than is measured here; the middle stays.
        let (at, noise) = if is_full() { (0.99, 1_000) } else { (0.5, 15_000) };
        let of = |h: &Histogram<u64>| h.value_at_quantile(at);
        assert!(of(&at_first.hits) <= of(&usual.hits) + noise, "{fault:?}: hits");
        assert!(of(&later.hits) <= of(&usual.hits) + noise, "{fault:?}: hits");
        assert!(of(&at_first.misses) <= of(&usual.misses) + 5_000 + noise, "{fault:?}: misses in the first second");
        assert!(of(&later.misses) <= of(&usual.misses) + noise, "{fault:?}: misses after a second");
        let soon = Duration::from_secs(2) + if is_full() { Duration::ZERO } else { SLACK };
        assert!(again <= soon, "{fault:?}: used again after {again:?}");
    }
}
