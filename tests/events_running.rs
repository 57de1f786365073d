//! Events as an operator meets them: a real process, its log, its signals, its commands, a spool of ten gigabytes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test.

mod support;

use std::fs;
use std::path::Path;
use std::time::Duration;

use dipcache::config::WhenFull;
use dipcache::deadline::now;
use dipcache::events::spool::{Draft, Journal, Limits};
use serde_json::Value;
use support::memory::resident_kib_of;
use support::process::until;
use support::proxy::Proxy;

/// A config with this spool and these sinks.
fn lines(spool: &Path, more: &str) -> String {
    format!("[node]\nname = \"edge-1\"\n[admin]\ntoken = \"off\"\n[events]\nspool = {spool:?}\n{more}\n")
}

fn file_sink(path: &Path) -> String {
    format!("[[events.sink]]\nname = \"disk\"\ntype = \"file\"\npath = {path:?}\n")
}

async fn books(proxy: &Proxy) -> Value {
    let done = proxy.command(&["events", "status", "--json"]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    serde_json::from_str(&done.out).unwrap()
}

/// Until the sink has delivered so many.
async fn delivered(proxy: &Proxy, sink: &str, count: u64) {
    let enough = until(Duration::from_secs(60), || async {
        let figure = books(proxy).await["sinks"][sink]["delivered"].as_u64()?;
        (figure >= count).then_some(())
    });
    assert!(enough.await.is_some(), "{}\n{}", books(proxy).await, proxy.server.log());
}

#[cfg(feature = "kafka")]
#[tokio::test]
async fn without_brokers_it_starts_at_once_and_laments_once_a_minute() {
    let folder = tempfile::tempdir().unwrap();
    let kafka = "[[events.sink]]\nname = \"k1\"\ntype = \"kafka\"\nbrokers = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n\
                 properties = { \"reconnect.backoff.ms\" = 10, \"reconnect.backoff.max.ms\" = 50 }\n";
    let proxy = Proxy::start(&lines(folder.path(), kafka), &[]).await;
    assert_eq!(proxy.command(&["events", "test"]).await.code, Some(0), "and keeps what is raised");
    // Some hundred attempts.
    tokio::time::sleep(Duration::from_secs(8)).await;
    let log = proxy.server.whole_log();
    let laments = log.lines().filter(|line| line.contains("Kafka:")).count();
    assert_eq!(laments, 1, "{log}");
    assert_eq!(log.matches("dipcache.sink.down").count(), 1, "{log}");
    let said = proxy.command(&["events", "status"]).await.out;
    assert!(said.contains("down: ") && said.contains("k1"), "{said}");
}

#[tokio::test]
async fn a_signal_begins_a_new_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("e.jsonl");
    let proxy = Proxy::start(&lines(&folder.path().join("spool"), &file_sink(&path)), &[]).await;
    delivered(&proxy, "disk", 1).await;
    proxy.server.tell("USR1");
    let aside = until(Duration::from_secs(10), || async { (!path.exists()).then_some(()) });
    assert!(aside.await.is_some(), "the file is still there");
    assert_eq!(proxy.command(&["events", "test"]).await.code, Some(0));
    delivered(&proxy, "disk", 2).await;
    let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let aside = files.iter().find(|file| file.to_string_lossy().contains("e.jsonl.")).expect("one put aside");
    assert!(fs::read_to_string(aside).unwrap().contains("dipcache.node.started"));
    let fresh = fs::read_to_string(&path).unwrap();
    assert!(fresh.contains("dipcache.sink.test") && !fresh.contains("dipcache.node.started"), "{fresh}");
}

