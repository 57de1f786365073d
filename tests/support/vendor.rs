//! A REST vendor on bare TCP that misbehaves to order.

mod answers;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What the vendor does with a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Mode {
    /// 200 and the JSON body, after this long.
    Ok(Duration),
    /// This status, content type and body, at once.
    Answer(u16, &'static str, Vec<u8>),
    /// Accepts and says nothing.
    Hang,
    /// Resets the connection as soon as it is there.
    Reset,
    /// Resets it when the request is there.
    ResetAfterRequest,
    /// Nobody listens on the port.
    Refuse,
    /// A status line that is none.
    Garbage,
    /// 200, and a chunk whose size is none.
    BadChunk,
    /// 200 with a length of 1 GB, and it comes.
    HugeBody,
    /// 200 in chunks without an end.
    EndlessChunks,
    /// 200 with a header of 1 MB.
    HugeHeader,
    /// 200 and a JSON of 10,000 levels.
    DeepJson,
    /// 200 and bytes that are no UTF-8.
    InvalidUtf8,
    /// 200 and a web page, as captive portals and maintenance pages come.
    HtmlPage,
    /// Half of the body, then silence.
    HalfThenSilence,
    /// Half of the body, then the end of the connection.
    HalfThenClose,
    /// The head, then one byte a second.
    Trickle,
    /// 64 MB of zeros in 64 KB of gzip.
    GzipBomb,
    /// 302 to a path of its own.
    Redirect,
    /// 302 from every path but this one to it.
    RedirectTo(String),
    /// As `Ok` for a request that holds this text, else 401.
    Wants(String),
    /// 200 and `{"key":…}` with the last part of the path: an answer that says what it answers.
    Echo,
    /// 429; with this many seconds of `Retry-After`, if any.
    TooManyRequests(Option<u32>),
}

impl Mode {
    /// Good answers without delay.
    pub const OK: Self = Self::Ok(Duration::ZERO);

    /// What it does with this very request.
    fn for_request(self, request: &str) -> Self {
        match self {
            Self::Wants(text) if request.contains(&text) => Self::OK,
            Self::Wants(_) => Self::Answer(401, "application/json", b"{}".to_vec()),
            Self::Echo => {
                let path = request.split(' ').nth(1).unwrap_or_default();
                let key = path.rsplit('/').next().unwrap_or_default();
                Self::Answer(200, "application/json", format!("{{\"key\":\"{key}\"}}").into_bytes())
            }
            Self::RedirectTo(path) if request.split(' ').nth(1) == Some(&path) => Self::OK,
            other => other,
        }
    }
}

/// What was counted.
#[derive(Debug, Default)]
pub struct Counts {
    /// Connections accepted.
    pub connections: AtomicU64,
    /// Connections open now.
    pub open: AtomicU64,
    /// Requests whose head and body came.
    pub requests: AtomicU64,
    /// Requests that are neither answered nor given up.
    pub in_flight: AtomicU64,
    /// Bytes of answers written.
    pub written: AtomicU64,
}

/// The vendor; gone when dropped, with all its connections.
pub struct Vendor {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    mode: watch::Sender<Mode>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    counts: Counts,
    body: Mutex<String>,
    last: Mutex<String>,
}

impl Vendor {
    /// Starts one in this mode. Its good body is `{"ok":true}` until [`Vendor::set_body`].
    pub async fn start(mode: Mode) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (sender, receiver) = watch::channel(mode);
        let shared = Arc::new(Shared { body: Mutex::new("{\"ok\":true}".to_owned()), ..Shared::default() });
        let task = tokio::spawn(accept(address, Some(listener), receiver, Arc::clone(&shared)));
        Self { address, shared, mode: sender, task }
    }

    /// Changes what it does, from the next request on; [`Mode::Refuse`] also ends all connections.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Changes its good answer.
    pub fn set_body(&self, body: &str) {
        *self.shared.body.lock().expect("no panic under the lock") = body.to_owned();
    }

    /// A URL of this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The last request, head and body, byte for byte.
    pub fn last_request(&self) -> String {
        self.shared.last.lock().expect("no panic under the lock").clone()
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.shared.counts.connections.load(Ordering::SeqCst)
    }

