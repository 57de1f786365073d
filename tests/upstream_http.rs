//! A promise a test: whatever a REST vendor does, a dip ends by its deadline with the right kind of failure.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dipcache::deadline::{Deadline, now};
use dipcache::policy::{Auth, CallerUrl, Format, HttpMethod, HttpPolicy, TransportPolicy};
use dipcache::upstream::http::{Answer, HttpUpstream, Request};
use dipcache::upstream::{Failure, FailureKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use support::SLACK;
use support::policies;
use support::vendor::{Mode, Vendor};

const SOON: Duration = Duration::from_secs(1);

thread_local! {
    static OVER_THE_OTHER_CLIENT: Cell<bool> = const { Cell::new(false) };
}

/// There are two clients, chosen by the policy, and what is promised here is promised of both.
macro_rules! over_both_clients {
    ($($name:ident,)*) => {
        mod direct { $(#[tokio::test] async fn $name() { super::$name().await })* }
        mod other {
            $(#[tokio::test] async fn $name() {
                super::OVER_THE_OTHER_CLIENT.set(true);
                super::$name().await
            })*
        }
    };
}

over_both_clients! {
    answers_come_over_one_kept_connection,
    every_status_is_an_answer_and_no_redirect_is_followed,
    each_fault_is_the_right_kind_of_failure_in_time,
    bodies_that_make_no_sense_are_answers_that_do_not_decode,
    a_try_has_its_own_limit_within_the_deadline,
    no_connection_is_used_again_after_an_answer_was_given_up,
    a_refusing_vendor_is_found_again_at_once,
    a_policy_that_looks_at_no_body_reads_none,
    a_body_of_exactly_the_limit_is_read_and_one_byte_more_is_not,
    the_wire_carries_what_was_rendered,
    an_unknown_host_and_a_black_hole_are_no_connection,
    a_connection_that_was_closed_while_it_was_kept_is_replaced,
    answers_of_every_form_are_read_to_their_end,
    what_comes_unasked_is_nobodys_answer,
    what_is_no_answer_is_told_in_time,
}

fn client_of(mut http: HttpPolicy, format: Format) -> HttpUpstream {
    if OVER_THE_OTHER_CLIENT.get() {
        http.caller_url = Some(CallerUrl { allow_private: true });
    }
    let mut policy = policies::upstream(TransportPolicy::Http(http));
    policy.decoding = format.into();
    let TransportPolicy::Http(http) = &policy.transport else { unreachable!("made above") };
    HttpUpstream::build(&policy, http).expect("a client")
}

fn client() -> HttpUpstream {
    client_of(policies::http(), Format::Json)
}

fn get(url: impl Into<String>) -> Request {
    Request { method: HttpMethod::Get, url: url.into(), headers: Vec::new(), body: None }
}

/// Asks once and shows that it did not take longer than it may.
async fn ask(client: &HttpUpstream, vendor: &Vendor, budget: Duration) -> Result<Answer, Failure> {
    let begun = now();
    let result = client.fetch(&get(vendor.url("/v1/x")), Deadline::after(budget)).await;
    let took = now() - begun;
    assert!(took < budget + SLACK, "{took:?} of {budget:?}");
    result
}

async fn answers_come_over_one_kept_connection() {
    let vendor = Vendor::start(Mode::OK).await;
    let client = client();
    for _ in 0..20 {
        let answer = ask(&client, &vendor, SOON).await.expect("an answer");
        assert_eq!((answer.status, &answer.body[..]), (200, &b"{\"ok\":true}"[..]));
        assert!(answer.headers.contains(&("content-type".into(), "application/json".into())), "{:?}", answer.headers);
    }
    assert_eq!((vendor.requests(), vendor.connections()), (20, 1));
}

async fn every_status_is_an_answer_and_no_redirect_is_followed() {
    let vendor = Vendor::start(Mode::Redirect).await;
    let client = client();
    let answer = ask(&client, &vendor, SOON).await.expect("an answer");
    assert_eq!((answer.status, vendor.requests()), (302, 1));
    assert!(answer.headers.contains(&("location".into(), "/elsewhere".into())));

    vendor.set(Mode::TooManyRequests(Some(7)));
    let answer = ask(&client, &vendor, SOON).await.expect("an answer");
    assert_eq!(answer.status, 429);
    assert!(answer.headers.contains(&("retry-after".into(), "7".into())));

    vendor.set(Mode::Answer(500, "application/json", b"{\"error\":1}".to_vec()));
    let answer = ask(&client, &vendor, SOON).await.expect("an answer");
    assert_eq!((answer.status, &answer.body[..]), (500, &b"{\"error\":1}"[..]));
}

async fn each_fault_is_the_right_kind_of_failure_in_time() {
    for (mode, kind) in [
        (Mode::Hang, FailureKind::Timeout),
        (Mode::Ok(Duration::from_secs(9)), FailureKind::Timeout),
        (Mode::Trickle, FailureKind::Timeout),
        (Mode::HalfThenSilence, FailureKind::Timeout),
        (Mode::HalfThenClose, FailureKind::Protocol),
        (Mode::Reset, FailureKind::Protocol),
        (Mode::ResetAfterRequest, FailureKind::Protocol),
        (Mode::Garbage, FailureKind::Protocol),
        (Mode::BadChunk, FailureKind::Protocol),
        (Mode::HugeBody, FailureKind::TooLarge),
        (Mode::EndlessChunks, FailureKind::TooLarge),
        (Mode::HugeHeader, FailureKind::TooLarge),
        (Mode::GzipBomb, FailureKind::TooLarge),
        (Mode::Refuse, FailureKind::Connect),
    ] {
        let vendor = Vendor::start(mode.clone()).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        let failure = ask(&client(), &vendor, SOON).await.expect_err("a failure");
        let ok = failure.kind == kind || (mode == Mode::Reset && failure.kind == FailureKind::Connect);
        assert!(ok, "{mode:?}: {failure}");
        assert!(!failure.detail.contains("/v1/x"), "the URL stays out of {failure}");
    }
}

async fn bodies_that_make_no_sense_are_answers_that_do_not_decode() {
    let vendor = Vendor::start(Mode::DeepJson).await;
    let client = client();
    for mode in [Mode::DeepJson, Mode::HtmlPage, Mode::InvalidUtf8] {
        vendor.set(mode.clone());
        let reading = ask(&client, &vendor, SOON).await.expect("an answer").into_reading(&Format::Json.into());
        assert_eq!(reading.status, Some(200));
        assert!(reading.undecoded.is_some(), "{mode:?}");
    }
    let reading = ask(&client, &vendor, SOON).await.expect("an answer").into_reading(&Format::Text.into());
    assert_eq!(&*reading.text, "caf\u{fffd} \u{fffd}\u{fffd}");
}

#[tokio::test(start_paused = true)]
async fn silence_ends_at_the_deadline_exactly() {
    for mode in [Mode::Hang, Mode::HalfThenSilence, Mode::Trickle] {
        let vendor = Vendor::start(mode.clone()).await;
        let mut policy = policies::upstream(TransportPolicy::Http(policies::http()));
        // Later than the deadline: a paused clock may jump before the kernel has said that the connection is there.
        policy.connect_timeout = Duration::from_secs(60);
        let client = HttpUpstream::build(&policy, &policies::http()).expect("a client");
        let begun = now();
        let deadline = Deadline::after(Duration::from_secs(20));
        let failure = client.fetch(&get(vendor.url("/")), deadline).await.expect_err("silence");
        let took = now() - begun;
        assert_eq!(failure.kind, FailureKind::Timeout, "{mode:?}");
        assert!(took >= Duration::from_secs(20) && took < Duration::from_millis(20_010), "{mode:?}: {took:?}");
    }
}

async fn a_try_has_its_own_limit_within_the_deadline() {
    let vendor = Vendor::start(Mode::Hang).await;
    let mut policy = policies::upstream(TransportPolicy::Http(policies::http()));
    policy.total_timeout = Some(Duration::from_millis(50));
    let client = HttpUpstream::build(&policy, &policies::http()).expect("a client");
    let begun = now();
    let failure =
        client.fetch(&get(vendor.url("/")), Deadline::after(Duration::from_secs(9))).await.expect_err("silence");
    assert_eq!(failure.kind, FailureKind::Timeout);
    assert!(now() - begun < Duration::from_millis(50) + SLACK);
}

async fn no_connection_is_used_again_after_an_answer_was_given_up() {
    let vendor = Vendor::start(Mode::OK).await;
    let client = client();
    ask(&client, &vendor, SOON).await.expect("an answer");
    assert_eq!(vendor.connections(), 1);
    for (round, mode) in
        [Mode::Hang, Mode::HalfThenSilence, Mode::HugeBody, Mode::EndlessChunks, Mode::GzipBomb].into_iter().enumerate()
    {
        vendor.set(mode.clone());
        ask(&client, &vendor, Duration::from_millis(80)).await.expect_err("given up");
        vendor.set(Mode::OK);
        // A late byte of the answer that was given up would be read here as the next one's head.
        let answer = ask(&client, &vendor, SOON).await.expect("a new connection");
        assert_eq!(&answer.body[..], b"{\"ok\":true}", "{mode:?}");
        assert_eq!(vendor.connections(), round as u64 + 2, "{mode:?}");
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!((vendor.open(), vendor.in_flight()), (1, 0));
}

/// Answers what it is told, request by request, and then closes the connection; counts its connections.
async fn wire(answers: &'static [&'static str], stays: bool) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("its address"));
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                for answer in answers {
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        let Ok(1..) = stream.read_buf(&mut request).await else { return };
                    }
                    for piece in answer.split('|') {
                        stream.write_all(piece.as_bytes()).await.expect("somebody reads");
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
                if stays {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    (url, connections)
}

#[tokio::test]
async fn what_is_given_up_is_taken_back_and_what_is_answered_ends_with_a_goodbye() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("its address"));
    for (answer, budget) in
        [("", Duration::from_millis(50)), ("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", SOON)]
    {
        let vendor = async {
            let (mut stream, _) = listener.accept().await.expect("a caller");
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut request).await.expect("a request"), 0);
            }
            stream.write_all(answer.as_bytes()).await.expect("somebody reads");
            stream.read_buf(&mut request).await.map_err(|error| error.kind())
        };
        let (client, wanted) = (client(), get(url.as_str()));
        let (end, answered) = tokio::join!(vendor, client.fetch(&wanted, Deadline::after(budget)));
        assert_eq!(answered.is_ok(), !answer.is_empty());
        // Else a port of ours would stay taken for a minute, for each dip that is given up.
        let expected = if answer.is_empty() { Err(std::io::ErrorKind::ConnectionReset) } else { Ok(0) };
        assert_eq!(end, expected, "{answer:?}");
    }
}

