//! The commands against a running proxy: what they say, and how they end.

use std::process::Command;

use crate::support::caller::get;
use crate::support::proxy::{Proxy, program, run};
use crate::support::vendor::{Mode, Vendor};
use crate::{BODY, lrn, vendor};

const OPEN: &str = "[admin]\ntoken = \"off\"";

async fn proxy() -> (Proxy, Vendor) {
    let vendor = vendor(Mode::OK).await;
    let policy = lrn(&vendor, "[budget]\ncall = \"2s\"\nbackground = \"3s\"");
    (Proxy::start(OPEN, &[("lrn", &policy)]).await, vendor)
}

#[tokio::test]
async fn lookup_prints_the_record_and_where_it_came_from() {
    let (proxy, vendor) = proxy().await;
    let done = proxy.command(&["lookup", "lrn", "3035550123"]).await;
    assert_eq!((done.code, done.out.trim(), done.err.as_str()), (Some(0), BODY, ""));
    let done = proxy.command(&["lookup", "lrn", "3035550123", "--explain"]).await;
    assert!(done.out.contains("X-Dip-Source   local") && done.out.contains(BODY), "{done:?}");
    let done = proxy.command(&["lookup", "lrn", "3035550123", "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((&json["status"], &json["record"]["ocn"]), (&200.into(), &"1234".into()), "{json}");
    vendor.set(Mode::Answer(404, "application/json", b"{}".to_vec()));
    let done = proxy.command(&["lookup", "lrn", "3035550199"]).await;
    assert_eq!((done.code, done.out.as_str(), done.err.trim()), (Some(1), "", "dipcache: not_found"));
    let done = proxy.command(&["lookup", "nothing", "3035550199"]).await;
    assert_eq!((done.code, done.err.trim()), (Some(1), "dipcache: unknown_lookup"));
}

#[tokio::test]
async fn status_is_a_table_or_json() {
    let (proxy, _vendor) = proxy().await;
    get(proxy.http, "/v1/lookup/lrn/3035550123").await;
    let done = proxy.command(&["status"]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.out.contains("lrn ") && done.out.contains("  v ") && done.out.contains("closed for"), "{}", done.out);
    let done = proxy.command(&["status", "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(
        (&json["lookups"]["lrn"]["health"], &json["lookups"]["lrn"]["callers"]),
        (&1.into(), &1.into()),
        "{json}"
    );
}

#[tokio::test]
async fn health_reads_a_flag_and_lays_a_hand_on_it() {
    let (proxy, _vendor) = proxy().await;
    assert_eq!(proxy.command(&["health", "lrn"]).await.out, "1\n");
    assert_eq!(proxy.command(&["health", "lrn", "down"]).await.out, "lrn is 0 (down)\n");
    assert_eq!(proxy.command(&["health", "lrn"]).await.out, "0\n");
    assert_eq!(get(proxy.http, "/v1/health/lrn").await.body, "0");
    assert!(proxy.reload().await);
    assert_eq!(proxy.command(&["health", "lrn"]).await.out, "0\n", "the hand stays where it was laid");
    assert_eq!(proxy.command(&["health", "lrn", "auto"]).await.out, "lrn is 1 (auto)\n");
    let done = proxy.command(&["health", "nothing", "up"]).await;
    assert_eq!((done.code, done.err.trim()), (Some(1), "dipcache: no lookup `nothing`; there are lrn"));
    assert_eq!(proxy.command(&["health", "lrn", "sideways"]).await.code, Some(2));
}

#[tokio::test]
async fn flush_drops_one_entry_or_all_and_never_more_than_was_said() {
    let (proxy, _vendor) = proxy().await;
    for key in ["3035550100", "3035550101"] {
        get(proxy.http, &format!("/v1/lookup/lrn/{key}")).await;
    }
    for key in ["..", ".", ""] {
        let done = proxy.command(&["flush", "lrn", key]).await;
        assert_eq!(done.code, Some(1), "{done:?}");
    }
    assert_eq!(proxy.command(&["flush", "lrn", "+1 303 555 0100"]).await.out, "the entry is gone\n");
    assert_eq!(proxy.command(&["flush", "lrn", "3035550100"]).await.out, "there was no such entry\n");
    assert_eq!(get(proxy.http, "/v1/lookup/lrn/3035550101").await.source(), "local");
    assert_eq!(get(proxy.http, "/v1/lookup/lrn/3035550100").await.source(), "v");
    assert_eq!(proxy.command(&["flush", "lrn"]).await.out, "every entry of lrn is gone\n");
    assert_eq!(proxy.status().await["lookups"]["lrn"]["entries"], 0);
    assert_eq!(get(proxy.http, "/v1/lookup/lrn/3035550101").await.source(), "v");
    assert_eq!(proxy.command(&["flush", "lrn", "no number"]).await.code, Some(1));
}

#[tokio::test]
async fn try_makes_one_dip_outside_the_caches() {
    let (proxy, vendor) = proxy().await;
    for _ in 0..2 {
        let done = proxy.command(&["try", "lrn", "3035550123"]).await;
        assert_eq!(done.code, Some(0), "{done:?}");
        assert!(done.out.contains("outcome   found (built in: 200)") && done.out.contains(BODY), "{}", done.out);
    }
    assert_eq!(vendor.requests(), 2);
    let done = proxy.command(&["try", "lrn", "3035550123", "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((&json[0]["outcome"], &json[0]["record"]["ocn"]), (&"found".into(), &"1234".into()), "{json}");
    vendor.set(Mode::Refuse);
    assert_eq!(proxy.command(&["try", "lrn", "3035550123"]).await.code, Some(1));
    let done = proxy.command(&["try", "lnr", "3035550123"]).await;
    assert!(done.code == Some(1) && done.err.contains("no policy `lnr`"), "{done:?}");
}

#[tokio::test]
async fn check_ends_with_one_on_any_fault() {
    let (proxy, vendor) = proxy().await;
    let done = proxy.command(&["check"]).await;
    assert_eq!((done.code, done.out.as_str()), (Some(0), "all is well\n"));
    proxy.write_policy("lrn", &lrn(&vendor, "colour = \"red\""));
    let done = proxy.command(&["check"]).await;
    assert!(done.code == Some(1) && done.out.contains("lrn.toml:4:"), "{done:?}");
    let done = proxy.command(&["check", "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((done.code, &json[0]["line"]), (Some(1), &4.into()), "{json}");
}

#[tokio::test]
async fn check_sees_a_bundle_that_asks_a_lookup_that_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("policies")).unwrap();
    let config = dir.path().join("dipcache.toml");
    std::fs::write(&config, "[policies]\ndir = \"policies\"\n[bundle.inbound]\ncnma = { key = \"called\" }\n").unwrap();
    let mut command = Command::new(program());
    command.arg("check").arg("-c").arg(&config);
    let done = run(command).await;
    assert!(done.code == Some(1) && done.out.contains("dipcache.toml:4:1: part `cnma` of bundle"), "{done:?}");
}

#[tokio::test]
async fn the_demos_files_are_in_order_without_the_demo() {
    let root = env!("CARGO_MANIFEST_DIR");
    let command = |arguments: &[&str]| {
        let mut command = Command::new(program());
        command.args(arguments).args(["-c", "config/demo.toml"]).current_dir(root);
        run(command)
    };
    let done = command(&["check"]).await;
    assert_eq!((done.code, done.out.as_str()), (Some(0), "all is well\n"));
    let done = command(&["try", "rate", "13035550123"]).await;
    // The policy gives the database 15 ms for a connection, which a busy machine may not keep.
    assert!(done.out.contains("request   select prefix") && done.err.is_empty(), "{done:?}");
}

#[tokio::test]
async fn wrong_usage_ends_with_two_and_a_proxy_that_is_not_there_with_one() {
    let (mut proxy, _vendor) = proxy().await;
    for wrong in [&["lookup"][..], &["lookup", "lrn", "1", "ani"], &["try", "lrn", "1", "ani"], &["sing"], &["flush"]] {
        let done = proxy.command(wrong).await;
        assert_eq!(done.code, Some(2), "{wrong:?}: {done:?}");
    }
    proxy.server.kill();
    for command in [&["status"][..], &["health", "lrn"], &["flush", "lrn"], &["lookup", "lrn", "3035550123"]] {
        let done = proxy.command(command).await;
        assert!(done.code == Some(1) && done.err.contains("no proxy answers at http://127.0.0.1:"), "{done:?}");
    }
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_fault() {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("( {} check -c no-such-file; echo $? >&2 ) | true", program().display()));
    let done = run(command).await;
    assert!(!done.err.contains("panicked"), "{done:?}");
}

/// The threads that callers wait for and their scheduling policies: 0 as everybody, 2 in real time (proc(5), sched(7)).
fn ranks(pid: u32) -> Vec<String> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let stats = threads.map(|thread| std::fs::read_to_string(thread.unwrap().path().join("stat")).unwrap());
    let waited_for = stats.filter(|stat| stat.contains("(serve-"));
    // The name may hold blanks; behind it field 41 is the 39th.
    waited_for.map(|stat| stat.rsplit_once(") ").unwrap().1.split(' ').nth(38).unwrap().to_owned()).collect()
}

#[tokio::test]
async fn who_serves_goes_before_all_others_where_that_is_wished_and_allowed() {
    let vendor = vendor(Mode::OK).await;
    let policy = lrn(&vendor, "");
    let usual = Proxy::start(OPEN, &[("lrn", &policy)]).await;
    assert!(ranks(usual.server.pid()).iter().all(|rank| rank == "0"), "{:?}", ranks(usual.server.pid()));
    let before = Proxy::start(&format!("{OPEN}\n[threads]\nrealtime = true"), &[("lrn", &policy)]).await;
    let ranks = ranks(before.server.pid());
    // Whether it is allowed, util-linux knows; a refusal is told and changes nothing else.
    let is_allowed = Command::new("chrt").args(["-r", "1", "true"]).status().is_ok_and(|status| status.success());
    assert!(!ranks.is_empty() && ranks.iter().all(|rank| rank == if is_allowed { "2" } else { "0" }), "{ranks:?}");
    assert_eq!(before.server.log().contains("`[threads] realtime`"), !is_allowed, "{}", before.server.log());
    assert_eq!(get(before.http, "/v1/lookup/lrn/3035550123").await.body, BODY);
}
