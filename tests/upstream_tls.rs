//! TLS towards vendors: whom we trust, what we speak, and what a failed handshake is.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use dipcache::deadline::{Deadline, now};
use dipcache::policy::{Format, HttpMethod, HttpPolicy, Place, Secret, Template, TransportPolicy};
use dipcache::upstream::http::{Answer, HttpUpstream, Request};
use dipcache::upstream::{Failure, FailureKind};
use support::secure::SecureVendor;
use support::{SLACK, policies};
use tokio::net::TcpListener;

fn client(change: impl FnOnce(&mut HttpPolicy)) -> HttpUpstream {
    let mut http = policies::https();
    change(&mut http);
    let mut policy = policies::upstream(TransportPolicy::Http(policies::https()));
    policy.decoding = Format::Text.into();
    HttpUpstream::build(&policy, &http).expect("a client")
}

async fn ask(client: &HttpUpstream, address: SocketAddr) -> Result<Answer, Failure> {
    let url = format!("https://{address}/");
    let request = Request { method: HttpMethod::Get, url, headers: Vec::new(), body: None };
    client.fetch(&request, Deadline::after(Duration::from_secs(5))).await
}

#[tokio::test]
async fn a_vendor_of_a_private_authority_is_trusted_by_its_file_alone() {
    let vendor = SecureVendor::start("127.0.0.1", &["http/1.1"]).await;
    let failure = ask(&client(|_| {}), vendor.address).await.expect_err("an unknown authority");
    assert_eq!(failure.kind, FailureKind::Connect, "{failure}");
    assert!(failure.detail.contains("certificate"), "an operator sees why: {failure}");

    let trusting = client(|http| http.ca = Some(vendor.pem.path().to_owned()));
    let answer = ask(&trusting, vendor.address).await.expect("a trusted one");
    assert_eq!(&answer.body[..], b"HTTP/1.1");

    let careless = client(|http| http.verify_tls = false);
    ask(&careless, vendor.address).await.expect("nobody looked");
}

#[tokio::test]
async fn a_certificate_of_another_name_is_no_connection() {
    let vendor = SecureVendor::start("elsewhere.test", &["http/1.1"]).await;
    let trusting = client(|http| http.ca = Some(vendor.pem.path().to_owned()));
    assert_eq!(ask(&trusting, vendor.address).await.expect_err("another name").kind, FailureKind::Connect);
}

#[tokio::test]
async fn http2_is_spoken_where_offered_over_one_connection() {
    let vendor = SecureVendor::start("127.0.0.1", &["h2", "http/1.1"]).await;
    let trusting = client(|http| http.ca = Some(vendor.pem.path().to_owned()));
    assert_eq!(&ask(&trusting, vendor.address).await.expect("an answer").body[..], b"HTTP/2.0");
    let dips = (0..20).map(|_| ask(&trusting, vendor.address));
    for answer in futures_util::future::join_all(dips).await {
        assert_eq!(answer.expect("an answer").status, 200);
    }
    assert_eq!(vendor.connections(), 1);
}

#[tokio::test]
async fn a_handshake_that_stalls_ends_with_the_connect_timeout() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let mut policy = policies::upstream(TransportPolicy::Http(policies::https()));
    policy.connect_timeout = Duration::from_millis(100);
    let client = HttpUpstream::build(&policy, &policies::https()).expect("a client");
    let begun = now();
    let failure = ask(&client, listener.local_addr().expect("an address")).await.expect_err("silence");
    assert_eq!(failure.kind, FailureKind::Connect, "{failure}");
    assert!(now() - begun < Duration::from_millis(100) + SLACK);
}

#[tokio::test]
async fn our_own_certificate_is_shown_to_a_vendor_that_asks_for_it() {
    let made = rcgen::generate_simple_self_signed(vec!["us.test".to_owned()]).expect("a certificate");
    let vendor = SecureVendor::start_for("127.0.0.1", &["http/1.1"], Some(made.cert.der().clone())).await;
    let dir = tempfile::tempdir().expect("a folder");
    let (cert, key) = (dir.path().join("our.pem"), dir.path().join("our.key"));
    std::fs::write(&cert, made.cert.pem()).expect("the file is ours");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("the file is ours");
    let stranger = client(|http| http.ca = Some(vendor.pem.path().to_owned()));
    ask(&stranger, vendor.address).await.expect_err("nobody without a certificate");
    let known = client(|http| {
        http.ca = Some(vendor.pem.path().to_owned());
        let key = Secret::read(&format!("file:{}", key.display())).expect("a key");
        http.wire.tls.identity = Some((cert.clone(), key));
    });
    assert_eq!(&ask(&known, vendor.address).await.expect("an answer").body[..], b"HTTP/1.1");
}

#[tokio::test]
async fn a_server_may_be_called_by_another_name_than_it_is_found_by() {
    let vendor = SecureVendor::start("api.vendor.test", &["http/1.1"]).await;
    let named = client(|http| {
        http.ca = Some(vendor.pem.path().to_owned());
        http.url = Template::compile(&format!("https://{}/", vendor.address), &[], Place::Url).expect("a template");
        http.wire.tls.server_name = Some("api.vendor.test".to_owned());
        http.wire.tls.only_1_3 = true;
    });
    assert_eq!(&ask(&named, vendor.address).await.expect("an answer").body[..], b"HTTP/1.1");
}
