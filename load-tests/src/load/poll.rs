//! Waiting for sockets, to the microsecond.

use std::io;
use std::mem::MaybeUninit;
use std::num::NonZeroU64;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

/// Events taken at once.
const BATCH: usize = 256;

/// Sockets that are waited for, each under a token of its owner's choice.
#[derive(Debug)]
pub struct Poll {
    epoll: OwnedFd,
}

impl Poll {
    /// One that waits for nothing yet.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)? })
    }

    /// Waits for what can be read from this socket, until it is closed.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn add(&self, socket: impl AsFd, token: u64) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(token), EventFlags::IN)?)
    }

    /// Waits for this socket no longer.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn remove(&self, socket: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, socket)?)
    }

    /// Waits until a socket is ready or the moment has come, and appends the tokens of those that are ready.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn wait(&self, until: Instant, ready: &mut Vec<u64>) -> io::Result<()> {
        let left = until.saturating_duration_since(Instant::now()).min(Duration::from_secs(3600));
        let timeout = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        let mut room = [const { MaybeUninit::<Event>::uninit() }; BATCH];
        match epoll::wait(&self.epoll, &mut room, Some(&timeout)) {
            Ok((events, _)) => ready.extend(events.iter().map(|event| event.data.u64())),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// Has this thread's timers fire when they are due: by default the kernel may gather them over 50 µs.
pub fn sharpen_timers() {
    // Where it is refused we are late, and `lag` shows it.
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1_000));
}
