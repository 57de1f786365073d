//! A thread with a runtime that runs nowhere else.

use std::io;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::beat::may_beat;
use super::rank::as_others;

/// The thread's runtime. It ends when this is dropped.
#[derive(Debug)]
pub struct Alone {
    handle: Handle,
    _alive: oneshot::Sender<()>,
}

impl Alone {
    /// Starts it; `begin` is the first thing that the thread does, in its runtime.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(name: String, begin: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        // What blocks, and so is given to threads of its own, is nothing that a caller waits for.
        let runtime = Builder::new_current_thread().enable_all().on_thread_start(as_others).build()?;
        let handle = runtime.handle().clone();
        let (alive, gone) = oneshot::channel::<()>();
        std::thread::Builder::new().name(name).spawn(move || {
            let inside = runtime.enter();
            begin();
            drop(inside);
            may_beat();
            // Nothing is ever sent: the sender's end is the thread's.
            let _ = runtime.block_on(gone);
            runtime.shutdown_background();
        })?;
        Ok(Self { handle, _alive: alive })
    }

    /// Where to spawn.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}
