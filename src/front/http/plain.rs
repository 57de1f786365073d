//! The plain lane: requests that need no second thought, answered in batches.
//!
//! One turn: read what is there, answer every whole plain request in it into one buffer, write the
//! buffer at once, wait for more. Nothing is allocated a request but the two buffers that the
//! connection keeps, no timer is armed unless a head has begun and not ended, and the clock is read
//! once a turn. A miss first sends what is ready, then waits, and the turn goes on behind it.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use httpdate::HttpDate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::deadline::{self, Deadline, Instant};
use crate::front::Front;
use crate::front::desk::{Desk, Line};
use crate::front::http::Settings;
use crate::front::http::ask::{Said, Step, begin};
use crate::front::http::close::close;
use crate::front::http::head::{Head, HeadReader};
use crate::front::http::reply::Reply;
use crate::front::listen::{DrainWatch, LINGER};

/// Replies are sent when they come to this much, even if more requests wait.
const OUTPUT_MARK: usize = 32 * 1024;

/// What a quiet connection keeps for reading; it grows while a client sends more at once.
const INPUT_START: usize = 2 * 1024;
const INPUT_MORE: usize = 8 * 1024;

/// A connection in the plain lane.
pub struct Plain {
    stream: TcpStream,
    settings: Settings,
    drain: DrainWatch,
    reader: HeadReader,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Where bodies are built that are not stored as they are sent.
    scratch: Vec<u8>,
    date: DateField,
    /// When a head that has begun must be whole.
    head_due: Option<Deadline>,
}

/// A connection on its way to the full lane.
pub struct Rest {
    /// The connection.
    pub stream: TcpStream,
    /// What was read of it and not answered.
    pub unread: Bytes,
    /// True when it speaks HTTP/2.
    pub http2: bool,
}

/// What a turn ended in.
enum Turn {
    /// All that is whole is answered.
    Wait,
    /// The rest is the full lane's.
    HandOver { http2: bool },
    /// The last reply said that it is the last.
    Close,
}

/// What waiting for bytes ended in.
enum Wait {
    Bytes,
    /// The client has no more to say, or we have waited long enough.
    Over,
    /// A head was begun and not ended in time.
    Late,
}

impl Plain {
    /// A connection that has just been accepted.
    pub fn new(stream: TcpStream, settings: Settings, drain: DrainWatch) -> Self {
        Self {
            stream,
            settings,
            drain,
            reader: HeadReader::default(),
            input: Vec::with_capacity(INPUT_START),
            output: Vec::new(),
            scratch: Vec::new(),
            date: DateField::default(),
            head_due: None,
        }
    }

    /// Runs until the connection ends, or until it is to go on in the full lane.
    pub async fn run<D: Desk>(mut self, desk: &D) -> Option<Rest> {
        let ended = self.turns(desk).await;
        match ended {
            Ok(Some(http2)) => {
                return Some(Rest { stream: self.stream, unread: self.input.into(), http2 });
            }
            Ok(None) => close(self.stream).await,
            Err(error) => tracing::debug!(%error, "an HTTP connection broke"),
        }
        None
    }

    /// `Some(http2)` when the full lane is to go on.
    async fn turns<D: Desk>(&mut self, desk: &D) -> io::Result<Option<bool>> {
        loop {
            match self.wait().await? {
                Wait::Bytes => {}
                Wait::Over => return Ok(None),
                Wait::Late => {
                    self.output.extend_from_slice(
                        b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                    );
                    self.send().await?;
                    return Ok(None);
                }
            }
            let turn = if self.settings.plain_lane { self.turn(desk).await? } else { self.look_only() };
            self.send().await?;
            match turn {
                Turn::Wait => {}
                Turn::HandOver { http2 } => return Ok(Some(http2)),
                Turn::Close => return Ok(None),
            }
        }
    }

