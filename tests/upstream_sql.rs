//! A promise a test: one policy, three kinds of database, and a dip that ends by its deadline whatever they do.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use dipcache::deadline::{Deadline, now};
use dipcache::policy::Reading;
use dipcache::upstream::sql::{Bound, Param, Settings, SqlUpstream};
use dipcache::upstream::{Failure, FailureKind};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions};
use support::SLACK;
use support::mariadb::MariaDb;
use support::postgres::Postgres;

const SCHEMA: &str = "CREATE TABLE rates (prefix VARCHAR(20) PRIMARY KEY, cost DECIMAL(12,6) NOT NULL, carrier INTEGER, note VARCHAR(100));
INSERT INTO rates VALUES ('1303', 0.012300, 7, 'Denver'), ('1', 0.005000, 7, NULL), ('44', 0.021, 9, 'it''s :key');
CREATE TABLE account (id INTEGER PRIMARY KEY, name VARCHAR(40), active BOOLEAN, balance DECIMAL(20,4), born DATE);
INSERT INTO account VALUES (42, 'Ada', TRUE, 12.5000, '2001-02-03'), (43, 'Bob', FALSE, 9999999999999999.1234, NULL);
";

fn settings(url: &str, query: &str, parameters: &[&str]) -> Settings {
    Settings {
        url: url.to_owned(),
        query: query.to_owned(),
        parameters: parameters.iter().map(|name| (*name).to_owned()).collect(),
        pool: 4,
        max_rows: 100,
        connect_timeout: Duration::from_secs(2),
        total_timeout: None,
    }
}

fn bound(values: &[(&str, Param)]) -> Bound {
    Bound(values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
}

fn text(value: &str) -> Param {
    Param::Text(value.to_owned())
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(5))
}

fn rows(reading: &Reading) -> Value {
    serde_json::to_value(&reading.rows).expect("JSON")
}

async fn ask(url: &str, query: &str, values: &[(&str, Param)]) -> Result<Value, Failure> {
    let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
    let upstream = SqlUpstream::new(settings(url, query, &names))?;
    upstream.fetch(&bound(values), soon()).await.map(|reading| rows(&reading))
}

async fn ok(url: &str, query: &str, values: &[(&str, Param)]) -> Value {
    ask(url, query, values).await.unwrap_or_else(|failure| panic!("{query} on {url}: {failure}"))
}

/// What holds for one policy on each kind of database.
async fn conforms(url: &str) {
    // Longest prefix, text against text, a number that keeps its digits.
    let query = "SELECT prefix, cost, carrier, note FROM rates WHERE :key LIKE prefix || '%' ORDER BY length(prefix) DESC LIMIT 1";
    let denver = json!([{"prefix": "1303", "cost": 0.0123, "carrier": 7, "note": "Denver"}]);
    assert_eq!(ok(url, query, &[("key", text("13035550123"))]).await, denver);
    assert_eq!(ok(url, query, &[("key", text("49"))]).await, json!([]));

    // Text and numbers against columns of the other type.
    for key in [text("42"), Param::Int(42)] {
        let found =
            ok(url, "SELECT id, name, active, balance, born FROM account WHERE id = :key", &[("key", key)]).await;
        // SQLite keeps what it is given: a date is text, and a decimal is a float there.
        assert_eq!(found, json!([{"id": 42, "name": "Ada", "active": true, "balance": 12.5, "born": "2001-02-03"}]));
    }
    let found = ok(url, "SELECT prefix FROM rates WHERE prefix = :key", &[("key", text("44"))]).await;
    assert_eq!(found, json!([{"prefix": "44"}]));
    let found = ok(url, "SELECT name FROM account WHERE active = :on", &[("on", Param::Bool(false))]).await;
    assert_eq!(found, json!([{"name": "Bob"}]));
    let found =
        ok(url, "SELECT prefix FROM rates WHERE cost < :most ORDER BY prefix", &[("most", Param::Float(0.01))]).await;
    assert_eq!(found, json!([{"prefix": "1"}]));

    // An optional input, in two places of which one tells no type.
    let query = "SELECT count(*) AS n FROM rates WHERE (:note IS NULL OR note = :note) AND carrier = :carrier";
    for (note, count) in [(Param::Null, 2), (text("Denver"), 1)] {
        let found = ok(url, query, &[("carrier", Param::Int(7)), ("note", note)]).await;
        assert_eq!(found, json!([{"n": count}]));
    }

    // A key is a key, whatever is in it; text that looks like a parameter is text.
    for key in [
        "1' OR '1'='1",
        "1'; DROP TABLE rates; --",
        "\\",
        "\\' OR 1=1 -- ",
        "%",
        "\u{0}".trim_matches('\u{0}'),
        "\u{1F4DE}",
    ] {
        let found = ok(url, "SELECT prefix FROM rates WHERE prefix = :key", &[("key", text(key))]).await;
        assert_eq!(found, json!([]), "{key:?}");
    }
    let found =
        ok(url, "SELECT note, ':key' AS lit FROM rates WHERE note = :key -- :nothing", &[("key", text("it's :key"))])
            .await;
    assert_eq!(found, json!([{"note": "it's :key", "lit": ":key"}]));

    bounds_and_refusals(url).await;
}

