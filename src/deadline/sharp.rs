//! A timer that is not a millisecond late.
//!
//! tokio's timers count in whole milliseconds and the system's wait is rounded up once more, so that a budget of 5 ms
//! ends after 6 or 7. Here each thread that serves has a bell of the kernel's (timerfd_create(2)) among the sockets that it
//! waits for, set to the next moment that anybody on it waits for: no other thread has to run first. Most answers come long
//! before, and the bell is left as it is when they do: with many dips one after the other it rings in vain once a budget, and
//! is hardly ever set.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::{Instant, now};

/// Those who have left are looked for when so many more than wait are noted.
const STRAYS: usize = 64;

/// The bell's own grain. A time of zero would silence it.
const SHORTEST: Duration = Duration::from_nanos(1);

thread_local! {
    /// Gone when the runtime is that watches it.
    static HERE: RefCell<Weak<Timer>> = const { RefCell::new(Weak::new()) };
}

/// One thread's.
struct Timer {
    bell: OwnedFd,
    /// A lock that nobody else wants: a wait is dropped where it was made.
    waits: Mutex<Waits>,
}

#[derive(Default)]
struct Waits {
    /// Moments and who waits for them; those who have left may still be in here, and are no longer in `wakers`.
    queue: BinaryHeap<Reverse<(Instant, u64)>>,
    wakers: HashMap<u64, Waker, ahash::RandomState>,
    last: u64,
    /// When the bell rings next: not after anybody's moment.
    bell: Option<Instant>,
}

/// Has waits on this thread end sharply, as long as the runtime in which this is called lives. Without it, or when the system
/// gives no bell, tokio's timers are used. For threads that run by the real clock: a clock that tests have paused does not
/// move this one.
pub fn begin_here() {
    match Timer::new().and_then(watched) {
        Ok(rung) => {
            HERE.set(Arc::downgrade(&rung.get_ref().0));
            tokio::spawn(ring(rung));
        }
        Err(error) => tracing::warn!(%error, "no timer for deadlines: they will be kept to the millisecond only"),
    }
}

#[expect(deprecated, reason = "the other way is `unsafe`, lest a descriptor is not its owner's; this one is")]
fn watched(timer: Timer) -> io::Result<AsyncFd<Rung>> {
    AsyncFd::with_interest(Rung(Arc::new(timer)), Interest::READABLE)
}

/// The timer as tokio wants to see it.
struct Rung(Arc<Timer>);

impl AsRawFd for Rung {
    fn as_raw_fd(&self) -> RawFd {
        self.0.bell.as_raw_fd()
    }
}

/// Wakes whoever is due each time the bell rings.
async fn ring(rung: AsyncFd<Rung>) {
    loop {
        // Fails when the runtime ends, and all waits with it.
        let Ok(mut ready) = rung.readable().await else { return };
        // How often it rang is of no interest, so it is not read: it is told of each ring.
        ready.clear_ready();
        rung.get_ref().0.wake_due();
    }
}

/// Waits for `work` until `due`; `None` when that came first.
pub(super) async fn limit<T>(due: Instant, work: impl Future<Output = T>) -> Option<T> {
    let Some(timer) = HERE.with_borrow(Weak::upgrade) else {
        return tokio::time::timeout_at(due, work).await.ok();
    };
    let mut work = pin!(work);
    let mut wait = Wait { timer, due, number: None };
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if wait.goes_on(cx.waker()) => Poll::Pending,
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// One who waits; leaves the queue when dropped.
struct Wait {
    timer: Arc<Timer>,
    due: Instant,
    number: Option<u64>,
}

impl Wait {
    /// Has this waker woken at the moment; false when that has come.
    fn goes_on(&mut self, waker: &Waker) -> bool {
        let mut waits = self.timer.waits.lock();
        if let Some(number) = self.number {
            // Who is no longer there has been rung for.
            let known = waits.wakers.get_mut(&number);
            return known.map(|known| known.clone_from(waker)).is_some();
        }
        if now() >= self.due {
            return false;
        }
        self.number = Some(waits.note(self.due, waker));
        if waits.bell.is_none_or(|bell| self.due < bell) {
            waits.bell = Some(self.due);
            drop(waits);
            self.timer.set(self.due);
        }
        true
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.timer.waits.lock().wakers.remove(&number);
        }
    }
}

