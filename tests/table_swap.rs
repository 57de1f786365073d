//! A table is swapped under load, and no request is slow because of it. In a file of its own, so that nothing
//! else runs beside it.
//!
//! `DIPCACHE_FULL=1 cargo test --release --test table_swap -- --nocapture --test-threads=1` does it with ten million rows.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "clippy knows tests, and not their helpers beside them")]

mod support;

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dipcache::answer::Answer;
use dipcache::deadline::now;
use dipcache::lookup::Lookup;
use dipcache::policy::Question;

use support::caller::{Caller, get};
use support::lookups::Desk;
use support::proxy::Proxy;

/// How many rows the deck has.
fn rows() -> usize {
    match std::env::var("DIPCACHE_FULL") {
        Ok(full) if full == "1" => 10_000_000,
        _ if cfg!(debug_assertions) => 200_000,
        _ => 2_000_000,
    }
}

/// A rate deck in a file.
struct Deck {
    dir: tempfile::TempDir,
}

impl Deck {
    fn new() -> Self {
        let deck = Self { dir: tempfile::tempdir().unwrap() };
        deck.write("1");
        deck
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("rates.csv")
    }

    /// Puts another deck in its place, at once and as large: every rate begins so.
    fn write(&self, rate: &str) {
        let new = self.dir.path().join("new");
        let mut out = BufWriter::new(std::fs::File::create(&new).unwrap());
        writeln!(out, "prefix,rate").unwrap();
        (0..rows()).for_each(|n| writeln!(out, "{},{rate}.{}", 12_000_000 + n, n % 1000).unwrap());
        out.flush().unwrap();
        std::fs::rename(new, self.file()).unwrap();
    }
}

fn policy(file: &Path) -> String {
    format!(
        "kind = \"rate\"\n[input]\nkey = {{ type = \"tn\", country = \"US\" }}\n[[upstream]]\nname = \"deck\"\ntype = \"table\"\n\
         file = \"{}\"\nmatch = \"longest_prefix\"\nkey_column = \"prefix\"\n\
         [upstream.fields]\nprefix = \"row.prefix\"\nrate_inter = \"row.rate\"\n",
        file.display()
    )
}

fn json(answer: &Answer) -> String {
    answer.record.as_ref().map(|record| record.as_json().to_owned()).unwrap_or_default()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let gave_up = now() + Duration::from_secs(120);
    while !holds().await {
        assert!(now() < gave_up, "waited two minutes in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// One after the other: each wants the machine for itself.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Whether a swap was felt; what the system does to us while it loads is in the figure too.
fn unfelt(how: &str, quiet: Duration, busy: Duration) -> bool {
    println!("{} rows, {how}: slowest {quiet:?} without, {busy:?} with a load and a swap", rows());
    busy < quiet.max(Duration::from_millis(1)) + Duration::from_millis(5)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_table_is_swapped_under_load_and_no_request_is_slow_because_of_it() {
    let _turn = ALONE.lock().await;
    let deck = Deck::new();
    let desk = Desk::new(&[("rate", &policy(&deck.file()))]);
    let lookup = desk.lookup("rate");
    until("the first load", async || lookup.tables().all(|(_, table)| table.is_loaded())).await;

    let loads = || lookup.tables().next().unwrap().1.last().loads;
    let mut runs = Vec::new();
    // What the swap does would be there each time.
    for rate in ["2", "3", "4"] {
        let quiet = slowest_while(&lookup, Duration::from_secs(2), || false).await;
        let before = loads();
        deck.write(rate);
        let busy = slowest_while(&lookup, Duration::from_secs(120), || loads() > before).await;
        assert!(loads() > before, "the table was not loaded again in two minutes");
        let new = lookup.hit(&Question::of_key("+12020007123")).unwrap();
        assert!(json(&new).contains(&format!(":{rate}.")), "the new rows answer: {}", json(&new));
        if unfelt("in process", quiet, busy) {
            return;
        }
        runs.push((quiet, busy));
    }
    panic!("each of three swaps was felt: {runs:?}");
}

/// Asks without pause until `done`, at most `for_long`; the slowest request. Yields between two requests.
async fn slowest_while(lookup: &Arc<Lookup>, for_long: Duration, done: impl Fn() -> bool) -> Duration {
    let (began, mut slowest) = (now(), Duration::ZERO);
    while now() - began < for_long && !done() {
        for n in 0..100 {
            let key = format!("+1202{:07}", n * 997);
            let question = Question::of_key(key);
            let at = now();
            assert!(lookup.hit(&question).is_some());
            slowest = slowest.max(at.elapsed());
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    slowest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_is_any_slow_that_comes_over_http() {
    let _turn = ALONE.lock().await;
    let deck = Deck::new();
    let proxy = Proxy::start("", &[("rate", &policy(&deck.file()))]).await;
    let answer = async || get(proxy.http, "/v1/lookup/rate/12022207123?field=rate_inter").await.body;
    until("the first load", async || answer().await.starts_with("1.")).await;
    let mut runs = Vec::new();
    for rate in ["2.", "3.", "4."] {
        let quiet = slowest_over_http(&proxy, None).await;
        deck.write(&rate[..1]);
        let busy = slowest_over_http(&proxy, Some(rate)).await;
        if unfelt("over HTTP", quiet, busy) {
            return;
        }
        runs.push((quiet, busy));
    }
    panic!("each of three swaps was felt: {runs:?}");
}

/// As [`slowest_while`], over a kept connection: for two seconds, or until rates begin so and a second more, in
/// which the old rows are freed.
async fn slowest_over_http(proxy: &Proxy, until_rate: Option<&str>) -> Duration {
    let mut caller = Caller::connect(proxy.http).await.unwrap();
    let (mut end, mut slowest, mut seen) = (now() + Duration::from_secs(2), Duration::ZERO, until_rate.is_none());
    let gave_up = now() + Duration::from_secs(120);
    for n in 0_u64.. {
        if seen && now() >= end {
            break;
        }
        // Numbers that could exist: an exchange begins with 2 to 9.
        let path = format!("/v1/lookup/rate/120222{:05}?field=rate_inter", n * 997 % 100_000);
        let at = now();
        let reply = caller.get(&path).await.unwrap();
        slowest = slowest.max(at.elapsed());
        assert_eq!(reply.status, 200);
        if let (false, Some(rate)) = (seen, until_rate) {
            assert!(now() < gave_up, "the table was not loaded again in two minutes");
            seen = reply.body.starts_with(rate);
            end = now() + Duration::from_secs(1);
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    slowest
}
