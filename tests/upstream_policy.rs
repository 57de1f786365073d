//! From a policy file to the wire: what an operator wrote is what the vendor, the name server and the database see,
//! and what `dipcache try` shows is the same without its secrets.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use dipcache::deadline::Deadline;
use dipcache::policy::{Policy, Reading};
use dipcache::upstream::{FailureKind, Upstream};
use serde_json::json;
use sqlx::ConnectOptions;
use support::lookups::policy;
use support::nameserver::{self, Nameserver};
use support::policies::secret_file;
use support::vendor::{Mode, Vendor};

const HEAD: &str = "kind = \"raw\"\n[input]\nkey = { type = \"text\" }\nani = { type = \"text\", optional = true }\n";

fn read(upstream: &str) -> Policy {
    policy("wire", &format!("{HEAD}[[upstream]]\nname = \"a\"\n{upstream}\n[upstream.fields]\nx = \"key\"\n"))
}

/// Asks the policy's upstream, and shows the request in words.
async fn ask(policy: &Policy, key: &str, inputs: &[(&str, &str)]) -> (String, Reading) {
    let question = policy.question(key, inputs).expect("a key that fits");
    let upstream = Upstream::build(&policy.upstreams[0]).expect("an upstream");
    let words = upstream.describe(&policy.upstreams[0], &question).expect("a request");
    let deadline = Deadline::after(Duration::from_secs(3));
    (words, upstream.ask(&policy.upstreams[0], &question, deadline).await.expect("a reading"))
}

#[tokio::test]
async fn a_vendor_sees_what_was_written_and_words_hide_the_secret() {
    let vendor = Vendor::start(Mode::OK).await;
    let (_file, secret) = secret_file("s3cr/et");
    for (auth, on_the_wire) in [
        (format!("auth = {{ type = \"bearer\", token = \"{secret}\" }}"), "authorization: Bearer s3cr/et"),
        (format!("auth = {{ type = \"header\", name = \"X-Key\", value = \"{secret}\" }}"), "x-key: s3cr/et"),
        (format!("auth = {{ type = \"query\", name = \"api_key\", value = \"{secret}\" }}"), "&api_key=s3cr%2Fet "),
        (
            format!("auth = {{ type = \"basic\", user = \"{secret}\", password = \"{secret}\" }}"),
            "authorization: Basic czNjci9ldDpzM2NyL2V0",
        ),
    ] {
        let text = format!(
            "type = \"http\"\nurl = \"{}\"\nformat = \"json\"\n{auth}",
            vendor.url("/v1/{{ key }}?ani={{ ani }}")
        );
        let (words, reading) = ask(&read(&text), "a/b c+%", &[("ani", "&x=1")]).await;
        assert_eq!(reading.status, Some(200));
        let seen = vendor.last_request();
        assert!(seen.starts_with("GET /v1/a%2Fb%20c%2B%25?ani=%26x%3D1"), "{seen}");
        assert!(seen.contains(on_the_wire), "{on_the_wire} is in {seen}");
        assert!(words.contains("***") && !words.contains("s3cr") && !words.contains("czNj"), "{words}");
        assert!(words.starts_with(&format!("GET {}", vendor.url("/v1/a%2Fb%20c%2B%25?ani=%26x%3D1"))), "{words}");
    }
}

#[tokio::test]
async fn a_key_cannot_climb_out_of_its_path() {
    let vendor = Vendor::start(Mode::OK).await;
    let policy = read(&format!("type = \"http\"\nurl = \"{}\"\nformat = \"json\"", vendor.url("/v1/{{ key }}/x")));
    let upstream = Upstream::build(&policy.upstreams[0]).expect("an upstream");
    let question = policy.question("..", &[]).expect("text");
    let deadline = Deadline::after(Duration::from_secs(3));
    let failure = upstream.ask(&policy.upstreams[0], &question, deadline).await.expect_err("another path");
    assert_eq!((failure.kind, vendor.requests()), (FailureKind::Policy, 0));
}

#[tokio::test]
async fn a_name_server_sees_the_rendered_name() {
    let server = Nameserver::start(nameserver::Mode::Ok).await;
    let text = format!(
        "type = \"dns\"\nrecord = \"A\"\ndomain = \"{{{{ key }}}}.carrier.test\"\nservers = [\"{}\"]\ntimeout = {{ total = \"2s\" }}",
        server.address
    );
    let (words, reading) = ask(&read(&text), "sip", &[]).await;
    assert!(words.starts_with("sip.carrier.test IN A @ 127.0.0.1:"), "{words}");
    assert_eq!(reading.rcode.as_deref(), Some("NOERROR"));
    let seen = server.last_query().expect("a query");
    assert_eq!(seen.queries[0].name().to_ascii(), "sip.carrier.test.");
}

#[tokio::test]
async fn a_database_gets_values_and_never_their_text() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("rates.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut connection = options.connect().await.expect("a file");
    let tables = "CREATE TABLE rates (prefix TEXT, cost REAL); INSERT INTO rates VALUES ('1''; DROP', 0.5)";
    sqlx::raw_sql(tables).execute(&mut connection).await.expect("tables");
    let (_file, secret) = secret_file(&format!("sqlite:{}", path.display()));
    let text = format!(
        "type = \"sql\"\ndatabase = \"{secret}\"\nquery = \"select prefix, cost from rates where prefix = :key and (:ani is null or cost < :ani)\""
    );
    let (words, reading) = ask(&read(&text), "1'; DROP", &[]).await;
    let rows = serde_json::to_value(&reading.rows).expect("JSON");
    assert_eq!(rows, json!([{"prefix": "1'; DROP", "cost": 0.5}]));
    assert!(words.contains(":key = \"1'; DROP\" (text)") && words.contains(":ani = null"), "{words}");
    assert!(!words.contains("rates.db"), "{words}");
}
