//! A server to test and a client that sees every byte.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dipcache::front::http::{self, Settings};
use dipcache::front::listen::{Drain, Listener};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::fake::FakeDesk;

pub struct Server {
    pub address: SocketAddr,
    pub desk: Arc<FakeDesk>,
    pub drain: Drain,
    pub serving: JoinHandle<()>,
}

pub fn start(settings: Settings) -> Server {
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let (address, desk, drain) = (listener.address(), Arc::new(FakeDesk::default()), Drain::default());
    let serving = tokio::spawn(http::serve(vec![listener], desk.clone(), settings, drain.clone()));
    Server { address, desk, drain, serving }
}

pub fn plain() -> Server {
    start(Settings::default())
}

pub fn full() -> Server {
    start(Settings { plain_lane: false, ..Settings::default() })
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// What must be equal whoever wrote it: all but the time of day.
    pub fn essence(mut self) -> Self {
        assert!(self.headers.iter().any(|(name, _)| name == "Date"), "an origin server with a clock says the date");
        self.headers.retain(|(name, _)| name != "Date");
        self.headers.sort();
        self
    }
}

/// The response at the start of these bytes and its length, if it is all there.
pub fn parse(bytes: &[u8], to_head: bool) -> Option<(Response, usize)> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(length) = head.parse(bytes).expect("a well-formed head") else { return None };
    let headers: Vec<_> = head
        .headers
        .iter()
        .map(|field| (field.name.to_owned(), String::from_utf8(field.value.to_vec()).unwrap()))
        .collect();
    let mut response = Response { status: head.code.unwrap(), headers, body: Vec::new() };
    assert_eq!(response.header("Transfer-Encoding"), None);
    let body: usize = response.header("Content-Length").map_or(0, |length| length.parse().unwrap());
    let body = if to_head { 0 } else { body };
    response.body = bytes.get(length..length + body)?.to_vec();
    Some((response, length + body))
}

pub struct Client {
    pub stream: TcpStream,
    got: Vec<u8>,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, got: Vec::new() }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// The next response; `None` when the server closes instead.
    pub async fn receive(&mut self, to_head: bool) -> Option<Response> {
        loop {
            if let Some((response, length)) = parse(&self.got, to_head) {
                self.got.drain(..length);
                return Some(response);
            }
            let read = timeout(Duration::from_secs(5), self.stream.read_buf(&mut self.got));
            if read.await.expect("an answer or a close within 5 s").unwrap() == 0 {
                assert!(self.got.is_empty(), "the server closed in mid-answer: {:?}", self.got);
                return None;
            }
        }
    }

    pub async fn get(&mut self, target: &str) -> Response {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")).await;
        self.receive(false).await.expect("an answer")
    }

    /// True when the server closes, and says nothing before.
    pub async fn is_closed(&mut self) -> bool {
        self.receive(false).await.is_none()
    }
}

pub async fn get(server: &Server, target: &str) -> Response {
    Client::connect(server.address).await.get(target).await
}
