//! Datagrams as many as there are, in one call of the system.
//!
//! Who reads them one by one needs a call more than there are questions, to learn that nobody waits any more; who asks
//! for several and gets fewer has learnt it already. The replies to what was read together leave together.

use std::array::from_fn;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::AsRawFd;

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Datagrams that are read at once.
const MOST: usize = 32;

/// No query is longer over UDP.
const LONGEST: usize = 4096;

/// What was read last.
pub(super) struct Incoming {
    room: Box<[u8]>,
    /// How long each is, and whose.
    read: Vec<(usize, Option<SocketAddr>)>,
}

/// Replies on their way.
#[derive(Default)]
pub(super) struct Outgoing {
    text: Vec<u8>,
    /// Where each is in the text, and to whom it goes.
    replies: Vec<(Range<usize>, SocketAddr)>,
}

impl Default for Incoming {
    fn default() -> Self {
        Self { room: vec![0; MOST * LONGEST].into(), read: Vec::with_capacity(MOST) }
    }
}

impl Incoming {
    /// Reads what waits at the socket: up to twice as many as the last time. The socket stays ready if there may be more.
    ///
    /// # Errors
    /// The echo of a reply that nobody waited for any more: ICMP, told to us later.
    pub(super) fn read(&mut self, socket: &UdpSocket) -> io::Result<()> {
        let Self { room, read } = self;
        let most = (2 * read.len()).clamp(2, MOST);
        read.clear();
        let done = socket.try_io(Interest::READABLE, || {
            // Made anew each time: those that were used remember the last addresses' length and take no longer ones.
            let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(most, None);
            let mut places = room.chunks_exact_mut(LONGEST);
            let mut slices: [_; MOST] = from_fn(|_| [IoSliceMut::new(places.next().unwrap_or_default())]);
            let slices = &mut slices[..most];
            let came = recvmmsg(socket.as_raw_fd(), &mut headers, slices, MsgFlags::MSG_DONTWAIT, None)?;
            read.extend(came.map(|datagram| (datagram.bytes, datagram.address.as_ref().and_then(plain))));
            // Fewer than there was room for: nobody else waits, and the runtime may sleep until somebody does.
            if read.len() < most { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        match done {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    /// True when the last read took as many as there ever are at once.
    pub(super) fn is_full(&self) -> bool {
        self.read.len() == MOST
    }

    /// What was read, and from whom; nobody can answer one that came from nowhere.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], SocketAddr)> {
        let places = self.room.chunks_exact(LONGEST).zip(&self.read);
        places.filter_map(|(place, (length, from))| Some((place.get(..*length)?, (*from)?)))
    }
}

impl Outgoing {
    /// Adds the reply that `write` puts behind the others, if it has one; true if so.
    pub(super) fn add(&mut self, to: SocketAddr, write: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        let begin = self.text.len();
        let is_there = write(&mut self.text);
        if is_there {
            self.replies.push((begin..self.text.len(), to));
        } else {
            self.text.truncate(begin);
        }
        is_there
    }

    /// Sends them all. A datagram that the system has no room for is lost, as any may be: the client asks again.
    pub(super) fn send(&mut self, socket: &UdpSocket) {
        let Self { text, replies } = self;
        match &replies[..] {
            [] => {}
            [(place, to)] => send(socket, *to, &text[place.clone()]),
            many => many.chunks(MOST).for_each(|some| send_together(socket, text, some)),
        }
        replies.clear();
        text.clear();
    }
}

/// Sends one.
pub(super) fn send(socket: &UdpSocket, to: SocketAddr, bytes: &[u8]) {
    if let Err(error) = socket.try_send_to(bytes, to) {
        tracing::debug!(%error, "a DNS reply could not be sent");
    }
}

fn send_together(socket: &UdpSocket, text: &[u8], mut replies: &[(Range<usize>, SocketAddr)]) {
    while !replies.is_empty() {
        let slices: Vec<_> = replies.iter().map(|(place, _)| [IoSlice::new(&text[place.clone()])]).collect();
        let to: Vec<_> = replies.iter().map(|(_, to)| Some(SockaddrStorage::from(*to))).collect();
        let mut headers = MultiHeaders::preallocate(replies.len(), None);
        let done = sendmmsg(socket.as_raw_fd(), &mut headers, &slices, &to, [], MsgFlags::MSG_DONTWAIT);
        // It stops at the first that is not to be sent, which is passed over: the next may be.
        let gone = match done {
            Ok(sent) => sent.count().max(1),
            Err(error) => {
                tracing::debug!(%error, "a DNS reply could not be sent");
                1
            }
        };
        replies = replies.get(gone..).unwrap_or_default();
    }
}

fn plain(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn socket(address: &str) -> UdpSocket {
        UdpSocket::bind(address).await.unwrap()
    }

    /// All that comes, until this many are there.
    async fn all(socket: &UdpSocket, count: usize) -> Vec<(Vec<u8>, SocketAddr)> {
        let (mut incoming, mut came) = (Incoming::default(), Vec::new());
        while came.len() < count {
            tokio::time::timeout(std::time::Duration::from_secs(5), socket.readable()).await.expect("more").unwrap();
            incoming.read(socket).unwrap();
            came.extend(incoming.iter().map(|(bytes, from)| (bytes.to_vec(), from)));
        }
        came
    }

    #[tokio::test]
    async fn each_is_read_once_in_turn_and_with_its_sender() {
        for here in ["127.0.0.1:0", "[::1]:0"] {
            let (ours, one, other) = (socket(here).await, socket(here).await, socket(here).await);
            let (to, mut expected) = (ours.local_addr().unwrap(), Vec::new());
            for n in 0..101_usize {
                let from = if n % 3 == 0 { &other } else { &one };
                let bytes = vec![n as u8; n * 7 % 500];
                from.send_to(&bytes, to).await.unwrap();
                expected.push((bytes, from.local_addr().unwrap()));
            }
            assert_eq!(all(&ours, expected.len()).await, expected);
            one.send_to(b"later", to).await.unwrap();
            assert_eq!(all(&ours, 1).await, [(b"later".to_vec(), one.local_addr().unwrap())], "the runtime has woken");
        }
    }

    #[tokio::test]
    async fn one_that_cannot_be_sent_costs_no_other() {
        let (ours, client) = (socket("127.0.0.1:0").await, socket("127.0.0.1:0").await);
        let (to, nowhere) = (client.local_addr().unwrap(), "127.0.0.1:0".parse().unwrap());
        let mut outgoing = Outgoing::default();
        for n in 0..75_u8 {
            let text = |out: &mut Vec<u8>| {
                out.extend_from_slice(&[n; 3]);
                // Half of a reply that is none after all.
                n % 10 != 4
            };
            let is_there = outgoing.add(if n % 25 == 0 { nowhere } else { to }, text);
            assert_eq!(is_there, n % 10 != 4);
        }
        outgoing.send(&ours);
        let expected: Vec<_> = (0..75_u8).filter(|n| n % 10 != 4 && n % 25 != 0).map(|n| vec![n; 3]).collect();
        let came = all(&client, expected.len()).await;
        assert_eq!(came.into_iter().map(|(bytes, _)| bytes).collect::<Vec<_>>(), expected);
        assert!(outgoing.replies.is_empty() && outgoing.text.is_empty());
    }
}
