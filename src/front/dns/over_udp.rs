//! Datagrams: a hit is answered where it is read, a miss by a task that waits.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use crate::deadline::{Deadline, now};
use crate::front::desk::Desk;
use crate::front::dns::Settings;
use crate::front::dns::cookie::Baker;
use crate::front::dns::query::{Incoming, read};
use crate::front::dns::reply::{self, Reason};
use crate::front::dns::resolve::{Step, begin};
use crate::front::listen::Drain;

/// No query is longer over UDP.
const MOST: usize = 4096;

/// Answers until `drain` begins and nothing is left in hand, or its time is over.
pub async fn serve<D: Desk>(socket: UdpSocket, desk: Arc<D>, baker: Arc<Baker>, settings: Settings, drain: Drain) {
    let socket = Arc::new(socket);
    let mut waiting = JoinSet::new();
    let mut watch = drain.watch();
    let mut buffer = vec![0; MOST];
    loop {
        tokio::select! {
            () = watch.wait() => break,
            Some(_) = waiting.join_next() => {}
            received = socket.recv_from(&mut buffer) => match received {
                Ok((length, from)) => {
                    let read = read(&buffer[..length], from.ip(), &baker);
                    take(read, from, &socket, &desk, &settings, &mut waiting);
                }
                // The echo of a reply that nobody waited for any more: ICMP, told to us later.
                Err(error) => tracing::debug!(%error, "a datagram could not be read"),
            },
        }
    }
    let done = async { while waiting.join_next().await.is_some() {} };
    // Dropping the set ends what is left.
    let _ = Deadline::after(settings.limits.drain).limit(done).await;
}

fn take<D: Desk>(
    read: Incoming,
    from: SocketAddr,
    socket: &Arc<UdpSocket>,
    desk: &Arc<D>,
    settings: &Settings,
    waiting: &mut JoinSet<()>,
) {
    let asked = match read {
        Incoming::Asked(asked) => *asked,
        Incoming::Refused(reply, size) => return send(socket, from, reply::bytes(&reply, size)),
        Incoming::Noise => return,
    };
    match begin(&**desk, asked) {
        Step::Say(reply, size) => send(socket, from, reply::bytes(&reply, size)),
        Step::Ask(question) if waiting.len() >= settings.waiting => {
            let size = question.asked.size;
            let reply = reply::failed(question.asked, Reason::NotReady);
            send(socket, from, reply::bytes(&reply, size));
        }
        Step::Ask(question) => {
            let (socket, desk, since) = (Arc::clone(socket), Arc::clone(desk), now());
            waiting.spawn(async move {
                let size = question.asked.size;
                let reply = question.reply(&*desk, since).await;
                send(&socket, from, reply::bytes(&reply, size));
            });
        }
    }
}

/// A datagram that the system has no room for is lost, as any datagram may be: the client asks again.
fn send(socket: &UdpSocket, to: SocketAddr, bytes: Option<Vec<u8>>) {
    if let Some(bytes) = bytes
        && let Err(error) = socket.try_send_to(&bytes, to)
    {
        tracing::debug!(%error, "a DNS reply could not be sent");
    }
}
