//! A restart is no cold morning: what the last process knew is there again, or it is refused with a line.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use dipcache::deadline::now;

use crate::support::caller::{Caller, get};
use crate::support::process::until;
use crate::support::proxy::Proxy;
use crate::support::vendor::{Mode, Vendor};
use crate::{OPEN, is_full, lrn, number, vendor};

const KEYS: u64 = 2000;
const LIVES: &str = "[budget]\ncall = \"2s\"";

async fn proxy(vendor: &Vendor, state: &Path, more: &str) -> Proxy {
    let lines = format!("{OPEN}\n[state]\ndir = \"{}\"\nwait = \"10s\"\n{more}", state.display());
    Proxy::start(&lines, &[("lrn", &lrn(vendor, LIVES, ""))]).await
}

/// One caller's calls for so long, or until nobody listens; the share of hits.
async fn calls(http: SocketAddr, keys: u64, span: Duration) -> f64 {
    let mut caller = Caller::connect(http).await.unwrap();
    let (began, mut all, mut hits) = (now(), 0_u32, 0_u32);
    while began.elapsed() < span {
        let Ok(reply) = caller.get(&format!("/v1/lookup/lrn/{}", number(fastrand::u64(..keys)))).await else { break };
        assert_eq!(reply.status, 200);
        all += 1;
        hits += u32::from(reply.source() == "local");
    }
    f64::from(hits) / f64::from(all.max(1))
}

async fn warm_all(proxy: &Proxy, dir: &Path) {
    let path = crate::keys(dir, KEYS);
    let done = proxy.command(&["warm", "lrn", path.to_str().unwrap()]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
}

/// Calls of several callers at once, for so long; the share of hits.
async fn load(http: SocketAddr, keys: u64, span: Duration) -> f64 {
    let callers = (0..4).map(|_| calls(http, keys, span));
    futures_util::future::join_all(callers).await.iter().sum::<f64>() / 4.0
}

/// Has a record of each key kept.
async fn push_all(proxy: &Proxy, keys: u64) {
    let mut caller = Caller::connect(proxy.admin).await.unwrap();
    let line = |place| format!("{{\"key\":\"{}\",\"record\":{{\"ocn\":\"1234\"}}}}\n", number(place));
    for from in (0..keys).step_by(10_000) {
        let body: String = (from..keys.min(from + 10_000)).map(line).collect();
        assert_eq!(caller.send("PUT", "/v1/cache/lrn", "", &body).await.unwrap().status, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_under_load_finds_its_entries_again() {
    let keys = if is_full() { 500_000 } else { 20_000 };
    let vendor = vendor(Mode::Ok(Duration::from_millis(20))).await;
    let dir = tempfile::tempdir().unwrap();
    let mut before = proxy(&vendor, dir.path(), "").await;
    push_all(&before, keys).await;
    // A key in fifty is one that nobody has told.
    let asked_for = keys + keys / 50;
    let ratio = load(before.http, asked_for, Duration::from_secs(1)).await;
    assert!(ratio > 0.9, "{ratio}");
    before.server.tell("TERM");
    let under_load = load(before.http, asked_for, Duration::from_secs(1));
    let (_, ended) = tokio::join!(under_load, before.server.ended(Duration::from_secs(30)));
    assert!(ended.is_some());

    let began = now();
    let after = proxy(&vendor, dir.path(), "").await;
    let ready = async || (get(after.admin, "/readyz").await.status == 200).then_some(());
    assert!(until(Duration::from_secs(20), ready).await.is_some(), "{}", after.server.log());
    let waited = began.elapsed();
    let again = load(after.http, asked_for, Duration::from_secs(2)).await;
    println!(
        "{keys} entries: hit ratio {ratio:.3} before the restart, {again:.3} in the first 2 s of readiness, {waited:?} after the start"
    );
    assert!(again > 0.95 * ratio, "{again} after {ratio}: {}", after.server.log());
    assert!(after.server.whole_log().contains("the last process's entries are back"), "{}", after.server.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_leaves_its_last_snapshot_and_no_flushed_key() {
    let vendor = vendor(Mode::OK).await;
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let mut before = proxy(&vendor, &state, "every = \"3s\"").await;
    warm_all(&before, dir.path()).await;
    let snapshot = state.join("lrn.snapshot");
    let large = || async { std::fs::metadata(&snapshot).is_ok_and(|file| file.len() > KEYS * 60).then_some(()) };
    until(Duration::from_secs(20), large).await.expect("a snapshot of all keys");
    assert_eq!(before.command(&["flush", "lrn", &number(7)]).await.code, Some(0));
    let mut caller = Caller::connect(before.admin).await.unwrap();
    let line = format!("{{\"key\":\"{}\",\"record\":{{\"ocn\":\"9999\"}}}}", number(9));
    assert_eq!(caller.send("PUT", "/v1/cache/lrn", "", &line).await.unwrap().status, 200);
    // A flush is noted within a second; or the next snapshot is there, without the key.
    tokio::time::sleep(Duration::from_secs(2)).await;
    before.server.kill();
    let after = proxy(&vendor, &state, "").await;
    let asked = vendor.requests();
    let source = async |place| get(after.http, &format!("/v1/lookup/lrn/{}", number(place))).await.source().to_owned();
    assert_eq!(source(8).await, "local", "{}", after.server.log());
    assert_eq!((source(7).await.as_str(), vendor.requests() - asked), ("v", 1));
    // What was pushed since is either there, or asked for: what it replaced does not come back.
    let pushed = get(after.http, &format!("/v1/lookup/lrn/{}", number(9))).await;
    assert!(pushed.source() == "v" || pushed.body == r#"{"ocn":"9999"}"#, "{pushed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_snapshot_is_refused_with_a_line_and_the_start_goes_on_cold() {
    let vendor = vendor(Mode::OK).await;
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let mut before = proxy(&vendor, &state, "").await;
    warm_all(&before, dir.path()).await;
    before.server.tell("TERM");
    assert!(before.server.ended(Duration::from_secs(20)).await.is_some());
    let snapshot = state.join("lrn.snapshot");
    let whole = std::fs::read(&snapshot).unwrap();
    let mut bent = whole.clone();
    bent[whole.len() / 2] ^= 1;
    let mut older = whole.clone();
    older[7] = 0;
    for (damage, bytes) in [("truncated", &whole[..whole.len() - 100]), ("bit-flipped", &bent), ("older", &older)] {
        std::fs::write(&snapshot, bytes).unwrap();
        let after = proxy(&vendor, &state, "").await;
        let log = after.server.whole_log();
        assert_eq!(log.matches("a snapshot is refused: starting cold").count(), 1, "{damage}: {log}");
        let reply = get(after.http, &format!("/v1/lookup/lrn/{}", number(3))).await;
        assert_eq!((reply.status, reply.source()), (200, "v"), "{damage}");
    }
}
