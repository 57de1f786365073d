//! One simulated REST vendor: a port, a conduct, a count.
//!
//! It speaks HTTP/1.1 by hand over httparse, because half of its job is to break the protocol, which a
//! server library rightly refuses to do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::order::{Conduct, Mode, Order};
use super::port;
use super::shape::Shape;
use crate::deadline::Deadline;

/// The largest request that is read, in bytes.
const MAX_REQUEST: usize = 8 * 1024;
/// Connections served at once; one more is closed.
const MAX_CONNECTIONS: usize = 4096;
/// How long a quiet connection is kept, and how long a hanging one hangs at most.
const IDLE: Duration = Duration::from_secs(120);

/// A running vendor.
#[derive(Debug)]
pub struct Vendor {
    desk: Arc<Desk>,
    address: SocketAddr,
    /// The task that owns the port and every connection; `None` while the port is closed. The lock is
    /// async because an order holds it until the port is open or closed.
    server: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

/// What the vendor's connections share.
#[derive(Debug)]
struct Desk {
    shape: Shape,
    conduct: Mutex<Conduct>,
    requests: AtomicU64,
}

impl Vendor {
    /// Opens the port.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn start(shape: Shape, address: SocketAddr, conduct: Conduct) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let desk = Arc::new(Desk { shape, conduct: Mutex::new(conduct), requests: AtomicU64::new(0) });
        let server = tokio::sync::Mutex::new(Some(tokio::spawn(serve(listener, desk.clone()))));
        Ok(Self { desk, address, server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it does at this moment.
    pub fn conduct(&self) -> Conduct {
        *self.desk.conduct.lock()
    }

    /// Requests taken so far, answered or not.
    pub fn requests(&self) -> u64 {
        self.desk.requests.load(Ordering::Relaxed)
    }

    /// Changes what it does; when this returns, the port is closed or open as the mode says.
    ///
    /// # Errors
    /// When the port cannot be opened again because somebody else has it.
    pub async fn obey(&self, order: Order) -> std::io::Result<()> {
        let mut server = self.server.lock().await;
        let conduct = self.conduct().after(order);
        if conduct.mode == Mode::Refuse {
            if let Some(running) = server.take() {
                // The task owns listener and connections, which close as it ends.
                running.abort();
                let _ = running.await;
            }
        } else if server.is_none() {
            let listener = port::reopen(|| TcpListener::bind(self.address)).await?;
            *server = Some(tokio::spawn(serve(listener, self.desk.clone())));
        }
        *self.desk.conduct.lock() = conduct;
        Ok(())
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        if let Some(running) = self.server.get_mut().take() {
            running.abort();
        }
    }
}

async fn serve(listener: TcpListener, desk: Arc<Desk>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < MAX_CONNECTIONS => {
                    connections.spawn(serve_connection(stream, desk.clone()));
                }
                Ok(_) => {}
                // Out of file handles, most likely: some will come free.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Answers request after request until either side has enough. The connection closes as this returns.
async fn serve_connection(mut stream: TcpStream, desk: Arc<Desk>) {
    let _ = stream.set_nodelay(true);
    let mut unread = Vec::new();
    while let Some(target) = next_request(&mut stream, &mut unread).await {
        desk.requests.fetch_add(1, Ordering::Relaxed);
        let conduct = *desk.conduct.lock();
        match conduct.mode {
            Mode::Hang => return hang(&mut stream).await,
            // Closing with nothing left to linger for sends RST instead of FIN.
            Mode::Reset => {
                let _ = stream.set_zero_linger();
                return;
            }
            Mode::Refuse => return,
            Mode::Ok | Mode::Slow | Mode::Error | Mode::Garbage => {}
        }
        tokio::time::sleep(conduct.delay()).await;
        let bytes = match conduct.mode {
            Mode::Error => http(500, r#"{"error":"internal error, please contact support"}"#),
            Mode::Garbage => garbage(),
            _ => {
                let (status, body) = desk.shape.answer(&target);
                http(status, &body.to_string())
            }
        };
        if stream.write_all(&bytes).await.is_err() || conduct.mode == Mode::Garbage {
            return;
        }
    }
}

/// Reads up to the end of a request's head and gives its target; `None` when the connection is to close.
async fn next_request(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some((target, used)) = parse(unread)? {
            unread.drain(..used);
            return Some(target);
        }
        if unread.len() >= MAX_REQUEST {
            return None;
        }
        let read = Deadline::after(IDLE).limit(stream.read_buf(unread)).await?;
        if read.ok()? == 0 {
            return None;
        }
    }
}

/// The target of the first request in the buffer and the length of its head: `Some(None)` where it is not
/// whole yet, `None` where it is nothing we take. These vendors take `GET` alone, so that no body follows.
fn parse(buffer: &[u8]) -> Option<Option<(String, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(buffer) {
        Ok(httparse::Status::Complete(used)) if request.method == Some("GET") => {
            Some(Some((request.path.unwrap_or("/").to_owned(), used)))
        }
        Ok(httparse::Status::Partial) => Some(None),
        Ok(httparse::Status::Complete(_)) | Err(_) => None,
    }
}

/// Says nothing until the other side goes away.
async fn hang(stream: &mut TcpStream) {
    let mut ignored = [0; 1024];
    let _ = Deadline::after(IDLE)
        .limit(async { while matches!(stream.read(&mut ignored).await, Ok(read) if read > 0) {} })
        .await;
}

fn http(status: u16, body: &str) -> Vec<u8> {
    let reason = match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        _ => "Internal Server Error",
    };
    format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// What comes out of a vendor on a bad day: the load balancer's page with a 200, or no HTTP at all.
fn garbage() -> Vec<u8> {
    if fastrand::bool() {
        let page = "<html><head><title>Maintenance</title></head><body>We'll be right back.</body></html>";
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n", page.len());
        [head.as_bytes(), page.as_bytes()].concat()
    } else {
        (0..200).map(|_| fastrand::u8(..)).collect()
    }
}
