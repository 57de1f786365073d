//! Callers over TCP: each has a connection to itself while it waits.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::load::sample::{Kind, Sample};
use crate::load::wire::Wire;
use crate::load::{Book, Call, Load, Poll};

/// Callers sent before answers are looked at again: who is behind must not make the others late.
const AT_ONCE: usize = 32;

/// How often callers are looked for whose patience is over.
const LOOK: Duration = Duration::from_millis(20);

/// How long opening a connection may take.
const CONNECT: Duration = Duration::from_secs(1);

struct Line {
    stream: Option<TcpStream>,
    waiting: Option<(Call, Instant)>,
    read: Vec<u8>,
}

struct Streams<'a> {
    wire: &'a Wire,
    address: SocketAddr,
    poll: Poll,
    lines: Vec<Line>,
    free: Vec<usize>,
    /// Due, and no connection free.
    queue: VecDeque<Call>,
    book: Book,
    question: Vec<u8>,
    buffer: Vec<u8>,
}

/// Sends all callers of this load.
pub(super) fn run(load: &Load, begun: Instant) -> io::Result<Vec<Sample>> {
    let mut streams = Streams {
        wire: &load.wire,
        address: load.address,
        poll: Poll::new()?,
        lines: Vec::new(),
        free: Vec::new(),
        queue: VecDeque::new(),
        book: Book::new(load, begun),
        question: Vec::new(),
        buffer: vec![0; 64 * 1024],
    };
    for place in 0..load.connections {
        streams.lines.push(Line { stream: None, waiting: None, read: Vec::new() });
        streams.open(place)?;
        streams.free.push(place);
    }
    streams.calls(load.patience)?;
    Ok(streams.book.samples)
}

impl Streams<'_> {
    fn calls(&mut self, patience: Duration) -> io::Result<()> {
        let mut ready = Vec::new();
        let mut look = Instant::now() + LOOK;
        loop {
            let now = Instant::now();
            for _ in 0..AT_ONCE {
                let Some(call) = self.book.take_due(now) else { break };
                self.queue.push_back(call);
            }
            while !self.queue.is_empty()
                && let Some(place) = self.free.pop()
                && let Some(call) = self.queue.pop_front()
            {
                self.send(place, call);
            }
            if now >= look {
                self.give_up(now, patience);
                look = now + LOOK;
            }
            let due = self.book.next_due();
            if due.is_none() && self.queue.is_empty() && self.free.len() == self.lines.len() {
                return Ok(());
            }
            self.poll.wait(due.map_or(look, |due| due.min(look)), &mut ready)?;
            for place in ready.drain(..) {
                self.receive(place as usize);
            }
        }
    }

    fn open(&mut self, place: usize) -> io::Result<()> {
        let stream = TcpStream::connect_timeout(&self.address, CONNECT)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        self.poll.add(&stream, place as u64)?;
        self.lines[place].read.clear();
        self.lines[place].stream = Some(stream);
        Ok(())
    }

    fn send(&mut self, place: usize, call: Call) {
        self.question.clear();
        self.wire.ask(&mut self.question, call.key, call.budget_ms, 0);
        let sent = Instant::now();
        self.lines[place].waiting = Some((call, sent));
        if self.lines[place].stream.is_none() && self.open(place).is_err() {
            return self.ended(place, Kind::Failed);
        }
        // A question is smaller than any socket's buffer, and the connection is otherwise quiet.
        let written = self.lines[place].stream.as_mut().map(|stream| stream.write(&self.question));
        if !matches!(written, Some(Ok(length)) if length == self.question.len()) {
            self.broken(place);
        }
    }

    fn receive(&mut self, place: usize) {
        let line = &mut self.lines[place];
        let Some(stream) = &mut line.stream else { return };
        match stream.read(&mut self.buffer) {
            Ok(0) => return self.broken(place),
            Ok(length) => line.read.extend_from_slice(&self.buffer[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return,
            Err(_) => return self.broken(place),
        }
        let Some((call, _)) = line.waiting else { return self.broken(place) };
        let Some((length, kind)) = self.wire.answer(&line.read, call.key) else { return };
        let out_of_step = length != line.read.len() || kind == Kind::Wrong;
        line.read.clear();
        if out_of_step {
            line.stream = None;
        }
        self.ended(place, kind);
    }

    /// The connection is gone, and whoever waits on it has no answer.
    fn broken(&mut self, place: usize) {
        self.lines[place].stream = None;
        if self.lines[place].waiting.is_some() {
            self.ended(place, Kind::Failed);
        }
    }

    /// A caller is done, and its connection free.
    fn ended(&mut self, place: usize, kind: Kind) {
        if let Some((call, sent)) = self.lines[place].waiting.take() {
            self.book.note(call, sent, Instant::now(), kind);
        }
        self.free.push(place);
    }

    fn give_up(&mut self, now: Instant, patience: Duration) {
        for place in 0..self.lines.len() {
            if self.lines[place].waiting.is_some_and(|(call, _)| now.duration_since(call.due) > patience) {
                self.broken(place);
            }
        }
        while self.queue.front().is_some_and(|call| now.duration_since(call.due) > patience) {
            if let Some(call) = self.queue.pop_front() {
                self.book.note(call, now, now, Kind::Failed);
            }
        }
    }
}
