//! One connection, and one request after the other over it.

use std::{fmt, io};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::body::unpacked;
use super::chunks::Chunks;
use super::head::{self, Framing, Head, too_long};
use crate::upstream::http::answer::Answer;
use crate::upstream::http::whole::Whole;
use crate::upstream::{Failure, FailureKind};

/// Room for what comes, more than nearly every answer: who reads less than there was room for has read all that there is.
const ROOM: usize = 8 * 1024;

/// A connection.
pub(super) struct Line {
    stream: TcpStream,
    /// What has come and was not taken yet.
    read: BytesMut,
    /// The request that is to be sent.
    pub request: Vec<u8>,
    /// False from a request's first byte until its answer is read to the end.
    is_free: bool,
    /// True while a request waits for its answer.
    is_asked: bool,
}

/// A request that is given up is taken back with a reset: the vendor need not finish what nobody waits for, and no port of
/// ours stays taken for a minute after a goodbye that nobody answers. A silent vendor and some hundred callers a second would
/// use up all of them.
impl Drop for Line {
    fn drop(&mut self) {
        if self.is_asked {
            // If it cannot be set the connection is closed like any other.
            let _ = self.stream.set_zero_linger();
        }
    }
}

/// A request that brought no answer.
#[derive(Debug)]
pub(super) enum Unsent {
    /// Not a byte of it was written: the vendor had closed the connection before.
    Still(Failure),
    /// It was, or may have been.
    Not(Failure),
}

// What goes over it holds secrets and numbers, and is shown to nobody.
impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("is_free", &self.is_free).finish_non_exhaustive()
    }
}

impl Line {
    /// Over a new connection.
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, read: BytesMut::new(), request: Vec::new(), is_free: true, is_asked: false }
    }

    /// True when another request may go over it.
    pub(super) fn is_free(&self) -> bool {
        self.is_free
    }

    /// Sends the request and reads its answer to the end, of which at most `wanted` bytes of body; 0 wants none.
    pub(super) async fn ask(&mut self, wanted: usize) -> Result<Answer, Unsent> {
        (self.is_free, self.is_asked) = (false, true);
        let asked = self.send_and_read(wanted).await;
        self.is_asked = false;
        asked
    }

    async fn send_and_read(&mut self, wanted: usize) -> Result<Answer, Unsent> {
        match self.send().await {
            Ok(()) => self.answer(wanted).await.map_err(Unsent::Not),
            // A vendor may answer and close before it has read all.
            Err(Unsent::Not(failure)) => match self.answer(wanted).await {
                Ok(answer) => {
                    self.is_free = false;
                    Ok(answer)
                }
                Err(_) => Err(Unsent::Not(failure)),
            },
            Err(unsent) => Err(unsent),
        }
    }

    async fn send(&mut self) -> Result<(), Unsent> {
        // What has happened to it while it was kept: with nothing new this costs no call of the system.
        match self.stream.try_read(&mut [0]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(Unsent::Still(failure(&error))),
            // Its end, or an answer that nobody has asked for.
            Ok(_) => return Err(Unsent::Still(protocol("the connection ended before it was asked"))),
        }
        let first = self.stream.write(&self.request).await.map_err(|error| Unsent::Still(failure(&error)))?;
        self.stream.write_all(&self.request[first..]).await.map_err(|error| Unsent::Not(failure(&error)))
    }

    async fn answer(&mut self, wanted: usize) -> Result<Answer, Failure> {
        let head = self.head().await?;
        let body = match wanted {
            0 => Some(Bytes::new()).filter(|_| self.skip(head.framing)),
            wanted => Some(self.body(head.framing, wanted).await?),
        };
        // With more behind it, whose answer would that be?
        self.is_free = head.stays && body.is_some() && self.read.is_empty();
        let answer = Answer { status: head.status, headers: head.headers, body: body.unwrap_or_default() };
        match head.coding.filter(|_| wanted > 0) {
            Some(coding) => unpacked(answer, &coding, wanted),
            None => Ok(answer),
        }
    }

    /// The answer's head, past those that only say that it will come (RFC 9110 section 15.2).
    async fn head(&mut self) -> Result<Head, Failure> {
        let mut seen = 0;
        loop {
            // What is none from its first bytes on is known at once, and not when it never becomes whole.
            if (seen == 0 || head::is_whole(&self.read, seen))
                && let Some(head) = Head::read(&self.read)?
            {
                self.read.advance(head.length);
                match head.status {
                    101 => return Err(protocol("the vendor goes over to another protocol")),
                    100..200 => seen = 0,
                    _ => return Ok(head),
                }
                continue;
            }
            seen = self.read.len();
            if seen > head::LONGEST {
                return Err(too_long());
            }
            if !self.more().await? {
                return Err(protocol("the connection ended without an answer"));
            }
        }
    }

    /// A body that nobody wants: false when it is not whole, so that the connection is of no more use.
    fn skip(&mut self, framing: Framing) -> bool {
        match framing {
            Framing::Length(length) => match usize::try_from(length) {
                Ok(length) if length <= self.read.len() => {
                    self.read.advance(length);
                    true
                }
                _ => false,
            },
            Framing::Chunked | Framing::ToTheEnd => false,
        }
    }

    async fn body(&mut self, framing: Framing, limit: usize) -> Result<Bytes, Failure> {
        let early = || protocol("the connection ended within the answer");
        match framing {
            Framing::Length(length) => {
                let mut whole = Whole::begin(length, limit)?;
                // It is no more than the limit, which is a `usize`.
                let mut left = length as usize;
                loop {
                    let there = self.read.len().min(left);
                    whole.add(self.read.split_to(there).freeze())?;
                    left -= there;
                    if left == 0 {
                        return Ok(whole.done());
                    }
                    if !self.more().await? {
                        return Err(early());
                    }
                }
            }
            Framing::Chunked => {
                let (mut whole, mut chunks) = (Whole::begin(0, limit)?, Chunks::Size);
                while !chunks.take(&mut self.read, &mut whole)? {
                    if !self.more().await? {
                        return Err(early());
                    }
                }
                Ok(whole.done())
            }
            Framing::ToTheEnd => {
                let mut whole = Whole::begin(0, limit)?;
                loop {
                    whole.add(self.read.split().freeze())?;
                    if !self.more().await? {
                        return Ok(whole.done());
                    }
                }
            }
        }
    }

    /// Reads what comes next; false at the connection's end.
    async fn more(&mut self) -> Result<bool, Failure> {
        self.read.reserve(ROOM);
        let count = self.stream.read_buf(&mut self.read).await.map_err(|error| failure(&error))?;
        Ok(count > 0)
    }
}

fn failure(error: &io::Error) -> Failure {
    Failure::new(FailureKind::Protocol, format!("the connection broke: {error}"))
}

fn protocol(why: &str) -> Failure {
    Failure::new(FailureKind::Protocol, why.to_owned())
}
