//! A fleet: several processes of the program with one policy, the memcached servers that they share, and their callers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dipcache::deadline::{Deadline, Instant, now};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::is_full;
use crate::support::caller::{Caller, get};
use crate::support::memcached::Memcached;
use crate::support::proxy::Proxy;
use crate::support::vendor::Vendor;

/// The flag of the one lookup.
pub(crate) const FLAG: &str = "dip:health:cnam";

/// What a caller waits at most. On a busy machine a vendor that is well must not look sick.
pub(crate) fn budget() -> Duration {
    Duration::from_millis(if is_full() { 50 } else { 300 })
}

/// A lookup of any text, with breakers that open and close quickly.
pub(crate) fn cnam(vendor: &Vendor) -> String {
    cnam_within(vendor, budget())
}

pub(crate) fn cnam_within(vendor: &Vendor, budget: Duration) -> String {
    let url = vendor.url("/{{ key }}");
    format!(
        "[input]\nkey = {{ type = \"text\" }}\n[budget]\ncall = \"{budget:?}\"\nbackground = \"500ms\"\n\
         [breaker]\nopen = \"200ms\"\nopen_max = \"400ms\"\n\
         [[upstream]]\nname = \"vendor\"\ntype = \"http\"\nurl = \"{url}\"\n[upstream.fields]\nkey = \"body.key\"\n"
    )
}

/// Starts a node that shares these servers, whose answers it takes for late only when they are, even on a busy machine.
pub(crate) async fn node(name: &str, servers: &[String], policy: &str) -> Proxy {
    node_within(name, servers, policy, Duration::from_millis(if is_full() { 5 } else { 30 })).await
}

pub(crate) async fn node_within(name: &str, servers: &[String], policy: &str, timeout: Duration) -> Proxy {
    // Epochs have as many digits as telephone numbers.
    let lines = format!(
        "[node]\nname = \"{name}\"\n[shared]\nservers = {servers:?}\ntimeout = \"{timeout:?}\"\n\
         [admin]\ntoken = \"off\"\n[log]\nmask_numbers = false\n"
    );
    Proxy::start_with_memcached(&lines, &[("cnam", policy)]).await
}

/// A kept connection to something that speaks memcached.
pub(crate) struct Reader {
    stream: BufReader<TcpStream>,
}

impl Reader {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: BufReader::new(TcpStream::connect(address).await.expect("it listens")) }
    }

    /// True when there is such a key. memcached takes no note of it: a value that is read is not evicted.
    pub(crate) async fn has(&mut self, key: &str) -> bool {
        self.stream.write_all(format!("me {key}\r\n").as_bytes()).await.expect("it takes a line");
        let mut line = String::new();
        self.stream.read_line(&mut line).await.expect("it answers");
        line.starts_with("ME ")
    }

    /// The value of a key, and its flags.
    pub(crate) async fn get(&mut self, key: &str) -> Option<(String, u32)> {
        self.stream.write_all(format!("get {key}\r\n").as_bytes()).await.expect("it takes a line");
        let mut found = None;
        loop {
            let mut line = String::new();
            let count = self.stream.read_line(&mut line).await.expect("it answers");
            assert!(count > 0 && !line.contains("ERROR"), "{line:?}");
            let Some(head) = line.strip_prefix("VALUE ") else { return found };
            let words: Vec<&str> = head.split_whitespace().collect();
            let mut value = vec![0; words[2].parse::<usize>().expect("a length") + 2];
            self.stream.read_exact(&mut value).await.expect("the value");
            value.truncate(value.len() - 2);
            found = Some((String::from_utf8(value).expect("text"), words[1].parse().expect("flags")));
        }
    }
}

/// The nodes. Their callers find the one of each place, whoever it is just then.
pub(crate) struct Fleet {
    servers: Vec<String>,
    policy: String,
    pub nodes: Vec<Proxy>,
    /// What those wrote that are gone.
    gone: Vec<String>,
    doors: Arc<Vec<Mutex<SocketAddr>>>,
}

impl Fleet {
    pub(crate) async fn start(count: usize, memcached: &[&Memcached], policy: &str) -> Self {
        let servers: Vec<String> = memcached.iter().map(|server| server.address()).collect();
        let mut nodes = Vec::new();
        for n in 0..count {
            nodes.push(node(&format!("n{n}"), &servers, policy).await);
        }
        let doors = Arc::new(nodes.iter().map(|node| Mutex::new(node.http)).collect());
        Self { servers, policy: policy.to_owned(), nodes, gone: Vec::new(), doors }
    }

    /// kill -9.
    pub(crate) fn kill(&mut self, n: usize) {
        self.nodes[n].server.kill();
    }