    /// Answers every whole plain request in the input.
    async fn turn<D: Desk>(&mut self, desk: &D) -> io::Result<Turn> {
        let mut now = deadline::now();
        let mut at = 0;
        let turn = loop {
            if at == self.input.len() {
                break Turn::Wait;
            }
            let (path, query, length) = match self.reader.read(&self.input[at..]) {
                Head::Plain { path, query, length } => (path, query, length),
                Head::Incomplete => break Turn::Wait,
                Head::Full => break Turn::HandOver { http2: false },
                Head::Http2 => break Turn::HandOver { http2: true },
            };
            let said = match begin(desk, path, query, now) {
                Step::Say(said) => said,
                Step::Ask(asking) => {
                    self.send().await?;
                    // Boxed, so that a connection is not always as big as a dip.
                    let said = Box::pin(asking.answer(now)).await;
                    now = deadline::now();
                    said
                }
                Step::Call(call) => {
                    self.send().await?;
                    let called = Box::pin(call.answer(Front::Http, now)).await;
                    now = deadline::now();
                    Said::Called(called)
                }
            };
            at += length;
            let last = self.drain.begun() && !self.has_another(at);
            self.say(&said, now, last);
            if last {
                break Turn::Close;
            }
            if self.output.len() >= OUTPUT_MARK {
                self.send().await?;
            }
        };
        self.took(at, now);
        Ok(turn)
    }

    /// Every connection goes to the full lane, except that HTTP/2 must be told apart first.
    fn look_only(&mut self) -> Turn {
        match self.reader.read(&self.input) {
            Head::Incomplete if self.input.first() == Some(&b'P') => {
                self.took(0, deadline::now());
                Turn::Wait
            }
            Head::Http2 => Turn::HandOver { http2: true },
            _ => Turn::HandOver { http2: false },
        }
    }

    fn say<L: Line>(&mut self, said: &Said<L>, now: Instant, last: bool) {
        let reply = Reply::of(said, &mut self.scratch);
        reply.write(self.date.at(now), last, &mut self.output);
    }

    fn has_another(&mut self, at: usize) -> bool {
        at < self.input.len() && matches!(self.reader.read(&self.input[at..]), Head::Plain { .. })
    }

    /// Forgets the first `at` bytes of the input; what is left is the start of a head.
    fn took(&mut self, at: usize, now: Instant) {
        if at == self.input.len() {
            self.input.clear();
            self.head_due = None;
            return;
        }
        self.input.drain(..at);
        if at > 0 || self.head_due.is_none() {
            self.head_due = Some(Deadline::at(now + self.settings.head_time));
        }
    }

    /// Waits for bytes: for ever between requests, until its time is over within a head.
    async fn wait(&mut self) -> io::Result<Wait> {
        let spare = self.input.capacity() - self.input.len();
        if spare < INPUT_START / 2 {
            self.input.reserve(INPUT_MORE);
        }
        if let Some(due) = self.head_due {
            return match due.limit(self.stream.read_buf(&mut self.input)).await {
                Some(read) => Ok(if read? == 0 { Wait::Over } else { Wait::Bytes }),
                None => Ok(Wait::Late),
            };
        }
        tokio::select! {
            biased;
            read = self.stream.read_buf(&mut self.input) => return Ok(if read? == 0 { Wait::Over } else { Wait::Bytes }),
            () = self.drain.wait() => {}
        }
        match timeout(LINGER, self.stream.read_buf(&mut self.input)).await {
            Ok(read) => Ok(if read? == 0 { Wait::Over } else { Wait::Bytes }),
            Err(_) => Ok(Wait::Over),
        }
    }

    /// Writes the output. Nearly always the socket takes it at once, and no timer is made.
    async fn send(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        let taken = match self.stream.try_write(&self.output) {
            Ok(taken) => taken,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        if taken < self.output.len() {
            timeout(self.settings.write_time, self.stream.write_all(&self.output[taken..]))
                .await
                .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the client does not read its replies"))??;
        }
        self.output.clear();
        Ok(())
    }
}

/// The `Date` field (RFC 9110 section 6.6.1), written anew when its second is over.
#[derive(Default)]
struct DateField {
    text: Vec<u8>,
    good_until: Option<Instant>,
}

impl DateField {
    fn at(&mut self, now: Instant) -> &[u8] {
        if self.good_until.is_none_or(|until| now >= until) {
            // The calendar, which nobody waits by.
            let time = SystemTime::now();
            self.text.clear();
            // Writing to memory does not fail.
            let _ = write!(self.text, "Date: {}\r\n", HttpDate::from(time));
            let into_second = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
            self.good_until = Some(now + Duration::from_nanos(u64::from(1_000_000_000 - into_second)));
        }
        &self.text
    }
}
