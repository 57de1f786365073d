//! Closing so that the client can read the last reply.
//!
//! Closing a socket with unread bytes in it sends a reset, and a reset may overtake the reply. So we
//! say that we are done, take what still comes for a moment, and only then let go.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// How long we go on taking what the client still sends.
const PATIENCE: Duration = Duration::from_millis(500);

/// And how much of it.
const MOST: usize = 256 * 1024;

/// A closing in progress.
#[derive(Debug, Default)]
pub struct Closing {
    told: bool,
    taken: usize,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Closing {
    /// Goes on with it; ready when the socket may be dropped.
    pub fn poll(&mut self, stream: &mut TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.told {
            ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
            self.told = true;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
        let mut bytes = [0; 4096];
        while self.taken < MOST && timer.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer))?;
            match buffer.filled().len() {
                0 => break,
                some => self.taken += some,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Closes a connection.
pub async fn close(mut stream: TcpStream) {
    let mut closing = Closing::default();
    // That the client is gone already is no error of ours.
    let _ = std::future::poll_fn(|cx| closing.poll(&mut stream, cx)).await;
}
