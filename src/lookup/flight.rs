//! Single flight, separate clocks: callers of one key share one fetch, and each waits only its own time.
//!
//! Who comes first gets a [`Pilot`] and starts the fetch; the others get a [`Ticket`] and wait. The
//! ends of it: the pilot lands with an answer, and all get it; or the pilot is lost (its task
//! panicked, or the process is going down), and all are told at once instead of waiting in vain.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use compact_str::CompactString;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::answer::{Answer, Outcome, Source};

const SHARDS: usize = 32;

/// The most flights of one lookup at once. Beyond it a new key is refused as overload: each flight
/// holds a task and perhaps a socket, and a wave of new keys at a silent vendor must not hold all memory.
const MOST: usize = 20_000;

type Landing = watch::Receiver<Option<Answer>>;

/// The flights of one lookup.
#[derive(Debug)]
pub struct Flights {
    shards: [Mutex<HashMap<CompactString, Landing, ahash::RandomState>>; SHARDS],
    hasher: ahash::RandomState,
    count: AtomicUsize,
}

/// What a caller gets.
#[derive(Debug)]
pub enum Boarding {
    /// The first: starts the fetch, and may wait for it like everybody.
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
    landing: watch::Sender<Option<Answer>>,
}

/// The right to wait for one flight.
#[derive(Debug)]
#[must_use]
pub struct Ticket(Landing);

impl Flights {
    /// No flights yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: ahash::RandomState::new(),
            count: AtomicUsize::new(0),
        })
    }

    /// Joins the flight of this key, or starts one. `None` when there are too many already.
    pub fn board(self: &Arc<Self>, id: &CompactString) -> Option<Boarding> {
        let mut shard = self.shard(id).lock();
        if let Some(landing) = shard.get(id) {
            return Some(Boarding::Follow(Ticket(landing.clone())));
        }
        if self.len() >= MOST {
            return None;
        }
        let (landing, ticket) = watch::channel(None);
        shard.insert(id.clone(), ticket.clone());
        self.count.fetch_add(1, Ordering::Relaxed);
        let pilot = Pilot { flights: Arc::clone(self), id: id.clone(), landing };
        Some(Boarding::Lead(pilot, Ticket(ticket)))
    }

    /// Flights under way.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// True when none is under way.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, id: &CompactString) -> &Mutex<HashMap<CompactString, Landing, ahash::RandomState>> {
        &self.shards[self.hasher.hash_one(id) as usize % SHARDS]
    }
}

impl Pilot {
    /// Gives everybody the answer. Whatever is to be kept must be in the cache before.
    pub fn land(self, answer: Answer) {
        self.landing.send_replace(Some(answer));
    }
}

impl Drop for Pilot {
    fn drop(&mut self) {
        self.flights.shard(&self.id).lock().remove(&self.id);
        self.flights.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Ticket {
    /// Waits until the flight has landed. Bound it by the caller's own deadline.
    pub async fn landed(mut self) -> Answer {
        match self.0.wait_for(Option::is_some).await.map(|landing| landing.clone()) {
            Ok(Some(answer)) => answer,
            // The pilot is lost. It may not be the upstream's fault, so it is not called its error.
            Ok(None) | Err(_) => Answer::empty(Outcome::Overload, Source::Nobody),
        }
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
        let flights = Flights::new();
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
        let flights = Flights::new();
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
    fn too_many_are_refused_and_followers_are_not() {
        let flights = Flights::new();
        let boarded: Vec<_> = (0..MOST).map(|n| flights.board(&n.to_string().into())).collect();
        assert!(boarded.iter().all(Option::is_some));
        assert!(flights.board(&"one more".into()).is_none());
        assert!(matches!(flights.board(&"7".into()), Some(Boarding::Follow(_))));
        drop(boarded);
        assert!(flights.is_empty());
    }
}
