//! Several nodes, real memcached servers between them: one memory, one verdict, one prober, one event.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/mod.rs"]
mod support;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dipcache::answer::{Outcome, Source};
use dipcache::config::Shared;
use dipcache::deadline::now;
use dipcache::events::EventType;
use dipcache::health::Override;
use dipcache::orders::{Order, Orders, Reach};
use dipcache::telemetry::recorder;
use dipcache::warm::Warming;

use support::lookups::ask;
use support::meddler::{Meddler, Meddling};
use support::memcached::Memcached;
use support::nodes::{self, Node};
use support::process::until;
use support::vendor::{Mode, Vendor};

/// `[shared]` with these servers. What is late on a busy machine must not pass for what is lost.
fn shared(servers: &[String]) -> Shared {
    Shared { timeout: Duration::from_millis(50), ..nodes::shared(servers) }
}

fn cnam(vendor: &Vendor) -> String {
    cnam_within(vendor, "100ms", "200ms")
}

fn cnam_within(vendor: &Vendor, call: &str, background: &str) -> String {
    let url = vendor.url("/{{ key }}");
    format!(
        r#"
[input]
key = {{ type = "text" }}
[budget]
call = "{call}"
background = "{background}"
[cache]
not_found = "1h"
[breaker]
open = "200ms"
open_max = "400ms"
[[upstream]]
name = "vendor"
type = "http"
url = "{url}"
[upstream.fields]
ok = "body.ok"
"#
    )
}

async fn three(servers: &[String], vendor: &Vendor) -> Vec<Node> {
    let mut nodes = Vec::new();
    for name in ["a", "b", "c"] {
        nodes.push(Node::start(name, shared(servers), &[("cnam", &cnam(vendor))]).await);
    }
    nodes
}

/// One ask each on every node, until the flag of all of them is this.
async fn all_turn(nodes: &[Node], up: bool, within: Duration) -> bool {
    static KEY: AtomicU64 = AtomicU64::new(0);
    let turned = async || {
        for node in nodes {
            ask(&node.lookup("cnam"), &format!("turn-{}", KEY.fetch_add(1, Ordering::Relaxed)), 50).await;
        }
        nodes.iter().all(|node| node.lookup("cnam").is_up() == up).then_some(())
    };
    until(within, turned).await.is_some()
}

