//! A timer that is not a millisecond late.
//!
//! tokio's timers count in whole milliseconds and the system's wait is rounded up once more, so that a budget of 5 ms
//! ends after 6 or 7. Here one thread sleeps until the next moment that anybody waits for and wakes whoever is due;
//! the kernel's own slack is 50 microseconds. It is asked only for the last stretch of a wait that will probably be in vain:
//! most answers come long before, and cost it nothing.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::{Instant, now};

/// The last stretch: more than tokio is ever late.
const STRETCH: Duration = Duration::from_millis(3);

static THE_TIMER: OnceLock<Arc<Timer>> = OnceLock::new();

#[derive(Default)]
struct Timer {
    waits: Mutex<Waits>,
    bell: Condvar,
}

#[derive(Default)]
struct Waits {
    /// Moments and who waits for them; those who have left are still in here, and no longer in `wakers`.
    queue: BinaryHeap<Reverse<(Instant, u64)>>,
    wakers: HashMap<u64, Waker>,
    last: u64,
}

/// Starts the timer; without it, or when no thread is to be had, tokio's are used. For programs that run by the real
/// clock: a clock that tests have paused does not move this one. `begin` is the first thing that its thread does.
pub fn start(begin: impl FnOnce() + Send + 'static) {
    if THE_TIMER.get().is_some() {
        return;
    }
    let timer = Arc::new(Timer::default());
    let running = Arc::clone(&timer);
    match std::thread::Builder::new().name("deadlines".into()).spawn(move || {
        begin();
        running.run();
    }) {
        // Of two who start it at once, one timer is never asked and sleeps for ever.
        Ok(_) => drop(THE_TIMER.set(timer)),
        Err(error) => tracing::warn!(%error, "no thread for deadlines: they will be kept to the millisecond only"),
    }
}

/// Waits for `work` until `due`; `None` when that came first.
pub(super) async fn limit<T>(due: Instant, work: impl Future<Output = T>) -> Option<T> {
    let Some(timer) = THE_TIMER.get() else { return tokio::time::timeout_at(due, work).await.ok() };
    let mut work = pin!(work);
    let stretch = due.checked_sub(STRETCH).unwrap_or(due);
    if stretch > now()
        && let Ok(done) = tokio::time::timeout_at(stretch, &mut work).await
    {
        return Some(done);
    }
    let mut wait = Wait { timer, due, number: None };
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        if now() >= due {
            return Poll::Ready(None);
        }
        wait.register(cx.waker());
        Poll::Pending
    })
    .await
}

/// One who waits; leaves the queue when dropped.
struct Wait<'a> {
    timer: &'a Timer,
    due: Instant,
    number: Option<u64>,
}

impl Wait<'_> {
    fn register(&mut self, waker: &Waker) {
        let mut waits = self.timer.waits.lock();
        if let Some(known) = self.number.and_then(|number| waits.wakers.get_mut(&number)) {
            known.clone_from(waker);
            return;
        }
        waits.last += 1;
        let number = waits.last;
        let is_next = waits.queue.peek().is_none_or(|Reverse((next, _))| self.due < *next);
        waits.queue.push(Reverse((self.due, number)));
        waits.wakers.insert(number, waker.clone());
        self.number = Some(number);
        drop(waits);
        if is_next {
            self.timer.bell.notify_one();
        }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.timer.waits.lock().wakers.remove(&number);
        }
    }
}

impl Timer {
    fn run(&self) {
        let mut waits = self.waits.lock();
        loop {
            let woken = waits.take_due(now());
            if !woken.is_empty() {
                // Waking takes other locks: not under this one.
                parking_lot::MutexGuard::unlocked(&mut waits, || woken.into_iter().for_each(Waker::wake));
                continue;
            }
            match waits.queue.peek() {
                Some(Reverse((next, _))) => {
                    let next = next.into_std();
                    self.bell.wait_until(&mut waits, next);
                }
                None => self.bell.wait(&mut waits),
            }
        }
    }
}

impl Waits {
    fn take_due(&mut self, now: Instant) -> Vec<Waker> {
        let mut woken = Vec::new();
        while let Some(Reverse((moment, number))) = self.queue.peek().copied() {
            if moment > now {
                break;
            }
            self.queue.pop();
            woken.extend(self.wakers.remove(&number));
        }
        woken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nobody_is_early_and_few_are_late() {
        start(|| ());
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

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn work_that_ends_in_time_is_told_and_leaves_nothing_behind() {
        start(|| ());
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
