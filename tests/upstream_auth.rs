//! Credentials that must be made: tokens from a token server, signatures, several sets, and secrets that change.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use dipcache::answer::Outcome;
use dipcache::deadline::{Deadline, now};
use dipcache::policy::filters::digests::hmac_sha256;
use dipcache::policy::{Policy, Reading};
use dipcache::upstream::{Failure, FailureKind, Upstream};
use futures_util::future::join_all;
use support::lookups::{Desk, ask, policy};
use support::policies::secret_file;
use support::vendor::{Mode, Vendor};

fn text(upstream: &str) -> String {
    format!(
        "[input]\nkey = {{ type = \"text\" }}\ntenant = {{ type = \"text\", optional = true }}\n\
         [budget]\ncall = \"400ms\"\n[[upstream]]\ntype = \"http\"\n{upstream}\n[upstream.fields]\nx = \"key\"\n"
    )
}

fn oauth2(vendor: &Vendor, tokens: &Vendor, secret: &str, more: &str) -> String {
    text(&format!(
        "url = \"{}\"\nauth = {{ type = \"oauth2\", token_url = \"{}\", client_id = \"me\", client_secret = \"{secret}\", timeout = \"300ms\"{more} }}",
        vendor.url("/v1"),
        tokens.url("/token")
    ))
}

async fn ask_once(upstream: &Upstream, policy: &Policy, inputs: &[(&str, &str)]) -> Result<Reading, Failure> {
    let question = policy.question("1", inputs).expect("a key that fits");
    upstream.ask(&policy.upstreams[0], &question, Deadline::after(Duration::from_secs(2))).await
}

fn words(upstream: &Upstream, policy: &Policy) -> String {
    upstream.describe(&policy.upstreams[0], &policy.question("1", &[]).expect("a key")).expect("a request")
}

