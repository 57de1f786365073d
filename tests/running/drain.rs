//! SIGTERM: what is in hand is answered, and nobody is dropped.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::support::caller::Caller;
use crate::support::proxy::Proxy;
use crate::support::vendor::Mode;
use crate::{lrn, vendor};

const BUDGET: &str = "[budget]\ncall = \"2s\"\nbackground = \"3s\"";

/// Asks new keys on a kept connection until the proxy says that it goes. Every request must be answered.
async fn call_until_told(mut caller: Caller, number: u64, headers: &'static str, pause: Duration) -> u64 {
    for round in 0.. {
        let path = format!("/v1/lookup/lrn/303{:03}{round:04}", 200 + number);
        let reply = caller.send("GET", &path, headers, "").await;
        let reply = reply.unwrap_or_else(|lost| panic!("caller {number}, request {round} was dropped: {lost}"));
        assert_eq!(reply.status, 200, "{reply:?}");
        if reply.is_last() {
            return round + 1;
        }
        tokio::time::sleep(pause).await;
    }
    0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_in_hand_or_on_its_way_is_answered() {
    let vendor = vendor(Mode::Ok(Duration::from_millis(30))).await;
    let mut proxy = Proxy::start("", &[("lrn", &lrn(&vendor, BUDGET))]).await;
    let mut callers = JoinSet::new();
    for number in 0..24 {
        let caller = Caller::connect(proxy.http).await.unwrap();
        // Every fourth one speaks so that it is served by the lane that knows all of HTTP; every third pauses.
        let headers = if number % 4 == 0 { "Content-Length: 0\r\n" } else { "" };
        let pause = Duration::from_millis(if number % 3 == 0 { 40 } else { 0 });
        callers.spawn(call_until_told(caller, number, headers, pause));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    proxy.server.tell("TERM");
    let all = async {
        while let Some(ended) = callers.join_next().await {
            assert!(ended.unwrap() > 0)
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all).await.expect("each is told that its reply is the last");
    let ended = proxy.server.ended(Duration::from_secs(20)).await.expect("it ends once all are gone");
    assert_eq!(ended.code(), Some(0), "{}", proxy.server.log());
    assert!(proxy.server.whole_log().contains("dipcache.node.stopping"));
    assert!(Caller::connect(proxy.http).await.is_err(), "nothing is accepted any more");
}

#[tokio::test]
async fn who_waits_for_a_silent_vendor_is_answered_too_and_idle_ones_do_not_hold_it_up() {
    let vendor = vendor(Mode::Hang).await;
    let lines = "[budget]\ncall = \"700ms\"\nbackground = \"60s\"";
    let mut proxy = Proxy::start("", &[("lrn", &lrn(&vendor, lines))]).await;
    let _idle = Caller::connect(proxy.http).await.unwrap();
    let mut caller = Caller::connect(proxy.http).await.unwrap();
    let waiting = tokio::spawn(async move { caller.get("/v1/lookup/lrn/3035550123").await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    proxy.server.tell("TERM");
    let reply = waiting.await.unwrap().expect("an answer");
    assert_eq!((reply.status, reply.is_last()), (504, true), "{reply:?}");
    // Ten seconds are the drain time: it needs none of them for a dip that nobody waits for.
    let ended = proxy.server.ended(Duration::from_secs(5)).await.expect("it ends");
    assert_eq!(ended.code(), Some(0));
}

#[tokio::test]
async fn a_second_word_ends_it_at_once() {
    let vendor = vendor(Mode::Hang).await;
    let lines = "[budget]\ncall = \"60s\"\nbackground = \"60s\"";
    let mut proxy = Proxy::start("[drain]\ntime = \"60s\"", &[("lrn", &lrn(&vendor, lines))]).await;
    let mut caller = Caller::connect(proxy.http).await.unwrap();
    let waiting = tokio::spawn(async move { caller.get("/v1/lookup/lrn/3035550123").await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    proxy.server.tell("TERM");
    assert!(proxy.server.ended(Duration::from_millis(600)).await.is_none(), "it waits for the one in hand");
    proxy.server.tell("TERM");
    assert!(proxy.server.ended(Duration::from_secs(5)).await.is_some());
    assert!(waiting.await.unwrap().is_err());
}