async fn a_connection_that_was_closed_while_it_was_kept_is_replaced() {
    let (url, connections) = wire(&["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"], false).await;
    let client = client();
    for round in 1..5 {
        let answer = client.fetch(&get(&url), Deadline::after(SOON)).await.expect("an answer");
        assert_eq!((&answer.body[..], connections.load(Ordering::Relaxed)), (&b"ok"[..], round));
        // Its end has come by now, and is seen before anything is written.
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

async fn answers_of_every_form_are_read_to_their_end() {
    for (answers, stays, kept) in [
        (&["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwh|ole"; 2], true, true),
        (&["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nwh\r\n|3\r\nole\r\n0\r\n|\r\n"; 2], true, true),
        (&["HTTP/1.1 103 Early Hints\r\n\r\n|HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole"; 2], true, true),
        (&["HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nwhole"; 2], true, false),
        (&["HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nwhole"; 2], true, false),
        (&["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole and more than it said"; 2], true, false),
        (&["HTTP/1.0 200 OK\r\n\r\nwh|ole", ""], false, false),
    ] {
        // A connection's own end is the body's in the last of them.
        let answers: &'static [&'static str] = if stays { answers } else { &answers[..1] };
        let (url, connections) = wire(answers, stays).await;
        let client = client();
        for _ in 0..2 {
            let answer = client.fetch(&get(&url), Deadline::after(SOON)).await.expect(answers[0]);
            assert_eq!((answer.status, &answer.body[..]), (200, &b"whole"[..]), "{}", answers[0]);
        }
        assert_eq!(connections.load(Ordering::Relaxed), if kept { 1 } else { 2 }, "{}", answers[0]);
    }
}

async fn what_comes_unasked_is_nobodys_answer() {
    const TWICE: &str =
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole|HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong";
    let (url, connections) = wire(&[TWICE; 2], true).await;
    let client = client();
    for round in 1..4 {
        let answer = client.fetch(&get(&url), Deadline::after(SOON)).await.expect("an answer");
        assert_eq!((&answer.body[..], connections.load(Ordering::Relaxed)), (&b"whole"[..], round));
        // It has come by now, and is seen before anything is written.
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

async fn what_is_no_answer_is_told_in_time() {
    let many = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n", "A: b\r\n".repeat(101));
    let many: &'static [&'static str] = vec![&*many.leak()].leak();
    for (answers, kind) in [
        (many, FailureKind::TooLarge),
        (&["HTTP/1.1 103 Early Hints\r\n\r\n|HTTP/1.1 103 Early Hints\r\n\r\n"] as &[&str], FailureKind::Timeout),
        (&["HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nwhole"], FailureKind::Protocol),
        (&["ICY 200 OK\r\n"], FailureKind::Protocol),
    ] {
        let (url, _) = wire(answers, true).await;
        let begun = now();
        let deadline = Deadline::after(Duration::from_millis(200));
        let failure = client().fetch(&get(&url), deadline).await.expect_err(answers[0]);
        assert_eq!(failure.kind, kind, "{}", answers[0]);
        assert!(now() - begun < Duration::from_millis(200) + SLACK);
    }
}

/// A short body that nobody looks at costs no connection, and one that has not come yet is not waited for.
#[tokio::test]
async fn a_body_that_nobody_wants_is_passed_over() {
    for (answers, connected) in [
        (&["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole"; 3], 1),
        (&["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwh|ole"; 3], 3),
        (&["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n"; 3], 3),
        (&["HTTP/1.1 404 No\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"; 3], 1),
    ] {
        let (url, connections) = wire(answers, true).await;
        let client = client_of(policies::http(), Format::None);
        for _ in 0..3 {
            let answer = client.fetch(&get(&url), Deadline::after(SOON)).await.expect(answers[0]);
            assert!(answer.body.is_empty(), "{}", answers[0]);
        }
        assert_eq!(connections.load(Ordering::Relaxed), connected, "{}", answers[0]);
    }
    // The same where somebody does: there is nothing to unpack.
    let (url, _) = wire(&["HTTP/1.1 404 No\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"], true).await;
    assert_eq!(client().fetch(&get(&url), Deadline::after(SOON)).await.expect("an answer").status, 404);
}

async fn a_refusing_vendor_is_found_again_at_once() {
    let vendor = Vendor::start(Mode::OK).await;
    let client = client();
    ask(&client, &vendor, SOON).await.expect("an answer");
    vendor.set(Mode::Refuse);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let begun = now();
    assert_eq!(ask(&client, &vendor, Duration::from_secs(5)).await.expect_err("nobody").kind, FailureKind::Connect);
    assert!(now() - begun < SLACK, "a refusal needs no time");
    vendor.set(Mode::OK);
    tokio::time::sleep(Duration::from_millis(50)).await;
    ask(&client, &vendor, SOON).await.expect("an answer");
}

async fn a_policy_that_looks_at_no_body_reads_none() {
    let vendor = Vendor::start(Mode::HugeBody).await;
    let answer = ask(&client_of(policies::http(), Format::None), &vendor, SOON).await.expect("the head");
    assert_eq!((answer.status, answer.body.len()), (200, 0));
}

async fn a_body_of_exactly_the_limit_is_read_and_one_byte_more_is_not() {
    let mut http = policies::http();
    http.max_body = 10;
    let client = client_of(http, Format::Text);
    let vendor = Vendor::start(Mode::Answer(200, "text/plain", vec![b'x'; 10])).await;
    assert_eq!(ask(&client, &vendor, SOON).await.expect("an answer").body.len(), 10);
    vendor.set(Mode::Answer(200, "text/plain", vec![b'x'; 11]));
    assert_eq!(ask(&client, &vendor, SOON).await.expect_err("too much").kind, FailureKind::TooLarge);
}

async fn the_wire_carries_what_was_rendered() {
    let vendor = Vendor::start(Mode::OK).await;
    let request = Request {
        method: HttpMethod::Post,
        url: vendor.url("/v1/%2B1303%2f5/a%20b?n=%2B1&x=a+b&q=%27"),
        headers: vec![("X-Api-Key".into(), "k\u{e9}y".into()), ("Accept".into(), "application/json".into())],
        body: Some(("application/json".into(), "{\"n\":\"+1303\"}".into())),
    };
    client().fetch(&request, Deadline::after(SOON)).await.expect("an answer");
    let seen = vendor.last_request();
    assert!(seen.starts_with("POST /v1/%2B1303%2f5/a%20b?n=%2B1&x=a+b&q=%27 HTTP/1.1\r\n"), "{seen}");
    for line in [
        "x-api-key: k\u{e9}y",
        "accept: application/json",
        "content-type: application/json",
        "content-length: 13",
        concat!("user-agent: dipcache/", env!("CARGO_PKG_VERSION")),
        "accept-encoding: gzip,deflate",
    ] {
        assert!(seen.to_lowercase().replace(", ", ",").contains(&format!("{line}\r\n")), "{line} is in {seen}");
    }
    assert!(seen.ends_with("\r\n\r\n{\"n\":\"+1303\"}"), "{seen}");
}

async fn an_unknown_host_and_a_black_hole_are_no_connection() {
    let mut policy = policies::upstream(TransportPolicy::Http(policies::http()));
    policy.connect_timeout = Duration::from_millis(100);
    let client = HttpUpstream::build(&policy, &policies::http()).expect("a client");
    let failure = client.fetch(&get("http://nobody.invalid/"), Deadline::after(Duration::from_secs(5))).await;
    assert_eq!(failure.expect_err("no such host").kind, FailureKind::Connect);

    // A listener whose queue is full lets further connects hang, as a firewall that drops packets does.
    let full = FullListener::start();
    let begun = now();
    let url = format!("http://{}/", full.address);
    let failure = client.fetch(&get(url), Deadline::after(Duration::from_secs(5))).await.expect_err("a black hole");
    assert_eq!(failure.kind, FailureKind::Connect, "{failure}");
    assert!(now() - begun < Duration::from_millis(100) + SLACK);
}

#[tokio::test]
async fn a_ca_file_that_does_not_read_is_told_when_the_client_is_made() {
    let mut http = policies::http();
    http.ca = Some("/nowhere/ca.pem".into());
    let policy = policies::upstream(TransportPolicy::Http(policies::http()));
    let failure = HttpUpstream::build(&policy, &http).expect_err("no such file");
    assert!(failure.kind == FailureKind::Policy && failure.detail.contains("/nowhere/ca.pem"), "{failure}");
}

#[tokio::test]
async fn without_credentials_there_is_nothing_to_hide() {
    assert!(matches!(policies::http().auth, Auth::None));
    assert_eq!(client().describe(&get("http://h/v1/x?n=1")), "GET http://h/v1/x?n=1");
}

/// A listener that accepts nobody, with its queue filled.
struct FullListener {
    address: std::net::SocketAddr,
    _listener: socket2::Socket,
    _queue: Vec<socket2::Socket>,
}

impl FullListener {
    fn start() -> Self {
        let tcp = || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        let listener = tcp();
        listener.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
        listener.listen(1).expect("it listens");
        let address = listener.local_addr().expect("an address").as_socket().expect("an IP address");
        let queue = (0..8).map(|_| {
            let socket = tcp();
            socket.set_nonblocking(true).expect("the option is known");
            let _ = socket.connect(&address.into());
            socket
        });
        Self { address, _queue: queue.collect(), _listener: listener }
    }
}
