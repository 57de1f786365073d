//! The first caller of a key, who takes the fetch along.
//!
//! It goes on within that caller's own task: none is made for it, and nobody is woken on its way. It is still nobody's
//! own: when the caller leaves before its end, it becomes a task and goes on alone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

use crate::answer::Answer;
use crate::lookup::flight::Ticket;

/// A fetch. Boxed, or all of its kilobytes are carried from hand to hand until it is where it stays.
pub(super) type Fetch = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The wait of who takes it along. Bound it by the caller's own deadline.
pub(super) struct Aboard {
    fetch: Option<Fetch>,
    ticket: Ticket,
}

impl Aboard {
    pub(super) fn new(fetch: Fetch, ticket: Ticket) -> Self {
        Self { fetch: Some(fetch), ticket }
    }
}

impl Future for Aboard {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        if let Some(fetch) = &mut self.fetch {
            // A panic is the end of the fetch, and not of its caller's connection.
            let step = catch_unwind(AssertUnwindSafe(|| fetch.as_mut().poll(cx)));
            if !matches!(step, Ok(Poll::Pending)) {
                self.fetch = None;
            }
        }
        match (self.ticket.answer(), &self.fetch) {
            (Some(answer), _) => Poll::Ready(answer),
            (None, Some(_)) => Poll::Pending,
            (None, None) => Poll::Ready(Ticket::lost()),
        }
    }
}

impl Drop for Aboard {
    fn drop(&mut self) {
        // Where no runtime is left nobody is left to wait.
        if let (Some(fetch), Ok(here)) = (self.fetch.take(), Handle::try_current()) {
            here.spawn(fetch);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::answer::{Outcome, Source};
    use crate::deadline::{Deadline, now};
    use crate::lookup::flight::{Boarding, Flights, Pilot};

    fn boarded(flights: &Arc<Flights>) -> (Pilot, Ticket) {
        match flights.board(&"a".into()) {
            Some(Boarding::Lead(pilot, ticket)) => (pilot, ticket),
            _ => panic!("the first leads"),
        }
    }

    fn answer() -> Answer {
        Answer::empty(Outcome::NotFound, Source::Nobody)
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_its_caller_or_goes_on_alone() {
        let flights = Flights::new(Arc::default());
        for (budget, expected) in [(20, Some(Outcome::NotFound)), (5, None)] {
            let (pilot, ticket) = boarded(&flights);
            let fetch = Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(10)).await;
                pilot.land(answer());
            });
            let Some(Boarding::Follow(other)) = flights.board(&"a".into()) else { panic!("the second follows") };
            let other = tokio::spawn(other.landed());
            let told = Deadline::after(Duration::from_millis(budget)).limit(Aboard::new(fetch, ticket)).await;
            assert_eq!(told.map(|answer| answer.outcome), expected, "{budget}");
            assert_eq!(other.await.unwrap().outcome, Outcome::NotFound, "{budget}");
        }
        assert!(flights.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_to_do_after_the_landing_keeps_no_caller() {
        let flights = Flights::new(Arc::default());
        let (pilot, ticket) = boarded(&flights);
        let (done, is_done) = tokio::sync::oneshot::channel();
        let fetch = Box::pin(async move {
            pilot.land(answer());
            tokio::time::sleep(Duration::from_secs(1)).await;
            let _ = done.send(());
        });
        let begun = now();
        Aboard::new(fetch, ticket).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        is_done.await.unwrap();
        assert_eq!(begun.elapsed(), Duration::from_secs(1));
    }

    #[test]
    fn where_no_runtime_is_left_the_others_are_told() {
        let flights = Flights::new(Arc::default());
        let (pilot, ticket) = boarded(&flights);
        let Some(Boarding::Follow(other)) = flights.board(&"a".into()) else { panic!("the second follows") };
        let fetch = Box::pin(async move {
            std::future::pending::<()>().await;
            pilot.land(answer());
        });
        drop(Aboard::new(fetch, ticket));
        assert_eq!(other.answer().map(|answer| answer.outcome), Some(Outcome::Overload));
    }

    #[tokio::test]
    async fn a_panic_is_told_as_a_lost_fetch() {
        let flights = Flights::new(Arc::default());
        let (pilot, ticket) = boarded(&flights);
        let fetch = Box::pin(async move {
            let _pilot = pilot;
            panic!("a bug in the fetch");
        });
        assert_eq!(Aboard::new(fetch, ticket).await.outcome, Outcome::Overload);
        assert!(flights.is_empty());
    }
}
