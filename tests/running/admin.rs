//! The admin listener: who may change something, and what it says.

use std::net::SocketAddr;

use crate::support::caller::{Caller, Reply, get};
use crate::support::proxy::{Proxy, config};
use crate::support::vendor::Mode;
use crate::{lrn, vendor};

/// A changing call, with this `Authorization` or none.
async fn change(admin: SocketAddr, method: &str, path: &str, authorization: &str, body: &str) -> Reply {
    let header = if authorization.is_empty() { String::new() } else { format!("Authorization: {authorization}\r\n") };
    Caller::connect(admin).await.unwrap().send(method, path, &header, body).await.unwrap()
}

#[tokio::test]
async fn without_a_token_in_the_config_nothing_can_be_changed() {
    let vendor = vendor(Mode::OK).await;
    let proxy = Proxy::start("", &[("lrn", &lrn(&vendor, ""))]).await;
    for (method, path) in [
        ("PUT", "/v1/health/lrn"),
        ("DELETE", "/v1/cache/lrn"),
        ("DELETE", "/v1/cache/lrn/3035550123"),
        ("PUT", "/v1/sim/lrn/a"),
    ] {
        let reply = change(proxy.admin, method, path, "Bearer x", "down").await;
        assert_eq!(reply.status, 403, "{method} {path}");
        assert!(reply.body.contains("[admin] token"), "{reply:?}");
    }
    assert_eq!(get(proxy.admin, "/v1/health/lrn").await.body, "1");
}

#[tokio::test]
async fn the_token_opens_the_door_and_a_new_one_closes_it_to_the_old() {
    let vendor = vendor(Mode::OK).await;
    let lines = "[admin]\ntoken = \"file:token\"";
    // A secret's file must be there at the start.
    let proxy = Proxy::start("", &[("lrn", &lrn(&vendor, ""))]).await;
    let secret = proxy.server.dir().join("token");
    std::fs::write(&secret, "old-one").unwrap();
    std::fs::write(proxy.config_file(), config(&lines.replace("file:token", &format!("file:{}", secret.display()))))
        .unwrap();
    assert!(proxy.reload().await);
    let down = |authorization: &'static str| change(proxy.admin, "PUT", "/v1/health/lrn", authorization, "down");
    for wrong in ["", "Bearer", "Bearer ", "Bearer old-onee", "Basic old-one", "old-one"] {
        let reply = down(wrong).await;
        assert_eq!((reply.status, reply.header("WWW-Authenticate")), (401, Some("Bearer")), "{wrong}");
    }
    assert_eq!(down("bearer old-one").await.body, "lrn is 0 (down)\n");
    std::fs::write(&secret, "new-one").unwrap();
    assert!(proxy.reload().await);
    assert_eq!(down("Bearer old-one").await.status, 401);
    assert_eq!(down("Bearer new-one").await.status, 200);
    assert_eq!(proxy.command(&["health", "lrn", "auto"]).await.code, Some(0), "the command reads the config's token");
    let reply = change(proxy.admin, "PUT", "/v1/health/lrn", "Bearer new-one", "sideways").await;
    assert_eq!((reply.status, reply.body.trim()), (400, "the body must be `up`, `down` or `auto`"));
}

