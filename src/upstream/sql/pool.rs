//! Connections kept, and seats for those who use one.
//!
//! Our own rather than sqlx's pool, for four things that must hold here: a dip that waits in vain learns whether it was we
//! who were full (`Busy`) or the database that was silent; a connection is closed, not tested and kept, when its
//! query was given up; giving one back costs no round trip; and an attempt to connect belongs to the pool, not to
//! the dip that began it, so that a budget shorter than a handshake still ends in a connection for the next dip.
//!
//! - At most `size` seats at a time; a seat holds at most one connection, so there are never more in use.
//! - At most [`CONNECTING`] attempts at a time, each bounded by the connect timeout, however many dips wait.
//! - Kept connections are used last in, first out, and not past [`KEPT`]: what lies longer may have been cut by a firewall.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};

use crate::deadline::{Deadline, Instant, now};
use crate::upstream::sql::connection::{Connection, Connector};
use crate::upstream::{Failure, FailureKind};

/// Attempts to connect at a time.
const CONNECTING: usize = 4;

/// How long a connection may lie unused, and how long one lives at all, so that a moved database is found.
const KEPT: Duration = Duration::from_secs(5 * 60);
const LIFE: Duration = Duration::from_secs(30 * 60);

/// The pool of one upstream.
#[derive(Debug)]
pub(super) struct Pool {
    shared: Arc<Shared>,
    seats: Arc<Semaphore>,
}

#[derive(Debug)]
struct Shared {
    connector: Connector,
    connect_timeout: Duration,
    connecting: Arc<Semaphore>,
    size: usize,
    idle: Mutex<Vec<Kept>>,
    returned: Notify,
}

#[derive(Debug)]
struct Kept {
    connection: Connection,
    born: Instant,
    since: Instant,
}

/// The right to use a connection, and the connection. Dropped without [`Seat::put_back`], it closes it.
#[derive(Debug)]
pub(super) struct Seat {
    // Before the permit: the connection is gone by the time somebody else may make one.
    connection: Connection,
    born: Instant,
    reused: bool,
    shared: Arc<Shared>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    /// A pool of at most `size` connections, none of them made yet.
    pub(super) fn new(connector: Connector, size: u32, connect_timeout: Duration) -> Self {
        let size = usize::try_from(size.max(1)).unwrap_or(1);
        let shared = Shared {
            connector,
            connect_timeout,
            connecting: Arc::new(Semaphore::new(CONNECTING.min(size))),
            size,
            idle: Mutex::new(Vec::with_capacity(size)),
            returned: Notify::new(),
        };
        Self { shared: Arc::new(shared), seats: Arc::new(Semaphore::new(size)) }
    }

    /// A seat with a connection: a kept one, or a new one, whichever is there first.
    ///
    /// # Errors
    /// `Busy` when no seat comes free by the deadline, `Timeout` or `Connect` when there is no connection to be had.
    pub(super) async fn seat(&self, deadline: Deadline) -> Result<Seat, Failure> {
        let permit = match deadline.limit(Arc::clone(&self.seats).acquire_owned()).await {
            Some(Ok(permit)) => permit,
            Some(Err(_)) => return Err(Failure::new(FailureKind::Bug, "the pool of connections was closed")),
            None => {
                let what =
                    format!("all {} connections of the pool are in use: raise `pool`, or ask less", self.shared.size);
                return Err(Failure::new(FailureKind::Busy, what));
            }
        };
        let shared = Arc::clone(&self.shared);
        let (kept, reused) = tokio::select! {
            biased;
            kept = shared.kept() => (kept, true),
            made = shared.make(deadline) => (made?, false),
        };
        Ok(Seat { connection: kept.connection, born: kept.born, reused, shared, _permit: permit })
    }
}

impl Seat {
    /// The connection.
    pub(super) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// True when it was lying in the pool, and may have died there.
    pub(super) fn is_reused(&self) -> bool {
        self.reused
    }

    /// Gives the connection back for others.
    pub(super) fn put_back(self) {
        self.shared.keep(Kept { connection: self.connection, born: self.born, since: now() });
    }

    /// Swaps a dead connection for a new one. Those that lay beside it are dropped too: what
    /// killed one, a restart most likely, killed them all.
    ///
    /// # Errors
    /// As [`Pool::seat`].
    pub(super) async fn renew(&mut self, deadline: Deadline) -> Result<(), Failure> {
        let dead = std::mem::take(&mut *self.shared.idle.lock());
        drop(dead);
        let kept = self.shared.make(deadline).await?;
        (self.connection, self.born, self.reused) = (kept.connection, kept.born, false);
        Ok(())
    }
}

impl Shared {
    /// The next kept connection, as soon as there is one.
    async fn kept(&self) -> Kept {
        loop {
            // In the line before looking, or a connection given back between the two would call nobody.
            let mut returned = std::pin::pin!(self.returned.notified());
            returned.as_mut().enable();
            if let Some(kept) = self.take() {
                return kept;
            }
            returned.await;
        }
    }

    fn take(&self) -> Option<Kept> {
        let now = now();
        let mut idle = self.idle.lock();
        // Last in, first out: those at the front are the oldest, and go when they have lain too long.
        idle.retain(|kept| now - kept.since < KEPT && now - kept.born < LIFE);
        idle.pop()
    }

    fn keep(&self, kept: Kept) {
        let mut idle = self.idle.lock();
        if idle.len() < self.size {
            idle.push(kept);
            drop(idle);
            self.returned.notify_one();
        }
    }

    /// A new connection. The attempt is a task of its own: it goes on to its own timeout when the dip
    /// has left, and what it made is kept for the next one.
    async fn make(self: &Arc<Self>, deadline: Deadline) -> Result<Kept, Failure> {
        let silent = || Failure::new(FailureKind::Timeout, "the database gave no connection by the deadline");
        let permit = match deadline.limit(Arc::clone(&self.connecting).acquire_owned()).await {
            Some(Ok(permit)) => permit,
            Some(Err(_)) => return Err(Failure::new(FailureKind::Bug, "the pool of connections was closed")),
            None => return Err(silent()),
        };
        let (sender, receiver) = oneshot::channel();
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            let made = shared.open().await;
            drop(permit);
            if let Err(Ok(kept)) = sender.send(made) {
                shared.keep(kept);
            }
        });
        match deadline.limit(receiver).await {
            Some(Ok(made)) => made,
            Some(Err(_)) => Err(Failure::new(FailureKind::Bug, "an attempt to connect ended without a result")),
            None => Err(silent()),
        }
    }

    async fn open(&self) -> Result<Kept, Failure> {
        match Deadline::after(self.connect_timeout).limit(self.connector.open()).await {
            Some(Ok(connection)) => Ok(Kept { connection, born: now(), since: now() }),
            Some(Err(failure)) => Err(failure),
            None => {
                let what = format!("the database gave no connection within {:?}", self.connect_timeout);
                Err(Failure::new(FailureKind::Connect, what))
            }
        }
    }
}
