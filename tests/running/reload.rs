//! SIGHUP: nobody notices but who should.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::support::caller::{Caller, get};
use crate::support::proxy::Proxy;
use crate::support::vendor::Mode;
use crate::{lrn, vendor};

const BUDGET: &str = "[budget]\ncall = \"2s\"\nbackground = \"3s\"";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_no_request_is_lost_and_an_unchanged_lookup_keeps_what_it_knows() {
    let vendor = vendor(Mode::Ok(Duration::from_millis(5))).await;
    let policy = lrn(&vendor, BUDGET);
    let proxy = Proxy::start("", &[("lrn", &policy), ("other", &policy)]).await;
    get(proxy.http, "/v1/lookup/lrn/3035550000").await;
    get(proxy.http, "/v1/lookup/other/3035550000").await;

    let (enough, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut callers = JoinSet::new();
    for number in 0..8 {
        let (enough, answered, http) = (Arc::clone(&enough), Arc::clone(&answered), proxy.http);
        callers.spawn(async move {
            let mut caller = Caller::connect(http).await.unwrap();
            for round in 0.. {
                let name = if number % 2 == 0 { "lrn" } else { "other" };
                let path = format!("/v1/lookup/{name}/303555{:04}", (round * 8 + number) % 10_000);
                let reply = caller.get(&path).await.unwrap_or_else(|lost| panic!("{path}: {lost}"));
                assert_eq!((reply.status, reply.is_last()), (200, false), "{reply:?}");
                answered.fetch_add(1, Ordering::Relaxed);
                if enough.load(Ordering::Relaxed) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
    }
    for round in 0..6 {
        // A change of budget keeps the cache; one of the fields does not.
        let lines = BUDGET.replace("2s", if round % 2 == 0 { "1900ms" } else { "2s" });
        let text = lrn(&vendor, &lines);
        proxy.write_policy("other", &if round % 3 == 0 { text.replace("ocn = \"body.ocn\"\n", "") } else { text });
        assert!(proxy.reload().await, "{}", proxy.server.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    enough.store(true, Ordering::Relaxed);
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
    assert!(answered.load(Ordering::Relaxed) > 200, "{answered:?}");
    assert_eq!(get(proxy.http, "/v1/lookup/lrn/3035550000").await.source(), "local");
}

#[tokio::test]
async fn a_bad_file_keeps_the_old_policy_and_says_where_the_fault_is() {
    let vendor = vendor(Mode::OK).await;
    let policy = lrn(&vendor, BUDGET);
    let proxy = Proxy::start("", &[("lrn", &policy), ("other", &policy)]).await;
    get(proxy.http, "/v1/lookup/lrn/3035550000").await;
    proxy.write_policy("lrn", &policy.replace("kind = \"lrn\"", "kind = \"lnr\"\ncolour = \"red\""));
    proxy.write_policy("other", &policy.replace("2s", "1900ms"));
    assert!(!proxy.reload().await);
    let log = proxy.server.whole_log();
    assert!(log.contains("lrn.toml:2:1: ") && log.contains("the old config goes on"), "{log}");
    assert!(!log.contains("\\n") && !log.contains('\u{1b}'), "each fault on a line of its own, without colours: {log}");
    assert!(!log.contains("lookup=\"\"") && !log.contains("from=\"\""), "no empty fields: {log}");
    assert_eq!(get(proxy.http, "/v1/lookup/lrn/3035550000").await.source(), "local");
    assert_eq!(proxy.status().await["lookups"]["other"]["budget_ms"], 2000.0, "all of the new files or none");
    let told = proxy.status().await["events"].to_string();
    assert!(told.contains("dipcache.config.rejected"), "{told}");

    proxy.write_policy("lrn", &policy);
    assert!(proxy.reload().await);
    assert_eq!(proxy.status().await["lookups"]["other"]["budget_ms"], 1900.0);
}

#[tokio::test]
async fn a_storm_of_reloads_is_weathered() {
    let vendor = vendor(Mode::OK).await;
    let proxy = Proxy::start("", &[("lrn", &lrn(&vendor, BUDGET))]).await;
    for round in 0..100 {
        proxy.server.tell("HUP");
        assert_eq!(get(proxy.http, &format!("/v1/lookup/lrn/303555{round:04}")).await.status, 200);
    }
    assert_eq!(get(proxy.http, "/v1/lookup/lrn/3035550000").await.source(), "local");
}