#[cfg(feature = "kafka")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_try_follow_and_show_a_topic() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    let Some(kafka) = support::kafka::Kafka::start(None).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let sink = format!("[[events.sink]]\nname = \"k1\"\ntype = \"kafka\"\nbrokers = \"{}\"\n", kafka.brokers);
    let proxy = Proxy::start(&lines(folder.path(), &sink), &[]).await;
    let said = proxy.command(&["events", "test"]).await;
    assert_eq!((said.code, said.out.trim()), (Some(0), "raised, and on disk"));
    delivered(&proxy, "k1", 2).await;
    let mut tail = Command::new(support::proxy::program())
        .args(["events", "tail"])
        .env("DIPCACHE_CONFIG", proxy.config_file())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut followed = BufReader::new(tail.stdout.take().unwrap());
    let reader = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        followed.read_line(&mut line).unwrap();
        line
    });
    let raised = until(Duration::from_secs(60), || async {
        // It follows from now on, and nobody knows when that is.
        proxy.command(&["events", "test"]).await;
        reader.is_finished().then_some(())
    });
    let _ = tokio::time::timeout(Duration::from_secs(70), raised).await;
    let _ = tail.kill();
    let _ = tail.wait();
    let told: Value = serde_json::from_str(&reader.await.unwrap()).expect("an event");
    assert_eq!((&told["type"], &told["partitionkey"]), (&"dipcache.sink.test".into(), &"@edge-1".into()));
    let table = proxy.command(&["events", "status"]).await.out;
    let row = table.lines().find(|line| line.starts_with("k1")).unwrap_or_else(|| panic!("{table}"));
    assert!(row.trim_end().ends_with("up"), "{table}");
}

/// Ten gigabytes of events that nobody has taken; without `DIPCACHE_FULL` a hundredth of that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spool_of_ten_gigabytes_starts_within_a_second_and_in_flat_memory() {
    let full = std::env::var_os("DIPCACHE_FULL").is_some();
    let size: u64 = if full { 10 << 30 } else { 100 << 20 };
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    let written = tokio::task::spawn_blocking({
        let spool = spool.clone();
        move || {
            let limits = Limits { bytes: 2 * size, age: Duration::from_secs(86_400), when_full: WhenFull::Oldest };
            let journal = Journal::open(&spool, limits).unwrap();
            let text = format!("{{\"reason\":\"{}\"}}", "x".repeat(2_000));
            let at_ms = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
            let mut number = 0_u64;
            while journal.bytes() < size {
                let drafts = (0..1_000).map(|n| Draft {
                    key: format!("lookup-{}", n % 20).into(),
                    text: text.as_str().into(),
                    summary: false,
                });
                journal.append(drafts, at_ms);
                journal.write().unwrap();
                number += 1_000;
            }
            number
        }
    });
    let written = written.await.unwrap();
    assert!(fs::read_dir(&spool).unwrap().count() >= if full { 600 } else { 6 });

    // Nothing to read, then ten gigabytes of it: what the difference is, the spool has cost.
    let idle = Proxy::start(&lines(&folder.path().join("empty"), "spool_max = \"40GiB\"\n"), &[]).await;
    let began = now();
    let _again = Proxy::start(&lines(&folder.path().join("empty-too"), "spool_max = \"40GiB\"\n"), &[]).await;
    let empty = now() - began;
    // A file in the way of the sink: nothing leaves the spool yet.
    let path = folder.path().join("out/e.jsonl");
    fs::write(folder.path().join("out"), "").unwrap();
    let more = format!("spool_max = \"40GiB\"\n{}rotate_size = \"64MiB\"\nkeep = 1\n", file_sink(&path));
    let began = now();
    let proxy = Proxy::start(&lines(&spool, &more), &[]).await;
    let took = now() - began;
    let resident = |proxy: &Proxy| resident_kib_of(proxy.server.pid()) / 1024;
    let (before, started) = (resident(&idle), resident(&proxy));
    assert!(books(&proxy).await["sinks"]["disk"]["queued"].as_u64().unwrap() >= written);
    // Now it is replayed, and memory does not follow.
    fs::remove_file(folder.path().join("out")).unwrap();
    let wanted = written.min(if full { 2_000_000 } else { written });
    let (mut most, mut latest) = (0, 0);
    let end = now() + Duration::from_secs(if full { 240 } else { 60 });
    while latest < wanted && now() < end {
        most = most.max(resident(&proxy));
        latest = books(&proxy).await["sinks"]["disk"]["delivered"].as_u64().unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!(
        "{} MB, {written} events: started in {took:.2?} (an empty one {empty:.2?}); MiB resident: {before} without, \
         {started} after the start, at most {most} while {latest} were replayed",
        size >> 20,
    );
    assert!(latest >= wanted, "{latest} of {wanted}\n{}", proxy.server.log());
    assert!(took < Duration::from_secs(1) + support::SLACK, "{took:?}");
    assert!(started < before + 48 && most < before + 128, "{before}, {started}, {most} MiB");
}
