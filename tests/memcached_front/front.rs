//! The front before lookups of the test's own, and a client that writes bytes and reads bytes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dipcache::front::listen::{Drain, Limits, Listener, UnixDoor};
use dipcache::front::memcached::{self, Doors, Settings};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::lookups::Desk;

/// A running front.
pub struct Front {
    pub address: SocketAddr,
    pub socket: PathBuf,
    pub desk: Desk,
    pub drain: Drain,
    pub serving: JoinHandle<()>,
    _dir: tempfile::TempDir,
}

impl Front {
    /// Before these policies: name and text of each.
    pub fn start(policies: &[(&str, &str)]) -> Self {
        Self::start_with(policies, Settings::default())
    }

    pub fn start_with(policies: &[(&str, &str)], settings: Settings) -> Self {
        let desk = Desk::new(policies);
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("memcached.sock");
        let tcp = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = tcp.address();
        let doors = Doors { tcp: vec![tcp], unix: vec![UnixDoor::bind(&socket).unwrap()] };
        let drain = Drain::default();
        let limits = Limits { drain: Duration::from_secs(2), ..Limits::default() };
        let settings = Settings { limits, ..settings };
        let serving = tokio::spawn(memcached::serve(doors, Arc::clone(&desk.lookups), settings, drain.clone()));
        Self { address, socket, desk, drain, serving, _dir: dir }
    }

    pub async fn client(&self) -> Client<TcpStream> {
        Client::connect(self.address).await
    }
}

/// A connection as a test uses it.
pub struct Client<S>(pub S);

impl Client<TcpStream> {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends, and takes everything up to the reply of a `mn` sent behind it.
    pub async fn ask(&mut self, bytes: impl AsRef<[u8]>) -> String {
        self.send([bytes.as_ref(), b"mn\r\n"].concat()).await;
        let reply = self.until(b"MN\r\n").await;
        reply.strip_suffix("MN\r\n").expect("the mark").to_owned()
    }

    /// Takes what comes until it ends like this.
    pub async fn until(&mut self, end: &[u8]) -> String {
        let mut got = Vec::new();
        while !got.ends_with(end) {
            let read = timeout(Duration::from_secs(5), self.0.read_buf(&mut got)).await;
            let shown = String::from_utf8_lossy(&got).into_owned();
            let read = read.unwrap_or_else(|_| panic!("silence after {shown:?}")).unwrap();
            assert!(read > 0, "closed after {shown:?}");
        }
        String::from_utf8(got).unwrap()
    }

    /// Takes everything up to the end of the connection.
    pub async fn rest(&mut self) -> String {
        let mut got = Vec::new();
        let read = timeout(Duration::from_secs(5), self.0.read_to_end(&mut got)).await;
        // A reset ends a connection as well.
        let _ = read.expect("the connection ends");
        String::from_utf8_lossy(&got).into_owned()
    }
}