#[tokio::test]
async fn one_token_serves_all_and_is_asked_for_once() {
    let (vendor, tokens) = (Vendor::start(Mode::OK).await, Vendor::start(Mode::Ok(Duration::from_millis(50))).await);
    tokens.set_body(r#"{"access_token":"tok-1","token_type":"Bearer","expires_in":3600}"#);
    let (_file, secret) = secret_file("p w");
    let policy = policy("wire", &oauth2(&vendor, &tokens, &secret, ", scope = \"lookup read\", audience = \"api\""));
    let upstream = Upstream::build(&policy.upstreams[0]).expect("an upstream");
    let all = join_all((0..20).map(|_| ask_once(&upstream, &policy, &[]))).await;
    assert!(all.iter().all(|answer| answer.as_ref().is_ok_and(|reading| reading.status == Some(200))));
    assert_eq!((tokens.requests(), vendor.requests()), (1, 20));
    assert!(vendor.last_request().contains("authorization: Bearer tok-1\r\n"), "{}", vendor.last_request());
    let seen = tokens.last_request();
    assert!(seen.starts_with("POST /token ") && seen.contains("authorization: Basic bWU6cCt3\r\n"), "{seen}");
    assert!(seen.ends_with("\r\n\r\ngrant_type=client_credentials&scope=lookup+read&audience=api"), "{seen}");
    let words = words(&upstream, &policy);
    assert!(words.contains("Authorization: Bearer ***") && !words.contains("tok-1"), "{words}");
}

#[tokio::test]
async fn credentials_go_into_the_form_where_the_vendor_wants_them_there() {
    let (vendor, tokens) = (Vendor::start(Mode::OK).await, Vendor::start(Mode::OK).await);
    tokens.set_body(r#"{"access_token":"t","expires_in":"3600"}"#);
    let (_file, secret) = secret_file("p&w");
    let more = ", client_auth = \"body\", form = { resource = \"r\" }";
    let policy = policy("wire", &oauth2(&vendor, &tokens, &secret, more));
    let upstream = Upstream::build(&policy.upstreams[0]).expect("an upstream");
    ask_once(&upstream, &policy, &[]).await.expect("an answer");
    let seen = tokens.last_request();
    assert!(!seen.contains("authorization"), "{seen}");
    assert!(seen.ends_with("grant_type=client_credentials&resource=r&client_id=me&client_secret=p%26w"), "{seen}");
}

#[tokio::test]
async fn a_token_is_renewed_before_it_dies_and_no_dip_waits_for_it() {
    let (vendor, tokens) = (Vendor::start(Mode::OK).await, Vendor::start(Mode::OK).await);
    tokens.set_body(r#"{"access_token":"first","expires_in":1}"#);
    let (_file, secret) = secret_file("pw");
    let policy = policy("wire", &oauth2(&vendor, &tokens, &secret, ""));
    let upstream = Upstream::build(&policy.upstreams[0]).expect("an upstream");
    ask_once(&upstream, &policy, &[]).await.expect("an answer");
    tokens.set_body(r#"{"access_token":"second","expires_in":3600}"#);
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(tokens.requests(), 2, "nobody asked, and it was renewed");
    tokens.set(Mode::Hang);
    ask_once(&upstream, &policy, &[]).await.expect("an answer");
    assert!(vendor.last_request().contains("Bearer second"), "{}", vendor.last_request());
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_for_all_and_the_dip_repeated() {
    let (vendor, tokens) = (Vendor::start(Mode::Wants("Bearer old".into())).await, Vendor::start(Mode::OK).await);
    tokens.set_body(r#"{"access_token":"old","expires_in":3600}"#);
    let (_file, secret) = secret_file("pw");
    let policy = policy("wire", &oauth2(&vendor, &tokens, &secret, ""));
    let upstream = Upstream::build(&policy.upstreams[0]).expect("an upstream");
    ask_once(&upstream, &policy, &[]).await.expect("an answer");
    tokio::time::sleep(Duration::from_millis(2100)).await;
    tokens.set_body(r#"{"access_token":"new","expires_in":3600}"#);
    vendor.set(Mode::Wants("Bearer new".into()));
    let all = join_all((0..10).map(|_| ask_once(&upstream, &policy, &[]))).await;
    assert!(all.iter().all(|answer| answer.as_ref().is_ok_and(|reading| reading.status == Some(200))), "{all:?}");
    assert_eq!(tokens.requests(), 2, "one refresh for all of them");
    vendor.set(Mode::Wants("nothing will do".into()));
    let before = vendor.requests();
    assert_eq!(ask_once(&upstream, &policy, &[]).await.expect("an answer").status, Some(401));
    assert_eq!((tokens.requests(), vendor.requests() - before), (2, 1), "a brand new token is not at fault");
}

#[tokio::test]
async fn who_gives_no_token_is_told_apart_and_left_in_peace() {
    let (vendor, tokens) = (Vendor::start(Mode::OK).await, Vendor::start(Mode::OK).await);
    let (_file, secret) = secret_file("pw");
    let policy = policy("wire", &oauth2(&vendor, &tokens, &secret, ""));
    for (mode, kind, outcome) in [
        (
            Mode::Answer(400, "application/json", br#"{"error":"invalid_client"}"#.to_vec()),
            FailureKind::Auth,
            Outcome::AuthError,
        ),
        (Mode::Answer(503, "text/plain", b"down".to_vec()), FailureKind::Protocol, Outcome::VendorError),
        (Mode::Hang, FailureKind::Protocol, Outcome::VendorError),
        (Mode::Refuse, FailureKind::Protocol, Outcome::VendorError),
    ] {
        tokens.set(mode.clone());
        let upstream = Upstream::build(&policy.upstreams[0]).expect("an upstream");
        let before = tokens.requests();
        let failure = ask_once(&upstream, &policy, &[]).await.expect_err("no token");
        assert_eq!((failure.kind, failure.outcome()), (kind, outcome), "{mode:?} {failure}");
        let began = now();
        for _ in 0..5 {
            assert_eq!(ask_once(&upstream, &policy, &[]).await.expect_err("no token").kind, kind);
        }
        assert!(now() - began < Duration::from_millis(100), "nobody waits for what has failed");
        assert!(tokens.requests() - before <= 1, "{mode:?}");
        tokens.set(Mode::OK);
    }
    assert_eq!(vendor.requests(), 0);
}

#[tokio::test]
async fn a_lookup_has_its_token_before_the_first_call_and_holds_where_it_gets_none() {
    let (vendor, tokens) = (Vendor::start(Mode::OK).await, Vendor::start(Mode::OK).await);
    tokens.set_body(r#"{"access_token":"t","expires_in":3600}"#);
    let (_file, secret) = secret_file("pw");
    let policy = oauth2(&vendor, &tokens, &secret, "");
    let desk = Desk::new(&[("wire", &policy)]);
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!((tokens.requests(), vendor.requests()), (1, 0));
    tokens.set(Mode::Hang);
    assert_eq!(ask(&desk.lookup("wire"), "1", 400).await.outcome, Outcome::Found);

    tokens.set(Mode::Answer(401, "application/json", b"{}".to_vec()));
    let desk = Desk::new(&[("wire", &policy)]);
    let lookup = desk.lookup("wire");
    assert_eq!(ask(&lookup, "2", 400).await.outcome, Outcome::AuthError);
    assert!(!lookup.is_up(), "without credentials nothing comes");
    assert!(lookup.members[0].health.hold(now()).is_some_and(|hold| hold.outcome == Outcome::AuthError));
}

#[tokio::test]
async fn a_signature_covers_the_bytes_that_are_sent() {
    let vendor = Vendor::start(Mode::OK).await;
    let (_file, secret) = secret_file("k3y");
    let policy = policy(
        "wire",
        &text(&format!(
            "url = \"{}\"\njson = {{ n = \"{{{{ key }}}}\", t = \"é\" }}\n\
             auth = {{ type = \"hmac\", secret = \"{secret}\", string = \"{{{{ method }}}}\\n{{{{ path }}}}?{{{{ query_string }}}}\\n{{{{ timestamp }}}}\\n{{{{ body }}}}\", headers = {{ X-Sign = \"v1={{{{ signature }}}}\", X-Time = \"{{{{ timestamp }}}}\" }} }}",
            vendor.url("/v1/x?a=%2B1")
        )),
    );
    let upstream = Upstream::build(&policy.upstreams[0]).expect("an upstream");
    ask_once(&upstream, &policy, &[]).await.expect("an answer");
    let seen = vendor.last_request();
    let header = |name: &str| {
        let line = seen.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).expect("a header");
        line.to_owned()
    };
    let (_, body) = seen.split_once("\r\n\r\n").expect("a body");
    let signed = format!("POST\n/v1/x?a=%2B1\n{}\n{body}", header("x-time"));
    let hex: String = hmac_sha256(b"k3y", signed.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(header("x-sign"), format!("v1={hex}"));
    assert!(!words(&upstream, &policy).contains("k3y"));
}

#[tokio::test]
async fn pairs_of_headers_and_an_input_that_chooses() {
    let vendor = Vendor::start(Mode::OK).await;
    let ((_a, id), (_b, key), (_c, acme)) = (secret_file("i-d"), secret_file("k-e-y"), secret_file("acme-token"));
    let auth = format!("auth = {{ type = \"headers\", headers = {{ X-Id = \"{id}\", X-Key = \"{key}\" }} }}");
    let chosen = format!("auth_by = \"tenant\"\n[upstream.auths.acme]\ntype = \"bearer\"\ntoken = \"{acme}\"");
    let both = policy("wire", &text(&format!("url = \"{}\"\n{auth}\n{chosen}", vendor.url("/"))));
    let upstream = Upstream::build(&both.upstreams[0]).expect("an upstream");
    ask_once(&upstream, &both, &[]).await.expect("an answer");
    let seen = vendor.last_request();
    assert!(seen.contains("x-id: i-d\r\n") && seen.contains("x-key: k-e-y\r\n"), "{seen}");
    ask_once(&upstream, &both, &[("tenant", "acme")]).await.expect("an answer");
    let seen = vendor.last_request();
    assert!(seen.contains("authorization: Bearer acme-token\r\n") && !seen.contains("x-id"), "{seen}");

    let only = policy("wire", &text(&format!("url = \"{}\"\n{chosen}", vendor.url("/"))));
    let upstream = Upstream::build(&only.upstreams[0]).expect("an upstream");
    let before = vendor.requests();
    let failure = ask_once(&upstream, &only, &[("tenant", "other")]).await.expect_err("no credentials");
    assert_eq!((failure.kind, vendor.requests() - before), (FailureKind::Policy, 0));
}

#[tokio::test]
async fn a_secret_that_changed_is_read_again_when_the_old_one_is_refused() {
    let vendor = Vendor::start(Mode::Wants("Bearer new".into())).await;
    let (file, secret) = secret_file("old");
    let policy = policy(
        "wire",
        &text(&format!("url = \"{}\"\nauth = {{ type = \"bearer\", token = \"{secret}\" }}", vendor.url("/"))),
    );
    let upstream = Upstream::build(&policy.upstreams[0]).expect("an upstream");
    assert_eq!(ask_once(&upstream, &policy, &[]).await.expect("an answer").status, Some(401));
    assert_eq!(vendor.requests(), 1, "the same secret is not tried again");
    std::fs::write(file.path(), "new\n").expect("the file is ours");
    tokio::time::sleep(Duration::from_millis(1050)).await;
    assert_eq!(ask_once(&upstream, &policy, &[]).await.expect("an answer").status, Some(200));
    assert_eq!(vendor.requests(), 3);
    assert!(!words(&upstream, &policy).contains("new"), "{}", words(&upstream, &policy));
}