    /// Connections open now.
    pub fn open(&self) -> u64 {
        self.shared.counts.open.load(Ordering::SeqCst)
    }

    /// Requests so far.
    pub fn requests(&self) -> u64 {
        self.shared.counts.requests.load(Ordering::SeqCst)
    }

    /// Requests in flight.
    pub fn in_flight(&self) -> u64 {
        self.shared.counts.in_flight.load(Ordering::SeqCst)
    }

    /// Bytes of answers written so far.
    pub fn written(&self) -> u64 {
        self.shared.counts.written.load(Ordering::SeqCst)
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Accepts until aborted; while the mode is `Refuse` there is no listener and no connection.
async fn accept(address: SocketAddr, first: Option<TcpListener>, mut mode: watch::Receiver<Mode>, shared: Arc<Shared>) {
    let mut listener = first;
    let mut connections = JoinSet::new();
    loop {
        if *mode.borrow_and_update() == Mode::Refuse {
            listener = None;
            connections.shutdown().await;
            if mode.changed().await.is_err() {
                return;
            }
            continue;
        }
        let bound = listener.get_or_insert_with(|| bind(address));
        tokio::select! {
            accepted = bound.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                shared.counts.connections.fetch_add(1, Ordering::SeqCst);
                connections.spawn(serve(stream, mode.clone(), Arc::clone(&shared)));
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            changed = mode.changed() => if changed.is_err() { return },
        }
    }
}

/// Binds the same port again, although old connections linger on it.
fn bind(address: SocketAddr) -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("the option is known");
    socket.set_nonblocking(true).expect("the option is known");
    socket.bind(&address.into()).expect("the port is still ours");
    socket.listen(128).expect("it listens");
    TcpListener::from_std(socket.into()).expect("a runtime")
}

async fn serve(mut stream: TcpStream, mode: watch::Receiver<Mode>, shared: Arc<Shared>) {
    let _open = Counted::up(&shared.counts.open);
    let _ = stream.set_nodelay(true);
    if *mode.borrow() == Mode::Reset {
        return reset(stream);
    }
    while let Some(request) = read_request(&mut stream).await {
        shared.last.lock().expect("no panic under the lock").clone_from(&request);
        shared.counts.requests.fetch_add(1, Ordering::SeqCst);
        let _flight = Counted::up(&shared.counts.in_flight);
        let mode = mode.borrow().clone();
        if mode == Mode::ResetAfterRequest {
            return reset(stream);
        }
        let good = shared.body.lock().expect("no panic under the lock").clone();
        let mode = mode.for_request(&request);
        if !answers::give(&mut stream, &mode, &good, &shared.counts.written).await {
            return;
        }
    }
}

/// With a linger of zero the end of the connection is a reset.
fn reset(stream: TcpStream) {
    let _ = stream.set_zero_linger();
}

/// Reads head and body; `None` at the end of the connection or past 1 MB.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    loop {
        if let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
            if request.len() >= end + 4 + length {
                return Some(String::from_utf8_lossy(&request).into_owned());
            }
        }
        let count = stream.read(&mut piece).await.ok().filter(|count| *count > 0)?;
        request.extend_from_slice(&piece[..count]);
        if request.len() > 1 << 20 {
            return None;
        }
    }
}

/// Waits until the other side is gone, whatever it still says.
async fn until_gone(stream: &mut TcpStream) {
    let mut piece = [0; 1024];
    while matches!(stream.read(&mut piece).await, Ok(count) if count > 0) {}
}

/// Writes, and counts what was written; false when the other side is gone.
async fn write(stream: &mut TcpStream, bytes: &[u8], written: &AtomicU64) -> bool {
    let done = stream.write_all(bytes).await.is_ok();
    if done {
        written.fetch_add(bytes.len() as u64, Ordering::SeqCst);
    }
    done
}

/// Up by one, and down again when dropped.
struct Counted<'a>(&'a AtomicU64);

impl<'a> Counted<'a> {
    fn up(counter: &'a AtomicU64) -> Self {
        counter.fetch_add(1, Ordering::SeqCst);
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
