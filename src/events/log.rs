//! The log line of an event, written by a thread of its own: standard output may be a pipe that nobody reads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::deadline::now;
use crate::events::Event;

/// Lines that may wait.
const QUEUE: usize = 1024;
/// How often the thread looks. Nobody wakes it, since waking is a system call.
const LOOK: Duration = Duration::from_millis(10);

static QUEUED: AtomicU64 = AtomicU64::new(0);
static WRITTEN: AtomicU64 = AtomicU64::new(0);
static LOST: AtomicU64 = AtomicU64::new(0);

/// `None` where the system gives us no thread: then lines are written in place.
static LINES: LazyLock<Option<SyncSender<Arc<Event>>>> = LazyLock::new(|| {
    let (lines, waiting) = sync_channel(QUEUE);
    std::thread::Builder::new().name("events-log".to_owned()).spawn(move || run(&waiting)).ok()?;
    Some(lines)
});

/// Has the event's line written. A line that finds no room is counted and told with a later one.
pub(super) fn line(event: Arc<Event>) {
    match &*LINES {
        Some(lines) => {
            if lines.try_send(event).is_ok() {
                QUEUED.fetch_add(1, Ordering::Relaxed);
            } else {
                LOST.fetch_add(1, Ordering::Relaxed);
            }
        }
        None => write(&event),
    }
}

/// Waits, not for long, until the lines so far are written: a process that ends should have said so.
pub(super) fn flush(patience: Duration) {
    let end = now() + patience;
    while WRITTEN.load(Ordering::Acquire) < QUEUED.load(Ordering::Acquire) && now() < end {
        std::thread::sleep(LOOK);
    }
}

fn run(waiting: &Receiver<Arc<Event>>) {
    loop {
        match waiting.try_recv() {
            Ok(event) => {
                write(&event);
                let lost = LOST.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    tracing::warn!(lost, "the log was too slow for that many lines about events");
                }
                WRITTEN.fetch_add(1, Ordering::Release);
            }
            Err(TryRecvError::Empty) => std::thread::sleep(LOOK),
            Err(TryRecvError::Disconnected) => return,
        }
    }
}

fn write(event: &Event) {
    let (lookup, upstream) = (event.lookup.as_deref().unwrap_or(""), event.upstream.as_deref().unwrap_or(""));
    let (name, from, to, reason) = (event.event.as_str(), event.from, event.to, event.reason.as_str());
    if event.event.is_bad() {
        tracing::warn!(event = name, lookup, upstream, from, to, reason);
    } else {
        tracing::info!(event = name, lookup, upstream, from, to, reason);
    }
}
