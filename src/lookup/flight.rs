//! Single flight, separate clocks: callers of one key share one fetch, and each waits only its own time.
//!
//! Who comes first gets a [`Pilot`] for the fetch and takes it along ([`aboard`](super::aboard)); the others get a [`Ticket`] and wait. The
//! ends of it: the pilot lands with an answer, and all get it; or the pilot is lost (the fetch
//! panicked, or the process is going down), and all are told at once instead of waiting in vain.
//! A flight can be disowned: who waits still gets its answer, but nobody joins it any more, and it is not kept.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use compact_str::CompactString;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::answer::{Answer, Outcome, Source};

const SHARDS: usize = 32;

/// The most dips at once where nothing else is said.
const USUAL_MOST: usize = 10_000;

/// Where a flight ends: once, for all who wait.
#[derive(Debug, Default)]
struct Landing {
    /// What it brought; nothing where the pilot was lost.
    answer: OnceLock<Option<Answer>>,
    bell: Notify,
}

/// Room for dips, shared by all lookups. Without any left a new key is refused as overload: each flight
/// holds a fetch and perhaps a socket, and a wave of new keys at a silent vendor must not hold all memory.
#[derive(Debug)]
pub struct Room {
    most: AtomicUsize,
    taken: AtomicUsize,
}

/// The flights of one lookup.
#[derive(Debug)]
pub struct Flights {
    shards: [Mutex<HashMap<CompactString, Flying, ahash::RandomState>>; SHARDS],
    hasher: ahash::RandomState,
    count: AtomicUsize,
    room: Arc<Room>,
}

#[derive(Debug)]
struct Flying {
    landing: Arc<Landing>,
    disowned: Arc<AtomicBool>,
    /// Nobody waits for it, and no caller is made to.
    idle: bool,
}

/// What a caller gets.
#[derive(Debug)]
pub enum Boarding {
    /// The first: has the fetch to make, and may wait for it like everybody.
    Lead(Pilot, Ticket),
    /// One of the others.
    Follow(Ticket),
}

/// The duty to land one flight.
#[derive(Debug)]
#[must_use]
pub struct Pilot {
    flights: Arc<Flights>,
    id: CompactString,
    landing: Arc<Landing>,
    disowned: Arc<AtomicBool>,
}

/// The right to wait for one flight.
#[derive(Debug)]
#[must_use]
pub struct Ticket(Arc<Landing>);

impl Default for Room {
    fn default() -> Self {
        Self { most: AtomicUsize::new(USUAL_MOST), taken: AtomicUsize::new(0) }
    }
}

impl Room {
    /// So many at once from now on. Those under way stay.
    pub fn set(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    fn take(&self, idle: bool) -> bool {
        let most = self.most.load(Ordering::Relaxed) >> u32::from(idle);
        let more = |taken: usize| (taken < most).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn leave(&self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Flights {
    /// No flights yet.
    pub fn new(room: Arc<Room>) -> Arc<Self> {
        Arc::new(Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: ahash::RandomState::new(),
            count: AtomicUsize::new(0),
            room,
        })
    }

    /// Joins the flight of this key, or starts one. `None` when there are too many already.
    ///
    /// An idle flight is not joined: it may be waiting for calls to leave it room. It goes on by itself.
    pub fn board(self: &Arc<Self>, id: &CompactString) -> Option<Boarding> {
        self.board_as(id, false)
    }

    /// As [`Flights::board`], for somebody who has time: joins any flight, and takes no more than half of the room.
    pub fn board_idle(self: &Arc<Self>, id: &CompactString) -> Option<Boarding> {
        self.board_as(id, true)
    }

    fn board_as(self: &Arc<Self>, id: &CompactString, idle: bool) -> Option<Boarding> {
        let mut shard = self.shard(id).lock();
        if let Some(flying) = shard.get(id).filter(|flying| idle || !flying.idle) {
            return Some(Boarding::Follow(Ticket(Arc::clone(&flying.landing))));
        }
        if !self.room.take(idle) {
            return None;
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        let landing = Arc::<Landing>::default();
        let disowned = Arc::<AtomicBool>::default();
        shard.insert(id.clone(), Flying { landing: Arc::clone(&landing), disowned: Arc::clone(&disowned), idle });
        let ticket = Ticket(Arc::clone(&landing));
        let pilot = Pilot { flights: Arc::clone(self), id: id.clone(), landing, disowned };
        Some(Boarding::Lead(pilot, ticket))
    }

    /// Disowns the flight of this key, if there is one.
    pub fn disown(&self, id: &str) {
        if let Some(flying) = self.shard(id).lock().remove(id) {
            flying.disowned.store(true, Ordering::Release);
        }
    }

    /// Disowns the flights of all keys that begin so.
    pub fn disown_prefix(&self, prefix: &str) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            let concerned = shard.extract_if(|id, _| id.starts_with(prefix));
            concerned.for_each(|(_, flying)| flying.disowned.store(true, Ordering::Release));
        }
    }

    /// Disowns all flights.
    pub fn disown_all(&self) {
        for shard in &self.shards {
            shard.lock().drain().for_each(|(_, flying)| flying.disowned.store(true, Ordering::Release));
        }
    }

    /// Flights under way.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// True when none is under way.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, id: &str) -> &Mutex<HashMap<CompactString, Flying, ahash::RandomState>> {
        &self.shards[self.hasher.hash_one(id) as usize % SHARDS]
    }
}

impl Pilot {
    /// Gives everybody the answer. Whatever is to be kept must be in the cache before.
    pub fn land(self, answer: Answer) {
        self.landing.at(Some(answer));
    }

