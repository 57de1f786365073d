//! The operator's hand, by the command line: on every node within a second, and on one that stood still or was not
//! there when it was laid. And what the admin listener tells of all nodes.

use std::time::Duration;

use dipcache::deadline::{Deadline, now};

use crate::harness::{Fleet, all_read, cnam};
use crate::is_full;
use crate::support::SLACK;
use crate::support::caller::get;
use crate::support::memcached::Memcached;
use crate::support::proxy::Proxy;
use crate::support::vendor::{Mode, Vendor};

fn second() -> Duration {
    Duration::from_secs(1) + if is_full() { Duration::ZERO } else { SLACK }
}

async fn source(node: &Proxy, key: &str) -> String {
    get(node.http, &format!("/v1/lookup/cnam/{key}")).await.source().to_owned()
}

async fn command(node: &Proxy, arguments: &[&str]) {
    let done = node.command(arguments).await;
    assert_eq!(done.code, Some(0), "{arguments:?}: {}{}", done.out, done.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_reach_every_node_within_a_second_and_one_that_was_away() {
    let (Some(one), Some(two)) = (Memcached::start().await, Memcached::start().await) else { return };
    let vendor = Vendor::start(Mode::Echo).await;
    let mut fleet = Fleet::start(3, &[&one, &two], &cnam(&vendor)).await;
    let mut readers = fleet.flag_readers(&[&one, &two]).await;
    assert!(all_read(&mut readers, "1", second() * 2).await.is_some());
    for node in &fleet.nodes {
        for key in ["k", "l"] {
            source(node, key).await;
            assert_eq!(source(node, key).await, "local");
        }
    }

    // One node stands still while it is said, and its last breath is no vote.
    fleet.nodes[2].server.pause();
    command(&fleet.nodes[0], &["health", "cnam", "down"]).await;
    // The upstream is well: only the lookup's own flag is 0.
    readers.retain(|(_, key)| *key != "dip:health:cnam:vendor");
    let asleep = readers.pop().expect("the third node's is last");
    let took = all_read(&mut readers, "0", second()).await.expect("0 on every server and every node");
    println!("`health cnam down` was everywhere after {took:?}");
    command(&fleet.nodes[1], &["flush", "cnam", "k"]).await;
    tokio::time::sleep(second()).await;
    assert_ne!(source(&fleet.nodes[0], "k").await, "local", "flushed by another node");
    assert_eq!(source(&fleet.nodes[0], "l").await, "local");

    fleet.nodes[2].server.resume();
    let resumed = now();
    readers.push(asleep);
    assert!(all_read(&mut readers, "0", second()).await.is_some(), "the node that stood still");
    let end = Deadline::at(resumed + second());
    while source(&fleet.nodes[2], "k").await == "local" {
        assert!(!end.passed(), "it serves what was flushed while it stood still");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(source(&fleet.nodes[2], "l").await, "local");

    // All of it, while a node is away, and memcached with all it holds goes too.
    fleet.kill(1);
    command(&fleet.nodes[0], &["flush", "cnam"]).await;
    fleet.replace(1).await;
    let mut readers = fleet.flag_readers(&[]).await;
    assert!(all_read(&mut readers, "0", second()).await.is_some(), "the node that was not there");
    let asked = vendor.requests();
    assert_eq!(source(&fleet.nodes[1], "l").await, "vendor");
    assert_eq!(vendor.requests(), asked + 1);
    let end = Deadline::after(second());
    while source(&fleet.nodes[2], "l").await == "local" && vendor.requests() == asked + 1 {
        assert!(!end.passed(), "it serves what was flushed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    command(&fleet.nodes[2], &["health", "cnam", "auto"]).await;
    let mut readers = fleet.flag_readers(&[&one, &two]).await;
    assert!(all_read(&mut readers, "1", second()).await.is_some());
    let told = fleet.told();
    assert_eq!(told.iter().map(|(up, _)| *up).collect::<Vec<_>>().len(), 2, "one word down, one up: {told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_verbose_health_tells_why_since_when_and_what_each_node_sees() {
    let Some(memcached) = Memcached::start().await else { return };
    let vendor = Vendor::start(Mode::Echo).await;
    let fleet = Fleet::start(3, &[&memcached], &cnam(&vendor)).await;
    let _callers = fleet.callers(200);
    vendor.set(Mode::Answer(500, "text/plain", Vec::new()));
    let mut readers = fleet.flag_readers(&[&memcached]).await;
    assert!(all_read(&mut readers, "0", Duration::from_secs(10)).await.is_some());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let body = get(fleet.nodes[0].admin, "/v1/health?verbose").await.body;
    let health: serde_json::Value = serde_json::from_str(&body).unwrap();
    let cnam = &health["cnam"];
    assert_eq!((&cnam["health"], &cnam["decides"], &cnam["override"]), (&0.into(), &"cluster".into(), &"auto".into()));
    let cluster = &cnam["cluster"];
    let nodes = cluster["nodes"].as_object().unwrap();
    assert_eq!(nodes.len(), 3, "{body}");
    for (name, view) in nodes {
        assert!(name.starts_with('n') && view["health"] == 0 && view["down"][0] == "vendor", "{body}");
    }
    assert!(cluster["since_ms"].as_u64().unwrap() > 1_600_000_000_000 && cluster["epoch"].as_u64().unwrap() > 0);
    assert!(cluster["reason"].as_str().unwrap().contains("of 3 nodes see it down: not usable: vendor"), "{body}");
    assert!(cnam["upstreams"][0]["failure_ratio"].is_number() && cnam["upstreams"][0]["breaker"] != "closed", "{body}");
    let metrics = get(fleet.nodes[0].admin, "/metrics").await.body;
    for wanted in ["dipcache_shared_seconds_bucket{op=\"get\"", "dipcache_health{lookup=\"cnam\"} 0"] {
        assert!(metrics.contains(wanted), "no {wanted} in\n{metrics}");
    }
}
