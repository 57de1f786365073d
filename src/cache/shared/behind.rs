//! Writes, behind everybody's back: no caller ever waits for one.
//!
//! One queue and one task a server, bounded in number and in bytes. What does not fit is dropped and
//! counted: it is only a cache, and the next dip writes it again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

use crate::cache::shared::connection::{Fault, Write};
use crate::cache::shared::guard::LONGEST_VALUE;
use crate::cache::shared::server::Server;

/// The most that waits for one server.
const MOST: usize = 8192;
/// The most bytes that wait for one server.
const MOST_BYTES: usize = 32 << 20;
/// The most that is written in one go.
const BATCH: usize = 64;

/// The queue of one server.
#[derive(Debug)]
pub(super) struct Behind {
    queue: mpsc::Sender<Write>,
    waiting: Arc<AtomicUsize>,
    server: Arc<Server>,
}

impl Behind {
    /// The queue and the task that empties it.
    pub(super) fn new(server: Arc<Server>) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (queue, writes) = mpsc::channel(MOST);
        let waiting = Arc::new(AtomicUsize::new(0));
        let task = empty(writes, Arc::clone(&waiting), Arc::clone(&server));
        (Self { queue, waiting, server }, task)
    }

    /// Has this written soon, or drops it.
    pub(super) fn write(&self, write: Write) {
        let size = size(&write);
        let fault = if !self.server.is_up() {
            Fault::Open
        } else if self.waiting.load(Ordering::Relaxed) + size <= MOST_BYTES {
            self.waiting.fetch_add(size, Ordering::Relaxed);
            match self.queue.try_send(write) {
                Ok(()) => return,
                Err(_) => {
                    self.waiting.fetch_sub(size, Ordering::Relaxed);
                    Fault::Full
                }
            }
        } else {
            Fault::Full
        };
        self.server.failed(fault);
    }
}

fn size(write: &Write) -> usize {
    write.key.len() + write.value.as_ref().map_or(0, Vec::len)
}

async fn empty(mut writes: mpsc::Receiver<Write>, waiting: Arc<AtomicUsize>, server: Arc<Server>) {
    let mut batch = Vec::with_capacity(BATCH);
    while writes.recv_many(&mut batch, BATCH).await > 0 {
        // Large ones go in smaller groups: each group has one operation's time.
        let mut rest = &batch[..];
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |write: &&Write| {
                bytes += size(write);
                bytes <= LONGEST_VALUE
            };
            let count = rest.iter().take_while(fits).count().max(1);
            let (group, others) = rest.split_at(count);
            rest = others;
            // Counted where it failed; nothing here can be made better by trying again.
            let _ = server.write(group).await;
        }
        waiting.fetch_sub(batch.iter().map(size).sum(), Ordering::Relaxed);
        batch.clear();
    }
}