    /// Puts a new one in the place of one that was killed.
    pub(crate) async fn replace(&mut self, n: usize) {
        self.gone.push(self.nodes[n].server.whole_log());
        self.nodes[n] = node(&format!("n{n}"), &self.servers, &self.policy).await;
        *self.doors[n].lock().expect("no panic under the lock") = self.nodes[n].http;
    }

    /// Callers who ask for keys that nobody knows, so many a second over all nodes.
    pub(crate) fn callers(&self, a_second: u32) -> Callers {
        Callers::start(&self.doors, a_second)
    }

    /// All transitions that any node has told: up or down, and the epoch.
    pub(crate) fn told(&self) -> Vec<(bool, Option<u64>)> {
        let logs = self.gone.iter().cloned().chain(self.nodes.iter().map(|node| node.server.whole_log()));
        logs.flat_map(|log| log.lines().filter_map(transition).collect::<Vec<_>>()).collect()
    }

    /// What all nodes have told, for the message of a test that failed.
    pub(crate) fn story(&self) -> String {
        let logs = self.gone.iter().cloned().chain(self.nodes.iter().map(|node| node.server.whole_log()));
        let mut lines: Vec<String> = Vec::new();
        for (n, log) in logs.enumerate() {
            lines.extend(log.lines().filter(|line| line.contains("event=")).map(|line| format!("{line} [{n}]")));
        }
        lines.sort_unstable();
        lines.join("\n")
    }

    /// Whether each node that lives sees the lookup up by itself.
    pub(crate) async fn views(&self) -> Vec<bool> {
        let mut views = Vec::new();
        for node in self.nodes.iter().filter(|node| node.server.is_running()) {
            let body = get(node.admin, "/v1/health?verbose").await.body;
            let health: serde_json::Value = serde_json::from_str(&body).expect("JSON");
            views.push(health["cnam"]["this_node"] == 1);
        }
        views
    }

    /// Readers of every place where the flag can be read, each with the flag's key there.
    pub(crate) async fn flag_readers(&self, memcached: &[&Memcached]) -> Vec<(Reader, &'static str)> {
        let mut readers = Vec::new();
        for server in memcached {
            readers.push((Reader::connect(server.socket()).await, FLAG));
            readers.push((Reader::connect(server.socket()).await, "dip:health:cnam:vendor"));
        }
        for node in self.nodes.iter().filter(|node| node.server.is_running()) {
            readers.push((Reader::connect(node.memcached.expect("it speaks memcached")).await, "health:cnam"));
        }
        readers
    }
}

/// A line of the log that tells of the flag's turn.
fn transition(line: &str) -> Option<(bool, Option<u64>)> {
    let up = line.contains("event=\"dipcache.dependency.recovered\"");
    let down = line.contains("event=\"dipcache.dependency.degraded\"");
    let epoch = line.split("epoch=").nth(1).and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    (up || down).then_some((up, epoch))
}

/// Waits until every reader reads this flag. The time that took.
pub(crate) async fn all_read(readers: &mut [(Reader, &str)], wanted: &str, within: Duration) -> Option<Duration> {
    let (began, end) = (now(), Deadline::after(within));
    'again: while !end.passed() {
        for (reader, key) in &mut *readers {
            if reader.get(key).await != Some((wanted.to_owned(), 0)) {
                tokio::time::sleep(Duration::from_millis(2)).await;
                continue 'again;
            }
        }
        return Some(now() - began);
    }
    None
}

/// Callers of a fleet, until dropped.
pub(crate) struct Callers {
    answered: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
    _tasks: JoinSet<()>,
}

impl Callers {
    /// Each caller asks at a pace that is slower than it ever waits.
    fn start(doors: &Arc<Vec<Mutex<SocketAddr>>>, a_second: u32) -> Self {
        let each = budget() + Duration::from_millis(10);
        let count = (f64::from(a_second) * each.as_secs_f64()).ceil() as u32;
        let (answered, stopped) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let mut tasks = JoinSet::new();
        for n in 0..count {
            let (doors, answered, stopped) = (Arc::clone(doors), Arc::clone(&answered), Arc::clone(&stopped));
            let first = now() + each * n / count;
            tasks.spawn(async move {
                let mut due: Instant = first;
                let mut caller = None;
                for asked in 0_u64.. {
                    tokio::time::sleep_until(due).await;
                    due = (due + each).max(now());
                    if stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    let door = *doors[n as usize % doors.len()].lock().expect("no panic under the lock");
                    if caller.is_none() {
                        caller = Caller::connect(door).await.ok();
                    }
                    let Some(open) = &mut caller else { continue };
                    match open.get(&format!("/v1/lookup/cnam/c{n}-{asked}")).await {
                        Ok(_) => drop(answered.fetch_add(1, Ordering::Relaxed)),
                        // Its node was killed.
                        Err(_) => caller = None,
                    }
                }
            });
        }
        Self { answered, stopped, _tasks: tasks }
    }

    /// Calls answered so far.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }
}

impl Drop for Callers {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}
