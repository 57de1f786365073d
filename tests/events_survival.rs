//! No event is lost, whatever is killed: the broker, its disk, dipcache itself. Real processes, Apache Kafka itself.
//!
//! `DIPCACHE_FULL=1` raises all 20,000 events; without it there are fewer, and as many kills.

#![cfg(feature = "kafka")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test.

mod support;

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use dipcache::deadline::now;
use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::TopicPartitionList;
use serde_json::Value;
use support::disk::SmallDisk;
use support::kafka::Kafka;
use support::process::until;
use support::proxy::Proxy;

const TOPIC: &str = "dipcache.events";
/// Each lookup's events have an order of their own.
const LOOKUPS: [&str; 4] = ["cnam", "lrn", "rate", "routes"];
/// How often dipcache is killed.
const KILLS: usize = 5;

fn policy() -> String {
    "[input]\nkey = { type = \"text\" }\n[[upstream]]\nname = \"v\"\ntype = \"http\"\nurl = \"http://127.0.0.1:1/{{ key }}\"\n\
     [upstream.fields]\nok = \"body.ok\"\n"
        .to_owned()
}

/// A node that is killed and started again, on the same spool.
struct Node {
    lines: String,
    running: Proxy,
    admin: Arc<Mutex<SocketAddr>>,
}

impl Node {
    async fn start(lines: String) -> Self {
        let running = Self::run(&lines).await;
        let admin = Arc::new(Mutex::new(running.admin));
        Self { lines, running, admin }
    }

    async fn run(lines: &str) -> Proxy {
        let policy = policy();
        Proxy::start(lines, &LOOKUPS.map(|name| (name, policy.as_str()))).await
    }

    async fn kill_and_start(&mut self) {
        self.running.server.kill();
        self.running = Self::run(&self.lines).await;
        *self.admin.lock() = self.running.admin;
    }
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().timeout(Duration::from_secs(3)).no_proxy().build().unwrap()
}

/// Raises events 0, 1, 2… of one lookup, each until it is on disk.
async fn raise(lookup: &'static str, count: u64, admin: Arc<Mutex<SocketAddr>>, done: Arc<AtomicU64>) {
    let client = client();
    for number in 0..count {
        let raised = until(Duration::from_secs(120), || async {
            let url = format!("http://{}/v1/events/test?lookup={lookup}", *admin.lock());
            // 200 says that it is on disk; anything else, and it is raised again.
            client.post(url).body(number.to_string()).send().await.ok().filter(|answer| answer.status() == 200)
        });
        assert!(raised.await.is_some(), "{lookup} {number} is not taken");
        done.fetch_add(1, Ordering::Relaxed);
    }
}

async fn books(client: &reqwest::Client, admin: SocketAddr) -> Option<Value> {
    let answer = client.get(format!("http://{admin}/v1/events")).send().await.ok()?;
    let books: Value = serde_json::from_str(&answer.text().await.ok()?).ok()?;
    Some(books["sinks"]["k1"].clone())
}

fn figure(books: &Value, name: &str) -> u64 {
    books[name].as_u64().unwrap_or_else(|| panic!("{name}: {books}"))
}

