//! Two lanes, one behaviour; and what only the full lane knows.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::client::{Client, Response, full, plain};

const TARGETS: [&str; 36] = [
    "/v1/lookup/lrn/13035550123",
    "/v1/lookup/lrn/+1303",
    "/v1/lookup/lrn/1?format=text",
    "/v1/lookup/lrn/1?format=params",
    "/v1/lookup/lrn/1?format=csv",
    "/v1/lookup/lrn/1?field=ocn",
    "/v1/lookup/lrn/1?field=gone",
    "/v1/lookup/lrn/1?ani=+1202",
    "/v1/lookup/lrn/200",
    "/v1/lookup/lrn/201",
    "/v1/lookup/lrn/202",
    "/v1/lookup/lrn/203",
    "/v1/lookup/lrn/204",
    "/v1/lookup/lrn/404",
    "/v1/lookup/lrn/405",
    "/v1/lookup/lrn/406",
    "/v1/lookup/lrn/500",
    "/v1/lookup/lrn/501",
    "/v1/lookup/lrn/502",
    "/v1/lookup/lrn/503",
    "/v1/lookup/lrn/506",
    "/v1/lookup/lrn/507",
    "/v1/lookup/lrn/999?budget_ms=5",
    "/v1/lookup/lrn/abc",
    "/v1/lookup/cnam/abc",
    "/v1/lookup/lrn/1?x=y",
    "/v1/lookup/lrn/%zz",
    "/v1/lookup/nobody/1",
    "/v1/lookup/raw/a%20b'(!)*,;=:@",
    "/v1/lookup/lrn/",
    "/v1/lookup/lrn",
    "/v1/health",
    "/v1/health/lrn",
    "/v1/health/x",
    "/v1/",
    "/v1/lookup/lrn/1??format=text",
];

