//! What bundles promise: independent parts side by side, dependent ones in order, one budget over all.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dipcache::config::{check_all, load_with};
use dipcache::deadline::now;
use dipcache::front::http::{self, Settings};
use dipcache::front::listen::{Drain, Listener};
use serde_json::{Value, json};
use support::SLACK;
use support::lookups::Desk;
use support::vendor::{Mode, Vendor};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The call of the issue: where is the number served, whose block is that, who calls, whose account is it.
const INBOUND: &str = r#"
[bundle.inbound]
budget = "250ms"
lerg.key = "parts.lrn.lrn"
lrn.key = "called"
cnam = { key = "{{ calling }}", inputs = { dnis = "called" } }
owner = { lookup = "account", key = "calling" }
"#;

/// Everything behind one front.
struct World {
    address: SocketAddr,
    lrn: Vendor,
    cnam: Vendor,
    desk: Desk,
    dir: tempfile::TempDir,
}

fn http_policy(kind: &str, inputs: &str, url: &str, field: &str) -> String {
    format!(
        "kind = \"{kind}\"\n[input]\nkey = {{ type = \"tn\", country = \"US\" }}\n{inputs}\n[budget]\ncall = \"2s\"\nbackground = \"3s\"\n\
         [[upstream]]\nname = \"vendor\"\ntype = \"http\"\nurl = \"{url}\"\nfields = {{ {field} = \"body.{field}\" }}\n"
    )
}

