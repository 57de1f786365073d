//! The DNS front: A, AAAA, SRV, NAPTR, TXT, PTR and CNAME over UDP and TCP, through the pipeline like every other question.
//!
//! Which lookup answers: one of kind `dns` or `enum` whose key is a DNS name and whose record has the field
//! of the type that is asked for (`a`, `aaaa`, `srv`, `naptr`, `txt`, `ptr`, `cname`), in order of name; one whose policy does not
//! apply to a name leaves it to the next. A policy with an input `type` is told the type, and so can serve all of
//! them. A name that no lookup takes is REFUSED: this is no resolver for the world.
//!
//! The way of a message: [`query`] reads it or says what is wrong with it, [`resolve`] asks, [`records`]
//! makes records of the answer's field, [`reply`] puts the message together; [`ready`] says again what was said before. [`over_udp`] and [`over_tcp`] own the sockets,
//! [`datagrams`] are read and sent many at once.
//!
//! What must hold: a message that is a query is answered, within the policy's budget, with the question as it was
//! written; a stale record with a short TTL goes before SERVFAIL, because Kamailio and OpenSIPS keep a failure for minutes or an
//! hour; a TTL is at least 1, because neither keeps a 0 at all; a client who speaks EDNS is told why (RFC 8914); one who
//! sends a cookie gets it back (`cookie`).
//!
//! Not here on purpose: DNSSEC, transfers, updates, and aliases on the way: an answer behind a CNAME is told under
//! the name that was asked for.

mod cookie;
mod datagrams;
mod query;
mod ready;
mod resolve;
mod records;
mod reply;
mod over_udp;
mod over_tcp;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use crate::crew::Crew;
use crate::front::desk::Desk;
use crate::front::listen::{self, BindError, Drain, Limits, Listener};

/// How often a free UDP port is looked for whose number is free on TCP too, when the system chooses.
const PAIR_TRIES: usize = 16;

/// What may be set about the front.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Bounds for TCP connections.
    pub limits: Limits,
    /// Datagrams that wait for an answer at once; one more is answered SERVFAIL.
    pub waiting: usize,
    /// How long a TCP connection may be quiet (RFC 7766, section 6.2.3), and how long a reply may take to be taken.
    pub quiet: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { limits: Limits::default(), waiting: 4096, quiet: Duration::from_secs(120) }
    }
}

/// One address, on UDP and TCP.
#[derive(Debug)]
pub struct Door {
    udp: UdpSocket,
    tcp: Listener,
}

impl Door {
    /// Binds both; port 0 lets the system choose one number for the two.
    ///
    /// # Errors
    /// When the address is taken or is none of this machine's.
    pub async fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let mut tries = if address.port() == 0 { PAIR_TRIES } else { 1 };
        loop {
            tries -= 1;
            let tcp = Listener::bind(address)?;
            match UdpSocket::bind(tcp.address()).await {
                Ok(udp) => return Ok(Self { udp, tcp }),
                Err(source) if tries == 0 => return Err(BindError { address, source }),
                Err(_) => {}
            }
        }
    }

    /// Has what comes in served by these threads.
    pub fn served_by(self, crew: &Crew) -> Self {
        Self { tcp: self.tcp.served_by(crew), ..self }
    }

    /// The address in use, with the port that the system chose.
    pub fn address(&self) -> SocketAddr {
        self.tcp.address()
    }
}

/// Serves at these doors until `drain` begins and what is in hand is answered, or its time is over.
pub async fn serve<D: Desk>(doors: Vec<Door>, desk: Arc<D>, settings: Settings, drain: Drain) {
    let (mut datagrams, mut listeners) = (JoinSet::new(), Vec::new());
    let baker = Arc::new(cookie::Baker::default());
    for door in doors {
        let (desk, baker) = (Arc::clone(&desk), Arc::clone(&baker));
        let work = over_udp::serve(door.udp, desk, baker, settings, drain.clone());
        door.tcp.crew().keep_door(&mut datagrams, work);
        listeners.push(door.tcp);
    }
    let watched = drain.clone();
    let over_tcp = listen::serve(listeners, settings.limits, drain, move |stream| {
        over_tcp::connection(stream, Arc::clone(&desk), Arc::clone(&baker), settings, watched.clone())
    });
    let over_udp = async {
        while let Some(ended) = datagrams.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a DNS listener's task ended; please report this");
            }
        }
    };
    tokio::join!(over_tcp, over_udp);
}