async fn flag_is(servers: &[&Memcached], key: &str, wanted: &str, within: Duration) -> bool {
    let look = async || {
        for server in servers {
            if server.value_and_flags(key).await != Some((wanted.as_bytes().to_vec(), 0)) {
                return None;
            }
        }
        Some(())
    };
    until(within, look).await.is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_nodes_answer_is_every_nodes_hit_and_a_cold_node_asks_no_vendor() {
    let (Some(one), Some(two)) = (Memcached::start().await, Memcached::start().await) else { return };
    let vendor = Vendor::start(Mode::OK).await;
    let servers = [one.address(), two.address()];
    recorder::install();
    let mut settings = shared(&servers);
    // On a busy machine a test must not mistake a late answer for a missing one.
    settings.timeout = Duration::from_millis(100);
    let warm = Node::start("warm", settings.clone(), &[("cnam", &cnam_within(&vendor, "2s", "5s"))]).await;
    let lookup = warm.lookup("cnam");
    let keys: Vec<String> = (0..10_000).map(|n| format!("k{n}")).collect();
    for chunk in keys.chunks(16) {
        for answer in futures_util::future::join_all(chunk.iter().map(|key| ask(&lookup, key, 2000))).await {
            assert_eq!(answer.outcome, Outcome::Found);
        }
    }
    vendor.set(Mode::Answer(404, "text/plain", Vec::new()));
    assert_eq!(ask(&lookup, "nobody", 2000).await.outcome, Outcome::NotFound);
    tokio::time::sleep(Duration::from_millis(300)).await;
    vendor.set(Mode::Answer(500, "text/plain", Vec::new()));
    let asked = vendor.requests();

    let cold = Node::start("cold", settings, &[("cnam", &cnam_within(&vendor, "2s", "5s"))]).await;
    let lookup = cold.lookup("cnam");
    for chunk in keys.chunks(16) {
        for answer in futures_util::future::join_all(chunk.iter().map(|key| ask(&lookup, key, 2000))).await {
            assert_eq!((answer.outcome, answer.source), (Outcome::Found, Source::Shared), "{}", recorder::render());
        }
    }
    let nobody = ask(&lookup, "nobody", 2000).await;
    assert_eq!((nobody.outcome, nobody.source), (Outcome::NotFound, Source::Shared));
    assert_eq!(vendor.requests(), asked, "the vendor was not asked");
    assert_eq!(ask(&lookup, "k1", 2000).await.source, Source::Local);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_short_budget_the_upstream_does_not_wait_for_a_slow_memcached() {
    let Some(memcached) = Memcached::start().await else { return };
    let line = Meddler::before(memcached.port()).await;
    let vendor = Vendor::start(Mode::OK).await;
    // A timeout that is longer than a call may wait.
    let settings = Shared { timeout: Duration::from_secs(1), ..shared(&[line.address.to_string()]) };
    let node = Node::start("a", settings, &[("cnam", &cnam_within(&vendor, "400ms", "800ms"))]).await;
    line.set(Meddling::Delay(Duration::from_millis(900)));
    for key in ["a", "b", "c"] {
        let began = now();
        let answer = ask(&node.lookup("cnam"), key, 400).await;
        assert_eq!((answer.outcome, answer.source), (Outcome::Found, Source::Upstream("vendor".into())));
        assert!(now() - began < Duration::from_millis(300), "asked after {:?}", now() - began);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_single_flight_a_cold_key_costs_the_cluster_one_dip() {
    let Some(memcached) = Memcached::start().await else { return };
    let vendor = Vendor::start(Mode::Ok(Duration::from_millis(20))).await;
    let mut settings = shared(&[memcached.address()]);
    settings.single_flight = true;
    settings.timeout = Duration::from_millis(50);
    let mut nodes = Vec::new();
    for name in ["a", "b", "c"] {
        // A node looks elsewhere for a tenth of its budget: on a busy machine more than a few milliseconds.
        nodes.push(Node::start(name, settings.clone(), &[("cnam", &cnam_within(&vendor, "2s", "5s"))]).await);
    }
    for n in 0..20 {
        let key = format!("cold-{n}");
        let lookups: Vec<_> = nodes.iter().map(|node| node.lookup("cnam")).collect();
        let answers = futures_util::future::join_all(lookups.iter().map(|lookup| ask(lookup, &key, 2000))).await;
        assert!(answers.iter().all(|answer| answer.outcome == Outcome::Found), "{answers:?}");
    }
    assert_eq!(vendor.requests(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_transitions_and_exactly_one_event_each() {
    let (Some(one), Some(two)) = (Memcached::start().await, Memcached::start().await) else { return };
    let vendor = Vendor::start(Mode::OK).await;
    let nodes = three(&[one.address(), two.address()], &vendor).await;
    for turn in 0..25 {
        vendor.set(Mode::Answer(500, "text/plain", Vec::new()));
        assert!(all_turn(&nodes, false, Duration::from_secs(10)).await, "down, turn {turn}");
        let key = "dip:health:cnam";
        assert!(flag_is(&[&one, &two], key, "0", Duration::from_secs(1)).await, "the flag in turn {turn}");
        vendor.set(Mode::OK);
        assert!(all_turn(&nodes, true, Duration::from_secs(10)).await, "up, turn {turn}");
        assert!(flag_is(&[&one, &two], key, "1", Duration::from_secs(1)).await, "the flag in turn {turn}");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    for kind in [EventType::Degraded, EventType::Recovered] {
        let ids: Vec<u64> = nodes.iter().flat_map(|node| node.told(kind)).filter_map(|event| event.epoch).collect();
        assert_eq!(ids.len(), 25, "{kind:?}: {ids:?}");
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 25, "{kind:?}: {ids:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_badly_connected_node_never_turns_the_flag() {
    let Some(memcached) = Memcached::start().await else { return };
    let (good, bad) = (Vendor::start(Mode::OK).await, Vendor::start(Mode::Refuse).await);
    let servers = [memcached.address()];
    let a = Node::start("a", shared(&servers), &[("cnam", &cnam(&good))]).await;
    let b = Node::start("b", shared(&servers), &[("cnam", &cnam(&good))]).await;
    let c = Node::start("c", shared(&servers), &[("cnam", &cnam(&bad))]).await;
    let began = now();
    let mut n = 0;
    while now() - began < Duration::from_secs(3) {
        ask(&c.lookup("cnam"), &format!("x{n}"), 50).await;
        n += 1;
        for node in [&a, &b, &c] {
            assert!(node.lookup("cnam").is_up());
        }
        assert_ne!(memcached.value("dip:health:cnam").await.as_deref(), Some(&b"0"[..]));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!c.lookup("cnam").verdict.is_usable(), "it does see the vendor down");
    assert!([&a, &b, &c].iter().all(|node| node.told(EventType::Degraded).is_empty()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_vendor_sees_one_probe_at_a_time_and_few_of_them() {
    let Some(memcached) = Memcached::start().await else { return };
    let vendor = Vendor::start(Mode::OK).await;
    let nodes = three(&[memcached.address()], &vendor).await;
    vendor.set(Mode::Hang);
    assert!(all_turn(&nodes, false, Duration::from_secs(10)).await);
    // What callers began before the breakers opened comes to its end.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = vendor.requests();
    let began = now();
    let mut most = 0;
    while now() - began < Duration::from_secs(4) {
        most = most.max(vendor.in_flight());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let probes = vendor.requests() - before;
    assert!(most <= 1, "{most} at a time");
    assert!((1..=20).contains(&probes), "{probes} probes in four seconds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_flag_lives_as_long_as_a_node_and_three_seconds_longer_at_most() {
    let Some(memcached) = Memcached::start().await else { return };
    let vendor = Vendor::start(Mode::OK).await;
    let mut nodes = three(&[memcached.address()], &vendor).await;
    let keys = ["dip:health:cnam", "dip:health:cnam:vendor"];
    for key in keys {
        assert!(flag_is(&[&memcached], key, "1", Duration::from_secs(2)).await, "{key}");
    }
    nodes.truncate(1);
    assert_eq!(memcached.say("flush_all").await, "OK");
    for key in keys {
        assert!(flag_is(&[&memcached], key, "1", Duration::from_secs(1)).await, "{key} is written again");
    }
    let began = now();
    while now() - began < Duration::from_secs(4) {
        assert!(memcached.value(keys[0]).await.is_some(), "absent though a node lives");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    nodes.clear();
    tokio::time::sleep(Duration::from_millis(3050)).await;
    for key in keys {
        assert_eq!(memcached.value(key).await, None, "{key} outlives its writers");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_nodes_vote_expires() {
    let Some(memcached) = Memcached::start().await else { return };
    let (good, bad) = (Vendor::start(Mode::OK).await, Vendor::start(Mode::OK).await);
    let servers = [memcached.address()];
    let a = Node::start("a", shared(&servers), &[("cnam", &cnam(&good))]).await;
    let nodes = [
        Node::start("b", shared(&servers), &[("cnam", &cnam(&bad))]).await,
        Node::start("c", shared(&servers), &[("cnam", &cnam(&bad))]).await,
    ];
    bad.set(Mode::Refuse);
    assert!(all_turn(&nodes, false, Duration::from_secs(5)).await);
    assert!(until(Duration::from_secs(1), async || (!a.lookup("cnam").is_up()).then_some(())).await.is_some());
    drop(nodes);
    let up = async || a.lookup("cnam").is_up().then_some(());
    assert!(until(Duration::from_secs(5), up).await.is_some(), "the dead go on voting");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_memcached_each_node_decides_alone_and_says_so() {
    let Some(mut memcached) = Memcached::start().await else { return };
    let vendor = Vendor::start(Mode::OK).await;
    let nodes = three(&[memcached.address()], &vendor).await;
    memcached.kill();
    vendor.set(Mode::Refuse);
    assert!(all_turn(&nodes, false, Duration::from_secs(8)).await);
    let events: Vec<_> = nodes.iter().flat_map(|node| node.told(EventType::Degraded)).collect();
    assert!(!events.is_empty());
    assert!(events.iter().all(|event| event.reason.contains("alone")), "{events:?}");
    // They parted in one epoch and saw the same: a consumer takes them for one.
    assert_eq!(events.iter().map(|event| event.epoch.unwrap()).collect::<HashSet<_>>().len(), 1, "{events:?}");
    memcached.restart().await;
    assert!(flag_is(&[&memcached], "dip:health:cnam", "0", Duration::from_secs(5)).await);
    vendor.set(Mode::OK);
    assert!(all_turn(&nodes, true, Duration::from_secs(8)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_cut_off_from_the_others_decides_alone_under_the_same_ids_and_finds_back() {
    let Some(memcached) = Memcached::start().await else { return };
    let line = Meddler::before(memcached.port()).await;
    let vendor = Vendor::start(Mode::OK).await;
    let direct = [memcached.address()];
    let a = Node::start("a", shared(&direct), &[("cnam", &cnam(&vendor))]).await;
    let b = Node::start("b", shared(&[line.address.to_string()]), &[("cnam", &cnam(&vendor))]).await;
    let c = Node::start("c", shared(&direct), &[("cnam", &cnam(&vendor))]).await;
    line.set(Meddling::Refuse);
    // Until the others' last word is too old for it, and its own for them.
    tokio::time::sleep(Duration::from_millis(3500)).await;
    let nodes = [a, b, c];
    vendor.set(Mode::Refuse);
    assert!(all_turn(&nodes, false, Duration::from_secs(8)).await);
    assert_eq!(nodes[1].told(EventType::Degraded).len(), 1, "it sees so by itself");
    vendor.set(Mode::OK);
    assert!(all_turn(&nodes, true, Duration::from_secs(8)).await);
    let ids = |kind| nodes.iter().flat_map(move |node| node.told(kind)).map(|told| told.epoch.unwrap());
    for kind in [EventType::Degraded, EventType::Recovered] {
        assert_eq!(ids(kind).count(), 2, "once by those who hear one another, once by it");
        assert_eq!(ids(kind).collect::<HashSet<_>>().len(), 1, "a consumer takes them for one");
    }
    line.set(Meddling::None);
    let together = async || {
        let views: Vec<_> = nodes.iter().filter_map(|node| node.lookup("cnam").mind.view(now())).collect();
        (views.len() == 3 && views.iter().all(|view| view.nodes.len() == 3 && view.epoch == views[0].epoch))
            .then_some(())
    };
    assert!(until(Duration::from_secs(2), together).await.is_some());
    assert!(nodes.iter().all(|node| node.lookup("cnam").is_up()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operators_orders_reach_every_node_within_a_second_and_one_that_was_away() {
    let Some(memcached) = Memcached::start().await else { return };
    let vendor = Vendor::start(Mode::OK).await;
    let servers = [memcached.address()];
    let nodes = three(&servers, &vendor).await;
    for node in &nodes {
        ask(&node.lookup("cnam"), "k", 1000).await;
        ask(&node.lookup("cnam"), "l", 1000).await;
    }
    let second = Duration::from_secs(1);
    nodes[0].lookup("cnam").lay_hand(Override::Down);
    let node = nodes[1].lookup("cnam");
    node.forget(&node.policy.question("k", &[]).unwrap());
    let obeyed = async || {
        let ok = |node: &Node| {
            let lookup = node.lookup("cnam");
            let question = |key: &str| lookup.policy.question(key, &[]).unwrap();
            !lookup.is_up() && lookup.hit(&question("k")).is_none() && lookup.hit(&question("l")).is_some()
        };
        nodes.iter().all(ok).then_some(())
    };
    assert!(until(second, obeyed).await.is_some());
    assert!(flag_is(&[&memcached], "dip:health:cnam", "0", second).await);

    let asked = vendor.requests();
    nodes[2].lookup("cnam").flush();
    tokio::time::sleep(second).await;
    let late = Node::start("late", shared(&servers), &[("cnam", &cnam(&vendor))]).await;
    assert!(!late.lookup("cnam").is_up(), "it was away when it was said");
    let all: Vec<&Node> = nodes.iter().chain([&late]).collect();
    for node in &all {
        let lookup = node.lookup("cnam");
        assert!(lookup.hit(&lookup.policy.question("l", &[]).unwrap()).is_none(), "flushed everywhere");
    }
    assert_eq!(ask(&late.lookup("cnam"), "l", 1000).await.source, Source::Upstream(Arc::from("vendor")));
    assert_eq!(vendor.requests(), asked + 1);
    late.lookup("cnam").lay_hand(Override::Auto);
    let up = async || all.iter().all(|node| node.lookup("cnam").is_up()).then_some(());
    assert!(until(second, up).await.is_some());
    let told: usize = all.iter().map(|node| node.told(EventType::Degraded).len()).sum();
    assert_eq!(told, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flushed_prefix_is_gone_from_every_node_and_from_what_they_share() {
    let Some(memcached) = Memcached::start().await else { return };
    let vendor = Vendor::start(Mode::OK).await;
    let servers = [memcached.address()];
    let nodes = three(&servers, &vendor).await;
    for node in &nodes {
        for key in ["303-1", "303-2", "404-1"] {
            ask(&node.lookup("cnam"), key, 1000).await;
        }
    }
    let lookups = || Arc::clone(&nodes[0].lookups);
    let orders = Orders::new(lookups(), Warming::new(lookups(), Arc::clone(&nodes[0].events)));
    let flush = |key: &str| Order::Flush { lookup: "cnam".into(), key: Some(key.into()) };
    assert!(orders.carry_out(flush("*"), Reach::Everybody).await.is_err(), "that is everything");
    let said = orders.carry_out(flush("303*"), Reach::Everybody).await;
    assert_eq!(said.unwrap(), "2 entries are gone");
    let hit = |node: &Node, key: &str| {
        let lookup = node.lookup("cnam");
        lookup.hit(&lookup.policy.question(key, &[]).unwrap()).is_some()
    };
    let obeyed = async || {
        let ok = |node: &Node| !hit(node, "303-1") && !hit(node, "303-2") && hit(node, "404-1");
        nodes.iter().all(ok).then_some(())
    };
    assert!(until(Duration::from_secs(1), obeyed).await.is_some());

    // What memcached still holds of them is nobody's answer, not even one's who comes later.
    let late = Node::start("late", shared(&servers), &[("cnam", &cnam(&vendor))]).await;
    for (node, key) in [(&nodes[1], "303-1"), (&late, "303-2")] {
        assert_eq!(ask(&node.lookup("cnam"), key, 1000).await.source, Source::Upstream(Arc::from("vendor")), "{key}");
    }
    assert_eq!(ask(&late.lookup("cnam"), "404-1", 1000).await.source, Source::Shared);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_node_could_not_tell_another_tells_under_the_same_id() {
    let Some(memcached) = Memcached::start().await else { return };
    let vendor = Vendor::start(Mode::OK).await;
    let servers = [memcached.address()];
    let a = Node::start("a", shared(&servers), &[("cnam", &cnam(&vendor))]).await;
    let b = Node::start("b", shared(&servers), &[("cnam", &cnam(&vendor))]).await;
    let epoch = Arc::new(AtomicU64::new(0));
    // As it stands when a node's `cas` has turned the verdict and the node is killed in that moment.
    let turned = async || {
        let (bytes, version) = a.cluster.shared().read("nodes", "cnam").await.ok()??;
        let mut document: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        epoch.store(document["epoch"].as_u64().unwrap() + 1, Ordering::Relaxed);
        document["epoch"] = epoch.load(Ordering::Relaxed).into();
        document["up"] = true.into();
        document["by"] = "dead/000000".into();
        document["told"] = false.into();
        let bytes = serde_json::to_vec(&document).unwrap();
        a.cluster.shared().swap(("nodes", "cnam"), bytes, Some(version), 0).await.ok()?.then_some(())
    };
    assert!(until(Duration::from_secs(2), turned).await.is_some());
    let told = || [&a, &b].iter().flat_map(|node| node.told(EventType::Recovered)).map(|event| event.epoch).collect();
    let heard = async || Some(told()).filter(|epochs: &Vec<Option<u64>>| !epochs.is_empty());
    let epochs = until(Duration::from_secs(6), heard).await.expect("an heir tells");
    assert_eq!(epochs, [Some(epoch.load(Ordering::Relaxed))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_is_one_nodes_until_it_gives_it_back_or_loses_it() {
    let Some(mut memcached) = Memcached::start().await else { return };
    let vendor = Vendor::start(Mode::OK).await;
    let servers = [memcached.address()];
    let a = Node::start("a", shared(&servers), &[("cnam", &cnam(&vendor))]).await;
    let b = Node::start("b", shared(&servers), &[("cnam", &cnam(&vendor))]).await;
    let take = async |node: &Node| until(Duration::from_secs(3), async || node.cluster.lease("w").await.ok()?).await;
    let first = take(&a).await.expect("nobody has it");
    // Longer than it lives unrenewed.
    tokio::time::sleep(Duration::from_millis(5500)).await;
    assert!(first.is_held() && matches!(b.cluster.lease("w").await, Ok(None) | Err(_)));
    drop(first);
    let mut second = take(&b).await.expect("it was given back");
    memcached.restart().await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert!(second.is_held(), "memcached had forgotten it, and nobody wanted it");
    memcached.kill();
    let killed = now();
    tokio::time::timeout(Duration::from_secs(8), second.lost()).await.expect("told that it is lost");
    assert!(!second.is_held() && now() - killed < Duration::from_secs(5), "after {:?}", now() - killed);
    assert!(a.cluster.lease("w").await.is_err(), "without memcached there are no turns");
}

/// Carrier DNS whose name server nobody asks: an address is its own target.
const SIP: &str = "kind = \"dns\"\n[input]\nkey = { type = \"sip\" }\n[cache]\nmin_ttl = \"1s\"\nmax_ttl = \"1m\"\n\
    [[upstream]]\nname = \"ns\"\ntype = \"dns\"\nrecord = \"SIP\"\ndomain = \"{{ key }}\"\nservers = [\"127.0.0.1:1\"]\n\
    [upstream.fields]\ntargets = \"answers\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_found_dead_by_one_node_is_avoided_by_all() {
    let Some(memcached) = Memcached::start().await else { return };
    let servers = [memcached.address()];
    let policies = [("carrier-dns", SIP), ("carrier-dns-too", SIP)];
    let start = async |name| Node::start(name, shared(&servers), &policies).await;
    let (a, b) = (start("a").await, start("b").await);
    let dead = "192.0.2.7:5060".parse().unwrap();
    let avoids = |node: &Node| node.lookups.failed_targets().is_avoided(dead, now());
    let turns = async |node: &Node, to: bool| {
        let began = now();
        let turned = until(Duration::from_secs(10), async || (avoids(node) == to).then_some(())).await;
        assert!(turned.is_some() && now() - began < Duration::from_secs(1), "{to} after {:?}", now() - began);
    };
    let is_marked = async |node: &Node| {
        let answer = ask(&node.lookup("carrier-dns"), "sip:192.0.2.7", 500).await;
        answer.record.unwrap().to_map()["targets"][0]["failed"] == true
    };
    assert!(!is_marked(&b).await);

    a.lookups.avoid(dead, Duration::from_secs(60)).unwrap();
    turns(&b, true).await;
    assert!(is_marked(&b).await && is_marked(&a).await);
    let left = b.lookups.failed_targets().list(now())[0].1;
    assert!(Duration::from_secs(50) < left && left <= Duration::from_secs(60), "{left:?}");

    // One that was away when it was said.
    let c = start("c").await;
    turns(&c, true).await;
    assert!(b.lookups.trust(dead));
    for node in [&a, &b, &c] {
        turns(node, false).await;
    }
    // An order that every node hears by itself: an older one than the last word changes nothing.
    let at = dipcache::deadline::calendar();
    a.lookups.avoid_as_told(dead, Duration::from_secs(60), at - 5_000).unwrap();
    assert!(!avoids(&a));
    for node in [&a, &b, &c] {
        node.lookups.avoid_as_told(dead, Duration::from_secs(2), at).unwrap();
        assert!(avoids(node));
    }
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert!(![&a, &b, &c].into_iter().any(avoids), "its time is over, and nobody has begun it anew");
}
