//! Orders through Apache Kafka itself to real processes of ours, three that run and one that was away.

#![cfg(feature = "kafka")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test.

mod support;

use std::path::Path;
use std::time::Duration;

use dipcache::deadline::now;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use support::caller::get;
use support::kafka::Kafka;
use support::memcached::Memcached;
use support::process::until;
use support::proxy::Proxy;
use support::vendor::{Mode, Vendor};

const TOPIC: &str = "dipcache.control";

fn account(vendor: &Vendor) -> String {
    let url = vendor.url("/account/{{ key }}");
    format!(
        "kind = \"account\"\n[input]\nkey = {{ type = \"account\" }}\n[budget]\ncall = \"2s\"\nbackground = \"3s\"\n\
         [cache]\nfound = \"1h\"\n[[upstream]]\nname = \"v\"\ntype = \"http\"\nurl = \"{url}\"\n[upstream.fields]\n\
         balance = \"body.balance\"\n"
    )
}

fn control(kafka: &Kafka, name: &str, folder: &Path) -> String {
    let state = folder.join(format!("{name}.json"));
    format!(
        "[admin]\ntoken = \"off\"\n[node]\nname = \"{name}\"\n[control]\nbrokers = \"{}\"\nwait = \"20s\"\nstate = {state:?}\n",
        kafka.brokers
    )
}

/// Whoever gives orders.
struct Chief(ThreadedProducer<DefaultProducerContext>);

impl Chief {
    fn of(kafka: &Kafka) -> Self {
        Self(ClientConfig::new().set("bootstrap.servers", &kafka.brokers).set("linger.ms", "0").create().unwrap())
    }

    fn order(&self, key: &str, text: &str) {
        self.0.send(BaseRecord::to(TOPIC).key(key).payload(text)).map_err(|(error, _)| error).unwrap();
        self.0.flush(Duration::from_secs(10)).unwrap();
    }
}

async fn balance(proxy: &Proxy, key: &str) -> (f64, String) {
    let answer = get(proxy.http, &format!("/v1/lookup/account/{key}")).await;
    let record: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"));
    (record["balance"].as_f64().unwrap_or_else(|| panic!("{answer:?}")), answer.source().to_owned())
}

