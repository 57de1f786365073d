//! The simulated carrier's name server: the zone `carrier.test` over UDP and TCP, with the same conduct as
//! the vendors have.
//!
//! [`authority`] knows the zone and answers messages; this page owns the sockets and the bad manners.
//! Deliberately absent: recursion, transfers, DNSSEC.

mod authority;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::{JoinHandle, JoinSet};

use super::vendors::{Conduct, Mode, Order, reopen};
use crate::deadline::Deadline;
use authority::{Authority, Carrier};

/// Datagrams being answered at once; one more is dropped, as a real server would.
const MAX_IN_HAND: usize = 1024;
/// TCP connections at once; one more is closed.
const MAX_CONNECTIONS: usize = 128;
/// How long a TCP connection may be quiet.
const IDLE: Duration = Duration::from_secs(30);
/// How often a free UDP port is looked for whose number is free on TCP too.
const PAIR_TRIES: usize = 16;

/// A running name server.
#[derive(Debug)]
pub struct NameServer {
    desk: Arc<Desk>,
    address: SocketAddr,
    /// The tasks that own the sockets; `None` while they are closed.
    server: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Desk {
    authority: Authority,
    conduct: Mutex<Conduct>,
    requests: AtomicU64,
}

impl NameServer {
    /// Opens the port on UDP and TCP.
    ///
    /// # Errors
    /// When it is taken.
    pub async fn start(address: SocketAddr, conduct: Conduct) -> io::Result<Self> {
        let authority = Authority::of_the_demo().map_err(io::Error::other)?;
        let desk = Arc::new(Desk { authority, conduct: Mutex::new(conduct), requests: AtomicU64::new(0) });
        let (udp, tcp) = bind_pair(address).await?;
        let address = udp.local_addr()?;
        let server = tokio::sync::Mutex::new(Some(tokio::spawn(serve(udp, tcp, desk.clone()))));
        Ok(Self { desk, address, server })
    }

    /// Where it listens, on UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it does at this moment.
    pub fn conduct(&self) -> Conduct {
        *self.desk.conduct.lock()
    }

    /// Queries taken so far, answered or not.
    pub fn requests(&self) -> u64 {
        self.desk.requests.load(Ordering::Relaxed)
    }

    /// Changes what it does; when this returns, the sockets are closed or open as the mode says.
    ///
    /// # Errors
    /// When the port cannot be opened again because somebody else has it.
    pub async fn obey(&self, order: Order) -> io::Result<()> {
        let mut server = self.server.lock().await;
        let conduct = self.conduct().after(order);
        if conduct.mode == Mode::Refuse {
            if let Some(running) = server.take() {
                running.abort();
                let _ = running.await;
            }
        } else if server.is_none() {
            let (udp, tcp) = reopen(|| bind_pair(self.address)).await?;
            *server = Some(tokio::spawn(serve(udp, tcp, self.desk.clone())));
        }
        *self.desk.conduct.lock() = conduct;
        Ok(())
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        if let Some(running) = self.server.get_mut().take() {
            running.abort();
        }
    }
}

/// One port number on both transports. With port 0 the system chooses for UDP, and TCP may have bad luck.
async fn bind_pair(address: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let tries = if address.port() == 0 { PAIR_TRIES } else { 1 };
    let mut failed = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..tries {
        let udp = UdpSocket::bind(address).await?;
        match TcpListener::bind(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

async fn serve(udp: UdpSocket, tcp: TcpListener, desk: Arc<Desk>) {
    let udp = Arc::new(udp);
    let (mut datagrams, mut connections) = (JoinSet::new(), JoinSet::new());
    let mut buffer = vec![0; 4096];
    loop {
        tokio::select! {
            // An error is the echo of an answer that nobody waited for: ICMP, told to us later.
            received = udp.recv_from(&mut buffer) => if let Ok((length, from)) = received
                && datagrams.len() < MAX_IN_HAND
            {
                datagrams.spawn(answer_datagram(udp.clone(), from, buffer[..length].to_vec(), desk.clone()));
            },
            accepted = tcp.accept() => match accepted {
                Ok((stream, _)) if connections.len() < MAX_CONNECTIONS => {
                    connections.spawn(serve_connection(stream, desk.clone()));
                }
                Ok(_) => {}
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
            Some(_) = datagrams.join_next() => {}
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer_datagram(socket: Arc<UdpSocket>, from: SocketAddr, query: Vec<u8>, desk: Arc<Desk>) {
    if let Some(answer) = desk.answer(&query, Carrier::Udp).await {
        let _ = socket.send_to(&answer, from).await;
    }
}

/// Messages with a length before each (RFC 7766).
async fn serve_connection(mut stream: TcpStream, desk: Arc<Desk>) {
    let _ = stream.set_nodelay(true);
    while let Some(query) = next_query(&mut stream).await {
        match desk.answer(&query, Carrier::Tcp).await {
            Some(answer) => {
                let Ok(length) = u16::try_from(answer.len()) else { return };
                let framed = [&length.to_be_bytes()[..], &answer].concat();
                if stream.write_all(&framed).await.is_err() {
                    return;
                }
            }
            None if desk.conduct.lock().mode == Mode::Reset => {
                let _ = stream.set_zero_linger();
                return;
            }
            // Silence: the next query may come, and will find silence too.
            None => {}
        }
    }
}

async fn next_query(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let read = async {
        let length = stream.read_u16().await?;
        let mut query = vec![0; usize::from(length)];
        stream.read_exact(&mut query).await?;
        io::Result::Ok(query)
    };
    Deadline::after(IDLE).limit(read).await?.ok()
}

impl Desk {
    /// The bytes to send back, after the time it takes; `None` for silence.
    async fn answer(&self, query: &[u8], carrier: Carrier) -> Option<Vec<u8>> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let conduct = *self.conduct.lock();
        match conduct.mode {
            // A datagram cannot be reset: over UDP it is lost.
            Mode::Hang | Mode::Reset | Mode::Refuse => return None,
            Mode::Ok | Mode::Slow | Mode::Error | Mode::Garbage => {}
        }
        tokio::time::sleep(conduct.delay()).await;
        match conduct.mode {
            Mode::Error => self.authority.servfail(query),
            // The right id and then noise: a sloppy client takes it for its answer.
            Mode::Garbage => Some(query.iter().take(2).copied().chain((0..40).map(|_| fastrand::u8(..))).collect()),
            _ => self.authority.answer(query, carrier),
        }
    }
}

#[cfg(test)]
mod tests;