/// Looks at the books all the time; how often it did.
async fn audit(admin: Arc<Mutex<SocketAddr>>, over: Arc<AtomicBool>) -> u64 {
    let (client, mut looks) = (client(), 0);
    while !over.load(Ordering::Relaxed) {
        let admin = *admin.lock();
        if let Some(books) = books(&client, admin).await {
            let sum: u64 = ["delivered", "spooled", "dropped", "pending"].iter().map(|name| figure(&books, name)).sum();
            assert_eq!(figure(&books, "queued"), sum, "{books}");
            looks += 1;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    looks
}

/// Every record of the topic, partition by partition: (key, id, reason).
fn consume(brokers: &str) -> Vec<(String, String, String)> {
    const PATIENCE: Duration = Duration::from_secs(30);
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", brokers).set("group.id", "test").set("enable.auto.commit", "false");
    settings.set("enable.partition.eof", "true").set("isolation.level", "read_uncommitted");
    let consumer: BaseConsumer = settings.create().unwrap();
    let about = consumer.fetch_metadata(Some(TOPIC), PATIENCE).unwrap();
    let mut all = Vec::new();
    for partition in about.topics()[0].partitions() {
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(TOPIC, partition.id(), Offset::Beginning).unwrap();
        consumer.assign(&place).unwrap();
        loop {
            match consumer.poll(PATIENCE) {
                Some(Ok(record)) => {
                    let told: Value = serde_json::from_slice(record.payload().unwrap()).unwrap();
                    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                    let key = String::from_utf8(record.key().unwrap().to_vec()).unwrap();
                    assert_eq!(key, text(&told["partitionkey"]));
                    all.push((key, text(&told["id"]), text(&told["data"]["reason"])));
                }
                Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => break,
                Some(Err(error)) => println!("consumer: {error}"),
                None => panic!("the topic's end is not reached"),
            }
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_lost_or_out_of_order_whatever_is_killed() {
    // Without a disk that can be filled the test counts as skipped, and all the rest of it is played.
    let Some(mut kafka) = Kafka::start_on(SmallDisk::of("96m")).await else { return };
    let full = std::env::var_os("DIPCACHE_FULL").is_some();
    let each: u64 = if full { 5_000 } else { 300 };
    let count = each * LOOKUPS.len() as u64;
    let began = now();
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::start(format!(
        "[node]\nname = \"edge-1\"\n[admin]\ntoken = \"off\"\n[events]\nspool = {:?}\n[[events.sink]]\nname = \"k1\"\n\
         type = \"kafka\"\nbrokers = \"{}\"\nproperties = {{ \"compression.type\" = \"zstd\" }}\n",
        folder.path().join("spool"),
        kafka.brokers
    ))
    .await;
    let (done, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let raisers: Vec<_> = LOOKUPS
        .map(|lookup| tokio::spawn(raise(lookup, each, Arc::clone(&node.admin), Arc::clone(&done))))
        .into_iter()
        .collect();
    let auditor = tokio::spawn(audit(Arc::clone(&node.admin), Arc::clone(&over)));

    // What happens to the broker, and after which share of the events; and when dipcache dies, which is left to chance.
    let mut scenes: Vec<(u64, &str)> = vec![
        (10, "kill"),
        (20, "start"),
        (30, "freeze"),
        (45, "thaw"),
        (55, "fill"),
        (68, "clear"),
        (80, "kill"),
        (88, "start"),
    ];
    let chance = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(chance);
    scenes.extend((0..KILLS).map(|_| (random.u64(3..97), "node")));
    scenes.sort_by_key(|(share, _)| *share);
    println!("{count} events, seed {chance}: {scenes:?}");
    for (share, scene) in scenes {
        while done.load(Ordering::Relaxed) * 100 < share * count {
            assert!(!raisers.iter().all(tokio::task::JoinHandle::is_finished), "they have all ended early");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        match scene {
            "kill" => kafka.kill(),
            "start" => kafka.restart().await,
            "freeze" => kafka.pause(),
            "thaw" => {
                // Longer than a request may take, so that it is made again.
                tokio::time::sleep(Duration::from_secs(if full { 12 } else { 2 })).await;
                kafka.resume();
            }
            "fill" => kafka.disk().iter().for_each(|disk| disk.fill()),
            "clear" if kafka.disk().is_none() => {}
            "clear" => {
                // A broker whose log cannot be written gives up, and its operator makes room.
                let ended = until(Duration::from_secs(60), || async { (!kafka.is_running()).then_some(()) });
                assert!(ended.await.is_some(), "it goes on with a full disk");
                kafka.disk().iter().for_each(|disk| disk.clear());
                kafka.restart().await;
            }
            _ => node.kill_and_start().await,
        }
    }
    for raiser in raisers {
        raiser.await.unwrap();
    }
    let raised_after = now() - began;
    let client = client();
    let settled = until(Duration::from_secs(120), || async {
        let books = books(&client, node.running.admin).await?;
        (figure(&books, "spooled") + figure(&books, "pending") == 0).then_some(books)
    });
    let Some(last) = settled.await else { panic!("not all is delivered:\n{}", node.running.server.log()) };
    assert_eq!(figure(&last, "dropped"), 0, "{last}");
    over.store(true, Ordering::Relaxed);
    let looks = auditor.await.unwrap();

    let brokers = kafka.brokers.clone();
    let all = tokio::task::spawn_blocking(move || consume(&brokers)).await.unwrap();
    let mut known = HashSet::new();
    let mut seen: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (key, id, reason) in &all {
        // Node events are there too: its starts, the sink that was down.
        if let (true, true, Ok(number)) = (known.insert(id), LOOKUPS.contains(&key.as_str()), reason.parse()) {
            seen.entry(key).or_default().push(number);
        }
    }
    for lookup in LOOKUPS {
        let numbers = &seen[lookup];
        let wrong = numbers.windows(2).find(|pair| pair[0] > pair[1]);
        assert!(wrong.is_none(), "{lookup} out of order: {wrong:?}");
        let missing: Vec<u64> = (0..each).filter(|number| numbers.binary_search(number).is_err()).collect();
        assert!(missing.is_empty(), "{lookup} lost: {missing:?}");
    }
    println!(
        "{count} raised within {raised_after:.1?}, settled after {:.1?}; {} records, {} repeats; the books balanced {looks} times",
        now() - began,
        all.len(),
        all.len() - known.len(),
    );
}
