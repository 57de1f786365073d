//! The thread on which all vendors work: sockets, and answers that wait for their time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dipcache::demo::vendors::Mode;

use super::{Conduct, Protocol, Stand, dns, http};
use crate::load::{Poll, sharpen_timers};

/// How often orders are looked at that open or close a port.
const LOOK: Duration = Duration::from_millis(10);

/// Tokens from here on are connections; below are the stands' own sockets.
const FIRST_LINE: u64 = 1 << 16;

struct Counter {
    stand: Arc<Stand>,
    door: Option<Door>,
}

enum Door {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

struct Line {
    stream: TcpStream,
    counter: usize,
    /// Which of the connections that had this place it is.
    visit: u64,
    read: Vec<u8>,
}

/// An answer on its way: when, to whom, and what.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Reply {
    at: Instant,
    to: To,
    bytes: Vec<u8>,
    close: bool,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum To {
    Line { place: usize, visit: u64 },
    Peer { counter: usize, address: SocketAddr },
}

pub(super) struct Desk {
    poll: Poll,
    counters: Vec<Counter>,
    lines: Vec<Option<Line>>,
    free: Vec<usize>,
    visits: u64,
    replies: BinaryHeap<Reverse<Reply>>,
    buffer: Vec<u8>,
}

impl Desk {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            counters: Vec::new(),
            lines: Vec::new(),
            free: Vec::new(),
            visits: 0,
            replies: BinaryHeap::new(),
            buffer: vec![0; 16 * 1024],
        })
    }

    /// Opens a free port.
    pub(super) fn open(&mut self, protocol: Protocol, conduct: Conduct) -> io::Result<Arc<Stand>> {
        let door = self.door(protocol, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), self.counters.len())?;
        let address = match &door {
            Door::Tcp(listener) => listener.local_addr()?,
            Door::Udp(socket) => socket.local_addr()?,
        };
        let stand = Arc::new(Stand::new(protocol, address, conduct));
        self.counters.push(Counter { stand: Arc::clone(&stand), door: Some(door) });
        Ok(stand)
    }

    fn door(&self, protocol: Protocol, address: SocketAddr, counter: usize) -> io::Result<Door> {
        Ok(match protocol {
            Protocol::Http => {
                let listener = TcpListener::bind(address)?;
                // std asks for a queue of 128, where a stampede of connections would wait for a second.
                rustix::net::listen(&listener, 4096)?;
                listener.set_nonblocking(true)?;
                self.poll.add(&listener, counter as u64)?;
                Door::Tcp(listener)
            }
            Protocol::Dns => {
                let socket = UdpSocket::bind(address)?;
                socket.set_nonblocking(true)?;
                self.poll.add(&socket, counter as u64)?;
                Door::Udp(socket)
            }
        })
    }

    /// Serves until it is told to end.
    pub(super) fn serve(mut self, ended: &AtomicBool) -> io::Result<()> {
        sharpen_timers();
        let mut ready = Vec::new();
        let mut look = Instant::now();
        while !ended.load(Ordering::Acquire) {
            let now = Instant::now();
            if now >= look {
                self.open_and_close();
                look = now + LOOK;
            }
            while self.replies.peek().is_some_and(|Reverse(reply)| reply.at <= now) {
                if let Some(Reverse(reply)) = self.replies.pop() {
                    self.deliver(reply);
                }
            }
            let due = self.replies.peek().map_or(look, |Reverse(reply)| reply.at.min(look));
            self.poll.wait(due, &mut ready)?;
            for token in ready.drain(..) {
                match token.checked_sub(FIRST_LINE) {
                    Some(place) => self.read(place as usize),
                    None => self.knocked(token as usize),
                }
            }
        }
        Ok(())
    }

    /// A vendor that refuses has its port closed and its connections cut off.
    fn open_and_close(&mut self) {
        for counter in 0..self.counters.len() {
            let stand = Arc::clone(&self.counters[counter].stand);
            let refuses = stand.conduct().mode == Mode::Refuse;
            match (refuses, &self.counters[counter].door) {
                (true, Some(_)) => {
                    self.counters[counter].door = None;
                    for place in 0..self.lines.len() {
                        if self.lines[place].as_ref().is_some_and(|line| line.counter == counter) {
                            self.hang_up(place);
                        }
                    }
                }
                // Where somebody has taken our port, the next look tries again.
                (false, None) => {
                    self.counters[counter].door = self.door(stand.protocol(), stand.address(), counter).ok()
                }
                _ => {}
            }
        }
    }

    fn knocked(&mut self, counter: usize) {
        match self.counters.get(counter).and_then(|counter| counter.door.as_ref()) {
            Some(Door::Tcp(_)) => self.accept(counter),
            Some(Door::Udp(_)) => self.datagrams(counter),
            None => {}
        }
    }

    fn accept(&mut self, counter: usize) {
        while let Some(Door::Tcp(listener)) = &self.counters[counter].door
            && let Ok((stream, _)) = listener.accept()
        {
            let _ = stream.set_nodelay(true);
            let place = self.free.pop().unwrap_or_else(|| {
                self.lines.push(None);
                self.lines.len() - 1
            });
            let taken = stream.set_nonblocking(true).and_then(|()| self.poll.add(&stream, FIRST_LINE + place as u64));
            if taken.is_err() {
                self.free.push(place);
                continue;
            }
            self.visits += 1;
            self.lines[place] = Some(Line { stream, counter, visit: self.visits, read: Vec::new() });
        }
    }

    fn read(&mut self, place: usize) {
        let Some(line) = &mut self.lines[place] else { return };
        match line.stream.read(&mut self.buffer) {
            Ok(0) => return self.hang_up(place),
            Ok(length) => line.read.extend_from_slice(&self.buffer[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return,
            Err(_) => return self.hang_up(place),
        }
        while let Some(line) = &mut self.lines[place] {
            let Some((length, digits)) = http::request(&line.read) else {
                if line.read.len() > http::MOST {
                    self.hang_up(place);
                }
                return;
            };
            line.read.drain(..length);
            let (to, stand) = (To::Line { place, visit: line.visit }, &self.counters[line.counter].stand);
            stand.asked();
            let conduct = stand.conduct();
            match conduct.mode {
                Mode::Hang => {}
                Mode::Reset | Mode::Refuse => {
                    // With nothing left to linger for, closing sends RST instead of FIN.
                    let _ = rustix::net::sockopt::set_socket_linger(&line.stream, Some(Duration::ZERO));
                    self.hang_up(place);
                }
                mode => {
                    let close = mode == Mode::Garbage;
                    let at = Instant::now() + conduct.delay();
                    self.replies.push(Reverse(Reply { at, to, bytes: http::answer(mode, &digits), close }));
                }
            }
        }
    }

    fn datagrams(&mut self, counter: usize) {
        while let Some(Door::Udp(socket)) = &self.counters[counter].door
            && let Ok((length, address)) = socket.recv_from(&mut self.buffer)
        {
            let stand = &self.counters[counter].stand;
            stand.asked();
            let conduct = stand.conduct();
            if !matches!(conduct.mode, Mode::Hang | Mode::Reset | Mode::Refuse)
                && let Some(bytes) = dns::answer(conduct.mode, &self.buffer[..length])
            {
                let (at, to) = (Instant::now() + conduct.delay(), To::Peer { counter, address });
                self.replies.push(Reverse(Reply { at, to, bytes, close: false }));
            }
        }
    }

    fn deliver(&mut self, reply: Reply) {
        match reply.to {
            To::Line { place, visit } => {
                let Some(line) = self.lines[place].as_mut().filter(|line| line.visit == visit) else { return };
                // An answer is smaller than any socket's buffer.
                if line.stream.write_all(&reply.bytes).is_err() || reply.close {
                    self.hang_up(place);
                }
            }
            To::Peer { counter, address } => {
                if let Some(Door::Udp(socket)) = &self.counters[counter].door {
                    let _ = socket.send_to(&reply.bytes, address);
                }
            }
        }
    }

    fn hang_up(&mut self, place: usize) {
        if self.lines[place].take().is_some() {
            self.free.push(place);
        }
    }
}
