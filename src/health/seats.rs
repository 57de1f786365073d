//! Seats for the dips in flight, and who gets the next one: whoever came last.
//!
//! In a queue that does not get shorter, first come first served gives every seat to a dip whose callers are about to leave:
//! all wait, and next to nobody is served. The newest has the most of its budget left, so the vendor's answers meet
//! callers who are still there. In a short burst the order makes no difference: all have their turn.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::deadline::Deadline;

/// The seats of one upstream.
#[derive(Debug)]
pub struct Seats {
    /// How many there are.
    count: usize,
    queue: Mutex<Queue>,
}

#[derive(Debug)]
struct Queue {
    free: usize,
    came: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Seat>>,
}

/// A seat among the dips in flight. Dropped, it is the next one's.
#[derive(Debug)]
#[must_use]
pub struct Seat(Arc<Seats>);

impl Seats {
    /// So many seats, at least one, all of them free.
    pub fn new(count: usize) -> Arc<Self> {
        let count = count.max(1);
        Arc::new(Self { count, queue: Mutex::new(Queue { free: count, came: 0, waiting: BTreeMap::new() }) })
    }

    /// How many seats there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.count - self.queue.lock().free
    }

    /// A seat, if one is free.
    pub fn try_take(self: &Arc<Self>) -> Option<Seat> {
        let mut queue = self.queue.lock();
        queue.free = queue.free.checked_sub(1)?;
        Some(Seat(Arc::clone(self)))
    }

    /// Waits for a seat until the deadline.
    pub async fn take(self: &Arc<Self>, deadline: Deadline) -> Option<Seat> {
        let (seat, waiting) = oneshot::channel();
        let number = {
            let mut queue = self.queue.lock();
            if let Some(free) = queue.free.checked_sub(1) {
                queue.free = free;
                return Some(Seat(Arc::clone(self)));
            }
            queue.came += 1;
            let number = queue.came;
            queue.waiting.insert(number, seat);
            number
        };
        let _place = Place { seats: self, number };
        // The sender goes only with a seat, so the inner error does not come.
        deadline.limit(waiting).await?.ok()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let next = {
            let mut queue = self.0.queue.lock();
            let next = queue.waiting.pop_last();
            if next.is_none() {
                queue.free += 1;
            }
            next
        };
        // Who has just left sends it back, and it is dropped once more: not under the lock.
        if let Some((_, next)) = next {
            drop(next.send(Seat(Arc::clone(&self.0))));
        }
    }
}

/// One who waits; leaves the queue when dropped.
struct Place<'a> {
    seats: &'a Seats,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.seats.queue.lock().waiting.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_last_to_come_is_the_next_to_sit() {
        let seats = Seats::new(1);
        let soon = Deadline::after(Duration::from_secs(1));
        let first = seats.take(soon).await.expect("a free seat");
        assert!(seats.try_take().is_none());
        let (order, mut sat) = tokio::sync::mpsc::unbounded_channel();
        for who in ["second", "third"] {
            let (seats, order) = (Arc::clone(&seats), order.clone());
            tokio::spawn(async move {
                let seat = seats.take(soon).await.expect("a second is long");
                order.send(who).expect("the test listens");
                drop(seat);
            });
            tokio::task::yield_now().await;
        }
        drop(first);
        assert_eq!((sat.recv().await, sat.recv().await), (Some("third"), Some("second")));
        tokio::task::yield_now().await;
        assert_eq!(seats.taken(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_takes_no_seat_along() {
        let seats = Seats::new(1);
        let first = seats.try_take().expect("a free seat");
        assert!(seats.take(Deadline::after(Duration::from_millis(10))).await.is_none(), "its time was over");
        assert!(seats.queue.lock().waiting.is_empty());

        // One who is given the seat and is gone before it looks.
        let soon = Deadline::after(Duration::from_secs(1));
        let mut gone = Box::pin(seats.take(soon));
        assert!(futures_util::poll!(&mut gone).is_pending());
        let mut patient = Box::pin(seats.take(soon));
        assert!(futures_util::poll!(&mut patient).is_pending());
        drop(first);
        drop(patient);
        assert!(gone.await.is_some());
        assert_eq!(seats.taken(), 0);
    }
}
