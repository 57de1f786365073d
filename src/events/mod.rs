//! What broke and what healed, told to whoever listens, and none of it lost.
//!
//! ```text
//!  raise ──> queue ──> teller ──> spool ──> courier ──> kafka
//!     │     (memory)  (thread)   (disk)    (a thread    file
//!     └──> the latest, for the status page  each)
//! ```
//!
//! [`Events::raise`] never waits and makes no system call: it leaves the event in a bounded queue. The
//! [`teller`](self) looks into it every few milliseconds, writes the log line, gives the event its form and its
//! `id`, and brings all that came together to disk with one sync. Each [`courier`](self) carries them from the spool
//! to its sink, in order for each lookup, and notes how far it is only when the sink has said that it has them.
//!
//! What is promised: an event that reached the spool arrives at least once, whatever is killed; a repeat
//! has the same `id`. What is not: the few milliseconds between `raise` and the spool die with the process.
//! Whoever must know waits for [`Events::kept`].

mod kind;
mod event;
mod form;
mod summary;
mod log;
mod losses;
mod teller;
mod courier;
mod cursor;
mod books;
mod dead_letter;
pub mod sink;
pub mod tail;
pub mod spool;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::deadline::Deadline;

pub use books::{Books, Figures, SinkFigures};
pub use event::Event;
pub use form::Scribe;
pub use kind::EventType;
pub use summary::{Kind as SummaryKind, Summary};
pub use teller::{CannotStart, Post, Running};

/// How many of the latest events the status page can show.
const RECENT: usize = 64;

/// Where events go.
#[derive(Debug, Default)]
pub struct Events {
    recent: Mutex<VecDeque<Arc<Event>>>,
    /// Set once, when there is a spool.
    queue: OnceLock<SyncSender<Post>>,
    /// Events that found the queue full.
    lost: AtomicU64,
}

impl Events {
    /// Tells everybody. Never waits.
    pub fn raise(&self, event: Event) {
        let event = Arc::new(event);
        let mut recent = self.recent.lock();
        if recent.len() == RECENT {
            recent.pop_front();
        }
        recent.push_back(Arc::clone(&event));
        drop(recent);
        let Some(queue) = self.queue.get() else { return log::line(&event) };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = queue.try_send(Post::Event(event)) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The latest events, oldest first.
    pub fn recent(&self) -> Vec<Arc<Event>> {
        self.recent.lock().iter().cloned().collect()
    }

    /// Waits until everything that this caller has raised is on disk; false when it is not within `patience`, or
    /// there is no spool.
    pub async fn kept(&self, patience: Duration) -> bool {
        let Some(queue) = self.queue.get() else { return false };
        let (mark, kept) = oneshot::channel();
        if queue.try_send(Post::Mark(mark)).is_err() {
            return false;
        }
        matches!(Deadline::after(patience).limit(kept).await, Some(Ok(())))
    }
}

#[cfg(test)]
mod tests;
