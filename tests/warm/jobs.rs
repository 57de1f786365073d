//! Jobs of a policy's own: where their keys come from, and what may stop them.

use std::path::Path;
use std::time::Duration;

use sqlx::ConnectOptions as _;

use crate::support::caller::{Caller, get};
use crate::support::process::until;
use crate::support::proxy::Proxy;
use crate::support::vendor::{Mode, Vendor};
use crate::{OPEN, keys, lrn, number, vendor};

const PATIENCE: Duration = Duration::from_secs(30);

/// A database of subscribers, and a file that says where it is.
async fn subscribers(dir: &Path) -> String {
    let path = dir.join("subscribers.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut database = options.connect().await.unwrap();
    let rows = format!("insert into s values ('{}', 1), ('{}', 1), ('{}', 0)", number(1), number(2), number(3));
    for statement in ["create table s (number text, active int)", &rows] {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut database).await.unwrap();
    }
    let secret = dir.join("database");
    std::fs::write(&secret, format!("sqlite:{}", path.display())).unwrap();
    secret.display().to_string()
}

async fn has_asked(vendor: &Vendor, count: u64, proxy: &Proxy) {
    let asked = until(PATIENCE, || async { (vendor.requests() >= count).then_some(()) }).await;
    assert!(asked.is_some(), "{} of {count} dips: {}", vendor.requests(), proxy.server.log());
}

async fn source(proxy: &Proxy, place: u64) -> String {
    get(proxy.http, &format!("/v1/lookup/lrn/{}", number(place))).await.source().to_owned()
}

/// The words of the event that a job has ended with, once there are so many.
async fn told(proxy: &Proxy, count: usize) -> String {
    let line = async || {
        let log = proxy.server.whole_log();
        let told: Vec<_> = log.lines().filter(|line| line.contains("dipcache.warm.finished")).collect();
        (told.len() >= count).then(|| told[count - 1].to_owned())
    };
    until(PATIENCE, line).await.unwrap_or_else(|| panic!("no word of the job: {}", proxy.server.log()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_at_start_takes_its_keys_from_file_and_database() {
    let vendor = vendor(Mode::OK).await;
    let dir = tempfile::tempdir().unwrap();
    let database = subscribers(dir.path()).await;
    let file = dir.path().join("more.txt");
    std::fs::write(&file, format!("# a remark\n{}\n{}\nnonsense\n", number(2), number(4))).unwrap();
    let warm = format!(
        "[budget]\ncall = \"2s\"\n[warm]\nat_start = true\nfile = {file:?}\ndatabase = \"file:{database}\"\n\
         query = \"select number from s where active = 1 order by number\""
    );
    let proxy = Proxy::start(OPEN, &[("lrn", &lrn(&vendor, &warm, ""))]).await;
    let told = told(&proxy, 1).await;
    assert!(told.contains("5 keys in ") && told.contains("1 fresh already, 3 dips, 0 failed, 1 no keys"), "{told}");
    assert_eq!(vendor.requests(), 3);
    for (place, expected) in [(1, "local"), (2, "local"), (4, "local"), (3, "v")] {
        assert_eq!(source(&proxy, place).await, expected, "{place}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_wanted_runs_and_one_without_keys_says_why() {
    let vendor = vendor(Mode::OK).await;
    let dir = tempfile::tempdir().unwrap();
    let file = keys(dir.path(), 20);
    let lines = "[budget]\ncall = \"2s\"";
    let mine = format!("{lines}\n[warm]\nfile = {file:?}");
    let policies = [("lrn", &*lrn(&vendor, &mine, "")), ("bare", &lrn(&vendor, lines, ""))];
    let proxy = Proxy::start(OPEN, &policies).await;
    let mut caller = Caller::connect(proxy.admin).await.unwrap();
    let reply = caller.send("POST", "/v1/warm/lrn/run", "", "").await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(told(&proxy, 1).await.contains("20 dips"));
    let reply = caller.send("POST", "/v1/warm/bare/run", "", "").await.unwrap();
    assert!(reply.status == 400 && reply.body.contains("give it a source under [warm]"), "{reply:?}");
    assert_eq!(caller.send("POST", "/v1/warm/nothing/run", "", "").await.unwrap().status, 404);

    // The file is gone: the job says so, and the next one runs.
    std::fs::remove_file(&file).unwrap();
    assert_eq!(caller.send("POST", "/v1/warm/lrn/run", "", "").await.unwrap().status, 200);
    let said = || async { proxy.server.whole_log().contains("does not read").then_some(()) };
    assert!(until(PATIENCE, said).await.is_some(), "{}", proxy.server.log());
    keys(dir.path(), 21);
    assert_eq!(caller.send("POST", "/v1/warm/lrn/run", "", "").await.unwrap().status, 200);
    assert!(told(&proxy, 2).await.contains("20 fresh already, 1 dips"), "{}", proxy.server.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_hot_is_asked_for_at_the_next_start() {
    let vendor = vendor(Mode::OK).await;
    let dir = tempfile::tempdir().unwrap();
    let state = format!("{OPEN}\n[state]\ndir = {:?}\nsnapshot = false", dir.path().join("state"));
    let lines = "[budget]\ncall = \"2s\"\n[cache]\nfound = \"1h\"\n[warm]\njournal = true\nat_start = true";
    let policy = lrn(&vendor, lines, "");
    let mut before = Proxy::start(&state, &[("lrn", &policy)]).await;
    for place in 0..30 {
        for _ in 0..2 {
            source(&before, place).await;
        }
    }
    before.server.tell("TERM");
    assert!(before.server.ended(PATIENCE).await.is_some());
    let asked = vendor.requests();
    let after = Proxy::start(&state, &[("lrn", &policy)]).await;
    has_asked(&vendor, asked + 30, &after).await;
    assert!(told(&after, 1).await.contains("30 dips"), "{}", after.server.log());
    for place in 0..30 {
        assert_eq!(source(&after, place).await, "local", "{place}");
    }
    assert_eq!(vendor.requests(), asked + 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_spends_no_more_than_the_policy_allows() {
    let vendor = vendor(Mode::OK).await;
    let dir = tempfile::tempdir().unwrap();
    let file = keys(dir.path(), 30);
    let lines = format!(
        "[budget]\ncall = \"2s\"\n[cost]\nper = {{ found = 0.01 }}\ndips_per_day = 10\n[warm]\nat_start = true\nrate = 100\nfile = {file:?}"
    );
    let proxy = Proxy::start(OPEN, &[("lrn", &lrn(&vendor, &lines, ""))]).await;
    let waits = || async {
        let status = proxy.status().await;
        (status["warm"][0]["why"] == "there is no money left").then_some(())
    };
    assert!(until(PATIENCE, waits).await.is_some(), "{}", proxy.status().await["warm"]);
    assert_eq!(vendor.requests(), 10);
}
