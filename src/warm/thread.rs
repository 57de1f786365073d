//! A thread that has the time which nobody else wants.
//!
//! Warm dips run on it, with their connections and timers: the system is told that it is of little importance, so a
//! worker that has a call to answer takes the processor from it. On a machine that is busy with calls a job is slow, which is
//! what it should be; it does not stand still altogether, or keys that are kept hot would go cold just then.

use std::io;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::crew;

/// What `nice` calls it: a tenth of a worker's share.
const LITTLE_IMPORTANCE: i32 = 10;

/// The thread's runtime. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Apart {
    handle: Handle,
    _alive: oneshot::Sender<()>,
}

impl Apart {
    /// Starts it.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, gone) = oneshot::channel::<()>();
        std::thread::Builder::new().name("warm".to_owned()).spawn(move || {
            crew::has_its_own_runtime();
            // A system that does not allow it only loses the courtesy.
            let _ = rustix::process::setpriority_process(None, LITTLE_IMPORTANCE);
            // Nothing is ever sent: the sender's end is the thread's.
            let _ = runtime.block_on(gone);
            runtime.shutdown_background();
        })?;
        Ok(Self { handle, _alive: alive })
    }

    /// Where to spawn.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}
