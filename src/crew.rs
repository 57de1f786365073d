//! The threads that serve calls: one a core, each with a runtime of its own.
//!
//! A connection lives on one thread from its first byte to its last, and the dips that it begins live there with it: what
//! wakes whom wakes it without a system call, and no second processor has to be called out of its sleep for a miss. (With
//! threads that steal work from each other a miss cost twice as much; ARCHITECTURE has the figures.) The price is that
//! a connection stays where it is when its thread is the busier one, so a new one goes to the thread with the fewest.
//!
//! What serves nobody (orders, journals, the cluster, admin) runs elsewhere, on the runtime that the program began with.

mod alone;
mod aside;
mod beat;
mod rank;

pub use alone::Alone;
pub use aside::step_aside;
pub use beat::keep_beating;
pub use rank::as_others;

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::deadline::sharp;
use rank::take_rank;

thread_local! {
    static SEAT: Cell<usize> = const { Cell::new(0) };
}

/// The threads. Clones share them; they end when the last is dropped. The default has none: everything then runs
/// where it is begun.
#[derive(Clone, Debug, Default)]
pub struct Crew {
    hands: Arc<[Hand]>,
    doors: Arc<AtomicUsize>,
}

/// One thread.
#[derive(Debug)]
struct Hand {
    thread: Alone,
    connections: AtomicUsize,
}

/// A connection's place on a thread; free again when dropped.
#[derive(Debug)]
pub struct Place {
    crew: Crew,
    hand: usize,
}

impl Crew {
    /// Starts one thread for each core that this process may use. In real time they run before everything else on the
    /// machine, if the system lets them.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(realtime: bool) -> io::Result<Self> {
        Self::with(std::thread::available_parallelism().map_or(1, usize::from), realtime)
    }

    fn with(threads: usize, realtime: bool) -> io::Result<Self> {
        let hands = (0..threads).map(|number| Hand::start(number, realtime)).collect::<io::Result<Vec<_>>>()?;
        Ok(Self { hands: hands.into(), ..Self::default() })
    }

    /// Has a door kept, as one of these tasks: by each thread in its turn.
    pub fn keep_door(&self, tasks: &mut JoinSet<()>, work: impl Future<Output = ()> + Send + 'static) {
        let turn = self.doors.fetch_add(1, Ordering::Relaxed);
        match self.hands.get(turn % self.hands.len().max(1)) {
            Some(hand) => tasks.spawn_on(work, hand.handle()),
            None => tasks.spawn(work),
        };
    }

    /// The place for a new connection: where there are the fewest, and with as few here, here.
    pub fn place(&self) -> Option<Place> {
        let here = self.here();
        let load = |(number, hand): &(usize, &Hand)| (hand.connections.load(Ordering::Relaxed), Some(*number) != here);
        let (hand, chosen) = self.hands.iter().enumerate().min_by_key(load)?;
        chosen.connections.fetch_add(1, Ordering::Relaxed);
        Some(Place { crew: self.clone(), hand })
    }

    /// Where what callers will wait for is begun by somebody who is none of the crew.
    pub fn any(&self) -> Option<&Handle> {
        self.hands.first().map(Hand::handle)
    }

    /// The number of this thread among these, if it is one of them.
    fn here(&self) -> Option<usize> {
        let number = SEAT.get().checked_sub(1)?;
        let is_ours = Handle::try_current()
            .is_ok_and(|now| self.hands.get(number).is_some_and(|hand| hand.handle().id() == now.id()));
        is_ours.then_some(number)
    }
}

/// True on a thread that serves: what callers wait for may be begun right here.
pub fn serves_here() -> bool {
    SEAT.get() > 0
}

/// The number of this thread among those that serve, from 1 on; 0 for all others. What is kept once a thread is found by it.
pub fn seat() -> usize {
    SEAT.get()
}

