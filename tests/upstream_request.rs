//! What a policy says of a request, on the wire: variables, secrets, parameters, bodies, bases, repetitions.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::Path;
use std::time::Duration;

use dipcache::deadline::Deadline;
use dipcache::policy::check::parse_over;
use dipcache::policy::{Policy, Reading, Vars};
use dipcache::upstream::{Failure, FailureKind, Upstream};
use support::lookups::policy;
use support::policies::secret_file;
use support::vendor::{Mode, Vendor};

const INPUT: &str = "[input]\nkey = { type = \"text\" }\nani = { type = \"text\", optional = true }\n";

fn read(head: &str, upstream: &str) -> Policy {
    policy("wire", &text(head, upstream))
}

fn text(head: &str, upstream: &str) -> String {
    format!("{head}\n{INPUT}[[upstream]]\ntype = \"http\"\n{upstream}\n[upstream.fields]\nx = \"key\"\n")
}

struct Asker {
    policy: Policy,
    upstream: Upstream,
}

impl Asker {
    fn new(policy: Policy) -> Self {
        let upstream = Upstream::build(&policy.upstreams[0]).expect("an upstream");
        Self { policy, upstream }
    }

    async fn ask(&self, key: &str) -> Result<Reading, Failure> {
        let question = self.policy.question(key, &[]).expect("a key that fits");
        let deadline = Deadline::after(Duration::from_secs(2));
        self.upstream.ask(&self.policy.upstreams[0], &question, deadline).await
    }

    fn words(&self, key: &str) -> String {
        let question = self.policy.question(key, &[]).expect("a key that fits");
        self.upstream.describe(&self.policy.upstreams[0], &question).expect("a request")
    }
}

