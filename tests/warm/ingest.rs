//! Records that another system pushes.

use std::time::Duration;

use serde_json::Value;

use crate::support::caller::{Caller, get};
use crate::support::process::until;
use crate::support::proxy::Proxy;
use crate::support::vendor::Mode;
use crate::{OPEN, lrn, vendor};

#[tokio::test]
async fn pushed_records_are_answered_without_a_dip_and_bad_lines_are_told() {
    let vendor = vendor(Mode::OK).await;
    let proxy = Proxy::start(OPEN, &[("lrn", &lrn(&vendor, "[budget]\ncall = \"2s\"", ""))]).await;
    let mut caller = Caller::connect(proxy.admin).await.unwrap();
    let lines = [
        r#"{"key":"13035550101","record":{"ocn":9999,"lrn":"3035550111"}}"#,
        r#"{"key":"13035550102","outcome":"not_found"}"#,
        r#"{"key":"nonsense","record":{"ocn":"1"}}"#,
        r#"{"key":"13035550103","record":{"onc":"1"}}"#,
        r#"{"key":"13035550104","record":{"lrn":"no number"}}"#,
        r#"{"key":"13035550105","record":{}}"#,
        r#"{"key":"13035550106","#,
        r#"{"key":"13035550107","record":{"ocn":"1"},"colour":"red"}"#,
        "",
    ];
    let body = lines.join("\n") + &format!("{{\"key\":\"{}\"}}", "7".repeat(200_000));
    let reply = caller.send("PUT", "/v1/cache/lrn", "", &body).await.unwrap();
    let told: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!((reply.status, &told["kept"], &told["bad"]), (200, &2.into(), &7.into()), "{told}");
    let why: Vec<_> = told["bad_lines"].as_array().unwrap().iter().map(|bad| bad["why"].as_str().unwrap()).collect();
    assert!(why[0].contains("not a telephone number"), "{why:?}");
    assert!(why[1].contains("did you mean `ocn`?"), "{why:?}");
    assert!(why[2].contains("`lrn` does not fit its type"), "{why:?}");
    assert!(why[3].contains("says nothing") && why[4].contains("no record: "), "{why:?}");
    assert!(why[5].contains("unknown field `colour`") && why[6].contains("at most 131072 bytes"), "{why:?}");
    assert!(!reply.body.contains("nonsense"), "{}", reply.body);

    let reply = get(proxy.http, "/v1/lookup/lrn/13035550101").await;
    assert_eq!((reply.status, reply.source()), (200, "local"));
    assert_eq!(reply.body, r#"{"lrn":"+13035550111","ocn":"9999"}"#, "in the policy's order, each in its type");
    assert_eq!(get(proxy.http, "/v1/lookup/lrn/13035550102").await.status, 404);
    assert_eq!(vendor.requests(), 0, "nobody was asked");

    let reply = caller.send("PUT", "/v1/cache/lrn", "", "{}\n").await.unwrap();
    assert_eq!(reply.status, 400, "{}", reply.body);
    assert_eq!(caller.send("PUT", "/v1/cache/nothing", "", "{}\n").await.unwrap().status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dip_that_asked_before_does_not_undo_what_was_pushed() {
    let vendor = vendor(Mode::Ok(Duration::from_millis(700))).await;
    let lines = "[budget]\ncall = \"5s\"\nbackground = \"5s\"";
    let proxy = Proxy::start(OPEN, &[("lrn", &lrn(&vendor, lines, ""))]).await;
    let path = "/v1/lookup/lrn/13035550101";
    let (before, ()) = tokio::join!(get(proxy.http, path), async {
        until(Duration::from_secs(10), || async { (vendor.in_flight() == 1).then_some(()) }).await.unwrap();
        let mut caller = Caller::connect(proxy.admin).await.unwrap();
        let line = r#"{"key":"13035550101","record":{"ocn":"9999"}}"#;
        assert_eq!(caller.send("PUT", "/v1/cache/lrn", "", line).await.unwrap().status, 200);
    });
    assert_eq!((before.status, before.source()), (200, "v"));
    let after = get(proxy.http, path).await;
    assert_eq!((after.body.as_str(), after.source()), (r#"{"ocn":"9999"}"#, "local"));
}

#[tokio::test]
async fn only_who_has_the_token_may_push() {
    let vendor = vendor(Mode::OK).await;
    let proxy = Proxy::start("", &[("lrn", &lrn(&vendor, "", ""))]).await;
    let mut caller = Caller::connect(proxy.admin).await.unwrap();
    let line = r#"{"key":"13035550101","record":{"ocn":"1"}}"#;
    assert_eq!(caller.send("PUT", "/v1/cache/lrn", "", line).await.unwrap().status, 403);
}