impl Hand {
    fn start(number: usize, realtime: bool) -> io::Result<Self> {
        let thread = Alone::start(format!("serve-{number}"), move || {
            SEAT.set(number + 1);
            take_rank(realtime);
            sharp::begin_here();
        })?;
        Ok(Self { thread, connections: AtomicUsize::new(0) })
    }

    fn handle(&self) -> &Handle {
        self.thread.handle()
    }
}

impl Place {
    /// The thread's runtime.
    pub fn handle(&self) -> &Handle {
        self.crew.hands[self.hand].handle()
    }

    /// True when it is the thread that asks.
    pub fn is_here(&self) -> bool {
        self.crew.here() == Some(self.hand)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crew.hands[self.hand].connections.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_threads_everything_runs_where_it_is_begun() {
        let crew = Crew::default();
        assert!(crew.place().is_none() && crew.any().is_none());
        assert!(!serves_here());
    }

    #[tokio::test]
    async fn connections_go_where_there_are_the_fewest_and_with_as_few_stay_where_they_came_in() {
        let crew = Crew::with(3, false).unwrap();
        let places: Vec<Place> = (0..9).filter_map(|_| crew.place()).collect();
        let loads =
            |crew: &Crew| crew.hands.iter().map(|hand| hand.connections.load(Ordering::Relaxed)).collect::<Vec<_>>();
        assert_eq!(loads(&crew), [3, 3, 3]);
        let last = crew.hands[2].handle().clone();
        let inner = crew.clone();
        let placed = last.spawn(async move {
            let place = inner.place().unwrap();
            assert!(serves_here() && place.is_here());
            place
        });
        let placed = placed.await.unwrap();
        assert_eq!(loads(&crew), [3, 3, 4]);
        drop((places, placed));
        assert_eq!(loads(&crew), [0, 0, 0]);
    }

    #[tokio::test]
    async fn what_runs_there_ends_with_the_last_of_its_owners() {
        let crew = Crew::with(1, false).unwrap();
        let task = crew.any().unwrap().spawn(std::future::pending::<()>());
        drop(crew);
        assert!(task.await.unwrap_err().is_cancelled());
    }

    #[tokio::test]
    async fn who_serves_goes_before_others_and_what_blocks_does_not() {
        // Where the system does not allow it, nobody may be the worse for having asked.
        let is_allowed = std::thread::spawn(|| rank::before_others().is_ok()).join().unwrap();
        let crew = Crew::with(1, true).unwrap();
        let hand = crew.any().unwrap();
        assert_eq!(hand.spawn(async { rank::runs_before_others() }).await.unwrap(), is_allowed);
        // Begun there, for a thread inherits the rank of the one that starts it.
        let blocking = hand.spawn(async { tokio::task::spawn_blocking(rank::runs_before_others).await.unwrap() });
        assert!(!blocking.await.unwrap());
        let crew = Crew::with(1, false).unwrap();
        assert!(!crew.any().unwrap().spawn(async { rank::runs_before_others() }).await.unwrap());
    }

    #[tokio::test]
    async fn the_beat_stops_when_no_dip_comes() {
        let crew = Crew::with(1, false).unwrap();
        let hand = crew.any().unwrap();
        // A task that is over is counted for a moment more.
        let settles_at = async |tasks: usize| {
            let settled = async {
                while hand.metrics().num_alive_tasks() != tasks {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
            };
            let limit = std::time::Duration::from_secs(5);
            let left = || hand.metrics().num_alive_tasks();
            tokio::time::timeout(limit, settled).await.unwrap_or_else(|_| panic!("{} and not {tasks}", left()));
        };
        // What keeps the deadlines is there always.
        settles_at(1).await;
        let alive = hand.spawn(async {
            keep_beating();
            tokio::runtime::Handle::current().metrics().num_alive_tasks()
        });
        assert_eq!(alive.await.unwrap(), 3, "this task, the deadlines and the beat");
        settles_at(1).await;
    }
}
