//! Three nodes and one scheduled job: it runs once, and goes on elsewhere when its node dies.

use std::time::Duration;

use dipcache::deadline::{Instant, now};

use chrono::{Local, TimeDelta};

use crate::support::memcached::Memcached;
use crate::support::proxy::Proxy;
use crate::support::vendor::{Mode, Vendor};
use crate::{OPEN, keys, lrn, vendor};

const KEYS: u64 = 400;

/// A node whose job is due at this moment.
async fn node(name: &str, vendor: &Vendor, memcached: &Memcached, file: &str, due: chrono::DateTime<Local>) -> Proxy {
    let lines = format!(
        "{OPEN}\n[node]\nname = \"{name}\"\n[shared]\nservers = [\"{}\"]\ntimeout = \"250ms\"",
        memcached.address()
    );
    let warm = format!(
        "[budget]\ncall = \"2s\"\n[warm]\nfile = \"{file}\"\nschedule = \"{}\"\nover = \"8s\"",
        due.format("%S %M %H %d %m *")
    );
    Proxy::start(&lines, &[("lrn", &lrn(vendor, &warm, ""))]).await
}

async fn is_running(node: &Proxy) -> bool {
    node.status().await["warm"].as_array().is_some_and(|jobs| !jobs.is_empty())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduled_job_runs_once_and_moves_when_its_node_dies() {
    let Some(memcached) = Memcached::start().await else { return };
    let vendor = vendor(Mode::OK).await;
    let dir = tempfile::tempdir().unwrap();
    let file = keys(dir.path(), KEYS).display().to_string();
    let due = Local::now() + TimeDelta::seconds(8);
    let mut nodes = Vec::new();
    for name in ["one", "two", "three"] {
        nodes.push(node(name, &vendor, &memcached, &file, due).await);
    }
    let end = now() + Duration::from_secs(40);
    let mut killed: Option<Instant> = None;
    let mut moved = None;
    loop {
        assert!(now() < end, "{} of {KEYS} keys were asked", vendor.requests());
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut running = Vec::new();
        for (place, node) in nodes.iter().enumerate() {
            if is_running(node).await {
                running.push(place);
            }
        }
        assert!(running.len() <= 1, "{running:?} run it at once");
        match (running.first(), killed) {
            (Some(place), None) if vendor.requests() >= KEYS / 4 => {
                let mut runner = nodes.remove(*place);
                runner.server.kill();
                killed = Some(now());
            }
            (Some(_), Some(at)) if moved.is_none() => moved = Some(at.elapsed()),
            (None, Some(_)) if moved.is_some() && vendor.requests() >= KEYS => break,
            _ => {}
        }
    }
    let moved = moved.unwrap();
    println!("the job moved {moved:?} after its node died; {} dips for {KEYS} keys", vendor.requests());
    assert!(moved < Duration::from_secs(10), "{moved:?}");
    // What was under way when the node died, and what it had no time to tell the others.
    assert!(vendor.requests() <= KEYS + 10, "{} dips for {KEYS} keys", vendor.requests());
    tokio::time::sleep(Duration::from_secs(3)).await;
    for node in &nodes {
        assert!(!is_running(node).await);
    }
    let told: usize = nodes.iter().map(|node| node.server.whole_log().matches("dipcache.warm.finished").count()).sum();
    assert_eq!(told, 1);
}
