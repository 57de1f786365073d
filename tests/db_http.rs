//! OpenSIPS' `db_http` byte for byte: the requests that it was seen to send, and the answers that its parser reads.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "clippy knows tests, and not their helpers beside them")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dipcache::deadline::now;
use dipcache::front::http::{self, Settings};
use dipcache::front::listen::{Drain, Listener};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use support::lookups::Desk;
use support::vendor::{Mode, Vendor};

/// A request as the module sends it: libcurl's own fields and nothing else.
fn request(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1:8090\r\nAccept: */*\r\n\r\n")
}

/// Asks on a connection of its own; answers status and body.
async fn ask(address: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut got = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&got).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
            if body.len() >= length.parse().unwrap() {
                assert!(!head.contains("chunked"), "{head}");
                return (head[9..12].parse().unwrap(), body.to_owned());
            }
        }
        assert!(stream.read_buf(&mut got).await.unwrap() > 0, "closed after {text}");
    }
}

async fn front(budget_ms: u32) -> (SocketAddr, Desk, Vendor) {
    let vendor = Vendor::start(Mode::OK).await;
    vendor.set_body(
        r#"{"name":"ACME; \"THE\" CORP|","spid":"1234","level":7,"big":15551234567,"spam":true,"gone":null}"#,
    );
    let policy = format!(
        "kind = \"raw\"\n[input]\nkey = {{ type = \"tn\", country = \"US\" }}\nani = {{ type = \"tn\", country = \"US\", optional = true }}\n\
         [budget]\ncall = \"{budget_ms}ms\"\nbackground = \"1s\"\n[[upstream]]\nname = \"v\"\ntype = \"http\"\nurl = \"{}\"\n\
         [upstream.fields]\nname = \"body.name\"\nspid = \"body.spid\"\nlevel = \"body.level\"\nbig = \"body.big\"\nspam = \"body.spam\"\n",
        vendor.url("/{{ key | nanp10 }}")
    );
    let desk = Desk::new(&[("cnam", &policy)]);
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.address();
    tokio::spawn(http::serve(vec![listener], Arc::clone(&desk.lookups), Settings::default(), Drain::default()));
    (address, desk, vendor)
}

#[tokio::test]
async fn the_questions_that_were_seen_on_the_wire() {
    let (address, _desk, vendor) = front(500).await;
    let select = "/v1/db/cnam/?k=num&op=%3d&v=13035550123&c=name,spid";
    for from in ["the vendor", "the cache"] {
        let (status, body) = ask(address, &request(select)).await;
        assert_eq!((status, body.as_str()), (200, "string;string\n|ACME; \"THE\" CORP|||;1234\n"), "from {from}");
    }
    assert_eq!(vendor.requests(), 1);
    for (target, expected) in [
        (
            "/v1/db/cnam/?k=num&op=%3d&v=%2b13035550123&c=spid;level;big;spam",
            "string;int;string;int\n1234;7;15551234567;1\n",
        ),
        ("/v1/db/cnam/?k=num;ani&op=%3d;%3d&v=13035550123;12025550123&c=spid&o=num", "string\n1234\n"),
        ("/v1/db/cnam/?k=num;budget_ms&op=%3d;%3d&v=13035550123;400&c=nothing", "string\n\n"),
        ("/v1/db/cnam/?k=num&v=13035550123&c=spid", "string\n1234\n"),
        (
            "/v1/db/cnam/?k=num&op=%3d&v=13035550123",
            "string;string;int;string;int\n|ACME; \"THE\" CORP|||;1234;7;15551234567;1\n",
        ),
    ] {
        assert_eq!(ask(address, &request(target)).await, (200, expected.to_owned()), "{target}");
    }
}

#[tokio::test]
async fn no_row_is_an_empty_body_and_only_no_answer_is_an_error() {
    let (address, desk, vendor) = front(60).await;
    let select = |number: &str| request(&format!("/v1/db/cnam/?k=num&op=%3d&v={number}&c=name"));
    vendor.set(Mode::Answer(404, "text/plain", Vec::new()));
    assert_eq!(ask(address, &select("13035550123")).await, (200, String::new()), "nobody knows");
    assert_eq!(ask(address, &select("anonymous")).await, (200, String::new()), "a caller without a number");
    vendor.set(Mode::Answer(500, "text/plain", b"oops".to_vec()));
    assert_eq!(ask(address, &select("13035550124")).await, (502, String::new()));
    vendor.set(Mode::Hang);
    let start = now();
    assert_eq!(ask(address, &select("13035550125")).await, (504, String::new()));
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(50) && took < Duration::from_millis(60) + support::SLACK, "{took:?}");
    desk.install(&[]);
    assert_eq!(ask(address, &select("13035550123")).await.0, 404, "no such table");
}

#[tokio::test]
async fn nothing_but_a_select_and_nothing_of_sql_gets_through() {
    let (address, _desk, vendor) = front(500).await;
    for target in [
        "/v1/db/cnam/?q=select%20%2a%20from%20x&query_type=custom",
        "/v1/db/cnam/?k=num&op=%3e&v=1",
        "/v1/db/cnam/?k=num&op=like&v=%25",
        "/v1/db/cnam/?k=num;num&op=%3d;%3d&v=13035550123;13035550124",
        "/v1/db/cnam/?k=num&v=13035550123&uk=num&uv=1",
        "/v1/db/cnam/?k=num&op=%3d&v=%00",
        "/v1/db/cnam/?k=num&op=%3d&v=1%0d%0aX:1",
        "/v1/db/cnam/",
        "/v1/db/cnam/?k=ani&op=%3d&v=12025550123",
        "/v1/db/cnam/?k=num;budget_ms&op=%3d;%3d&v=13035550123;0",
    ] {
        assert_eq!(ask(address, &request(target)).await, (400, String::new()), "{target}");
    }
    // Text that would mean something to a database is no number, and so no row.
    for text in ["1%27%20or%20%271%27%3d%271", "13035550123%27--", "13035550123%20or%201"] {
        let target = format!("/v1/db/cnam/?k=num&op=%3d&v={text}&c=name");
        assert_eq!(ask(address, &request(&target)).await, (200, String::new()), "{text}");
    }
    let post = "POST /v1/db/cnam HTTP/1.1\r\nHost: x\r\nContent-Length: 31\r\n\r\nk=num&v=1&query_type=insert&x=y";
    assert_eq!(ask(address, post).await.0, 405);
    assert_eq!(vendor.requests(), 0);
}
