//! The lane of warm dips: the rate, the vendor's health, and what calls leave over.

use std::time::Duration;

use dipcache::deadline::now;

use crate::support::SLACK;
use crate::support::caller::get;
use crate::support::process::until;
use crate::support::proxy::Proxy;
use crate::support::vendor::Mode;
use crate::{OPEN, keys, lrn, number, vendor};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vendor_that_hangs_stops_the_job_and_its_healing_resumes_it() {
    let vendor = vendor(Mode::OK).await;
    let proxy =
        Proxy::start(OPEN, &[("lrn", &lrn(&vendor, "[budget]\ncall = \"100ms\"\nbackground = \"1s\"", ""))]).await;
    let dir = tempfile::tempdir().unwrap();
    let path = keys(dir.path(), 3000);
    let args = ["warm", "lrn", path.to_str().unwrap(), "--rate", "1000", "--json"];
    let (done, ()) = tokio::join!(proxy.command(&args), async {
        while vendor.requests() < 800 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        vendor.set(Mode::Hang);
        tokio::time::sleep(Duration::from_secs(1) + SLACK).await;
        let then = vendor.requests();
        tokio::time::sleep(Duration::from_secs(2)).await;
        // Probes go on, a few a second.
        assert!(vendor.requests() - then <= 10, "{} dips at a vendor that hangs", vendor.requests() - then);
        let status = proxy.status().await;
        assert_eq!(status["warm"][0]["state"], "waiting", "{}", status["warm"]);
        vendor.set(Mode::OK);
    });
    assert_eq!(done.code, Some(0), "{done:?}");
    let told: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    // What a probe asked is fresh when its turn comes.
    let (hits, dips) = (told["hits"].as_u64().unwrap(), told["dips"].as_u64().unwrap());
    assert!(hits + dips == 3000 && hits <= 100 && told["failed"] == 0, "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_policys_own_rate_holds_for_the_job() {
    let vendor = vendor(Mode::OK).await;
    let of_upstream = "rate = { per_second = 500, burst = 20 }";
    let proxy = Proxy::start(OPEN, &[("lrn", &lrn(&vendor, "[budget]\ncall = \"1s\"", of_upstream))]).await;
    let dir = tempfile::tempdir().unwrap();
    let path = keys(dir.path(), 1500);
    let began = now();
    let done = proxy.command(&["warm", "lrn", path.to_str().unwrap()]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let took = (now() - began).as_secs_f64();
    // Three seconds at the rate; a busy machine makes it longer, and nothing makes it shorter.
    assert!((2.97..90.0).contains(&took), "{took}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_finds_its_seat_whatever_the_job_does() {
    let vendor = vendor(Mode::Ok(Duration::from_millis(300))).await;
    let lines = "[budget]\ncall = \"2s\"\nbackground = \"3s\"";
    let proxy = Proxy::start(OPEN, &[("lrn", &lrn(&vendor, lines, "concurrency = 4"))]).await;
    let dir = tempfile::tempdir().unwrap();
    let path = keys(dir.path(), 24);
    let args = ["warm", "lrn", path.to_str().unwrap(), "--json"];
    let (done, ()) = tokio::join!(proxy.command(&args), async {
        until(Duration::from_secs(10), || async { (vendor.in_flight() == 2).then_some(()) }).await.unwrap();
        let began = now();
        let places = 5000..5004;
        let paths: Vec<String> = places.map(|place| format!("/v1/lookup/lrn/{}", number(place))).collect();
        let calls = paths.iter().map(|path| get(proxy.http, path));
        for reply in futures_util::future::join_all(calls).await {
            assert_eq!(reply.status, 200);
        }
        let took = now() - began;
        assert!(took < Duration::from_millis(600), "four calls took {took:?}: somebody waited for a seat");
    });
    assert_eq!(done.code, Some(0), "{done:?}");
}