#[tokio::test]
async fn both_lanes_say_the_same() {
    let mut ours = Client::connect(plain().address).await;
    let mut hypers = Client::connect(full().address).await;
    for target in TARGETS {
        assert_eq!(ours.get(target).await.essence(), hypers.get(target).await.essence(), "{target}");
    }
    // If ours had left its lane, hyper would now write what is not HTTP/1.1 in hyper's way.
    ours.send("GET /v1/health HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(ours.receive(false).await.unwrap().headers.last().unwrap().0, "Date");
}

#[tokio::test]
async fn a_connection_moves_over_and_goes_on() {
    let mut client = Client::connect(plain().address).await;
    let before = client.get("/v1/lookup/lrn/1").await.essence();
    client.send("GET /v1/health/cnam HTTP/1.1\r\nHost: a\r\n\r\nHEAD /v1/lookup/lrn/1 HTTP/1.1\r\nHost: a\r\n\r\nGET /v1/lookup/lrn/1 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.receive(false).await.unwrap().text(), "1");
    let head = client.receive(true).await.unwrap().essence();
    assert_eq!((head.status, head.headers.clone(), head.text()), (200, before.headers.clone(), ""));
    assert_eq!(client.receive(false).await.unwrap().essence(), before);
    assert_eq!(client.get("/v1/lookup/lrn/1").await.essence(), before);
}

#[tokio::test]
async fn a_hundred_at_once_are_answered_in_order() {
    for server in [plain(), full()] {
        let mut client = Client::connect(server.address).await;
        let request = |n| {
            // A miss in between must not change the order.
            let key = if n % 10 == 9 { "700".to_owned() } else { format!("1{n:04}") };
            format!("GET /v1/lookup/lrn/{key}?field=lrn HTTP/1.1\r\nHost: test\r\n\r\n")
        };
        client.send((0..100).map(request).collect::<String>()).await;
        for n in 0..100 {
            let expected = if n % 10 == 9 { "700".to_owned() } else { format!("1{n:04}") };
            assert_eq!(client.receive(false).await.unwrap().text(), expected);
        }
        assert_eq!(client.get("/v1/health/cnam").await.text(), "1");
    }
}

#[tokio::test]
async fn a_request_may_come_a_byte_at_a_time_and_be_cut_anywhere() {
    let request = "GET /v1/lookup/lrn/13035550123?field=lrn HTTP/1.1\r\nHost: test\r\nAccept: */*\r\n\r\n";
    for server in [plain(), full()] {
        let mut kept = Client::connect(server.address).await;
        for cut in 1..request.len() {
            kept.send(&request[..cut]).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
            kept.send(&request[cut..]).await;
            assert_eq!(kept.receive(false).await.unwrap().text(), "13035550123", "{cut}");
        }
    }
}

#[tokio::test]
async fn http_1_0_closes_unless_it_is_asked_to_stay() {
    for server in [plain(), full()] {
        let mut client = Client::connect(server.address).await;
        for _ in 0..2 {
            client.send("GET /v1/lookup/lrn/1?field=lrn HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
            let kept = client.receive(false).await.unwrap();
            assert_eq!((kept.status, kept.text()), (200, "1"));
            assert_eq!(kept.header("Connection").map(str::to_lowercase).as_deref(), Some("keep-alive"));
        }
        client.send("GET /v1/lookup/lrn/1?field=lrn HTTP/1.0\r\n\r\n").await;
        assert_eq!(client.receive(false).await.unwrap().text(), "1");
        assert!(client.is_closed().await);
    }
}

#[tokio::test]
async fn connection_close_is_heeded_and_a_half_closed_client_is_answered() {
    use tokio::io::AsyncWriteExt;
    for server in [plain(), full()] {
        let mut client = Client::connect(server.address).await;
        client.send("GET /v1/health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        assert_eq!(client.receive(false).await.unwrap().status, 200);
        assert!(client.is_closed().await);

        let mut client = Client::connect(server.address).await;
        client.send("GET /v1/lookup/lrn/700 HTTP/1.1\r\nHost: a\r\n\r\n").await;
        client.stream.shutdown().await.unwrap();
        assert_eq!(client.receive(false).await.unwrap().status, 200);
        assert!(client.is_closed().await);
    }
}

async fn once(request: &str) -> Response {
    let mut client = Client::connect(plain().address).await;
    client.send(request).await;
    client.receive(request.starts_with("HEAD")).await.unwrap()
}

#[tokio::test]
async fn other_methods_and_odd_requests() {
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"] {
        let body = "Content-Length: 3\r\n\r\nabc";
        let refused = once(&format!("{method} /v1/lookup/lrn/1 HTTP/1.1\r\nHost: a\r\n{body}")).await;
        assert_eq!((refused.status, refused.header("Allow"), refused.text()), (405, Some("GET, HEAD"), ""), "{method}");
        assert_eq!(once(&format!("{method} /v1/x HTTP/1.1\r\nHost: a\r\n{body}")).await.status, 404, "{method}");
    }
    let expecting = "PUT /v1/health HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n";
    assert_eq!(once(expecting).await.status, 405);
    let absolute = once("GET http://any.example/v1/lookup/lrn/1?field=lrn HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!((absolute.status, absolute.text()), (200, "1"));
    assert_eq!(once("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await.status, 404);
    assert_eq!(once("\r\nGET /v1/health HTTP/1.1\r\nHost: a\r\n\r\n").await.status, 200);
    let with_body = once("GET /v1/health HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxx").await;
    assert_eq!(with_body.status, 200);
    assert_eq!(once("GET /v1/health HTTP/1.1\r\n\r\n").await.status, 400, "no host");
    assert_eq!(once("GET /v1/health HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n").await.status, 400, "two hosts");
    assert_eq!(once("GET /v1/health HTTP/1.1\r\nBad Name: x\r\n\r\n").await.status, 400);
    assert_eq!(once("GET /v1/\x01 HTTP/1.1\r\nHost: a\r\n\r\n").await.status, 400);
    let long = "a".repeat(17 * 1024);
    assert_eq!(once(&format!("GET /v1/health HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n")).await.status, 431);
    let many = "X: y\r\n".repeat(64);
    assert_eq!(once(&format!("GET /v1/health HTTP/1.1\r\nHost: a\r\n{many}\r\n")).await.status, 431);
}

#[tokio::test]
async fn a_problem_document_comes_only_when_asked_for() {
    let ask = |target: &str, accept: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\nAccept: {accept}\r\n\r\n");
    let accept = "text/plain, application/problem+json";
    let problem = once(&ask("/v1/lookup/lrn/1?nothing=1", accept)).await;
    assert_eq!((problem.status, problem.header("Content-Type")), (400, Some("application/problem+json")));
    let document: serde_json::Value = serde_json::from_slice(&problem.body).unwrap();
    assert_eq!(document["type"], "urn:dipcache:outcome:invalid_input");
    assert_eq!(document["status"], 400);
    assert!(document["detail"].as_str().unwrap().contains("`nothing`"));
    assert_eq!(once(&ask("/v1/x", accept)).await.status, 404);
    assert_eq!(once(&ask("/v1/lookup/lrn/1?field=lrn", accept)).await.text(), "1");
    assert_eq!(once(&ask("/v1/lookup/lrn/404", "*/*")).await.text(), "");
}

#[tokio::test]
async fn http2_by_prior_knowledge() {
    for server in [plain(), full()] {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.unwrap();
        let driving = tokio::spawn(connection);
        let mut asked = Vec::new();
        for key in ["700", "1303", "404"] {
            let uri = format!("http://a/v1/lookup/lrn/{key}");
            asked.push(sender.send_request(hyper::Request::get(uri).body(Empty::<Bytes>::new()).unwrap()));
        }
        let mut seen = Vec::new();
        for response in asked {
            let response = response.await.unwrap();
            let (status, outcome) = (response.status().as_u16(), response.headers()["x-dip-outcome"].clone());
            let body = response.into_body().collect().await.unwrap().to_bytes();
            seen.push((status, outcome.to_str().unwrap().to_owned(), body.is_empty()));
        }
        let expected = [(200, "found", false), (200, "found", false), (404, "not_found", true)];
        assert_eq!(seen, expected.map(|(status, outcome, empty)| (status, outcome.to_owned(), empty)));
        server.drain.begin();
        tokio::time::timeout(Duration::from_secs(3), server.serving).await.unwrap().unwrap();
        driving.await.unwrap().unwrap();
    }
}
