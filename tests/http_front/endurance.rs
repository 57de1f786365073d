//! Slow clients, full houses and going away.

use std::time::Duration;

use dipcache::front::http::Settings;
use dipcache::front::listen::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use crate::client::{Client, full, get, plain, start};

fn quick(plain_lane: bool) -> Settings {
    let limits = Limits { connections: 100, drain: Duration::from_secs(3) };
    Settings { limits, head_time: Duration::from_millis(200), write_time: Duration::from_millis(300), plain_lane }
}

#[tokio::test]
async fn a_head_that_does_not_end_is_given_up_however_often_a_byte_comes() {
    for plain_lane in [true, false] {
        let server = start(quick(plain_lane));
        for begin in ["G", "GET /v1/health HTTP/1.1\r\nX: ", "PUT /v1/health HTTP/1.1\r\nX: ", "PRI * HT"] {
            let mut client = Client::connect(server.address).await;
            // A whole request before it changes nothing.
            if begin.starts_with('G') {
                assert_eq!(client.get("/v1/health/cnam").await.text(), "1");
            }
            client.send(begin).await;
            let (mut reader, mut writer) = client.stream.into_split();
            let trickle = async {
                loop {
                    sleep(Duration::from_millis(20)).await;
                    if writer.write_all(if begin.starts_with("PRI") { b"" } else { b"a" }).await.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
            };
            let mut said = Vec::new();
            let begun = dipcache::deadline::now();
            tokio::select! {
                () = trickle => {}
                read = timeout(Duration::from_secs(3), reader.read_to_end(&mut said)) => { read.expect("closed").ok(); }
            }
            assert!(begun.elapsed() > Duration::from_millis(150), "{begin}: closed too early");
            assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 4"), "{begin}: {said:?}");
        }
    }
}

#[tokio::test]
async fn an_idle_connection_is_left_alone() {
    for plain_lane in [true, false] {
        let server = start(quick(plain_lane));
        let mut fresh = Client::connect(server.address).await;
        let mut used = Client::connect(server.address).await;
        let mut missed = Client::connect(server.address).await;
        assert_eq!(used.get("/v1/health/cnam").await.text(), "1");
        assert_eq!(missed.get("/v1/lookup/lrn/700").await.status, 200);
        sleep(Duration::from_millis(700)).await;
        for client in [&mut fresh, &mut used, &mut missed] {
            assert_eq!(client.get("/v1/health/cnam").await.text(), "1");
        }
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_dropped() {
    for plain_lane in [true, false] {
        let server = start(quick(plain_lane));
        let mut deaf = Client::connect(server.address).await;
        let many = "GET /v1/health HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000);
        let stuffing = async { while deaf.stream.write_all(many.as_bytes()).await.is_ok() {} };
        timeout(Duration::from_secs(10), stuffing).await.expect("the server gives up on it");
        assert_eq!(get(&server, "/v1/health/cnam").await.text(), "1");
    }
}

#[tokio::test]
async fn a_drain_answers_what_is_in_hand_and_says_that_it_was_the_last() {
    for server in [plain(), full()] {
        let mut idle = Client::connect(server.address).await;
        let mut used = Client::connect(server.address).await;
        assert_eq!(used.get("/v1/health").await.status, 200);
        let mut busy = Client::connect(server.address).await;
        busy.send("GET /v1/lookup/lrn/999 HTTP/1.1\r\nHost: a\r\n\r\nGET /v1/health/cnam HTTP/1.1\r\nHost: a\r\n\r\n")
            .await;
        sleep(Duration::from_millis(50)).await;
        server.drain.begin();
        assert!(idle.is_closed().await);
        assert!(used.is_closed().await);
        let in_hand = busy.receive(false).await.unwrap();
        assert_eq!(in_hand.status, 504);
        let last = match in_hand.header("Connection") {
            Some(_) => in_hand,
            None => busy.receive(false).await.unwrap(),
        };
        assert_eq!(last.header("Connection").map(str::to_lowercase).as_deref(), Some("close"));
        assert!(busy.is_closed().await);
        timeout(Duration::from_secs(2), server.serving).await.expect("the drain ends when all are gone").unwrap();
        assert!(tokio::net::TcpStream::connect(server.address).await.is_err(), "nothing is accepted any more");
    }
}

#[tokio::test]
async fn the_drain_time_is_the_limit() {
    let settings = Settings { limits: Limits { drain: Duration::from_millis(50), connections: 10 }, ..quick(true) };
    let server = start(settings);
    let mut busy = Client::connect(server.address).await;
    busy.send("GET /v1/lookup/lrn/999 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    sleep(Duration::from_millis(50)).await;
    server.drain.begin();
    timeout(Duration::from_millis(200), server.serving).await.expect("cut off").unwrap();
}

#[tokio::test]
async fn a_full_house_makes_others_wait_and_nobody_fail() {
    let settings = Settings { limits: Limits { connections: 2, ..Limits::default() }, ..quick(true) };
    let server = start(settings);
    let mut first = Client::connect(server.address).await;
    let mut second = Client::connect(server.address).await;
    assert_eq!(first.get("/v1/health/cnam").await.text(), "1");
    assert_eq!(second.get("/v1/health/cnam").await.text(), "1");
    let third = tokio::spawn(async move { get(&server, "/v1/health/cnam").await });
    sleep(Duration::from_millis(100)).await;
    assert!(!third.is_finished());
    drop(first);
    assert_eq!(third.await.unwrap().text(), "1");
    assert_eq!(second.get("/v1/health/cnam").await.text(), "1");
}