impl Timer {
    fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let bell = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self { bell, waits: Mutex::default() })
    }

    /// Has the bell ring then.
    fn set(&self, due: Instant) {
        let left = due.saturating_duration_since(now()).max(SHORTEST);
        let it_value = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        let once = Itimerspec { it_interval: Timespec::default(), it_value };
        // It is refused for a time that is none, which no duration is.
        if let Err(error) = rustix::time::timerfd_settime(&self.bell, TimerfdTimerFlags::empty(), &once) {
            tracing::error!(%error, "a deadline's timer was not set");
        }
    }

    fn wake_due(&self) {
        let (woken, next) = {
            let mut waits = self.waits.lock();
            let (woken, next) = waits.take_due(now());
            waits.bell = next;
            (woken, next)
        };
        // A waker may drop what it wakes, and with it a wait: not under the lock.
        woken.into_iter().for_each(Waker::wake);
        if let Some(next) = next {
            self.set(next);
        }
    }
}

impl Waits {
    /// Writes down who waits, and gives it a number.
    fn note(&mut self, due: Instant, waker: &Waker) -> u64 {
        self.last += 1;
        self.wakers.insert(self.last, waker.clone());
        self.queue.push(Reverse((due, self.last)));
        if self.queue.len() > 2 * self.wakers.len() + STRAYS {
            let Self { queue, wakers, .. } = self;
            queue.retain(|Reverse((_, number))| wakers.contains_key(number));
        }
        self.last
    }

    /// Who is due now, and when the next one is. Who has left meanwhile is passed over.
    fn take_due(&mut self, now: Instant) -> (Vec<Waker>, Option<Instant>) {
        let mut woken = Vec::new();
        while let Some(Reverse((moment, number))) = self.queue.peek().copied() {
            if moment > now && self.wakers.contains_key(&number) {
                return (woken, Some(moment));
            }
            self.queue.pop();
            woken.extend(self.wakers.remove(&number));
        }
        (woken, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline::sleep_sharply;

    /// How late three hundred waits end, by the real clock; the middle of it.
    async fn lateness() -> Duration {
        let waits: Vec<_> = (0..300)
            .map(|n| {
                tokio::spawn(async move {
                    let due = now() + Duration::from_micros(2000 + n * 137);
                    assert!(limit(due, std::future::pending::<()>()).await.is_none());
                    let late = now().checked_duration_since(due);
                    late.expect("not early")
                })
            })
            .collect();
        let mut late = Vec::new();
        for wait in waits {
            late.push(wait.await.unwrap());
        }
        late.sort();
        late[150]
    }

    #[tokio::test]
    async fn nobody_is_early_and_few_are_late() {
        begin_here();
        let mut best = Duration::MAX;
        // On a busy machine nobody runs when he is due; tokio's own timers would be a millisecond late every time.
        for _ in 0..20 {
            best = best.min(lateness().await);
            if best < Duration::from_micros(700) {
                return;
            }
        }
        panic!("half of the waits end {best:?} late or later");
    }

    #[tokio::test]
    async fn who_sleeps_for_less_than_a_millisecond_does() {
        begin_here();
        let mut best = Duration::MAX;
        for _ in 0..200 {
            let begun = now();
            sleep_sharply(Duration::from_micros(300)).await;
            best = best.min(begun.elapsed());
        }
        // tokio's own timers would be a millisecond late every time.
        assert!((Duration::from_micros(300)..Duration::from_micros(900)).contains(&best), "{best:?}");
    }

    #[tokio::test]
    async fn who_has_left_is_not_rung_for_and_the_next_one_is() {
        begin_here();
        let (soon, later) = (now() + Duration::from_micros(500), now() + Duration::from_millis(2));
        let leaves = tokio::spawn(limit(soon, std::future::pending::<()>()));
        let stays = tokio::spawn(limit(later, std::future::pending::<()>()));
        tokio::task::yield_now().await;
        leaves.abort();
        assert!(tokio::time::timeout(Duration::from_secs(1), stays).await.expect("the bell").unwrap().is_none());
        assert!(now() >= later);
    }

    #[tokio::test]
    async fn those_who_have_left_are_not_kept() {
        begin_here();
        let stays = tokio::spawn(limit(now() + Duration::from_millis(5), std::future::pending::<()>()));
        for _ in 0..10 * STRAYS {
            let hour = now() + Duration::from_secs(3600);
            assert!(limit(hour, tokio::task::yield_now()).await.is_some());
        }
        let timer = HERE.with_borrow(Weak::upgrade).expect("begun here");
        assert!(timer.waits.lock().queue.len() <= STRAYS + 3);
        assert!(stays.await.unwrap().is_none(), "and who waits is rung for");
    }

    #[tokio::test]
    async fn work_that_ends_in_time_is_told_and_leaves_nothing_behind() {
        begin_here();
        let due = now() + Duration::from_millis(500);
        let work = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            7
        };
        assert_eq!(limit(due, work).await, Some(7));
        let soon = now() + Duration::from_millis(2);
        assert_eq!(limit(soon, async { 8 }).await, Some(8));
        assert_eq!(limit(now(), async { 9 }).await, Some(9), "what is there already is not refused");
    }
}
