//! A closed loop: every connection asks again as soon as it is answered. It measures what a request costs a server that
//! always has work, and says nothing about latency.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use super::keys::{Draw, Keys};
use super::poll::Poll;
use super::sample::Kind;
use super::wire::Wire;

/// How long it goes on waiting for what is under way at the end.
const LEAVE: Duration = Duration::from_millis(500);

/// Who asks without a pause.
#[derive(Clone, Debug)]
pub struct Closed {
    /// How.
    pub wire: Wire,
    /// Where.
    pub address: SocketAddr,
    /// For what.
    pub keys: Keys,
    /// Connections; over UDP questions under way.
    pub connections: usize,
    /// Questions sent at once on a connection before its answers are awaited.
    pub depth: usize,
    /// For how long.
    pub span: Duration,
    /// Different ones draw different keys.
    pub seed: u64,
}

/// What they got.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Records.
    pub answered: u64,
    /// Anything else.
    pub amiss: u64,
}

impl Tally {
    fn note(&mut self, kind: Kind) {
        if kind.has_record() { self.answered += 1 } else { self.amiss += 1 }
    }
}

impl Closed {
    /// Asks until the time is over.
    ///
    /// # Errors
    /// When a connection cannot be opened, or breaks.
    pub fn run(&self) -> io::Result<Tally> {
        if self.wire.is_datagrams() { self.datagrams() } else { self.streams() }
    }

    fn streams(&self) -> io::Result<Tally> {
        let poll = Poll::new()?;
        let (mut draw, mut tally) = (Draw::new(self.keys, self.seed), Tally::default());
        let mut lines = Vec::new();
        for n in 0..self.connections {
            let stream = TcpStream::connect(self.address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            poll.add(&stream, n as u64)?;
            lines.push(Line { stream, waiting: VecDeque::new(), read: Vec::new() });
        }
        let (mut out, mut buffer, mut ready) = (Vec::new(), vec![0; 64 * 1024], Vec::new());
        let mut asked = 0;
        for line in &mut lines {
            line.ask(self, &mut draw, &mut asked, &mut out)?;
        }
        let end = Instant::now() + self.span;
        let mut under_way = lines.len();
        while under_way > 0 {
            poll.wait(end + LEAVE, &mut ready)?;
            let now = Instant::now();
            if now > end + LEAVE {
                break;
            }
            for place in ready.drain(..) {
                let line = &mut lines[place as usize];
                line.take(&self.wire, &mut buffer, &mut tally)?;
                if line.waiting.is_empty() {
                    if now < end {
                        line.ask(self, &mut draw, &mut asked, &mut out)?;
                    } else {
                        under_way -= 1;
                    }
                }
            }
        }
        tally.amiss += lines.iter().map(|line| line.waiting.len() as u64).sum::<u64>();
        Ok(tally)
    }

    fn datagrams(&self) -> io::Result<Tally> {
        let poll = Poll::new()?;
        let (mut draw, mut tally) = (Draw::new(self.keys, self.seed), Tally::default());
        let (mut out, mut answer, mut ready) = (Vec::new(), [0; 4096], Vec::new());
        let mut sockets = Vec::new();
        let (mut asked, end) = (0_u64, Instant::now() + self.span);
        let mut ask = |socket: &UdpSocket| {
            out.clear();
            self.wire.ask(&mut out, draw.key(asked), 0, asked as u16);
            asked += 1;
            // A full buffer loses it, as the network would.
            let _ = socket.send(&out);
        };
        for n in 0..self.connections {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.connect(self.address)?;
            socket.set_nonblocking(true)?;
            poll.add(&socket, n as u64)?;
            ask(&socket);
            sockets.push((socket, Instant::now()));
        }
        while Instant::now() < end {
            poll.wait((Instant::now() + LEAVE).min(end), &mut ready)?;
            let now = Instant::now();
            for place in ready.drain(..) {
                let (socket, heard) = &mut sockets[place as usize];
                while let Ok(length) = socket.recv(&mut answer) {
                    tally.note(self.wire.answer(&answer[..length], 0).map_or(Kind::Wrong, |(_, kind)| kind));
                    *heard = now;
                    ask(socket);
                }
            }
            // A datagram that is lost must not silence its socket.
            for (socket, heard) in sockets.iter_mut().filter(|(_, heard)| now - *heard > LEAVE) {
                tally.amiss += 1;
                *heard = now;
                ask(socket);
            }
        }
        Ok(tally)
    }
}

struct Line {
    stream: TcpStream,
    waiting: VecDeque<u64>,
    read: Vec<u8>,
}

impl Line {
    fn ask(&mut self, closed: &Closed, draw: &mut Draw, asked: &mut u64, out: &mut Vec<u8>) -> io::Result<()> {
        out.clear();
        for _ in 0..closed.depth {
            let key = draw.key(*asked);
            *asked += 1;
            closed.wire.ask(out, key, 0, 0);
            self.waiting.push_back(key);
        }
        // The other side has read all before, so its buffer takes it whole.
        self.stream.write_all(out)
    }

    fn take(&mut self, wire: &Wire, buffer: &mut [u8], tally: &mut Tally) -> io::Result<()> {
        match self.stream.read(buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => self.read.extend_from_slice(&buffer[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(()),
            Err(error) => return Err(error),
        }
        let mut used = 0;
        while let Some(key) = self.waiting.front()
            && let Some((length, kind)) = wire.answer(&self.read[used..], *key)
        {
            used += length;
            tally.note(kind);
            self.waiting.pop_front();
        }
        self.read.drain(..used);
        Ok(())
    }
}
