//! Listening, for every front that speaks over TCP or a UNIX socket: bind, accept within bounds, drain.
//!
//! The life of a connection: accepted while there is room under [`Limits::connections`], given to
//! the front's own function as a task, counted out when the task ends, whichever way. When
//! [`Drain::begin`] is called the listeners close, idle connections see [`Drain::wait`] return and
//! close too, requests in hand are answered; what is still there after [`Limits::drain`] is cut off.
//!
//! At the bound, or when the system has no descriptor left, accepting pauses: clients wait in the
//! kernel's queue and no loop spins.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};

use crate::crew::{Crew, Place};
use crate::deadline::Deadline;

/// How long accepting pauses when the system has no descriptor or memory left for another connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// The congestion control of what is accepted, which the listener hands on. Nearly every answer is smaller than what may be
/// sent at once, so that there is nothing to control; but one that paces (BBR, where a system chose it for its downloads)
/// takes 3 % of the processor time that a cached answer costs. Every Linux has this one and lets everybody use it (tcp(7)).
const PLAIN_CONTROL: &[u8] = b"reno";

/// After this much silence the kernel asks whether the peer still lives; an idle connection itself is never closed.
const KEEPALIVE: Duration = Duration::from_secs(120);

/// How long connections are still taken once the drain has begun: those that wait in the kernel's queue are taken for
/// connected by their clients, and would be reset with all that they have sent.
const LAST_CALL: Duration = Duration::from_millis(20);

/// How long a connection without a request is still listened to once the drain has begun. Its client does not know yet,
/// and a request that is on its way now would be lost.
pub const LINGER: Duration = Duration::from_millis(250);

/// Bounds for one front's connections.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once, over all of the front's listeners (and one more for each listener but the first).
    pub connections: usize,
    /// How long a drain may take before what is left is cut off.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 20_000, drain: Duration::from_secs(10) }
    }
}

/// Why an address could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}; is another process there (`ss -ltnp`), and is the address one of this machine's?")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// A bound socket, ready to accept.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    crew: Crew,
}

impl Listener {
    /// Binds and listens; port 0 lets the system choose. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the address is taken or is none of this machine's.
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let told = |source| BindError { address, source };
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP)).map_err(told)?;
        // So that a restart need not wait for the old process's connections to be forgotten.
        socket.set_reuse_address(true).map_err(told)?;
        socket.set_nonblocking(true).map_err(told)?;
        // A system that refuses keeps its own.
        let _ = socket.set_tcp_congestion(PLAIN_CONTROL);
        socket.bind(&address.into()).map_err(told)?;
        socket.listen(4096).map_err(told)?;
        let socket = TcpListener::from_std(socket.into()).map_err(told)?;
        let address = socket.local_addr().map_err(told)?;
        Ok(Self { socket, address, crew: Crew::default() })
    }

    /// Has its connections served by these threads.
    pub fn served_by(self, crew: &Crew) -> Self {
        Self { crew: crew.clone(), ..self }
    }

    /// The threads that serve its connections.
    pub fn crew(&self) -> &Crew {
        &self.crew
    }

    /// The address in use, with the port that the system chose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Why a UNIX socket could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on unix:{}; does its folder exist and may this user write there, and is no other process behind it (`ss -lxp`)?", path.display())]