#[tokio::test]
async fn a_site_puts_its_own_address_and_words_in_and_secrets_go_anywhere_but_into_words() {
    let vendor = Vendor::start(Mode::OK).await;
    let (_file, secret) = secret_file("s3cr/et");
    let head = format!("[vars]\napi = \"https://api.vendor.example\"\nspace = \"a b\"\n[secrets]\nkey = \"{secret}\"");
    let upstream = "url = \"{{ vars.api }}/{{ vars.space }}/{{ secrets.key }}/{{ key }}\"\nheaders = { X-K = \"k {{ secrets.key }}\" }\njson = { k = \"{{ secrets.key }}\", v = \"{{ vars.space }}\" }";
    let site = Vars::from([("api".to_owned(), vendor.url("/base/")), ("other".to_owned(), "x".to_owned())]);
    let policy = parse_over("wire", Path::new("wire.toml"), &text(&head, upstream), &site).expect("a policy");
    let asker = Asker::new(policy);
    assert_eq!(asker.ask("n").await.expect("an answer").status, Some(200));
    let seen = vendor.last_request();
    assert!(seen.starts_with("POST /base/a%20b/s3cr%2Fet/n HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("x-k: k s3cr/et") && seen.ends_with("{\"k\":\"s3cr/et\",\"v\":\"a b\"}"), "{seen}");
    let words = asker.words("n");
    assert!(words.contains("/base/a%20b/***/n") && words.contains("X-K: k ***"), "{words}");
    assert!(words.contains("{\"k\":\"***\"") && !words.contains("s3cr"), "{words}");

    let plain = parse_over("wire", Path::new("wire.toml"), &text(&head, upstream), &Vars::new()).expect("a policy");
    assert_ne!(plain.shape, asker.policy.shape, "another place is another cache");
    assert!(Asker::new(plain).words("n").starts_with("POST https://api.vendor.example/a%20b/***/n"));
}

#[tokio::test]
async fn parameters_and_forms_are_encoded_repeated_and_left_out() {
    let vendor = Vendor::start(Mode::OK).await;
    let table = "{ n = \"+1 {{ key }}\", \"f[]\" = [\"a\", \"{{ ani }}\", \"b&c\"], ani = \"{{ ani }}\", lim = 5 }";
    let asker = Asker::new(read("", &format!("url = \"{}\"\nquery = {table}", vendor.url("/v1?z=1"))));
    asker.ask("é").await.expect("an answer");
    let seen = vendor.last_request();
    assert!(seen.starts_with("GET /v1?z=1&n=%2B1%20%C3%A9&f[]=a&f[]=b%26c&lim=5 HTTP/1.1\r\n"), "{seen}");

    let asker = Asker::new(read("", &format!("url = \"{}\"\nform = {table}", vendor.url("/v1"))));
    asker.ask("7").await.expect("an answer");
    let seen = vendor.last_request();
    assert!(seen.starts_with("POST /v1 "), "{seen}");
    assert!(seen.contains("content-type: application/x-www-form-urlencoded\r\n"), "{seen}");
    assert!(seen.ends_with("\r\n\r\nn=%2B1%207&f[]=a&f[]=b%26c&lim=5"), "{seen}");
}

#[tokio::test]
async fn bodies_of_every_kind() {
    let vendor = Vendor::start(Mode::OK).await;
    for (body, kind, sent) in [
        (
            "json = [\"{{ key }}\", \"{{ key | int }}\", \"n{{ key }}\", \"{{ ani }}\"]",
            "application/json",
            "[\"7\",7,\"n7\",null]",
        ),
        ("xml = \"<q><n a='{{ key }}'/></q>\"", "text/xml; charset=utf-8", "<q><n a='7'/></q>"),
        ("xml = \"<q/>\"\ncontent_type = \"application/soap+xml\"", "application/soap+xml", "<q/>"),
        (
            "graphql = { query = \"query($n: String!) { a(n: $n) { b } }\", variables = { n = \"{{ key }}\" } }",
            "application/json",
            "{\"query\":\"query($n: String!) { a(n: $n) { b } }\",\"variables\":{\"n\":\"7\"}}",
        ),
    ] {
        let asker = Asker::new(read("", &format!("url = \"{}\"\n{body}", vendor.url("/v1"))));
        asker.ask("7").await.expect("an answer");
        let seen = vendor.last_request();
        assert!(seen.contains(&format!("content-type: {kind}\r\n")), "{seen}");
        assert!(seen.ends_with(&format!("\r\n\r\n{sent}")), "{seen}");
    }
}

#[tokio::test]
async fn a_moment_is_the_same_in_a_whole_request_and_a_nonce_never_comes_twice() {
    let vendor = Vendor::start(Mode::OK).await;
    let upstream = "query = { a = \"{{ now_unix }}\", n = \"{{ nonce }}\", s = \"{{ (key ~ now_unix) | sha256 }}\" }\nheaders = { X-A = \"{{ now_unix }}\", X-I = \"{{ now_iso }}\", X-U = \"{{ uuid }}\" }";
    let asker = Asker::new(read("", &format!("url = \"{}\"\n{upstream}", vendor.url("/"))));
    let mut nonces = Vec::new();
    for _ in 0..2 {
        asker.ask("7").await.expect("an answer");
        let seen = vendor.last_request();
        let part = |start: &str, end: &str| {
            let (_, rest) = seen.split_once(start).expect("it is there");
            rest.split_once(end).expect("it ends").0.to_owned()
        };
        assert_eq!(part("?a=", "&"), part("x-a: ", "\r\n"));
        assert_eq!((part("&s=", " ").len(), part("x-u: ", "\r\n").len(), part("x-i: ", "\r\n").len()), (64, 36, 20));
        nonces.push(part("&n=", "&"));
    }
    assert_ne!(nonces[0], nonces[1]);
}

#[tokio::test]
async fn the_next_base_is_asked_and_the_sick_one_is_left_alone_for_a_while() {
    let (a, b) = (Vendor::start(Mode::Refuse).await, Vendor::start(Mode::OK).await);
    let urls = format!("urls = [\"{}\", \"{}\"]\nurl = \"/v1/{{{{ key }}}}\"", a.url("/"), b.url("/x"));
    let asker = Asker::new(read("", &urls));
    assert_eq!(asker.ask("1").await.expect("the second answers").status, Some(200));
    assert!(b.last_request().starts_with("GET /x/v1/1 "), "{}", b.last_request());
    a.set(Mode::OK);
    asker.ask("2").await.expect("an answer");
    assert_eq!((a.requests(), b.requests()), (0, 2), "the first one is left alone");
    tokio::time::sleep(Duration::from_millis(1050)).await;
    asker.ask("3").await.expect("an answer");
    assert_eq!((a.requests(), b.requests()), (1, 2), "and tried again");

    a.set(Mode::Answer(503, "text/plain", b"down".to_vec()));
    assert_eq!(asker.ask("4").await.expect("the second answers").status, Some(200));
    b.set(Mode::Answer(502, "text/plain", b"down".to_vec()));
    assert!(asker.ask("5").await.expect("an answer of a kind").status.expect("a status") >= 502, "both are down");
}

#[tokio::test]
async fn a_silent_base_leaves_time_for_the_next_one() {
    let (a, b) = (Vendor::start(Mode::Hang).await, Vendor::start(Mode::OK).await);
    let asker = Asker::new(read(
        "",
        &format!("urls = [\"{}\", \"{}\"]\ntimeout = {{ total = \"200ms\" }}", a.url(""), b.url("")),
    ));
    assert_eq!(asker.ask("1").await.expect("the second answers").status, Some(200));
}

#[tokio::test]
async fn only_what_may_be_repeated_is_repeated_and_never_past_its_count() {
    let vendor = Vendor::start(Mode::Answer(500, "text/plain", b"x".to_vec())).await;
    for (upstream, requests) in
        [("retry = 2", 3), ("method = \"POST\"\nsafe = true\nretry = 1", 2), ("method = \"POST\"", 1), ("", 1)]
    {
        let before = vendor.requests();
        let asker = Asker::new(read("", &format!("url = \"{}\"\n{upstream}", vendor.url("/"))));
        assert_eq!(asker.ask("1").await.expect("an answer").status, Some(500));
        assert_eq!(vendor.requests() - before, requests, "{upstream}");
    }
    let two = Vendor::start(Mode::OK).await;
    vendor.set(Mode::ResetAfterRequest);
    let urls = format!("method = \"POST\"\nurls = [\"{}\", \"{}\"]", vendor.url(""), two.url(""));
    let failure = Asker::new(read("", &urls)).ask("1").await.expect_err("it may have been done");
    assert_eq!((failure.kind, two.requests()), (FailureKind::Protocol, 0));
    vendor.set(Mode::Refuse);
    Asker::new(read("", &urls)).ask("1").await.expect("without a connection nothing was done");
}

#[tokio::test]
async fn redirects_go_to_the_same_host_or_nowhere() {
    let (vendor, other) = (Vendor::start(Mode::RedirectTo("/there".to_owned())).await, Vendor::start(Mode::OK).await);
    let url = format!("url = \"{}\"\nredirects = \"same-host\"", vendor.url("/v1"));
    assert_eq!(Asker::new(read("", &url)).ask("1").await.expect("an answer").status, Some(200));
    assert!(vendor.last_request().starts_with("GET /there "));
    let none = url.replace("same-host", "none");
    assert_eq!(Asker::new(read("", &none)).ask("1").await.expect("an answer").status, Some(302));
    vendor.set(Mode::RedirectTo(other.url("/there")));
    assert_eq!(Asker::new(read("", &url)).ask("1").await.expect("an answer").status, Some(302));
    assert_eq!(other.requests(), 0);
    vendor.set(Mode::Redirect);
    assert_eq!(Asker::new(read("", &url)).ask("1").await.expect("a loop has an end").status, Some(302));
}

#[tokio::test]
async fn who_we_are_where_we_come_from_and_through_whom() {
    let vendor = Vendor::start(Mode::OK).await;
    let asker = Asker::new(read(
        "",
        &format!("url = \"{}\"\nuser_agent = \"Kazoo 1\"\nsource_address = \"127.0.0.1\"", vendor.url("/")),
    ));
    asker.ask("1").await.expect("an answer");
    assert!(vendor.last_request().contains("user-agent: Kazoo 1\r\n"), "{}", vendor.last_request());

    let proxied = format!("url = \"https://vendor.invalid/v1\"\nproxy = \"{}\"", vendor.url(""));
    let failure = Asker::new(read("", &proxied)).ask("1").await.expect_err("the proxy speaks no TLS");
    assert_eq!(failure.kind, FailureKind::Connect, "{failure}");
    assert!(vendor.last_request().starts_with("CONNECT vendor.invalid:443 "), "{}", vendor.last_request());
}
