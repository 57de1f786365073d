//! Datagrams: a hit is answered where it is read, a miss by a task that waits.

use std::net::SocketAddr;
use std::sync::Arc;

use hickory_proto::op::Message;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use crate::deadline::{Deadline, now, tick};
use crate::front::desk::Desk;
use crate::front::dns::Settings;
use crate::front::dns::cookie::Baker;
use crate::front::dns::datagrams::{Incoming, Outgoing, send};
use crate::front::dns::query::{self, read};
use crate::front::dns::ready::Shelf;
use crate::front::dns::reply::{self, Reason};
use crate::front::dns::resolve::{Step, begin};
use crate::front::listen::Drain;

/// One socket and those who wait for what others are asked on its behalf.
struct Post<D: Desk> {
    socket: Arc<UdpSocket>,
    desk: Arc<D>,
    baker: Arc<Baker>,
    settings: Settings,
    waiting: JoinSet<()>,
    shelf: Shelf<D::Line>,
    outgoing: Outgoing,
}

/// Answers until `drain` begins and nothing is left in hand, or its time is over.
pub async fn serve<D: Desk>(socket: UdpSocket, desk: Arc<D>, baker: Arc<Baker>, settings: Settings, drain: Drain) {
    let socket = match socket.into_std().and_then(UdpSocket::from_std) {
        Ok(socket) => socket,
        Err(error) => return tracing::error!(%error, "cannot listen for datagrams"),
    };
    let (waiting, shelf, outgoing) = (JoinSet::new(), Shelf::default(), Outgoing::default());
    let mut post = Post { socket: Arc::new(socket), desk, baker, settings, waiting, shelf, outgoing };
    let mut watch = drain.watch();
    let mut incoming = Incoming::default();
    loop {
        tokio::select! {
            () = watch.wait() => break,
            Some(_) = post.waiting.join_next() => {}
            readable = post.socket.readable() => match readable {
                Ok(()) => {
                    post.take_all(&mut incoming);
                    // Others on this thread have their turn, however fast they come.
                    if incoming.is_full() {
                        tokio::task::yield_now().await;
                    }
                }
                Err(error) => tracing::debug!(%error, "a DNS socket cannot be waited for"),
            },
        }
    }
    let done = async { while post.waiting.join_next().await.is_some() {} };
    // Dropping the set ends what is left.
    let _ = Deadline::after(settings.limits.drain).limit(done).await;
}

impl<D: Desk> Post<D> {
    fn take_all(&mut self, incoming: &mut Incoming) {
        if let Err(error) = incoming.read(&self.socket) {
            return tracing::debug!(%error, "a datagram could not be read");
        }
        let tick = tick();
        incoming.iter().for_each(|(query, from)| self.take(query, from, tick));
        self.outgoing.send(&self.socket);
    }

    fn take(&mut self, query: &[u8], from: SocketAddr, tick: u64) {
        if self.outgoing.add(from, |out| self.shelf.answer(&*self.desk, query, tick, out)) {
            return;
        }
        let asked = match read(query, from.ip(), &self.baker) {
            query::Incoming::Asked(asked) => *asked,
            query::Incoming::Refused(reply, size) => return self.say(from, &reply, size),
            query::Incoming::Noise => return,
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