#[tokio::test]
async fn a_destination_found_dead_is_told_listed_and_taken_back() {
    let vendor = vendor(Mode::OK).await;
    // A secret's file must be there at the start.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "right").unwrap();
    let lines = format!("[admin]\ntoken = \"file:{}\"", file.display());
    let proxy = Proxy::start(&lines, &[("lrn", &lrn(&vendor, ""))]).await;
    let bearer = "Bearer right";
    let told = async |method: &str, target: &str, body: &str| {
        let reply = change(proxy.admin, method, &format!("/v1/target/{target}"), bearer, body).await;
        (reply.status, reply.body.trim().to_owned())
    };
    let unasked = change(proxy.admin, "PUT", "/v1/target/192.0.2.1:5060", "", "30").await;
    assert_eq!(unasked.status, 401);
    assert_eq!(told("PUT", "192.0.2.1:5060", "30s").await, (200, "192.0.2.1:5060 comes last for 30s".to_owned()));
    assert_eq!(told("PUT", "[2001:db8::1]:5061", "{\"ttl\":60}").await.0, 200);
    for (target, body) in
        [("192.0.2.1", "30"), ("edge.test:5060", "30"), ("192.0.2.1:5060", ""), ("192.0.2.1:5060", "2d")]
    {
        assert_eq!(told("PUT", target, body).await.0, 400, "{target} {body}");
    }
    let list: serde_json::Value = serde_json::from_str(&get(proxy.admin, "/v1/target").await.body).unwrap();
    let left = list["192.0.2.1:5060"]["ttl_s"].as_f64().unwrap();
    assert!((20.0..=30.0).contains(&left) && list["[2001:db8::1]:5061"].is_object(), "{list}");
    assert_eq!(told("DELETE", "192.0.2.1:5060", "").await.1, "192.0.2.1:5060 is trusted again");
    assert_eq!(told("DELETE", "192.0.2.1:5060", "").await.1, "192.0.2.1:5060 was trusted anyway");
}

#[tokio::test]
async fn the_status_tells_what_an_operator_wants_to_know() {
    let vendor = vendor(Mode::OK).await;
    let proxy = Proxy::start("[node]\nname = \"edge-1\"", &[("lrn", &lrn(&vendor, ""))]).await;
    get(proxy.http, "/v1/lookup/lrn/3035550123").await;
    get(proxy.http, "/v1/lookup/lrn/3035550123").await;
    let status = proxy.status().await;
    assert_eq!(status["node"], "edge-1");
    let lookup = &status["lookups"]["lrn"];
    assert_eq!(
        (&lookup["callers"], &lookup["hit_ratio"], &lookup["override"]),
        (&2.into(), &0.5.into(), &"auto".into())
    );
    assert_eq!(lookup["entries"], 1);
    assert_eq!((&lookup["sources"]["v"], &lookup["sources"]["local"]), (&1.into(), &1.into()), "{lookup}");
    let upstream = &lookup["upstreams"][0];
    assert_eq!(
        (&upstream["name"], &upstream["breaker"], &upstream["hold"]),
        (&"v".into(), &"closed".into(), &().into())
    );
    assert_eq!(status["events"][0]["type"], "dipcache.node.started");
    assert_eq!(get(proxy.admin, "/livez").await.status, 200);
    assert_eq!(get(proxy.admin, "/readyz").await.status, 200);
    let metrics = get(proxy.admin, "/metrics").await.body;
    for line in [
        r#"dipcache_requests_total{front="http",lookup="lrn",outcome="found"} 2"#,
        r#"dipcache_upstream_requests_total{lookup="lrn",upstream="v",outcome="found"} 1"#,
        r#"dipcache_health{lookup="lrn"} 1"#,
        r#"dipcache_breaker_state{lookup="lrn",upstream="v"} 0"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert!(!metrics.contains("3035550123"), "a number is never a label");
}

#[tokio::test]
async fn no_log_line_holds_a_whole_number_unless_the_config_wants_it() {
    let vendor = vendor(Mode::Answer(500, "text/plain", b"oops".to_vec())).await;
    for masked in [true, false] {
        let lines = format!("[log]\nlevel = \"trace\"\nmask_numbers = {masked}");
        let mut proxy = Proxy::start(&lines, &[("lrn", &lrn(&vendor, ""))]).await;
        get(proxy.http, "/v1/lookup/lrn/3035550123").await;
        proxy.server.tell("TERM");
        assert!(proxy.server.ended(std::time::Duration::from_secs(10)).await.is_some());
        let log = proxy.server.whole_log();
        assert_eq!(log.contains("3035550123"), !masked, "mask_numbers = {masked}");
        assert!(log.contains("+13*******23") == masked);
    }
}
