//! The full lane's connection: bytes already read come first, and every wait has an end.
//!
//! hyper's own timer for heads also runs between requests and would close idle connections, which we
//! never do. So the time is kept here, where the bytes pass: it starts with the first byte that comes
//! while no request is in hand, and ends when hyper brings the whole head to the service. Timers are
//! made only when there is something to wait for.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use crate::front::http::Settings;
use crate::front::http::close::Closing;
use crate::front::http::plain::Rest;

/// The requests of a connection: how many are in hand, and how many there have been.
#[derive(Clone, Debug, Default)]
pub struct InHand(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    now: AtomicUsize,
    ever: AtomicUsize,
}

impl InHand {
    /// Counts a request until the guard is dropped.
    pub fn one(&self) -> Held {
        self.0.now.fetch_add(1, Ordering::Relaxed);
        self.0.ever.fetch_add(1, Ordering::Relaxed);
        Held(self.clone())
    }

    fn any(&self) -> bool {
        self.0.now.load(Ordering::Relaxed) > 0
    }

    fn ever(&self) -> usize {
        self.0.ever.load(Ordering::Relaxed)
    }
}

/// A request in hand.
#[derive(Debug)]
pub struct Held(InHand);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection as hyper gets it.
#[derive(Debug)]
pub struct Guarded {
    stream: TcpStream,
    unread: Bytes,
    in_hand: InHand,
    head: Watchdog,
    /// How many requests there had been when the head now being read was begun.
    head_after: usize,
    write: Watchdog,
    closing: Closing,
    /// HTTP/2 sends frames that belong to no request; hyper's pings watch over it instead.
    http2: bool,
}

impl Guarded {
    /// Goes on where the plain lane stopped.
    pub fn new(rest: Rest, in_hand: InHand, settings: &Settings) -> Self {
        Self {
            stream: rest.stream,
            unread: rest.unread,
            in_hand,
            head: Watchdog::new(settings.head_time),
            head_after: 0,
            write: Watchdog::new(settings.write_time),
            closing: Closing::default(),
            http2: rest.http2,
        }
    }

    fn bytes_came(&mut self) {
        if !self.http2 && !self.in_hand.any() {
            self.head.begin();
            self.head_after = self.in_hand.ever();
        }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // The head that was begun has become a request, which may already be answered.
        if this.in_hand.ever() != this.head_after {
            this.head.end();
        }
        if !this.unread.is_empty() {
            let length = this.unread.len().min(buffer.remaining());
            buffer.put_slice(&this.unread[..length]);
            this.unread.advance(length);
            this.bytes_came();
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if read.is_pending() {
            ready!(this.head.poll(cx));
            return Poll::Ready(Err(late("a head was begun and not ended in time")));
        }
        if buffer.filled().len() > before {
            this.bytes_came();
        }
        read
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.write.over(written, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, pieces);
        this.write.over(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.closing.poll(&mut this.stream, cx)
    }
}

/// A time limit that costs a timer only while somebody waits on it.
#[derive(Debug)]
struct Watchdog {
    time: Duration,
    running: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Watchdog {
    fn new(time: Duration) -> Self {
        Self { time, running: false, timer: None }
    }

    fn begin(&mut self) {
        self.running = true;
    }

    fn end(&mut self) {
        self.running = false;
        self.timer = None;
    }

    /// Ready when it was begun and the time, counted from the first wait, is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.running {
            return Poll::Pending;
        }
        self.timer.get_or_insert_with(|| Box::pin(sleep(self.time))).as_mut().poll(cx)
    }

    /// Runs while a write makes no progress.
    fn over(&mut self, written: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.end();
            return written;
        }
        self.begin();
        ready!(self.poll(cx));
        Poll::Ready(Err(late("the client does not read its replies")))
    }
}

fn late(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, why)
}
