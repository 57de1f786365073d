//! Every answer names its key, through two nodes, two memcached servers and lines that are late, cut and flip bits.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::harness::{cnam, cnam_within, node, node_within};
use crate::support::caller::Caller;
use crate::support::meddler::{Meddler, Meddling};
use crate::support::memcached::Memcached;
use crate::support::vendor::{Mode, Vendor};
use crate::{is_full, is_strict};

/// Asks for `k0` to `k9999`, and answers from how many of them came from where.
async fn ten_thousand(door: SocketAddr) -> BTreeMap<String, usize> {
    const CALLERS: usize = 16;
    let mut callers = JoinSet::new();
    for first in 0..CALLERS {
        callers.spawn(async move {
            let (mut open, mut sources) = (Caller::connect(door).await.unwrap(), Vec::new());
            for n in (first..10_000).step_by(CALLERS) {
                let reply = open.get(&format!("/v1/lookup/cnam/k{n}")).await.unwrap();
                assert_eq!(reply.body, format!("{{\"key\":\"k{n}\"}}"), "{}", reply.head);
                sources.push(reply.source().to_owned());
            }
            sources
        });
    }
    let mut counts = BTreeMap::new();
    while let Some(sources) = callers.join_next().await {
        sources
            .expect("each is answered rightly")
            .into_iter()
            .for_each(|source| *counts.entry(source).or_default() += 1);
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cold_node_in_a_warm_cluster_asks_no_vendor() {
    let (Some(one), Some(two)) = (Memcached::start().await, Memcached::start().await) else { return };
    let servers = [one.address(), two.address()];
    let vendor = Vendor::start(Mode::Echo).await;
    // What is late is no hit, and on a busy machine much is late.
    let (policy, timeout) = (cnam_within(&vendor, Duration::from_secs(2)), Duration::from_millis(200));
    let warm = node_within("warm", &servers, &policy, timeout).await;
    assert_eq!(ten_thousand(warm.http).await["vendor"], 10_000);
    // Writes are behind everybody's back.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let asked = vendor.requests();
    let cold = node_within("cold", &servers, &policy, timeout).await;
    let sources = ten_thousand(cold.http).await;
    println!("a cold node's first 10,000 lookups: {sources:?}");
    assert_eq!(sources.get("shared"), Some(&10_000), "{sources:?}");
    assert_eq!(vendor.requests(), asked, "the vendor was asked");
}

#[derive(Default)]
struct Counts {
    next: AtomicUsize,
    shared: AtomicUsize,
    unanswered: AtomicUsize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_wrong_value_is_ever_served() {
    let keys = if is_full() { 100_000 } else { 6_000 };
    let (Some(mut one), Some(two)) = (Memcached::start().await, Memcached::start().await) else { return };
    let lines = [Meddler::before(one.port()).await, Meddler::before(two.port()).await];
    let servers: Vec<String> = lines.iter().map(|line| line.address.to_string()).collect();
    let vendor = Vendor::start(Mode::Echo).await;
    let nodes = [node("a", &servers, &cnam(&vendor)).await, node("b", &servers, &cnam(&vendor)).await];
    let doors = [nodes[0].http, nodes[1].http];
    let counts = Arc::new(Counts::default());
    let mut callers = JoinSet::new();
    for _ in 0..16 {
        let counts = Arc::clone(&counts);
        callers.spawn(async move {
            let mut open = [Caller::connect(doors[0]).await.unwrap(), Caller::connect(doors[1]).await.unwrap()];
            loop {
                let n = counts.next.fetch_add(1, Ordering::Relaxed);
                if n >= keys {
                    return;
                }
                // One node asks the vendor, the other finds its answer; and now and then an older one.
                for (door, key) in [(n % 2, n), (1 - n % 2, n), (n % 2, n.saturating_sub(fastrand::usize(..500)))] {
                    let reply = open[door].get(&format!("/v1/lookup/cnam/k{key}")).await.expect("an answer");
                    if reply.status != 200 {
                        counts.unanswered.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                    assert_eq!(reply.body, format!("{{\"key\":\"k{key}\"}}"), "from {}", reply.source());
                    counts.shared.fetch_add(usize::from(reply.source() == "shared"), Ordering::Relaxed);
                }
            }
        });
    }
    let ill = [
        Meddling::None,
        Meddling::Late(40, Duration::from_millis(if is_strict() { 8 } else { 45 })),
        Meddling::Cut(40),
        Meddling::None,
        Meddling::Flip(25),
        Meddling::None,
        Meddling::Delay(Duration::from_millis(100)),
    ];
    let mut turn = 0;
    while counts.next.load(Ordering::Relaxed) < keys {
        lines.iter().enumerate().for_each(|(n, line)| line.set(ill[(turn + 3 * n) % ill.len()]));
        turn += 1;
        if turn % 10 == 0 {
            one.restart().await;
        }
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    while let Some(done) = callers.join_next().await {
        done.expect("no wrong value");
    }
    let (shared, unanswered) = (counts.shared.load(Ordering::Relaxed), counts.unanswered.load(Ordering::Relaxed));
    println!(
        "{keys} keys, {} requests: {shared} from the shared cache, {unanswered} without an answer in time",
        keys * 3
    );
    assert!(shared > keys / 20, "only {shared} from the shared cache: this proves little");
}