async fn bounds_and_refusals(url: &str) {
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT i FROM n";
    let upstream = SqlUpstream::new(settings(url, many, &[])).expect("a client");
    for _ in 0..3 {
        let failure = upstream.fetch(&bound(&[]), soon()).await.expect_err("too many rows");
        assert_eq!(failure.kind, FailureKind::TooLarge, "{failure}");
    }
    let mut wide = settings(url, many, &[]);
    wide.max_rows = 900;
    let reading = SqlUpstream::new(wide).expect("a client").fetch(&bound(&[]), soon()).await.expect("all rows");
    assert_eq!(reading.rows.len(), Some(900));

    for query in ["SELECT nothing FROM rates", "SELECT 1 FROM nowhere", "SELECT FROM WHERE ("] {
        let failure = ask(url, query, &[]).await.expect_err(query);
        assert_eq!(failure.kind, FailureKind::Policy, "{query}: {failure}");
    }
    assert_eq!(ok(url, "SELECT count(*) AS n FROM rates", &[]).await, json!([{"n": 3}]), "nothing was dropped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_answers() {
    let Some(postgres) = Postgres::start().await else { return };
    postgres.execute(SCHEMA).await;
    conforms(&postgres.url).await;
    postgres_types(&postgres).await;
    postgres_is_read_only(&postgres).await;
    the_servers_own_timeout(&postgres.url, "SELECT pg_sleep(30)").await;
    let at_work = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(30)' AND application_name = 'dipcache'";
    becomes_zero(|| postgres.number(at_work)).await;
    busy_is_ours(&postgres.url, "SELECT pg_sleep(1.5)").await;
    postgres_closes_what_was_given_up(&postgres).await;
    postgres_dead_connections_cost_nothing(&postgres).await;
    postgres_column_changes(&postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_answers() {
    let Some(mariadb) = MariaDb::start().await else { return };
    mariadb.execute(SCHEMA).await;
    conforms(&mariadb.url).await;
    let url = mariadb.url.replacen("mysql:", "mariadb:", 1);
    mariadb_types(&mariadb, &url).await;
    the_servers_own_timeout(&url, "SELECT count(*) FROM seq_1_to_100000 a, seq_1_to_100000 b").await;
    let at_work = "SELECT CAST(count(*) AS SIGNED) FROM information_schema.processlist WHERE command <> 'Sleep' AND info LIKE '%seq_1_to_100000 b'";
    becomes_zero(|| mariadb.number(at_work)).await;
    busy_is_ours(&url, "SELECT sleep(1.5)").await;
    mariadb_dead_connections_cost_nothing(&mariadb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_answers() {
    let (_dir, url) = sqlite_file().await;
    conforms(&url).await;
    let failure = ask("sqlite:/nowhere/rates.db", "SELECT 1", &[]).await.expect_err("no such file");
    assert_eq!(failure.kind, FailureKind::Connect, "{failure}");
}

async fn sqlite_file() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("rates.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file).create_if_missing(true);
    let mut connection = options.connect().await.expect("a file");
    sqlx::raw_sql(AssertSqlSafe(SCHEMA)).execute(&mut connection).await.expect("tables");
    (dir, format!("sqlite:{}", file.display()))
}

async fn postgres_types(postgres: &Postgres) {
    postgres
        .execute(
            "CREATE TYPE mood AS ENUM ('glad', 'sad');
             CREATE TABLE kinds (id UUID, m mood, c CHAR(4), b BIGINT, d DATE, t TIMESTAMPTZ, j JSONB, f REAL, y BYTEA, n NUMERIC);
             INSERT INTO kinds VALUES ('00010203-0405-0607-0809-0a0b0c0d0e0f', 'glad', 'ab', 5000000000, 'infinity',
              '2026-11-21 10:00:00.5+02', '{\"a\":[1]}', 0.1, '\\x6869ff', 123456789012345678.123456)",
        )
        .await;
    let everything = json!([{"id": "00010203-0405-0607-0809-0a0b0c0d0e0f", "m": "glad", "c": "ab  ", "b": 5_000_000_000_i64,
        "d": "infinity", "t": "2026-11-21T08:00:00.500Z", "j": {"a": [1]}, "f": 0.1, "y": "hi\u{fffd}",
        "n": "123456789012345678.123456"}]);
    for (column, key) in [
        ("id", text("00010203-0405-0607-0809-0A0B0C0D0E0F")),
        ("m", text("glad")),
        ("c", text("ab")),
        ("b", text("5000000000")),
        ("b", Param::Float(5e9)),
        ("d", text("infinity")),
        ("t", text("2026-11-21T08:00:00.5Z")),
    ] {
        let query = format!("SELECT * FROM kinds WHERE {column} = :key");
        assert_eq!(ok(&postgres.url, &query, &[("key", key)]).await, everything, "{column}");
    }
    // A value that is none of the column's type is the question's fault, and does not show up in the message.
    let upstream =
        SqlUpstream::new(settings(&postgres.url, "SELECT * FROM kinds WHERE b = :key", &["key"])).expect("a client");
    let failure = upstream.fetch(&bound(&[("key", text("13035550123x"))]), soon()).await.expect_err("no number");
    assert!(failure.kind == FailureKind::Policy && !failure.detail.contains("1303"), "{failure}");
    upstream.fetch(&bound(&[("key", text("1"))]), soon()).await.expect("the connection is still good");
    let failure = ask(&postgres.url, "SELECT '1.2.3.4'::inet AS address", &[]).await.expect_err("no form of its own");
    assert!(failure.kind == FailureKind::Policy && failure.detail.contains("`address`"), "{failure}");
    assert_eq!(
        ok(&postgres.url, "SELECT :key AS k, :key::int + 1 AS i", &[("key", text("41"))]).await,
        json!([{"k": "41", "i": 42}])
    );
}

async fn postgres_is_read_only(postgres: &Postgres) {
    let failure = ask(&postgres.url, "WITH x AS (DELETE FROM rates RETURNING 1) SELECT * FROM x", &[]).await;
    assert_eq!(failure.expect_err("a write").kind, FailureKind::Policy);
}

/// The server stops a query by itself when nobody waits for it any more.
async fn the_servers_own_timeout(url: &str, slow: &str) {
    let mut settings = settings(url, slow, &[]);
    settings.total_timeout = Some(Duration::from_millis(300));
    let upstream = SqlUpstream::new(settings).expect("a client");
    let begun = now();
    let failure = upstream.fetch(&bound(&[]), soon()).await.expect_err("slow");
    assert_eq!(failure.kind, FailureKind::Timeout, "{failure}");
    let took = now() - begun;
    assert!(took < Duration::from_millis(300) + SLACK, "{took:?}");
}

/// The server has stopped work that nobody waits for, soon after its own limit.
async fn becomes_zero<F: Future<Output = i64>>(mut at_work: impl FnMut() -> F) {
    let begun = now();
    while at_work().await > 0 {
        assert!(now() - begun < Duration::from_secs(4), "the server still works for nobody");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A full pool is our own limit, and is told so at the deadline.
async fn busy_is_ours(url: &str, slow: &str) {
    let mut settings = settings(url, slow, &[]);
    settings.pool = 1;
    let upstream = Arc::new(SqlUpstream::new(settings).expect("a client"));
    let first = tokio::spawn({
        let upstream = Arc::clone(&upstream);
        async move { upstream.fetch(&bound(&[]), soon()).await }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let begun = now();
    let failure = upstream.fetch(&bound(&[]), Deadline::after(Duration::from_millis(100))).await.expect_err("full");
    assert_eq!(failure.kind, FailureKind::Busy, "{failure}");
    assert!(now() - begun < Duration::from_millis(100) + SLACK);
    first.await.expect("no panic").expect("the first one's rows");
}

async fn postgres_closes_what_was_given_up(postgres: &Postgres) {
    let query = "SELECT pg_backend_pid() AS pid, CASE WHEN :nap > 0 THEN pg_sleep(:nap) END AS nap";
    let mut settings = settings(&postgres.url, query, &["nap"]);
    settings.pool = 1;
    let upstream = SqlUpstream::new(settings).expect("a client");
    let pid = |reading: Reading| rows(&reading)[0]["pid"].clone();
    let quick = bound(&[("nap", Param::Int(0))]);
    let first = upstream.fetch(&quick, soon()).await.map(pid);
    let first = first.expect("a backend");
    assert_eq!(upstream.fetch(&quick, soon()).await.map(pid).expect("the same backend"), first);
    let slow = bound(&[("nap", Param::Int(9))]);
    let failure = upstream.fetch(&slow, Deadline::after(Duration::from_millis(100))).await.expect_err("slow");
    assert_eq!(failure.kind, FailureKind::Timeout);
    assert_ne!(upstream.fetch(&quick, soon()).await.map(pid).expect("another backend"), first);
}

async fn postgres_dead_connections_cost_nothing(postgres: &Postgres) {
    let upstream = SqlUpstream::new(settings(&postgres.url, "SELECT 1 AS one", &[])).expect("a client");
    for _ in 0..3 {
        upstream.fetch(&bound(&[]), soon()).await.expect("an answer");
        postgres
            .number("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'dipcache'")
            .await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    upstream.fetch(&bound(&[]), soon()).await.expect("an answer over a new connection");
}

async fn postgres_column_changes(postgres: &Postgres) {
    postgres.execute("CREATE TABLE turned (k INTEGER, v INTEGER); INSERT INTO turned VALUES (1, 1)").await;
    let upstream =
        SqlUpstream::new(settings(&postgres.url, "SELECT * FROM turned WHERE k = :key", &["key"])).expect("a client");
    let key = bound(&[("key", text("1"))]);
    assert_eq!(rows(&upstream.fetch(&key, soon()).await.expect("a row")), json!([{"k": 1, "v": 1}]));
    postgres.execute("ALTER TABLE turned ALTER v TYPE TEXT USING 'x'").await;
    assert_eq!(rows(&upstream.fetch(&key, soon()).await.expect("a row")), json!([{"k": 1, "v": "x"}]));
    postgres.execute("ALTER TABLE turned ALTER k TYPE TEXT").await;
    // The casts are those of the old type: the first dip learns of it, the next one is right.
    let _ = upstream.fetch(&key, soon()).await;
    assert_eq!(rows(&upstream.fetch(&key, soon()).await.expect("a row")), json!([{"k": "1", "v": "x"}]));
}

async fn mariadb_types(mariadb: &MariaDb, url: &str) {
    mariadb
        .execute(
            "CREATE TABLE kinds (u BIGINT UNSIGNED, f FLOAT, d DOUBLE, dt DATETIME(3), ts TIMESTAMP NULL, t TIME, y YEAR, b BLOB, bi BIT(4), e ENUM('glad','sad'), z DATE);
             SET sql_mode='';
             INSERT INTO kinds VALUES (18446744073709551615, 0.1, 0.25, '2026-11-21 10:00:00.5', '2026-11-21 10:00:00', '7:08:09', 2026, 'hi', b'101', 'sad', '0000-00-00')",
        )
        .await;
    let expected = json!([{"u": u64::MAX, "f": 0.1, "d": 0.25, "dt": "2026-11-21T10:00:00.500", "ts": "2026-11-21T10:00:00Z",
        "t": "07:08:09", "y": 2026, "b": "hi", "bi": 5, "e": "sad", "z": null}]);
    assert_eq!(ok(url, "SELECT * FROM kinds WHERE e = :key", &[("key", text("sad"))]).await, expected);
}

async fn mariadb_dead_connections_cost_nothing(mariadb: &MariaDb) {
    let upstream = SqlUpstream::new(settings(&mariadb.url, "SELECT connection_id() AS id", &[])).expect("a client");
    for _ in 0..3 {
        let id = rows(&upstream.fetch(&bound(&[]), soon()).await.expect("an answer"))[0]["id"].clone();
        mariadb.execute(&format!("KILL {id}")).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    upstream.fetch(&bound(&[]), soon()).await.expect("an answer over a new connection");
}

/// What holds while a server is stopped in its tracks, and after.
async fn survives_a_stop(url: &str, server: &support::process::Server, query: &str) {
    let upstream = Arc::new(SqlUpstream::new(settings(url, query, &["key"])).expect("a client"));
    let key = bound(&[("key", text("44"))]);
    let budget = Duration::from_millis(150);
    let burst = |upstream: &Arc<SqlUpstream>| {
        let dips: Vec<_> = (0..20)
            .map(|_| {
                let (upstream, key) = (Arc::clone(upstream), key.clone());
                tokio::spawn(async move {
                    let begun = now();
                    let result = upstream.fetch(&key, Deadline::after(budget)).await;
                    (result, now() - begun)
                })
            })
            .collect();
        futures_util::future::join_all(dips)
    };
    upstream.fetch(&key, soon()).await.expect("an answer");
    server.pause();
    for _ in 0..5 {
        for dip in burst(&upstream).await {
            let (result, took) = dip.expect("no panic");
            let failure = result.expect_err("a stopped server answers nothing");
            assert!(
                matches!(failure.kind, FailureKind::Timeout | FailureKind::Connect | FailureKind::Busy),
                "{failure}"
            );
            assert!(took < budget + SLACK, "{took:?}");
        }
    }
    server.resume();
    let resumed = now();
    while upstream.fetch(&key, Deadline::after(budget)).await.is_err() {
        assert!(now() - resumed < Duration::from_secs(2), "no answer within two seconds");
    }
    for dip in burst(&upstream).await {
        dip.expect("no panic").0.expect("all is well again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_postgresql_holds_nobody_up() {
    let Some(postgres) = Postgres::start().await else { return };
    postgres.execute(SCHEMA).await;
    survives_a_stop(&postgres.url, &postgres.server, "SELECT cost FROM rates WHERE prefix = :key").await;
    let connections =
        postgres.number("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dipcache'").await;
    assert!(connections <= 4, "{connections} connections of a pool of 4");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_mariadb_holds_nobody_up() {
    let Some(mariadb) = MariaDb::start().await else { return };
    mariadb.execute(SCHEMA).await;
    survives_a_stop(&mariadb.url, &mariadb.server, "SELECT cost FROM rates WHERE prefix = :key").await;
    let connections = mariadb
        .number("SELECT CAST(count(*) AS SIGNED) FROM information_schema.processlist WHERE user = 'dipcache'")
        .await;
    assert!(connections <= 5, "{connections} connections of a pool of 4 and one of the test's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_query_of_sqlite_blocks_nobody_and_is_interrupted() {
    let (_dir, url) = sqlite_file().await;
    let slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000000000) SELECT max(i) AS i FROM n";
    let upstream = SqlUpstream::new(settings(&url, slow, &[])).expect("a client");
    let before = threads_at_work();
    for _ in 0..8 {
        let begun = now();
        let failure = upstream.fetch(&bound(&[]), Deadline::after(Duration::from_millis(50))).await.expect_err("slow");
        assert_eq!(failure.kind, FailureKind::Timeout);
        assert!(now() - begun < Duration::from_millis(50) + SLACK);
    }
    let begun = now();
    while threads_at_work() > before {
        assert!(now() - begun < Duration::from_secs(5), "the interrupted queries' threads go on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Threads of SQLite in this process.
fn threads_at_work() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("/proc is mounted");
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
    tasks.flatten().map(name).filter(|name| name.starts_with("sqlx-sqlite")).count()
}

#[tokio::test]
async fn a_database_that_is_not_there_is_no_connection() {
    let port = support::process::free_port();
    for scheme in ["postgres", "mysql"] {
        let url = format!("{scheme}://dipcache:hush@127.0.0.1:{port}/dips");
        let failure = ask(&url, "SELECT 1", &[]).await.expect_err("nobody");
        assert_eq!(failure.kind, FailureKind::Connect, "{failure}");
        assert!(!failure.detail.contains("hush"), "{failure}");
    }
}

#[tokio::test]
async fn a_statement_in_words_shows_values_and_no_password() {
    let upstream =
        SqlUpstream::new(settings("postgres://u:hush@h/d", "SELECT :key, :n", &["key", "n"])).expect("a client");
    let words = upstream.describe(&bound(&[("key", text("1'x")), ("n", Param::Int(3))]));
    assert_eq!(words, "SELECT :key, :n on PostgreSQL\n:key = \"1'x\" (text)\n:n = 3");
}