pub struct UnixBindError {
    /// The socket's path.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// A bound UNIX socket, ready to accept. Its file goes when it is dropped.
#[derive(Debug)]
pub struct UnixDoor {
    socket: UnixListener,
    file: SocketFile,
    crew: Crew,
}

/// Goes from the disk when it is dropped.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl UnixDoor {
    /// Binds and listens; owner and group may connect. A socket that a dead process left behind is replaced.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When another process listens there, or the folder does not let us.
    pub fn bind(path: &Path) -> Result<Self, UnixBindError> {
        let told = |source| UnixBindError { path: path.to_owned(), source };
        let is_socket = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
        if is_socket && std::os::unix::net::UnixStream::connect(path).is_err() {
            std::fs::remove_file(path).map_err(told)?;
        }
        let socket = UnixListener::bind(path).map_err(told)?;
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o660)).map_err(told)?;
        Ok(Self { socket, file: SocketFile(path.to_owned()), crew: Crew::default() })
    }

    /// Has its connections served by these threads.
    pub fn served_by(self, crew: &Crew) -> Self {
        Self { crew: crew.clone(), ..self }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have taken it away already: then there is nothing left to do.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A place where connections come in.
pub trait Door: Moves {
    /// A connection.
    type Stream: Moves;

    /// The next one, whenever it comes.
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Who serves what comes in.
    fn crew(&self) -> &Crew;

    /// Where it is, for the log.
    fn place(&self) -> String;
}

/// A socket that can be given from one thread's runtime to another's.
pub trait Moves: Sized + Send + Sync + 'static {
    /// The same socket, watched by the runtime of the thread that calls this.
    ///
    /// # Errors
    /// When the system cannot watch another one.
    fn moved(self) -> io::Result<Self>;
}

impl Moves for TcpStream {
    fn moved(self) -> io::Result<Self> {
        Self::from_std(self.into_std()?)
    }
}

impl Moves for UnixStream {
    fn moved(self) -> io::Result<Self> {
        Self::from_std(self.into_std()?)
    }
}

impl Moves for Listener {
    fn moved(self) -> io::Result<Self> {
        Ok(Self { socket: TcpListener::from_std(self.socket.into_std()?)?, ..self })
    }
}

impl Moves for UnixDoor {
    fn moved(self) -> io::Result<Self> {
        Ok(Self { socket: UnixListener::from_std(self.socket.into_std()?)?, ..self })
    }
}

impl Door for Listener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.socket.accept().await?;
        prepare(&stream);
        Ok(stream)
    }

    fn crew(&self) -> &Crew {
        &self.crew
    }

    fn place(&self) -> String {
        self.address.to_string()
    }
}

impl Door for UnixDoor {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        let (stream, _) = self.socket.accept().await?;
        Ok(stream)
    }

    fn crew(&self) -> &Crew {
        &self.crew
    }

    fn place(&self) -> String {
        format!("unix:{}", self.file.0.display())
    }
}

/// The word that it is time to go. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    shared: Arc<DrainState>,
}

#[derive(Debug, Default)]
struct DrainState {
    begun: AtomicBool,
    waiting: Arc<Notify>,
}

impl Drain {
    /// Says that it is time to go. Saying it again changes nothing.
    pub fn begin(&self) {
        self.shared.begun.store(true, Ordering::Release);
        self.shared.waiting.notify_waiters();
    }

    /// True once it is time to go.
    #[inline]
    pub fn begun(&self) -> bool {
        self.shared.begun.load(Ordering::Acquire)
    }

    /// Waits until it is time to go.
    pub async fn wait(&self) {
        self.watch().wait().await;
    }

    /// A watch that a connection keeps for its life and may look at as often as it likes.
    pub fn watch(&self) -> DrainWatch {
        DrainWatch { drain: self.clone(), registered: None }
    }
}

/// A [`Drain`] seen from one connection.
///
/// Waiting on a `Notify` takes its lock at each poll, and a lock that all connections share has no
/// place between two requests. This registers once a task; later polls read one flag.
#[derive(Debug)]
pub struct DrainWatch {
    drain: Drain,
    registered: Option<(Waker, Pin<Box<OwnedNotified>>)>,
}

impl DrainWatch {
    /// True once it is time to go.
    #[inline]
    pub fn begun(&self) -> bool {
        self.drain.begun()
    }

