//! The demo before a stub that behaves as the proxy should, and as it should not.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::demo::vendors::Ports;
use crate::demo::{DemoOptions, play};

const QUICK: Tempo =
    Tempo { calm: Duration::from_millis(200), fault: Duration::from_millis(600), recovery: Duration::from_millis(100) };

/// A proxy's HTTP front that knows at once how its upstreams are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stub {
    /// Flags and answers as promised.
    Good,
    /// Its flags are always 1.
    BlindFlags,
    /// It has nothing to serve while its upstreams are ill.
    NoSecondRank,
    /// It answers far past the budget.
    Late,
}

impl Stub {
    async fn start(self, simulator: Arc<Simulator>) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(self.serve(stream, simulator.clone()));
            }
        });
        address
    }

    async fn serve(self, mut stream: TcpStream, simulator: Arc<Simulator>) {
        let mut request = Vec::new();
        while stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
            if !request.ends_with(b"\r\n\r\n") {
                continue;
            }
            let head = String::from_utf8(std::mem::take(&mut request)).unwrap();
            let path = head.split(' ').nth(1).unwrap();
            let (status, source, body) = match path.split('/').nth(3) {
                Some(lookup) => self.answer(lookup, &simulator).await,
                None => (200, "", self.flags(&simulator)),
            };
            let answer = format!(
                "HTTP/1.1 {status} -\r\nX-Dip-Source: {source}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    fn is_up(simulator: &Simulator, lookup: &str) -> bool {
        let modes = simulator.modes(lookup);
        modes.is_empty() || modes.iter().any(|(_, mode)| *mode == Mode::Ok)
    }

    fn flags(self, simulator: &Simulator) -> String {
        let flag = |lookup| u8::from(self == Self::BlindFlags || Self::is_up(simulator, lookup));
        serde_json::json!({ "cnam": flag("cnam"), "lrn": flag("lrn") }).to_string()
    }

    async fn answer(self, lookup: &str, simulator: &Simulator) -> (u16, &'static str, String) {
        if self == Self::Late {
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        match (Self::is_up(simulator, lookup), self) {
            (true, _) => (200, "local", "{}".to_owned()),
            (false, Self::NoSecondRank) => (503, "none", String::new()),
            (false, _) => (200, if fastrand::bool() { "stale" } else { "fallback" }, "{}".to_owned()),
        }
    }
}

/// Plays the bounded scene; gives the verdict.
async fn verdict(stub: Stub) -> bool {
    let simulator = Arc::new(Simulator::start(Ports::Free).await.unwrap());
    let http = stub.start(simulator.clone()).await;
    let options = DemoOptions { once: true, http, admin: http, simulator };
    play(options, QUICK).await.unwrap()
}

#[tokio::test]
async fn a_good_proxy_keeps_every_promise() {
    assert!(verdict(Stub::Good).await);
}

#[tokio::test]
async fn flags_that_never_fall_break_a_promise() {
    assert!(!verdict(Stub::BlindFlags).await);
}

#[tokio::test]
async fn nothing_to_serve_breaks_a_promise() {
    assert!(!verdict(Stub::NoSecondRank).await);
}

#[tokio::test]
async fn late_answers_break_a_promise() {
    assert!(!verdict(Stub::Late).await);
}

#[tokio::test]
async fn what_is_broken_by_hand_is_left_alone() {
    let simulator = Arc::new(Simulator::start(Ports::Free).await.unwrap());
    simulator.set("cnam", "vendor-b", Order::mode(Mode::Error)).await.unwrap();
    let (_, flags) = watch::channel(Flags::new());
    let (narration, told) = watch::channel(String::new());
    let mut stage = Stage { simulator: simulator.clone(), tally: Arc::default(), flags, narration, tempo: QUICK };
    assert!(stage.perform(&ACTS[0]).await.unwrap().is_empty());
    assert!(told.borrow().contains("by hand"));
    assert_eq!(simulator.modes("cnam"), [("vendor-a", Mode::Ok), ("vendor-b", Mode::Error)]);
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_an_error_with_a_hint() {
    tokio::time::pause();
    let simulator = Arc::new(Simulator::start(Ports::Free).await.unwrap());
    let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let options = DemoOptions { once: true, http: nobody, admin: nobody, simulator };
    let error = play(options, QUICK).await.unwrap_err();
    assert!(error.to_string().contains("does not answer GET /v1/health"), "{error}");
}