fn set_balance(vendor: &Vendor, balance: f64) {
    vendor.set_body(&format!("{{\"balance\":{balance}}}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flushed_account_is_asked_anew_by_three_nodes_within_a_second_and_by_one_that_was_away() {
    let Some(kafka) = Kafka::start(None).await else { return };
    let Some(memcached) = Memcached::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let vendor = Vendor::start(Mode::OK).await;
    set_balance(&vendor, 10.0);
    let policy = account(&vendor);
    let policies = [("account", policy.as_str())];
    // The one that will be away remembers, in a memcached of its own, what it knew.
    let lines = control(&kafka, "d", folder.path()) + &format!("[shared]\nservers = [\"{}\"]\n", memcached.address());
    let away = Proxy::start(&lines, &policies).await;
    let mut nodes = Vec::new();
    for name in ["a", "b", "c"] {
        nodes.push(Proxy::start(&control(&kafka, name, folder.path()), &policies).await);
    }
    for node in nodes.iter().chain([&away]) {
        assert_eq!(balance(node, "4711").await.0, 10.0);
        assert_eq!(balance(node, "4712").await.0, 10.0);
        assert_eq!(balance(node, "4711").await, (10.0, "local".to_owned()));
    }
    // The write behind has come to the memcached.
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(away);

    set_balance(&vendor, 99.0);
    let chief = Chief::of(&kafka);
    let began = now();
    chief.order("flush account 4711", r#"{"id":"b-1","order":"flush","lookup":"account","key":"4711"}"#);
    for node in &nodes {
        let anew = async || (balance(node, "4711").await.0 == 99.0).then_some(());
        assert!(
            until(Duration::from_secs(1).saturating_sub(now() - began), anew).await.is_some(),
            "{}",
            node.server.log()
        );
    }
    println!("three nodes answer anew {:?} after the order", now() - began);
    for node in &nodes {
        assert_eq!(balance(node, "4712").await, (10.0, "local".to_owned()), "another account's entry stays");
    }

    let back = Proxy::start(&lines, &policies).await;
    let (first, source) = balance(&back, "4711").await;
    assert_eq!((first, source.as_str()), (99.0, "v"), "its first call: {}", back.server.whole_log());
    assert_eq!(balance(&back, "4712").await, (10.0, "shared".to_owned()), "what nobody has flushed is still known");

    // What it has carried out it does not carry out again after a restart.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    drop(back);
    let again = Proxy::start(&lines, &policies).await;
    let log = again.server.whole_log();
    assert!(log.contains("all that was ordered is carried out") && !log.contains("as ordered: "), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hand_outlives_a_restart_an_order_is_carried_out_once_and_a_bad_one_is_a_dead_letter() {
    let Some(kafka) = Kafka::start(None).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let vendor = Vendor::start(Mode::OK).await;
    set_balance(&vendor, 1.0);
    let policy = account(&vendor);
    let policies = [("account", policy.as_str())];
    let lines = control(&kafka, "a", folder.path());
    let node = Proxy::start(&lines, &policies).await;
    let chief = Chief::of(&kafka);
    let flag = async |node: &Proxy| get(node.admin, "/v1/health/account").await.body;
    let turns = async |node: &Proxy, to: &str| {
        let turned = until(Duration::from_secs(5), async || (flag(node).await == to).then_some(())).await;
        assert!(turned.is_some(), "{to}: {}", node.server.log());
    };
    chief.order("health account", r#"{"id":"h-1","order":"health","lookup":"account","hand":"down"}"#);
    turns(&node, "0").await;

    // A warm order, twice by mistake: one job.
    let warm = r#"{"id":"w-1","order":"warm","lookup":"account","keys":["1","2","3"]}"#;
    chief.order("warm 1", warm);
    chief.order("warm 1 again", warm);
    let warmed = async || (vendor.requests() >= 3).then_some(());
    assert!(until(Duration::from_secs(10), warmed).await.is_some(), "{}", node.server.log());
    assert_eq!(balance(&node, "2").await, (1.0, "local".to_owned()));

    for (key, text) in [
        ("bad json", "{"),
        ("bad word", r#"{"id":"x-1","order":"melt","lookup":"account"}"#),
        ("bad key", &format!(r#"{{"id":"x-2","order":"flush","lookup":"account","key":"{}"}}"#, "k".repeat(5000))),
        ("elsewhere", r#"{"id":"x-3","order":"flush","lookup":"not-here"}"#),
    ] {
        chief.order(key, text);
    }
    chief.order("health account", r#"{"id":"h-2","order":"health","lookup":"account","hand":"up"}"#);
    turns(&node, "1").await;
    let metrics = get(node.admin, "/metrics").await.body;
    for line in [
        "dipcache_control_orders_total{result=\"done\"} 3",
        "dipcache_control_orders_total{result=\"repeated\"} 1",
        "dipcache_control_orders_total{result=\"dead\"} 3",
        "dipcache_control_orders_total{result=\"unknown\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    let kafka_brokers = kafka.brokers.clone();
    let letters = tokio::task::spawn_blocking(move || dead_letters(&kafka_brokers, 3)).await.unwrap();
    assert!(letters[0].contains("EOF") && letters[1].contains("melt"), "{letters:?}");

    // Two dead destinations, one of which is well again.
    let avoided = async |node: &Proxy| get(node.admin, "/v1/target").await.body;
    for (id, target, ttl) in
        [("t-1", "192.0.2.1:5060", "1h"), ("t-2", "192.0.2.2:5060", "1h"), ("t-3", "192.0.2.1:5060", "0")]
    {
        let order = format!(r#"{{"id":"{id}","order":"target","target":"{target}","ttl":"{ttl}"}}"#);
        chief.order(&format!("target {target}"), &order);
    }
    let one = async |node: &Proxy| {
        let list = avoided(node).await;
        (list.contains("192.0.2.2:5060") && !list.contains("192.0.2.1")).then_some(())
    };
    let heard = until(Duration::from_secs(5), async || one(&node).await).await;
    assert!(heard.is_some(), "{}: {}", avoided(&node).await, node.server.log());

    chief.order("health account", r#"{"id":"h-3","order":"health","lookup":"account","hand":"down"}"#);
    turns(&node, "0").await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let asked = vendor.requests();
    drop(node);
    let node = Proxy::start(&lines, &policies).await;
    assert_eq!(flag(&node).await, "0", "a hand is laid again after a restart: {}", node.server.whole_log());
    assert!(one(&node).await.is_some(), "and a dead destination is still dead: {}", avoided(&node).await);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(vendor.requests(), asked, "what was warmed once is not warmed again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_snapshot_brings_back_obeys_what_was_ordered_meanwhile() {
    let Some(kafka) = Kafka::start(None).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let vendor = Vendor::start(Mode::OK).await;
    set_balance(&vendor, 10.0);
    let policy = account(&vendor);
    let policies = [("account", policy.as_str())];
    let lines = |name: &str| {
        let dir = folder.path().join(format!("{name}.state"));
        control(&kafka, name, folder.path()) + &format!("[state]\ndir = {dir:?}\nwait = \"20s\"\n")
    };
    let running = Proxy::start(&lines("a"), &policies).await;
    let mut away = Proxy::start(&lines("b"), &policies).await;
    for node in [&running, &away] {
        for key in ["4711", "4712", "4713"] {
            assert_eq!(balance(node, key).await.0, 10.0);
        }
    }
    away.server.tell("TERM");
    assert!(away.server.ended(Duration::from_secs(20)).await.is_some());
    set_balance(&vendor, 99.0);
    let chief = Chief::of(&kafka);
    chief.order("flush account 4711", r#"{"id":"f-1","order":"flush","lookup":"account","key":"4711"}"#);
    let pushed =
        r#"{"id":"p-1","order":"ingest","lookup":"account","records":[{"key":"4712","record":{"balance":55}}]}"#;
    chief.order("ingest account 4712", pushed);
    let asked = vendor.requests();
    let kept = async || (balance(&running, "4712").await == (55.0, "local".to_owned())).then_some(());
    assert!(until(Duration::from_secs(5), kept).await.is_some(), "{}", running.server.log());
    assert_eq!(vendor.requests(), asked, "nobody was asked for what was pushed");

    let back = Proxy::start(&lines("b"), &policies).await;
    assert_eq!(balance(&back, "4711").await, (99.0, "v".to_owned()), "flushed: {}", back.server.whole_log());
    assert_eq!(balance(&back, "4712").await, (55.0, "local".to_owned()), "pushed: {}", back.server.whole_log());
    assert_eq!(balance(&back, "4713").await, (10.0, "local".to_owned()), "from the snapshot");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_ordered_runs_on_one_of_three_nodes() {
    let Some(kafka) = Kafka::start(None).await else { return };
    let Some(memcached) = Memcached::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let vendor = Vendor::start(Mode::OK).await;
    set_balance(&vendor, 10.0);
    let keys = folder.path().join("keys.txt");
    std::fs::write(&keys, (4000..4100).map(|key| format!("{key}\n")).collect::<String>()).unwrap();
    let policy = account(&vendor).replace("[[upstream]]", &format!("[warm]\nfile = {keys:?}\n[[upstream]]"));
    let mut nodes = Vec::new();
    for name in ["a", "b", "c"] {
        let shared = format!("[shared]\nservers = [\"{}\"]\ntimeout = \"250ms\"\n", memcached.address());
        nodes.push(Proxy::start(&(control(&kafka, name, folder.path()) + &shared), &[("account", &policy)]).await);
    }
    let began = now();
    Chief::of(&kafka).order("warm_job account", r#"{"id":"j-1","order":"warm_job","lookup":"account"}"#);
    let ran = |node: &Proxy| node.server.whole_log().matches("dipcache.warm.finished").count();
    let heard = async || {
        let elsewhere = |node: &Proxy| node.server.whole_log().contains("another node has made this run");
        nodes.iter().all(|node| ran(node) > 0 || elsewhere(node)).then_some(())
    };
    assert!(until(Duration::from_secs(30), heard).await.is_some(), "{}", nodes[0].server.whole_log());
    println!("a job that was ordered was known to be done by three nodes after {:?}", now() - began);
    assert_eq!(nodes.iter().map(ran).sum::<usize>(), 1);
    assert_eq!(vendor.requests(), 100);
}

/// The reasons in the dead-letter topic, once there are so many.
fn dead_letters(brokers: &str, count: usize) -> Vec<String> {
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", brokers).set("group.id", "test").set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = settings.create().unwrap();
    consumer.subscribe(&["dipcache.control.dead"]).unwrap();
    let mut reasons = Vec::new();
    for _ in 0..60 {
        if let Some(Ok(letter)) = consumer.poll(Duration::from_millis(500)) {
            let headers = letter.headers().unwrap();
            let reason = headers.iter().find(|header| header.key == "reason").unwrap();
            reasons.push(String::from_utf8_lossy(reason.value.unwrap()).into_owned());
        }
        if reasons.len() >= count {
            break;
        }
    }
    assert_eq!(reasons.len(), count, "{reasons:?}");
    reasons
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_broker_it_serves_after_a_bounded_wait() {
    let folder = tempfile::tempdir().unwrap();
    let vendor = Vendor::start(Mode::OK).await;
    set_balance(&vendor, 1.0);
    let policy = account(&vendor);
    let state = folder.path().join("state.json");
    let lines = format!("[control]\nbrokers = \"127.0.0.1:1\"\nwait = \"1s\"\nstate = {state:?}\n");
    let began = now();
    let node = Proxy::start(&lines, &[("account", &policy)]).await;
    assert!(now() - began >= Duration::from_secs(1));
    assert_eq!(balance(&node, "1").await.0, 1.0);
    assert!(node.server.whole_log().contains("serving without what was ordered"), "{}", node.server.log());
}
