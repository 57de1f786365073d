//! Datagrams: a hit is answered where it is read, a miss by a task that waits.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use hickory_proto::op::Message;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use crate::deadline::{Deadline, now, tick};
use crate::front::desk::Desk;
use crate::front::dns::Settings;
use crate::front::dns::cookie::Baker;
use crate::front::dns::query::{Incoming, read};
use crate::front::dns::ready::Shelf;
use crate::front::dns::reply::{self, Reason};
use crate::front::dns::resolve::{Step, begin};
use crate::front::listen::Drain;

/// No query is longer over UDP.
const MOST: usize = 4096;

/// Datagrams that are read in a row before others get their turn.
const BATCH: usize = 64;

/// One socket and those who wait for what others are asked on its behalf.
struct Post<D: Desk> {
    socket: Arc<UdpSocket>,
    desk: Arc<D>,
    baker: Arc<Baker>,
    settings: Settings,
    waiting: JoinSet<()>,
    shelf: Shelf<D::Line>,
    /// Where a reply from the shelf is put together.
    output: Vec<u8>,
}

/// Answers until `drain` begins and nothing is left in hand, or its time is over.
pub async fn serve<D: Desk>(socket: UdpSocket, desk: Arc<D>, baker: Arc<Baker>, settings: Settings, drain: Drain) {
    let socket = match socket.into_std().and_then(UdpSocket::from_std) {
        Ok(socket) => socket,
        Err(error) => return tracing::error!(%error, "cannot listen for datagrams"),
    };
    let (waiting, shelf) = (JoinSet::new(), Shelf::default());
    let mut post = Post { socket: Arc::new(socket), desk, baker, settings, waiting, shelf, output: Vec::new() };
    let mut watch = drain.watch();
    let mut buffer = vec![0; MOST];
    loop {
        tokio::select! {
            () = watch.wait() => break,
            Some(_) = post.waiting.join_next() => {}
            readable = post.socket.readable() => match readable {
                Ok(()) => post.take_batch(&mut buffer),
                Err(error) => tracing::debug!(%error, "a DNS socket cannot be waited for"),
            },
        }
    }
    let done = async { while post.waiting.join_next().await.is_some() {} };
    // Dropping the set ends what is left.
    let _ = Deadline::after(settings.limits.drain).limit(done).await;
}

impl<D: Desk> Post<D> {
    fn take_batch(&mut self, buffer: &mut [u8]) {
        let tick = tick();
        for _ in 0..BATCH {
            match self.socket.try_recv_from(buffer) {
                Ok((length, from)) => self.take(&buffer[..length], from, tick),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The echo of a reply that nobody waited for any more: ICMP, told to us later.
                Err(error) => tracing::debug!(%error, "a datagram could not be read"),
            }
        }
    }

    fn take(&mut self, query: &[u8], from: SocketAddr, tick: u64) {
        if self.shelf.answer(&*self.desk, query, tick, &mut self.output) {
            return send(&self.socket, from, &self.output);
        }
        let asked = match read(query, from.ip(), &self.baker) {
            Incoming::Asked(asked) => *asked,
            Incoming::Refused(reply, size) => return self.say(from, &reply, size),
            Incoming::Noise => return,
        };
        match begin(&*self.desk, asked) {
            Step::Say(reply, size, made) => {
                let Some(bytes) = reply::bytes(&reply, size) else { return };
                send(&self.socket, from, &bytes);
                if let Some(made) = made {
                    self.shelf.keep(query, &bytes, *made);
                }
            }
            Step::Ask(question) if self.waiting.len() >= self.settings.waiting => {
                let size = question.asked.size;
                self.say(from, &reply::failed(question.asked, Reason::NotReady), size);
            }
            Step::Ask(question) => {
                let (socket, desk, since) = (Arc::clone(&self.socket), Arc::clone(&self.desk), now());
                self.waiting.spawn(async move {
                    let size = question.asked.size;
                    let reply = question.reply(&*desk, since).await;
                    if let Some(bytes) = reply::bytes(&reply, size) {
                        send(&socket, from, &bytes);
                    }
                });
            }
        }
    }

    fn say(&self, to: SocketAddr, reply: &Message, size: u16) {
        if let Some(bytes) = reply::bytes(reply, size) {
            send(&self.socket, to, &bytes);
        }
    }
}

/// A datagram that the system has no room for is lost, as any datagram may be: the client asks again.
fn send(socket: &UdpSocket, to: SocketAddr, bytes: &[u8]) {
    if let Err(error) = socket.try_send_to(bytes, to) {
        tracing::debug!(%error, "a DNS reply could not be sent");
    }
}
