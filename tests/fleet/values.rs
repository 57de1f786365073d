//! Every answer names its key, through two nodes, two memcached servers and lines that are late, cut and flip bits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::harness::{cnam, node};
use crate::is_full;
use crate::support::caller::Caller;
use crate::support::meddler::{Meddler, Meddling};
use crate::support::memcached::Memcached;
use crate::support::vendor::{Mode, Vendor};

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
        Meddling::Late(40, Duration::from_millis(if is_full() { 8 } else { 45 })),
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