    /// The mark behind [`Pilot::is_disowned`], for what is still to be kept after the landing.
    pub fn disowned(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.disowned)
    }

    /// True when what it brings must not be kept.
    pub fn is_disowned(&self) -> bool {
        self.disowned.load(Ordering::Acquire)
    }
}

impl Drop for Pilot {
    fn drop(&mut self) {
        // Who has landed is not lost.
        self.landing.at(None);
        let mut shard = self.flights.shard(&self.id).lock();
        // Once disowned, the key may be another flight's.
        if shard.get(&self.id).is_some_and(|flying| Arc::ptr_eq(&flying.disowned, &self.disowned)) {
            shard.remove(&self.id);
        }
        drop(shard);
        self.flights.count.fetch_sub(1, Ordering::Relaxed);
        self.flights.room.leave();
    }
}

impl Landing {
    fn at(&self, answer: Option<Answer>) {
        if self.answer.set(answer).is_ok() {
            self.bell.notify_waiters();
        }
    }
}

impl Ticket {
    /// Waits until the flight has landed. Bound it by the caller's own deadline.
    pub async fn landed(self) -> Answer {
        let mut rung = pin!(self.0.bell.notified());
        // From here on no ring is missed.
        rung.as_mut().enable();
        if self.0.answer.get().is_none() {
            rung.await;
        }
        self.answer().unwrap_or_else(Self::lost)
    }

    /// What the flight has brought; `None` while it has not landed.
    pub fn answer(&self) -> Option<Answer> {
        self.0.answer.get().map(|answer| answer.clone().unwrap_or_else(Self::lost))
    }

    /// What is told when the pilot is lost. It may not be the upstream's fault, so it is not called its error.
    pub fn lost() -> Answer {
        Answer::empty(Outcome::Overload, Source::Nobody)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        Answer::empty(Outcome::NotFound, Source::Nobody)
    }

    #[tokio::test]
    async fn all_get_the_one_answer_and_the_key_is_free_again() {
        let flights = Flights::new(Arc::default());
        let id = CompactString::from("a");
        let Some(Boarding::Lead(pilot, first)) = flights.board(&id) else { panic!("the first leads") };
        let Some(Boarding::Follow(second)) = flights.board(&id) else { panic!("the second follows") };
        let waiting = tokio::spawn(second.landed());
        pilot.land(answer());
        assert_eq!(first.landed().await.outcome, Outcome::NotFound);
        assert_eq!(waiting.await.unwrap().outcome, Outcome::NotFound);
        assert!(flights.is_empty());
        assert!(matches!(flights.board(&id), Some(Boarding::Lead(..))));
    }

    #[tokio::test]
    async fn a_lost_pilot_is_told_at_once() {
        let flights = Flights::new(Arc::default());
        let Some(Boarding::Lead(pilot, ticket)) = flights.board(&"a".into()) else { panic!("the first leads") };
        let task = tokio::spawn(async move {
            let _pilot = pilot;
            panic!("a bug in the fetch");
        });
        assert!(task.await.is_err());
        assert_eq!(ticket.landed().await.outcome, Outcome::Overload);
        assert!(flights.is_empty());
    }

    #[test]
    fn too_many_over_all_lookups_are_refused_and_followers_are_not() {
        let room = Arc::<Room>::default();
        room.set(100);
        let (flights, others) = (Flights::new(Arc::clone(&room)), Flights::new(Arc::clone(&room)));
        let mut boarded: Vec<_> = (0..60).map(|n| flights.board(&n.to_string().into())).collect();
        boarded.extend((0..40).map(|n| others.board(&n.to_string().into())));
        assert!(boarded.iter().all(Option::is_some));
        assert!(flights.board(&"one more".into()).is_none());
        assert!(matches!(flights.board(&"7".into()), Some(Boarding::Follow(_))));
        drop(boarded);
        assert!(flights.is_empty() && others.is_empty());
        assert!(flights.board(&"one more".into()).is_some());
    }

    #[test]
    fn a_caller_joins_no_idle_flight_and_an_idle_one_joins_any() {
        let flights = Flights::new(Arc::default());
        let id = CompactString::from("a");
        let Some(Boarding::Lead(idle, _)) = flights.board_idle(&id) else { panic!("the first leads") };
        assert!(matches!(flights.board_idle(&id), Some(Boarding::Follow(_))));
        let Some(Boarding::Lead(call, _)) = flights.board(&id) else { panic!("a caller does not wait for it") };
        assert!(!idle.is_disowned(), "its answer is as good");
        drop(idle);
        assert!(matches!(flights.board_idle(&id), Some(Boarding::Follow(_))), "the caller's flight is still there");
        drop(call);
        assert!(flights.is_empty());
    }

    #[tokio::test]
    async fn a_disowned_flight_lands_for_those_who_wait_and_leaves_its_successor_alone() {
        let flights = Flights::new(Arc::default());
        let id = CompactString::from("a");
        let Some(Boarding::Lead(old, ticket)) = flights.board(&id) else { panic!("the first leads") };
        flights.disown(&id);
        let Some(Boarding::Lead(new, _)) = flights.board(&id) else { panic!("nobody joins a disowned flight") };
        assert!(old.is_disowned() && !new.is_disowned());
        old.land(answer());
        assert_eq!(ticket.landed().await.outcome, Outcome::NotFound);
        assert!(matches!(flights.board(&id), Some(Boarding::Follow(_))), "the new one is still on its way");
        flights.disown_all();
        assert!(new.is_disowned());
        drop(new);
        assert!(flights.is_empty());
    }
}
