//! Connections that are kept: the one that was used last is used next, and each stays on its thread.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::{IDLE, Line};
use crate::crew;
use crate::deadline::{Instant, now};

/// How often a thread looks for connections that it has kept too long.
const SWEEP: Duration = Duration::from_secs(25);

/// Kept connections, a stack for each thread that serves and one for all others.
#[derive(Debug)]
pub(super) struct Stacks {
    stacks: Box<[Mutex<Stack>]>,
    /// The most on one stack.
    most: usize,
}

#[derive(Debug, Default)]
struct Stack {
    kept: Vec<Kept>,
    is_swept: bool,
}

/// One that is free.
#[derive(Debug)]
pub(super) struct Kept {
    authority: Box<str>,
    /// What its requests call the host.
    pub host: String,
    pub line: Line,
    since: Instant,
}

impl Kept {
    pub(super) fn new(authority: &str, host: String, line: Line) -> Self {
        Self { authority: authority.into(), host, line, since: now() }
    }
}

impl Stacks {
    /// None kept yet.
    pub(super) fn new(most: usize) -> Arc<Self> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from) + 1;
        Arc::new(Self { stacks: (0..threads).map(|_| Mutex::default()).collect(), most })
    }

    /// A kept connection to this host, if this thread has one that is not too old.
    pub(super) fn take(&self, authority: &str) -> Option<Kept> {
        let kept = &mut self.here().lock().kept;
        let place = kept.iter().rposition(|kept| *kept.authority == *authority)?;
        let kept = kept.remove(place);
        // Those below it are older still, and go with the next sweep.
        (now().saturating_duration_since(kept.since) < IDLE).then_some(kept)
    }

    /// Keeps a connection.
    pub(super) fn put(self: &Arc<Self>, kept: Kept) {
        let mut stack = self.here().lock();
        if stack.kept.len() < self.most {
            stack.kept.push(Kept { since: now(), ..kept });
            if !std::mem::replace(&mut stack.is_swept, true) {
                tokio::spawn(sweep(Arc::downgrade(self)));
            }
        }
    }

    fn here(&self) -> &Mutex<Stack> {
        // Of another crew with more threads than there are cores, some share the stack of all others.
        self.stacks.get(crew::seat()).unwrap_or(&self.stacks[0])
    }
}

/// Closes what is kept too long, until nothing is left: a vendor that has gone must not hold our sockets.
async fn sweep(stacks: Weak<Stacks>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(stacks) = stacks.upgrade() else { return };
        let mut stack = stacks.here().lock();
        let oldest = now().checked_sub(IDLE.saturating_sub(Duration::from_secs(1)));
        stack.kept.retain(|kept| oldest.is_none_or(|oldest| kept.since > oldest));
        if stack.kept.is_empty() {
            stack.is_swept = false;
            return;
        }
    }
}
