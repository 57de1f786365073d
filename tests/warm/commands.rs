//! `dipcache warm` as an operator types it.

use std::io::Write as _;
use std::time::Duration;

use serde_json::Value;

use crate::support::caller::Caller;
use crate::support::proxy::Proxy;
use crate::support::vendor::Mode;
use crate::{OPEN, keys, lrn, number, vendor};

const SLOW_BUDGET: &str = "[budget]\ncall = \"2s\"\nbackground = \"3s\"";

fn summary(out: &str) -> Value {
    serde_json::from_str(out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

#[tokio::test]
async fn keys_are_asked_once_and_those_that_are_none_are_told_with_their_line() {
    let vendor = vendor(Mode::OK).await;
    let proxy = Proxy::start(OPEN, &[("lrn", &lrn(&vendor, SLOW_BUDGET, ""))]).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys");
    let mut packer = flate2::write::GzEncoder::new(std::fs::File::create(&path).unwrap(), flate2::Compression::fast());
    for place in 0..200 {
        writeln!(packer, "{}", number(place)).unwrap();
    }
    write!(packer, "# a remark\n\nnonsense\n{}\n13035550123;color=red\n{}", "7".repeat(9000), number(3)).unwrap();
    packer.finish().unwrap();
    let path = path.to_str().unwrap();

    let done = proxy.command(&["warm", "lrn", path, "--json"]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let told = summary(&done.out);
    assert_eq!(
        (&told["keys"], &told["dips"], &told["bad"], &told["failed"]),
        (&204.into(), &200.into(), &3.into(), &0.into())
    );
    assert_eq!((told["hits"].as_u64(), told["through"].as_u64()), (Some(1), Some(206)), "{told}");
    let lines: Vec<_> = told["bad_lines"].as_array().unwrap().iter().map(|bad| bad["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [203, 204, 205], "{told}");
    assert!(!done.out.contains("nonsense") && !done.out.contains("777777"), "keys are not repeated: {told}");
    // A dip that a busy machine was too late with is made again.
    let asked = vendor.requests();
    assert_eq!(asked, 200 + told["again"].as_u64().unwrap());

    let done = proxy.command(&["warm", "lrn", path]).await;
    assert_eq!((done.code, vendor.requests()), (Some(0), asked), "what is fresh costs nothing: {done:?}");
    assert!(
        done.out.contains("201 fresh already, 0 dips") && done.out.contains("line 203: the key is not"),
        "{}",
        done.out
    );
    let reply = crate::support::caller::get(proxy.http, &format!("/v1/lookup/lrn/{}", number(7))).await;
    assert_eq!((reply.status, reply.source()), (200, "local"));
}

#[tokio::test]
async fn the_share_of_failures_decides_the_exit_code() {
    let vendor = vendor(Mode::Answer(400, "application/json", b"{}".to_vec())).await;
    let never = "[breaker]\nconsecutive = 4000000000\nmin_samples = 4000000000";
    let proxy = Proxy::start(OPEN, &[("lrn", &lrn(&vendor, never, ""))]).await;
    let dir = tempfile::tempdir().unwrap();
    let path = keys(dir.path(), 20);
    let path = path.to_str().unwrap();
    let done = proxy.command(&["warm", "lrn", path, "--json"]).await;
    let told = summary(&done.out);
    assert_eq!((done.code, told["failed"].as_u64(), told["again"].as_u64()), (Some(1), Some(20), Some(40)), "{done:?}");
    assert_eq!(told["failures"]["vendor_error"], 20, "{told}");
    let done = proxy.command(&["warm", "lrn", path, "--max-failed", "1"]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let done = proxy.command(&["warm", "nothing", path]).await;
    assert_eq!(done.code, Some(1));
    assert!(done.err.contains("no lookup `nothing`; there are lrn"), "{done:?}");
    assert_eq!(proxy.command(&["warm", "lrn", path, "--rate", "0"]).await.code, Some(2));
}

#[tokio::test]
async fn call_records_give_keys_most_frequent_first() {
    let vendor = vendor(Mode::OK).await;
    let proxy = Proxy::start(OPEN, &[("lrn", &lrn(&vendor, SLOW_BUDGET, "concurrency = 1"))]).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cdr.csv");
    std::fs::write(&path, "caller,callee\n1,3035550101\n2,3035550102\n3,3035550102\n").unwrap();
    let path = path.to_str().unwrap();
    let done = proxy.command(&["warm", "lrn", "--from-cdr", path, "--column", "callee", "--json"]).await;
    assert_eq!((done.code, summary(&done.out)["dips"].as_u64()), (Some(0), Some(2)), "{done:?}");
    assert!(vendor.last_request().contains("/lrn/3035550101"), "the rarer one is last");
    let done = proxy.command(&["warm", "lrn", "--from-cdr", path, "--column", "calee"]).await;
    assert!(done.code == Some(1) && done.err.contains("did you mean `callee`"), "{done:?}");
}

#[tokio::test]
async fn the_listener_wants_the_token_and_tells_progress_line_by_line() {
    let vendor = vendor(Mode::OK).await;
    let proxy = Proxy::start("", &[("lrn", &lrn(&vendor, SLOW_BUDGET, ""))]).await;
    let mut caller = Caller::connect(proxy.admin).await.unwrap();
    let reply = caller.send("POST", "/v1/warm/lrn", "", "13035550123\n").await.unwrap();
    assert_eq!((reply.status, vendor.requests()), (403, 0), "{}", reply.body);
}

#[tokio::test]
async fn a_run_that_is_killed_goes_on_where_it_was() {
    let vendor = vendor(Mode::OK).await;
    let mut proxy = Proxy::start(OPEN, &[("lrn", &lrn(&vendor, SLOW_BUDGET, ""))]).await;
    let dir = tempfile::tempdir().unwrap();
    let total = 5000;
    let path = keys(dir.path(), total);
    let name = path.to_str().unwrap();
    let args = ["warm", "lrn", name, "--rate", "1000", "--json"];
    let (done, ()) = tokio::join!(proxy.command(&args), async {
        while vendor.requests() < 2500 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        proxy.server.tell("KILL");
    });
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.err.contains("the same command goes on behind line"), "{done:?}");
    proxy.server.kill();
    // Another proxy that knows nothing.
    let proxy = Proxy::start(OPEN, &[("lrn", &lrn(&vendor, SLOW_BUDGET, ""))]).await;
    let done = proxy.command(&args).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let repeated = vendor.requests() - total;
    println!("{repeated} of {total} keys were asked twice");
    // Progress is told five times a second, which is 200 keys at this rate, and the machine is a busy one. The full run
    // of a million keys holds one percent.
    assert!(repeated <= 400, "{repeated} of {total} were asked twice");
    assert!(!dir.path().join("keys.txt.lrn.warm").exists(), "all is done: the next run begins anew");
}
