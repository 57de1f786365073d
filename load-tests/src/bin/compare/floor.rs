//! The floor: an epoll loop that parses next to nothing and answers the same bytes. What it costs is the kernel's price.
//! For misses it is a relay: it hands on what it reads to the vendor, and back.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use load_tests::load::Poll;

use crate::peers::Kind;

/// As many as there are cores here.
const THREADS: usize = 2;

/// Where the key stands in `GET /v1/lookup/single/…`.
const IN_PATH: usize = 22;

/// Where the key stands in `get single:…`.
const IN_GET: usize = 11;

/// Digits of a key.
const DIGITS: usize = 11;

/// Serves until it is killed.
pub(crate) fn serve(kind: Kind, port: u16) -> anyhow::Result<()> {
    let tcp = match kind {
        Kind::Dns => None,
        Kind::Http | Kind::Memcached => Some(Arc::new(TcpListener::bind(("127.0.0.1", port))?)),
    };
    let udp = match kind {
        Kind::Dns => Some(UdpSocket::bind(("127.0.0.1", port))?),
        Kind::Http | Kind::Memcached => None,
    };
    let mut threads = Vec::new();
    for _ in 0..THREADS {
        if let Some(listener) = &tcp {
            let listener = Arc::clone(listener);
            threads.push(thread::spawn(move || streams(kind, &listener)));
        }
        if let Some(socket) = &udp {
            let socket = socket.try_clone()?;
            threads.push(thread::spawn(move || datagrams(&socket)));
        }
    }
    for thread in threads {
        thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??;
    }
    Ok(())
}

/// Hands every byte on to the vendor and back, over one connection there for each here, until it is killed.
pub(crate) fn relay(port: u16, vendor: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    let poll = Poll::new()?;
    poll.add(&listener, 0)?;
    // Those at even places are clients', each with its vendor's connection behind it.
    let mut lines: Vec<TcpStream> = Vec::new();
    let (mut ready, mut read) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        poll.wait(Instant::now() + Duration::from_secs(60), &mut ready)?;
        for token in ready.drain(..) {
            let Some(place) = (token as usize).checked_sub(1) else {
                for stream in [listener.accept()?.0, TcpStream::connect(vendor)?] {
                    stream.set_nodelay(true)?;
                    lines.push(stream);
                    poll.add(&lines[lines.len() - 1], lines.len() as u64)?;
                }
                continue;
            };
            let (mut from, mut to) = (&lines[place], &lines[place ^ 1]);
            match from.read(&mut read) {
                Ok(length) if length > 0 => to.write_all(&read[..length])?,
                // Both have nothing more to say, and a socket at its end is not looked at again.
                _ => [from, to].into_iter().try_for_each(|line| poll.remove(line))?,
            }
        }
    }
}

fn streams(kind: Kind, listener: &TcpListener) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let poll = Poll::new()?;
    poll.add(listener, 0)?;
    let mut lines: Vec<Option<TcpStream>> = vec![None];
    let (mut ready, mut read, mut out) = (Vec::new(), vec![0; 64 * 1024], Vec::new());
    loop {
        poll.wait(Instant::now() + Duration::from_secs(60), &mut ready)?;
        for token in ready.drain(..) {
            if token == 0 {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    stream.set_nonblocking(true)?;
                    poll.add(&stream, lines.len() as u64)?;
                    lines.push(Some(stream));
                }
                continue;
            }
            let line = &mut lines[token as usize];
            let length = match line.as_mut().map(|stream| stream.read(&mut read)) {
                Some(Ok(length)) if length > 0 => length,
                Some(Err(error)) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
                _ => {
                    *line = None;
                    continue;
                }
            };
            out.clear();
            answers(kind, &read[..length], &mut out);
            if let Some(stream) = line {
                // The client reads everything before it asks again.
                let _ = stream.write_all(&out);
            }
        }
    }
}

/// An answer for each question in these bytes, which are whole: the client sends them in one write.
fn answers(kind: Kind, read: &[u8], out: &mut Vec<u8>) {
    match kind {
        Kind::Http => {
            let key = &read[IN_PATH..IN_PATH + DIGITS];
            out.extend_from_slice(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 79\r\n\r\n{\"tn\":\"",
            );
            out.extend_from_slice(key);
            out.extend_from_slice(b"\",\"lrn\":\"13032000001\",\"ocn\":\"9206\",\"lata\":\"656\",\"state\":\"CO\"}");
        }
        Kind::Memcached => {
            for line in read.split_inclusive(|byte| *byte == b'\n') {
                for key in line[IN_GET - "single:".len() - 1..].chunks_exact(1 + "single:".len() + DIGITS) {
                    out.extend_from_slice(b"VALUE ");
                    out.extend_from_slice(&key[1..]);
                    out.extend_from_slice(b" 1 79\r\n{\"tn\":\"");
                    out.extend_from_slice(&key[key.len() - DIGITS..]);
                    out.extend_from_slice(
                        b"\",\"lrn\":\"13032000001\",\"ocn\":\"9206\",\"lata\":\"656\",\"state\":\"CO\"}\r\n",
                    );
                }
                out.extend_from_slice(b"END\r\n");
            }
        }
        Kind::Dns => {}
    }
}

fn datagrams(socket: &UdpSocket) -> std::io::Result<()> {
    socket.set_nonblocking(true)?;
    let poll = Poll::new()?;
    poll.add(socket, 0)?;
    let (mut ready, mut read) = (Vec::new(), [0; 512]);
    loop {
        poll.wait(Instant::now() + Duration::from_secs(60), &mut ready)?;
        ready.clear();
        while let Ok((length, from)) = socket.recv_from(&mut read) {
            read[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
            read[length..length + 16].copy_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4, 192, 0, 2, 1]);
            let _ = socket.send_to(&read[..length + 16], from);
        }
    }
}

#[cfg(test)]
mod tests {
    use load_tests::load::wire::Wire;

    use super::*;

    #[test]
    fn what_it_answers_is_an_answer() {
        let wires = [
            (Kind::Http, Wire::Http { path: "/v1/lookup/single/".to_owned() }),
            (Kind::Memcached, Wire::Memcached { prefix: "single:".to_owned() }),
            (Kind::Memcached, Wire::Many { prefix: "single:".to_owned(), of: 10 }),
        ];
        for (kind, wire) in wires {
            let (mut asked, mut out) = (Vec::new(), Vec::new());
            wire.ask(&mut asked, 13_030_000_001, 0, 0);
            answers(kind, &asked, &mut out);
            let (length, said) = wire.answer(&out, 13_030_000_001).unwrap();
            assert!(said.has_record() && length == out.len(), "{wire:?}: {said:?}");
        }
    }
}
