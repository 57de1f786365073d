//! URLs that the caller brings along: where they may lead, and what comes of those that lead elsewhere.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use dipcache::answer::{Answer, Outcome, Source};
use dipcache::policy::check::read_folder;
use dipcache::policy::{BadInput, Vars};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use support::lookups::{Desk, ask};
use support::secure::SecureVendor;
use tokio::net::TcpListener;

const PEM: &str = "-----BEGIN CERTIFICATE-----\nQ0VSVA==\n-----END CERTIFICATE-----\n";

/// A repository of certificates.
async fn repository() -> SecureVendor {
    SecureVendor::start_answering(&["localhost", "127.0.0.1"], &["http/1.1"], None, answer).await
}

fn answer(asked: &Request<Incoming>) -> Response<Full<Bytes>> {
    let found = |body: String| Response::builder().header("Cache-Control", "max-age=43200").body(Full::from(body));
    let sent_on = |to: &str| Response::builder().status(StatusCode::FOUND).header("Location", to).body(Full::default());
    match asked.uri().path() {
        "/a.pem" => found(PEM.to_owned()),
        "/large.pem" => found("x".repeat(17 * 1024)),
        "/page.pem" => found("<html>maintenance</html>".to_owned()),
        "/moved.pem" => sent_on("/a.pem"),
        "/inward.pem" => sent_on("https://169.254.169.254/a.pem"),
        "/hurry.pem" => Response::builder().status(429).header("Retry-After", "60").body(Full::default()),
        _ => Response::builder().status(StatusCode::NOT_FOUND).body(Full::default()),
    }
    .expect("an answer")
}

/// The policy that ships, for this repository.
fn policy(vendor: &SecureVendor, private: bool, dead: u16) -> String {
    let shipped =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/stir-cert.toml")).unwrap();
    let port = vendor.address.port();
    let changes = [
        ("enabled = false", String::new()),
        ("ports = [443, 8443]", format!("ports = [{port}, {dead}], allow_private = {private}")),
        ("max_body = ", format!("ca = \"{}\"\nmax_body = ", vendor.pem.path().display())),
        ("hosts = [", "hosts = [\"localhost\", \".*\", ".to_owned()),
    ];
    changes.iter().fold(shipped, |text, (from, to)| {
        assert!(text.contains(from), "the shipped policy has no `{from}`");
        text.replacen(from, to, 1)
    })
}

/// A repository that hangs up on everybody.
async fn dead() -> (u16, Arc<AtomicU64>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            drop(stream);
        }
    });
    (port, calls)
}

struct Asker {
    vendor: SecureVendor,
    dead: (u16, Arc<AtomicU64>),
    desk: Desk,
}

impl Asker {
    async fn new(private: bool) -> Self {
        let (vendor, dead) = (repository().await, dead().await);
        let desk = Desk::new(&[("stir-cert", &policy(&vendor, private, dead.0))]);
        Self { vendor, dead, desk }
    }

    fn url(&self, host: &str, path: &str) -> String {
        format!("https://{host}:{}{path}", self.vendor.address.port())
    }

    async fn ask(&self, url: &str) -> Answer {
        ask(&self.desk.lookup("stir-cert"), url, 3000).await
    }
}

#[tokio::test]
async fn a_certificate_is_fetched_once_for_all_headers_that_name_it() {
    let asker = Asker::new(true).await;
    let url = asker.url("localhost", "/a.pem");
    let first = asker.ask(&format!("..c2ln;info=<{url}>;alg=ES256;ppt=shaken")).await;
    assert_eq!((first.outcome, first.source.as_str()), (Outcome::Found, "repository"));
    let record = first.record.unwrap();
    assert_eq!(record.to_map()["pem"], PEM);
    assert!(
        (43_200 - 4_400..=43_200).contains(&first.ttl),
        "as Cache-Control says, less chance's share: {}",
        first.ttl
    );
    let second = asker.ask(&format!("..b3RoZXI;info=<{}>", url.to_uppercase().replace("/A.PEM", "/a.pem"))).await;
    assert_eq!((second.outcome, second.source), (Outcome::Found, Source::Local));
    assert_eq!((asker.vendor.requests(), asker.vendor.connections()), (1, 1));
}

#[tokio::test]
async fn a_name_that_leads_into_our_own_network_is_never_connected_to() {
    let asker = Asker::new(false).await;
    for _ in 0..20 {
        let answer = asker.ask(&asker.url("localhost", "/a.pem")).await;
        assert_eq!(answer.outcome, Outcome::VendorError);
    }
    assert_eq!(asker.vendor.connections(), 0);
    assert!(asker.desk.lookup("stir-cert").is_up(), "a stranger's URL shuts nobody out");
}

#[tokio::test]
async fn an_address_of_our_own_network_is_no_question() {
    let asker = Asker::new(false).await;
    let lookup = asker.desk.lookup("stir-cert");
    for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433"] {
        let refused = lookup.policy.question(&asker.url(host, "/a.pem"), &[]);
        assert!(matches!(refused, Err(BadInput::Key { .. })), "{host}");
    }
    assert_eq!(asker.vendor.connections(), 0);
}

#[tokio::test]
async fn no_redirect_is_followed_and_nothing_is_read_past_the_cap() {
    let asker = Asker::new(true).await;
    for (path, outcome) in [
        ("/moved.pem", Outcome::VendorError),
        ("/inward.pem", Outcome::VendorError),
        ("/large.pem", Outcome::VendorError),
        ("/page.pem", Outcome::VendorError),
        ("/none.pem", Outcome::NotFound),
    ] {
        assert_eq!(asker.ask(&asker.url("localhost", path)).await.outcome, outcome, "{path}");
    }
    assert_eq!(asker.vendor.requests(), 5, "each was asked once");
}

#[tokio::test]
async fn a_dead_repository_shuts_no_other_out() {
    let asker = Asker::new(true).await;
    let lookup = asker.desk.lookup("stir-cert");
    let (port, calls) = &asker.dead;
    for n in 0..30 {
        let answer = asker.ask(&format!("https://localhost:{port}/{n}.pem")).await;
        assert_eq!(answer.outcome, Outcome::Timeout, "it hangs up");
    }
    let before = calls.load(Ordering::SeqCst);
    assert_eq!(asker.ask(&format!("https://localhost:{port}/29.pem")).await.outcome, Outcome::Timeout);
    assert_eq!(calls.load(Ordering::SeqCst), before, "a URL that failed just now is left alone");
    let hurry = asker.ask(&asker.url("localhost", "/hurry.pem")).await;
    assert_eq!(hurry.outcome, Outcome::RateLimited);
    assert!(lookup.is_up());
    assert_eq!(asker.ask(&asker.url("localhost", "/a.pem")).await.outcome, Outcome::Found);
}

#[tokio::test]
async fn a_url_that_may_lead_inwards_is_warned_of_each_time() {
    let vendor = repository().await;
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("stir-cert.toml"), policy(&vendor, true, 1)).expect("the file is ours");
    let read = read_folder(dir.path(), &Vars::new(), &|text| text);
    let warnings: Vec<String> = read.warnings.iter().map(ToString::to_string).collect();
    assert_eq!((read.faults.len(), read.policies.len(), warnings.len()), (0, 1, 1), "{warnings:?}");
    assert!(warnings[0].contains("who asks may send dipcache to addresses of your own network"), "{warnings:?}");
    assert!(warnings[0].contains("stir-cert.toml:"), "{warnings:?}");
}
