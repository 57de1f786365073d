//! A table is swapped under load, and no request is slow because of it. In a file of its own, so that nothing
//! else runs beside it.

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dipcache::answer::Answer;
use dipcache::deadline::now;
use dipcache::lookup::Lookup;

use support::lookups::Desk;

/// A rate deck in a file.
fn rates(file: &Path, lines: &str) -> String {
    format!(
        "kind = \"rate\"\n[input]\nkey = {{ type = \"tn\", country = \"US\" }}\n[[upstream]]\nname = \"deck\"\ntype = \"table\"\n\
         file = \"{}\"\nmatch = \"longest_prefix\"\nkey_column = \"prefix\"\n{lines}\n\
         [upstream.fields]\nprefix = \"row.prefix\"\nrate_inter = \"row.rate | float\"\n",
        file.display()
    )
}

fn json(answer: &Answer) -> String {
    answer.record.as_ref().map(|record| record.as_json().to_owned()).unwrap_or_default()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let gave_up = now() + Duration::from_secs(20);
    while !holds().await {
        assert!(now() < gave_up, "waited 20 s in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_table_is_swapped_under_load_and_no_request_is_slow_because_of_it() {
    const ROWS: usize = if cfg!(debug_assertions) { 200_000 } else { 2_000_000 };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rates.csv");
    let write = |rate: &str| {
        use std::io::Write;
        let mut out = std::io::BufWriter::new(std::fs::File::create(dir.path().join("new")).unwrap());
        writeln!(out, "prefix,rate").unwrap();
        (0..ROWS).for_each(|n| writeln!(out, "{},{rate}.{}", 12_000_000 + n, n % 1000).unwrap());
        out.flush().unwrap();
        std::fs::rename(dir.path().join("new"), &file).unwrap();
    };
    write("1");
    let policy = rates(&file, "").replace("row.rate | float", "row.rate");
    let desk = Desk::new(&[("rate", &policy)]);
    let lookup = desk.lookup("rate");
    until("the first load", async || lookup.tables().all(|(_, table)| table.is_loaded())).await;

    let loads = || lookup.tables().next().unwrap().1.last().loads;
    let mut runs = Vec::new();
    // What the system does to us while it loads is in the figure too; what the swap does would be there each time.
    for rate in ["2", "3", "4"] {
        let quiet = slowest_while(&lookup, Duration::from_secs(2), || false).await;
        let before = loads();
        write(rate);
        let busy = slowest_while(&lookup, Duration::from_secs(60), || loads() > before).await;
        assert!(loads() > before, "the table was not loaded again in a minute");
        let new = lookup.hit(&dipcache::policy::Question::of_key("+12020007123")).unwrap();
        assert!(json(&new).contains(&format!(":{rate}.")), "the new rows answer");
        println!("{ROWS} rows: slowest {quiet:?} without, {busy:?} with a load and a swap");
        if busy < quiet.max(Duration::from_millis(1)) + Duration::from_millis(5) {
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
            let question = dipcache::policy::Question::of_key(key);
            let at = now();
            assert!(lookup.hit(&question).is_some());
            slowest = slowest.max(at.elapsed());
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    slowest
}
