//! What tables promise: every match, every refresh, and answers that outlive the place they came from.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dipcache::answer::{Answer, Outcome, Source};
use dipcache::deadline::now;
use dipcache::events::EventType;
use dipcache::lookup::Lookup;
use support::caller::get;
use support::lookups::{Desk, ask};
use support::postgres::Postgres;
use support::proxy::Proxy;

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let gave_up = now() + Duration::from_secs(20);
    while !holds().await {
        assert!(now() < gave_up, "waited 20 s in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn loaded(lookup: &Lookup) {
    until("a table is loaded", async || lookup.tables().all(|(_, table)| table.is_loaded())).await;
}

fn json(answer: &Answer) -> String {
    answer.record.as_ref().map(|record| record.as_json().to_owned()).unwrap_or_default()
}

/// A rate deck in a file.
fn rates(file: &Path, lines: &str) -> String {
    format!(
        "kind = \"rate\"\n[input]\nkey = {{ type = \"tn\", country = \"US\" }}\n[[upstream]]\nname = \"deck\"\ntype = \"table\"\n\
         file = \"{}\"\nmatch = \"longest_prefix\"\nkey_column = \"prefix\"\n{lines}\n\
         [upstream.fields]\nprefix = \"row.prefix\"\nrate_inter = \"row.rate | float\"\n",
        file.display()
    )
}

#[tokio::test]
async fn a_file_answers_at_once_and_from_memory() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rates.csv");
    std::fs::write(&file, "prefix,rate\n1,0.01\n1303,0.02\n1303555,0.005\nbad,1\n").unwrap();
    let desk = Desk::new(&[("rate", &rates(&file, ""))]);
    let lookup = desk.lookup("rate");
    loaded(&lookup).await;
    std::fs::remove_file(&file).unwrap();

    let found = ask(&lookup, "3035550123", 50).await;
    assert_eq!((found.outcome, found.source.clone()), (Outcome::Found, Source::Local));
    assert_eq!(json(&found), r#"{"prefix":"1303555","rate_inter":0.005}"#);
    assert_eq!(json(&ask(&lookup, "3039990123", 50).await), r#"{"prefix":"1303","rate_inter":0.02}"#);
    let none = ask(&lookup, "+4930123456", 50).await;
    assert_eq!((none.outcome, none.record), (Outcome::NotFound, None));
    assert_eq!((lookup.local.len(), lookup.flights()), (0, 0), "a table needs neither cache nor flight");
    let (_, table) = lookup.tables().next().unwrap();
    assert_eq!(table.snapshot().unwrap().left_out, 1);
    assert_eq!(desk.told(EventType::TableLoaded), 1);
}

#[tokio::test]
async fn a_file_of_fixed_widths_needs_no_separator() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("deck.dat");
    std::fs::write(&file, "1      0.01  US\n1303   0.02  CO of the rest nothing is read\n1303555 0.5\n").unwrap();
    let lines = "columns = [\"prefix\", \"rate\", \"state\"]\nwidths = [7, 6, 3]";
    let desk = Desk::new(&[("rate", &rates(&file, lines))]);
    let lookup = desk.lookup("rate");
    loaded(&lookup).await;
    assert_eq!(json(&ask(&lookup, "3039990123", 50).await), r#"{"prefix":"1303","rate_inter":0.02}"#);
    assert_eq!(json(&ask(&lookup, "3035550123", 50).await), r#"{"prefix":"1303555","rate_inter":0.5}"#);
    assert_eq!(json(&ask(&lookup, "2125550123", 50).await), r#"{"prefix":"1","rate_inter":0.01}"#);
}

#[tokio::test]
async fn keys_are_tried_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("lerg.tsv"),
        "npa\tnxx\tblock\tocn\n303\t555\tA\t1000\n303\t555\t7\t7777\n212\t664\tA\t2000\n",
    )
    .unwrap();
    let policy = format!(
        "kind = \"lerg\"\n[input]\nkey = {{ type = \"tn\", country = \"US\" }}\n[[upstream]]\ntype = \"table\"\nfile = \"{}\"\n\
         key_column = [\"npa\", \"nxx\", \"block\"]\n\
         keys = [\"{{{{ key | npa }}}}-{{{{ key | nxx }}}}-{{{{ key | block }}}}\", \"{{{{ key | npa }}}}-{{{{ key | nxx }}}}-A\"]\n\
         fields = {{ ocn = \"row.ocn\" }}\n",
        dir.path().join("lerg.tsv").display()
    );
    let desk = Desk::new(&[("lerg", &policy)]);
    let lookup = desk.lookup("lerg");
    loaded(&lookup).await;
    assert_eq!(json(&ask(&lookup, "3035557123", 50).await), r#"{"ocn":"7777"}"#);
    assert_eq!(json(&ask(&lookup, "3035551123", 50).await), r#"{"ocn":"1000"}"#);
    assert_eq!(json(&ask(&lookup, "2126640000", 50).await), r#"{"ocn":"2000"}"#);
    assert_eq!(ask(&lookup, "4155550000", 50).await.outcome, Outcome::NotFound);
}

#[tokio::test]
async fn a_changed_file_is_loaded_and_a_doubtful_one_is_not_until_it_is_forced() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rates.csv");
    let deck = |rows: usize, rate: &str| -> String {
        std::iter::once("prefix,rate\n".to_owned()).chain((0..rows).map(|n| format!("{},{rate}\n", 1000 + n))).collect()
    };
    std::fs::write(&file, deck(500, "1")).unwrap();
    let desk = Desk::new(&[("rate", &rates(&file, ""))]);
    let lookup = desk.lookup("rate");
    loaded(&lookup).await;
    let rate = async || json(&ask(&lookup, "+12025550123", 50).await);
    assert_eq!(rate().await, r#"{"prefix":"1202","rate_inter":1}"#);

    std::fs::write(&file, deck(500, "2")).unwrap();
    until("the changed file is loaded", async || rate().await.contains(":2}")).await;

    std::fs::write(&file, deck(300, "3")).unwrap();
    until("the doubtful file is told", async || desk.told(EventType::TableRejected) == 1).await;
    assert!(rate().await.contains(":2}"), "the old rows go on");
    let failure = lookup.tables().next().unwrap().1.last().failure.unwrap();
    assert_eq!(failure.label(), "implausible");
    assert!(failure.to_string().contains("300 rows after 500"), "{failure}");

    assert!(lookup.want_tables(Some("deck"), true));
    until("the forced file is loaded", async || rate().await.contains(":3}")).await;
    assert!(!lookup.want_tables(Some("nobody"), true));

    std::fs::write(&file, "prefix,cost\n1202,1\n").unwrap();
    until("a wrong column is told", async || desk.told(EventType::TableRejected) == 2).await;
    assert!(rate().await.contains(":3}"));
}

#[tokio::test]
async fn without_rows_the_flag_is_down_and_the_fallback_answers() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("late.csv");
    let bare = rates(&file, "");
    let with = bare.replace("[[upstream]]", "[fallback]\nrecord = { rate_inter = 9 }\n[[upstream]]");
    let desk = Desk::new(&[("bare", &bare), ("with", &with)]);
    let (bare, with) = (desk.lookup("bare"), desk.lookup("with"));
    until("the missing file is told", async || desk.told(EventType::TableRejected) == 2).await;
    assert!(!bare.is_up());
    let empty = ask(&bare, "3035550123", 50).await;
    assert_eq!((empty.outcome, empty.retry_after.is_some()), (Outcome::Open, true));
    assert_eq!(ask(&with, "3035550123", 50).await.outcome, Outcome::Fallback);

    std::fs::write(&file, "prefix,rate\n1,0.01\n").unwrap();
    loaded(&bare).await;
    until("the flag is up again", async || bare.is_up()).await;
    assert_eq!(ask(&bare, "3035550123", 50).await.outcome, Outcome::Found);
}

#[tokio::test]
async fn a_table_stands_in_a_chain_with_others() {
    let vendor = support::vendor::Vendor::start(support::vendor::Mode::OK).await;
    vendor.set_body(r#"{"rate":0.5}"#);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rates.csv");
    let policy = rates(&file, "")
        + &format!(
            "[[upstream]]\nname = \"vendor\"\ntype = \"http\"\nurl = \"{}\"\nfields = {{ rate_inter = \"body.rate\" }}\n",
            vendor.url("/")
        );
    let desk = Desk::new(&[("rate", &policy)]);
    let lookup = desk.lookup("rate");
    let first = ask(&lookup, "3035550123", 500).await;
    assert_eq!(first.source.as_str(), "vendor", "a table without rows hands over");
    std::fs::write(&file, "prefix,rate\n1212,0.01\n").unwrap();
    loaded(&lookup).await;
    assert_eq!(ask(&lookup, "2125550123", 500).await.source.as_str(), "deck");
}

fn from_database(url: &str, lines: &str, rate: &str) -> String {
    format!(
        "kind = \"rate\"\n[input]\nkey = {{ type = \"tn\", country = \"US\" }}\n[[upstream]]\nname = \"db\"\ntype = \"table\"\n\
         database = \"{url}\"\nquery = \"select prefix, cost from rates\"\nmatch = \"longest_prefix\"\nkey_column = \"prefix\"\n\
         {lines}\n[upstream.fields]\nrate_inter = \"{rate}\"\n"
    )
}

async fn five_hundred_rates(postgres: &Postgres) {
    postgres
        .execute(
            "create table rates (prefix text primary key, cost numeric(12,6));
             insert into rates select (1200 + n)::text, n / 1000.0 from generate_series(1, 500) n;",
        )
        .await;
}

#[tokio::test]
async fn with_postgresql_gone_for_good_a_table_answers_as_before_across_a_reload() {
    let Some(mut postgres) = Postgres::start().await else { return };
    five_hundred_rates(&postgres).await;
    let desk = Desk::new(&[("rate", &from_database(&postgres.url, "every = \"1s\"", "row.cost"))]);
    let lookup = desk.lookup("rate");
    loaded(&lookup).await;
    let rate = async |desk: &Desk| json(&ask(&desk.lookup("rate"), "+12025550123", 50).await);
    assert_eq!(rate(&desk).await, r#"{"rate_inter":0.002}"#);
    postgres.execute("update rates set cost = 0.5 where prefix = '1202'").await;
    until("the table is loaded again", async || rate(&desk).await.contains("0.5")).await;

    postgres.server.kill();
    until("the failed load is told", async || desk.told(EventType::TableRejected) > 0).await;
    assert_eq!(rate(&desk).await, r#"{"rate_inter":0.5}"#);

    desk.install(&[("rate", &from_database(&postgres.url, "every = \"1s\"", "row.cost"))]);
    assert!(Arc::ptr_eq(&lookup, &desk.lookup("rate")), "nothing has changed");
    desk.install(&[("rate", &from_database(&postgres.url, "every = \"2s\"\nmax_change = 0.5", "row.cost"))]);
    assert!(!Arc::ptr_eq(&lookup, &desk.lookup("rate")));
    assert_eq!(rate(&desk).await, r#"{"rate_inter":0.5}"#, "re-timed: the same table");
    desk.install(&[("rate", &from_database(&postgres.url, "", "row.cost | float"))]);
    assert_eq!(rate(&desk).await, r#"{"rate_inter":0.5}"#, "other fields: the old rows stand in");
    assert!(desk.lookup("rate").is_up());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_postgresql_gone_for_good_the_program_answers_as_before_across_its_reloads() {
    let Some(mut postgres) = Postgres::start().await else { return };
    five_hundred_rates(&postgres).await;
    let policy = |lines: &str, rate: &str| from_database(&postgres.url, lines, rate);
    let proxy = Proxy::start("", &[("rate", &policy("every = \"1s\"", "row.cost"))]).await;
    let rate = async || get(proxy.http, "/v1/lookup/rate/12025550123").await;
    until("the table is loaded", async || rate().await.status == 200).await;
    assert_eq!(rate().await.body, r#"{"rate_inter":0.002}"#);

    let changes = [
        policy("every = \"1s\"", "row.cost"),
        policy("every = \"2s\"\nmax_change = 0.5", "row.cost"),
        policy("", "row.cost | float"),
        policy("", "row.cost | float") + "prefix = \"row.prefix\"\n",
    ];
    postgres.server.kill();
    until("the failed load is told", async || proxy.server.whole_log().contains("dipcache.table.rejected")).await;
    for change in changes {
        proxy.write_policy("rate", &change);
        assert!(proxy.reload().await, "{}", proxy.server.log());
        for _ in 0..50 {
            let reply = rate().await;
            assert_eq!((reply.status, reply.body.as_str()), (200, r#"{"rate_inter":0.002}"#), "{change}");
        }
    }
    assert_eq!(get(proxy.http, "/v1/health/rate").await.body, "1");
}
