//! Anything may come: it gets a well-formed answer or a clean close, and a neighbour notices nothing.

use std::time::Duration;

use fastrand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{Client, Server, parse, plain};

const CASES: usize = 20_000;
/// Another one may be given in `FUZZ_SEED`.
const SEED: u64 = 7;

const VALID: [&str; 8] = [
    "GET /v1/lookup/lrn/13035550123 HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n",
    "GET /v1/lookup/lrn/+1303?ani=%2B1202&format=csv HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
    "GET /v1/health HTTP/1.1\r\nHost: a\r\nUser-Agent: x\r\n\r\nGET /v1/health/lrn HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD /v1/lookup/lrn/404 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /v1/lookup/raw/a%20b?field=key HTTP/1.0\r\n\r\n",
    "POST /v1/lookup/lrn/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "POST /v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "GET http://a/v1/lookup/lrn/502 HTTP/1.1\r\nHost: a\r\nAccept: application/problem+json\r\n\r\n",
];

/// Pieces that are likely to mean something.
const WORDS: [&str; 24] = [
    "\r\n",
    "\r\n\r\n",
    "\n",
    "\r",
    "\0",
    " ",
    "%",
    "%00",
    "%zz",
    "?",
    "&",
    "=",
    "+",
    "/",
    "#",
    ":",
    "HTTP/1.1",
    "HTTP/2.0",
    "Content-Length: 99999999999999999999\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Expect: 100-continue\r\n",
    "Upgrade: h2c\r\n",
    "Connection: close\r\n",
    "é",
];

fn random_text(rng: &mut Rng, most: usize) -> Vec<u8> {
    let printable = rng.bool();
    (0..rng.usize(..most)).map(|_| if printable { rng.u8(0x20..0x7f) } else { rng.u8(..) }).collect()
}

fn made_up(rng: &mut Rng) -> Vec<u8> {
    let mut request = rng
        .choice(["GET ", "GET /v1/lookup/lrn/", "GET /v1/lookup/raw/", "PUT ", "", " "])
        .unwrap()
        .as_bytes()
        .to_vec();
    let long = if rng.u8(..) == 0 { 20_000 } else { 40 };
    request.extend(random_text(rng, long));
    request.extend_from_slice(b" HTTP/1.1\r\nHost: a\r\n");
    for _ in 0..rng.usize(..4) {
        request.extend(random_text(rng, 20));
        request.extend_from_slice(b": ");
        request.extend(random_text(rng, 40));
        request.extend_from_slice(b"\r\n");
    }
    if rng.u8(..) < 3 {
        request.extend_from_slice("X: y\r\n".repeat(rng.usize(50..200)).as_bytes());
    }
    request.extend_from_slice(b"\r\n");
    request
}

fn mutated(rng: &mut Rng) -> Vec<u8> {
    let mut request = rng.choice(VALID).unwrap().as_bytes().to_vec();
    for _ in 0..rng.usize(1..4) {
        let at = rng.usize(..request.len());
        match rng.u8(..6) {
            0 => request[at] = rng.u8(..),
            1 => drop(request.remove(at)),
            2 => request.truncate(at.max(1)),
            3 => drop(request.splice(at..at, rng.choice(WORDS).unwrap().bytes())),
            4 => drop(request.splice(at..at, random_text(rng, 12))),
            _ => drop(request.splice(at..at, rng.choice(VALID).unwrap().bytes())),
        }
        if request.is_empty() {
            request.push(b'G');
        }
    }
    request
}

/// Sends a case, perhaps in two pieces, and gives back all that the server says until it closes.
async fn answer_to(server: &Server, case: &[u8], cut: Option<usize>) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (first, second) = case.split_at(cut.unwrap_or(case.len()));
    // The server may have heard enough before it was all said.
    let mut heard = stream.write_all(first).await.is_ok();
    if heard && cut.is_some() {
        tokio::task::yield_now().await;
        heard = stream.write_all(second).await.is_ok();
    }
    if heard {
        stream.shutdown().await.ok();
    }
    let mut said = Vec::new();
    let read = timeout(Duration::from_secs(10), stream.read_to_end(&mut said)).await;
    read.unwrap_or_else(|_| panic!("silence after {:?}", String::from_utf8_lossy(case)))
        .expect("closed without a reset");
    said
}

/// Panics unless the bytes are whole responses; a response to HEAD has no body whatever it says.
fn check(case: &[u8], mut said: &[u8]) {
    let told = || format!("{:?} was answered {:?}", String::from_utf8_lossy(case), String::from_utf8_lossy(said));
    while !said.is_empty() {
        let with_body = parse(said, false).map(|(response, length)| (response, &said[length..]));
        let (response, rest) = match with_body {
            Some((response, rest)) if rest.is_empty() || rest.starts_with(b"HTTP/1.") => (response, rest),
            _ => parse(said, true)
                .map(|(response, length)| (response, &said[length..]))
                .unwrap_or_else(|| panic!("{}", told())),
        };
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1."), "{}", told());
        assert!((200..600).contains(&response.status), "{}", told());
        assert!(response.status != 500, "{}", told());
        said = rest;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_comes_is_answered_or_closed() {
    let server = std::sync::Arc::new(plain());
    let neighbour = {
        let address = server.address;
        tokio::spawn(async move {
            let mut client = Client::connect(address).await;
            for n in 0.. {
                let key = format!("1{}", n % 1000);
                assert_eq!(client.get(&format!("/v1/lookup/lrn/{key}?field=lrn")).await.text(), key);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
    };
    let seed = std::env::var("FUZZ_SEED").map_or(SEED, |text| text.parse().expect("FUZZ_SEED is a number"));
    let lanes = 8;
    let attacks: Vec<_> = (0..lanes)
        .map(|lane| {
            let server = server.clone();
            tokio::spawn(async move {
                let mut rng = Rng::with_seed(seed + lane);
                for _ in 0..CASES.div_ceil(lanes as usize) {
                    let case = if rng.u8(..4) == 0 { made_up(&mut rng) } else { mutated(&mut rng) };
                    let cut = (rng.u8(..4) == 0).then(|| rng.usize(..case.len()));
                    let said = answer_to(&server, &case, cut).await;
                    check(&case, &said);
                }
            })
        })
        .collect();
    for attack in attacks {
        attack.await.unwrap();
    }
    assert!(!neighbour.is_finished(), "the neighbour was hurt");
    neighbour.abort();
}
