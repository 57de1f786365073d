//! The HTTP front: `GET /v1/lookup/{lookup}/{key}`, `GET /v1/call/{bundle}`, `POST /v1/call`,
//! `GET /v1/health[/{lookup}]`, and `GET /v1/db/{lookup}/` for OpenSIPS' `db_http` (`db`).
//!
//! A connection starts in the *plain lane*, [`plain`]: our own loop over the socket, which answers
//! the one kind of request that SIP servers send and puts the reply together from prepared pieces.
//! The first request that is anything else ([`head`] decides) moves the connection, with the bytes
//! not yet read, to the *full lane*, [`full`]: hyper, for the rest of its life. hyper knows HTTP/1.0,
//! HEAD, bodies, HTTP/2 and every odd head, so that the plain lane need not.
//!
//! Both lanes share everything that a caller can see: [`route`], [`query`] and [`ask`] take a target
//! to something to say, [`form`](crate::front::form), [`reply`] and [`problem`] to the bytes for it. `tests/http_front.rs` holds
//! them to giving the same reply to the same request.
//!
//! What must hold: a head is bounded in size, fields and, once begun, in time; a reply that nobody
//! reads is bounded in size and time; an idle connection is left alone for ever.
//!
//! Two decisions that callers see: a `field` (or a policy's text field) that a found record lacks is
//! 404 with outcome `not_found`; a parameter given twice is 400.

mod ask;
mod call;
mod close;
mod db;
mod escape;
mod full;
mod guard;
mod head;
mod plain;
mod problem;
mod query;
mod reply;
mod route;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::front::desk::Desk;
use crate::front::listen::{self, Drain, Limits, Listener};

/// What may be set about the front. The defaults are right for SIP servers.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Bounds for connections.
    pub limits: Limits,
    /// A head that has begun must be whole within this time.
    pub head_time: Duration,
    /// A reply must be taken within this time.
    pub write_time: Duration,
    /// False sends every connection to the full lane at once: for comparing the two.
    pub plain_lane: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            head_time: Duration::from_secs(5),
            write_time: Duration::from_secs(10),
            plain_lane: true,
        }
    }
}

/// Serves these listeners until `drain` begins and all requests in hand are answered, or its time is over.
pub async fn serve<D: Desk>(listeners: Vec<Listener>, desk: Arc<D>, settings: Settings, drain: Drain) {
    let watched = drain.clone();
    listen::serve(listeners, settings.limits, drain, move |stream| {
        connection(stream, desk.clone(), settings, watched.clone())
    })
    .await;
}

/// One connection, from its first byte to its last.
async fn connection<D: Desk>(stream: TcpStream, desk: Arc<D>, settings: Settings, drain: Drain) {
    let lane = plain::Plain::new(stream, settings, drain.watch());
    if let Some(rest) = lane.run(&*desk).await {
        // Boxed, because most connections never come here and would carry its size about.
        Box::pin(full::run(rest, desk, settings, drain)).await;
    }
}