    /// Waits until it is time to go. May be dropped and called again at no cost.
    pub async fn wait(&mut self) {
        poll_fn(|cx| self.poll(cx)).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.begun() {
            return Poll::Ready(());
        }
        if self.registered.as_ref().is_some_and(|(waker, _)| waker.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        let mut notified = Box::pin(self.drain.shared.waiting.clone().notified_owned());
        if notified.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        self.registered = Some((cx.waker().clone(), notified));
        // It may have begun between the first look and the registration.
        if self.begun() { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Accepts at all doors and runs `connection` as a task for each until `drain` begins; then
/// waits for the tasks that are left, at most [`Limits::drain`], and cuts off the rest.
pub async fn serve<D, F, C>(listeners: Vec<D>, limits: Limits, drain: Drain, connection: F)
where
    D: Door,
    F: Fn(D::Stream) -> C + Clone + Send + 'static,
    C: Future<Output = ()> + Send + 'static,
{
    // Each door keeps a place ready while it waits, so that no address starves another.
    let places = limits.connections.max(1).saturating_add(listeners.len().saturating_sub(1));
    let room = Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
    let mut doors = JoinSet::new();
    for listener in listeners {
        let crew = listener.crew().clone();
        let work = accept_all(listener, room.clone(), limits.drain, drain.clone(), connection.clone());
        crew.keep_door(&mut doors, work);
    }
    // Dropping this future drops the doors and with them every connection.
    while let Some(ended) = doors.join_next().await {
        report(ended);
    }
}

async fn accept_all<D, F, C>(listener: D, room: Arc<Semaphore>, patience: Duration, drain: Drain, connection: F)
where
    D: Door,
    F: Fn(D::Stream) -> C + Clone + Send + 'static,
    C: Future<Output = ()> + Send + 'static,
{
    let place = listener.place();
    let listener = match listener.moved() {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(place, %error, "cannot listen"),
    };
    let mut connections = JoinSet::new();
    let mut watch = drain.watch();
    let mut last_call = std::pin::pin!(async {
        watch.wait().await;
        tokio::time::sleep(LAST_CALL).await;
    });
    loop {
        tokio::select! {
            () = &mut last_call => break,
            Some(ended) = connections.join_next() => report(ended),
            (stream, permit) = accept(&listener, &room) => {
                begin(&mut connections, listener.crew().place(), stream, connection.clone(), permit);
            }
        }
    }
    drop(listener);
    let all_done = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    if Deadline::after(patience).limit(all_done).await.is_none() {
        tracing::warn!(place, left = connections.len(), "drain time is over, cutting off what is left");
        connections.shutdown().await;
    }
}

/// Runs a connection on its thread.
fn begin<S, F, C>(
    connections: &mut JoinSet<()>,
    place: Option<Place>,
    stream: S,
    connection: F,
    permit: OwnedSemaphorePermit,
) where
    S: Moves,
    F: Fn(S) -> C + Send + 'static,
    C: Future<Output = ()> + Send + 'static,
{
    let Some(place) = place else {
        let work = connection(stream);
        connections.spawn(async move {
            work.await;
            drop(permit);
        });
        return;
    };
    let (hand, is_here) = (place.handle().clone(), place.is_here());
    let work = async move {
        match if is_here { Ok(stream) } else { stream.moved() } {
            Ok(stream) => connection(stream).await,
            Err(error) => tracing::warn!(%error, "a connection is lost: the system cannot watch another one"),
        }
        drop((permit, place));
    };
    connections.spawn_on(work, &hand);
}

/// The next connection, once there is room for it.
async fn accept<D: Door>(listener: &D, room: &Arc<Semaphore>) -> (D::Stream, OwnedSemaphorePermit) {
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else {
            // The semaphore is never closed; if it were, nothing more would be accepted.
            return std::future::pending().await;
        };
        match listener.next().await {
            Ok(stream) => return (stream, permit),
            Err(error) if is_exhaustion(&error) => {
                tracing::warn!(address = listener.place(), %error, "cannot accept; raise the limit of open files (LimitNOFILE)");
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
            }
            // The peer was gone before we came: its affair.
            Err(error) => {
                tracing::debug!(address = listener.place(), %error, "a connection was lost before it was accepted")
            }
        }
    }
}

/// Options that a connection does well to have and can do without.
fn prepare(stream: &TcpStream) {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 4);
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

/// EMFILE, ENFILE, ENOBUFS and ENOMEM by Linux's numbers: the connection stays in the queue, so trying again at once would spin.
fn is_exhaustion(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(24 | 23 | 105 | 12))
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection's task panicked; please report this");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn bound() -> Listener {
        Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap()
    }

    /// Echoes until the client ends or the drain begins.
    async fn echo(mut stream: TcpStream, drain: Drain) {
        let mut watch = drain.watch();
        let mut bytes = [0; 64];
        loop {
            tokio::select! {
                () = watch.wait() => return,
                read = stream.read(&mut bytes) => match read {
                    Ok(1..) => stream.write_all(b"!").await.unwrap(),
                    _ => return,
                }
            }
        }
    }

    async fn ping(stream: &mut TcpStream) -> bool {
        stream.write_all(b"?").await.unwrap();
        let mut byte = [0];
        matches!(tokio::time::timeout(Duration::from_millis(150), stream.read(&mut byte)).await, Ok(Ok(1)))
    }

    #[tokio::test]
    async fn accepting_pauses_at_the_bound_and_goes_on_below_it() {
        let listener = bound();
        let address = listener.address();
        let drain = Drain::default();
        let limits = Limits { connections: 1, drain: Duration::from_secs(1) };
        let inner = drain.clone();
        let serving =
            tokio::spawn(serve(vec![listener], limits, drain.clone(), move |stream| echo(stream, inner.clone())));

        let mut first = TcpStream::connect(address).await.unwrap();
        assert!(ping(&mut first).await);
        let mut second = TcpStream::connect(address).await.unwrap();
        assert!(!ping(&mut second).await, "the second connection waits in the kernel's queue");
        drop(first);
        let mut byte = [0];
        second.read_exact(&mut byte).await.unwrap();

        drain.begin();
        tokio::time::timeout(Duration::from_secs(2), serving).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_does_not_end_is_cut_off_and_a_panic_stays_its_own() {
        let listener = bound();
        let address = listener.address();
        let drain = Drain::default();
        let limits = Limits { connections: 8, drain: Duration::from_millis(100) };
        let serving = tokio::spawn(serve(vec![listener], limits, drain.clone(), |mut stream: TcpStream| async move {
            let mut byte = [0];
            if stream.read(&mut byte).await.unwrap() == 1 && byte == *b"p" {
                panic!("on purpose");
            }
            stream.write_all(b"!").await.unwrap();
            std::future::pending().await
        }));
        let mut bad = TcpStream::connect(address).await.unwrap();
        bad.write_all(b"p").await.unwrap();
        assert_eq!(bad.read(&mut [0]).await.unwrap_or(0), 0);
        let mut good = TcpStream::connect(address).await.unwrap();
        assert!(ping(&mut good).await);
        drain.begin();
        tokio::time::timeout(Duration::from_secs(2), serving).await.unwrap().unwrap();
        assert_eq!(good.read(&mut [0]).await.unwrap_or(0), 0);
    }

    #[tokio::test]
    async fn what_is_accepted_is_sent_to_without_pacing() {
        let listener = bound();
        let (_client, served) = tokio::join!(TcpStream::connect(listener.address()), listener.next());
        let control = SockRef::from(&served.unwrap()).tcp_congestion().unwrap();
        assert!(control.starts_with(PLAIN_CONTROL), "{control:?}");
    }

    #[tokio::test]
    async fn a_taken_address_is_told_with_the_next_step() {
        let taken = bound();
        let error = Listener::bind(taken.address()).unwrap_err();
        assert!(error.to_string().contains("ss -ltnp"));
    }
}