impl World {
    async fn start(bundles: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("lerg.csv"), "npanxx,ocn\n303555,7777\n").unwrap();
        std::fs::write(dir.path().join("account.csv"), "number,name\n12025550199,Ada\n").unwrap();
        let (lrn, cnam) = (Vendor::start(Mode::OK).await, Vendor::start(Mode::OK).await);
        lrn.set_body(r#"{"lrn":"+13035550000"}"#);
        cnam.set_body(r#"{"name":"ADA L"}"#);
        let table = |kind: &str, file: &str, column: &str, keys: &str, field: &str| {
            format!(
                "kind = \"{kind}\"\n[input]\nkey = {{ type = \"tn\", country = \"US\" }}\n[[upstream]]\ntype = \"table\"\n\
                 file = \"{}\"\nkey_column = \"{column}\"\n{keys}\nfields = {{ {field} = \"row.{field}\" }}\n",
                dir.path().join(file).display()
            )
        };
        let desk = Desk::new(&[
            ("lrn", &http_policy("lrn", "", &lrn.url("/{{ key | nanp10 }}"), "lrn")),
            (
                "cnam",
                &http_policy("cnam", "dnis = { type = \"tn\" }", &cnam.url("/{{ key | nanp10 }}?d={{ dnis }}"), "name"),
            ),
            ("lerg", &table("lerg", "lerg.csv", "npanxx", "keys = [\"{{ key | npa }}{{ key | nxx }}\"]", "ocn")),
            ("account", &table("account", "account.csv", "number", "", "name")),
        ]);
        let file = dir.path().join("dipcache.toml");
        std::fs::write(&file, bundles).unwrap();
        let config = load_with(Some(&file), []).unwrap_or_else(|faults| panic!("{faults:?}"));
        desk.lookups.set_bundles(config.bundles);
        for lookup in desk.lookups.all().iter() {
            lookup.tables_settled(dipcache::deadline::Deadline::after(Duration::from_secs(20))).await;
        }
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.address();
        tokio::spawn(http::serve(vec![listener], Arc::clone(&desk.lookups), Settings::default(), Drain::default()));
        Self { address, lrn, cnam, desk, dir }
    }

    /// Status, head and body of what is answered to this request.
    async fn send(&self, request: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.rsplit_once("\r\n\r\n").expect("a head and a body");
        (head[9..12].parse().unwrap(), head.to_owned(), body.to_owned())
    }

    async fn get(&self, target: &str) -> (u16, Value) {
        let (status, _, body) =
            self.send(&format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
        (status, serde_json::from_str(&body).unwrap_or_default())
    }

    async fn post(&self, body: &str) -> (u16, Value) {
        let length = body.len();
        let head =
            format!("POST /v1/call HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
        let (status, _, body) = self.send(&(head + body)).await;
        (status, serde_json::from_str(&body).unwrap_or_default())
    }
}

const TARGET: &str = "/v1/call/inbound?called=+13035550123&calling=%2B12025550199";

fn all() -> Value {
    json!({
        "lerg": {"ocn": "7777", "outcome": "found", "source": "local"},
        "lrn": {"lrn": "+13035550000", "outcome": "found", "source": "vendor"},
        "cnam": {"name": "ADA L", "outcome": "found", "source": "vendor"},
        "owner": {"name": "Ada", "outcome": "found", "source": "local"},
    })
}

#[tokio::test]
async fn a_call_asks_all_its_questions_at_once() {
    let world = World::start(INBOUND).await;
    assert_eq!(world.get(TARGET).await, (200, all()));
    assert!(world.cnam.last_request().contains("?d=%2B13035550123"), "{}", world.cnam.last_request());
    let (status, again) = world.post(r#"{"bundle":"inbound","called":"3035550123","calling":"2025550199"}"#).await;
    assert_eq!((status, &again["lrn"]["source"], &again["lerg"]["ocn"]), (200, &json!("local"), &json!("7777")));
    assert_eq!((world.lrn.requests(), world.cnam.requests()), (1, 1));
}

#[tokio::test]
async fn with_one_vendor_hanging_the_other_three_are_there_at_the_budget() {
    let world = World::start(INBOUND).await;
    world.cnam.set(Mode::Hang);
    let began = now();
    let (status, answer) = world.get(TARGET).await;
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(240) && took < Duration::from_millis(250) + SLACK, "{took:?}");
    let mut expected = all();
    expected["cnam"] = json!({"outcome": "timeout"});
    assert_eq!((status, answer), (200, expected));

    let began = now();
    let (_, answer) = world.get(&format!("{TARGET}&budget_ms=60")).await;
    assert!(began.elapsed() < Duration::from_millis(60) + SLACK);
    assert_eq!((&answer["cnam"]["outcome"], &answer["lerg"]["outcome"]), (&json!("timeout"), &json!("found")));
}

#[tokio::test]
async fn whoever_waits_for_what_failed_is_named_with_its_outcome() {
    let world = World::start(INBOUND).await;
    world.lrn.set(Mode::Hang);
    let (status, answer) = world.get(TARGET).await;
    assert_eq!(status, 200);
    assert_eq!((&answer["lrn"], &answer["lerg"]), (&json!({"outcome": "timeout"}), &json!({"outcome": "timeout"})));
    assert_eq!((&answer["cnam"]["name"], &answer["owner"]["name"]), (&json!("ADA L"), &json!("Ada")));

    let bundles = INBOUND.replace("\"parts.lrn.lrn\"", "\"{{ parts.lrn.lrn or called }}\"");
    let world = World::start(&bundles).await;
    world.lrn.set(Mode::Hang);
    assert_eq!(world.get(TARGET).await.1["lerg"]["ocn"], "7777", "a template may know better");
}

#[tokio::test]
async fn without_any_answer_the_status_is_that_of_the_worst() {
    let world = World::start("[bundle.two]\nbudget = \"80ms\"\nlrn.key = \"called\"\ncnam = { key = \"calling\", inputs = { dnis = \"called\" } }\n").await;
    world.lrn.set(Mode::Hang);
    world.cnam.set(Mode::Answer(500, "application/json", b"{}".to_vec()));
    let request =
        "GET /v1/call/two?called=+13035550123&calling=+12025550199 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let (status, head, body) = world.send(request).await;
    assert_eq!((status, body.as_str()), (504, ""));
    assert!(head.contains("X-Dip-Outcome: timeout"), "{head}");
    let (status, _) = world.get("/v1/call/two?called=x&calling=y").await;
    assert_eq!(status, 400, "numbers that cannot be");
}

#[tokio::test]
async fn a_request_may_bring_its_own_bundle() {
    let world = World::start("").await;
    let body = json!({"budget_ms": 500, "lookups": {
        "lrn": {"key": "3035550123"},
        "name": {"lookup": "cnam", "key": "+12025550199", "inputs": {"dnis": 13_035_550_123_u64}},
        "bad": {"lookup": "lrn", "key": "xyz"}, "nobody": {"key": "1"}, "less": {"lookup": "cnam", "key": "+12025550199"},
    }});
    let (status, answer) = world.post(&body.to_string()).await;
    let expected = json!({
        "lrn": {"lrn": "+13035550000", "outcome": "found", "source": "vendor"},
        "name": {"name": "ADA L", "outcome": "found", "source": "vendor"},
        "bad": {"outcome": "invalid_number"}, "nobody": {"outcome": "unknown_lookup"}, "less": {"outcome": "invalid_input"},
    });
    assert_eq!((status, answer), (200, expected));
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let world = World::start(INBOUND).await;
    let too_many: Value =
        (0..33).map(|n| (format!("p{n}"), json!({"key": "1"}))).collect::<serde_json::Map<_, _>>().into();
    for body in [
        "",
        "[]",
        "{",
        "{}",
        r#"{"bundle":"inbound","lookups":{}}"#,
        r#"{"lookups":{}}"#,
        r#"{"lookups":{"lrn":{}}}"#,
        r#"{"lookups":{"lrn":{"key":"1","x":1}}}"#,
        r#"{"lookups":{"lrn":{"key":"1"}},"x":1}"#,
        r#"{"bundle":"inbound","caled":"1"}"#,
        r#"{"bundle":"inbound","called":[1]}"#,
        r#"{"bundle":"inbound","budget_ms":0}"#,
        &json!({"lookups": too_many}).to_string(),
    ] {
        assert_eq!(world.post(body).await.0, 400, "{body}");
    }
    assert_eq!(world.post(&format!("{{\"x\":\"{}\"}}", "a".repeat(65 * 1024))).await.0, 413);
    assert_eq!(world.post(r#"{"bundle":"nobody"}"#).await.0, 404);
    for (target, status) in [
        ("/v1/call", 405),
        ("/v1/call/nobody", 404),
        ("/v1/call/inbound?caled=1", 400),
        ("/v1/call/inbound?format=csv", 400),
        ("/v1/call/inbound?budget_ms=0", 400),
    ] {
        assert_eq!(world.get(target).await.0, status, "{target}");
    }
    let (status, head, _) = world.send("DELETE /v1/call HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(status == 405 && head.contains("Allow: POST"), "{head}");
    assert_eq!(world.desk.lookups.all().len(), 4, "and everybody is still there");
    drop(world.dir);
}

/// What `check` says of these bundles beside a policy `lrn` with the input `ani`.
fn faults(bundles: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let policies = dir.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    let policy = http_policy("lrn", "ani = { type = \"tn\", optional = true }", "http://127.0.0.1:1/{{ key }}", "lrn");
    std::fs::write(policies.join("lrn.toml"), policy).unwrap();
    let file = dir.path().join("d.toml");
    std::fs::write(&file, format!("policies.dir = \"policies\"\n{bundles}")).unwrap();
    let folder = format!("{}/", dir.path().display());
    check_all(Some(&file)).iter().map(|fault| fault.to_string().replace(&folder, "")).collect()
}

#[test]
fn check_knows_what_cannot_be_asked() {
    assert_eq!(faults("[bundle.a]\nlrn = { key = \"called\", inputs = { ani = \"calling\" } }\n"), [""; 0]);
    let table = [
        (
            "lnr.key = \"called\"",
            "d.toml:3:1: part `lnr` of bundle `a` asks `lnr`, and no policy has this name; did you mean `lrn`? there are lrn",
        ),
        (
            "lrn = { key = \"called\", inputs = { x = \"called\" } }",
            "d.toml:3:1: the lookup `lrn` has no input `x`; its inputs are ani",
        ),
        ("lrn.key = \"caled\"", "d.toml:3:12: there is no name `caled`; did you mean `called`?"),
        (
            "lrn.key = \"{{ parts.lnr.lrn }}\"",
            "d.toml:3:11: the bundle has no part `lnr`; did you mean `parts.lrn`? the parts are lrn",
        ),
        (
            "lrn.key = \"{{ parts.b.x }}\"\nb = { lookup = \"lrn\", key = \"parts.lrn.lrn\" }",
            "d.toml:3:1: these parts wait for each other: lrn, b;",
        ),
        ("lrn.key = \"parts\"", "d.toml:3:11: `parts` alone names no part"),
        ("lrn = {}", "d.toml:3:7: part `lrn` has no key; write `lrn.key = \"called\"`"),
        ("budget = \"1s\"", "d.toml:2:1: the bundle asks nothing"),
        ("lrn.kee = \"called\"", "d.toml:3:5: "),
        ("parameters = [\"parts\"]\nlrn.key = \"'1'\"", "d.toml:3:15: `parts` means something else"),
    ];
    for (line, expected) in table {
        let found = faults(&format!("[bundle.a]\n{line}\n"));
        assert!(found.iter().any(|fault| fault.starts_with(expected)), "{line}\n{expected}\n{found:#?}");
    }
}
