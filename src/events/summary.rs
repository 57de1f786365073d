//! Answers of the second rank, summed up: one event for each interval and lookup, never one a call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::events::{Event, EventType, Events};

/// Which answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Kind {
    /// Stale records.
    Stale = 0,
    /// The policy's fallback record.
    Fallback = 1,
}

/// The sums of one lookup since they were last told.
#[derive(Debug, Default)]
pub struct Summary([AtomicU64; 2]);

impl Summary {
    /// Counts one answer.
    #[inline]
    pub fn count(&self, kind: Kind) {
        self.0[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Tells what came together in `window`, and begins anew.
    pub fn tell(&self, lookup: &Arc<str>, window: Duration, events: &Events) {
        let words = [
            (EventType::AnswerStale, "stale", "callers got stale records"),
            (EventType::AnswerFallback, "fallback", "callers got the fallback record"),
        ];
        for (sum, (event, to, reason)) in self.0.iter().zip(words) {
            let count = sum.swap(0, Ordering::Relaxed);
            if count > 0 {
                events.raise(Event {
                    lookup: Some(Arc::clone(lookup)),
                    to,
                    window: Some(window),
                    count: Some(count),
                    ..Event::of_node(event, reason)
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_calls_are_one_event_and_silence_is_none() {
        let (events, summary) = (Events::default(), Summary::default());
        (0..1000).for_each(|_| summary.count(Kind::Stale));
        summary.tell(&"lrn".into(), Duration::from_secs(10), &events);
        summary.tell(&"lrn".into(), Duration::from_secs(10), &events);
        let told = events.recent();
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].event, told[0].count), (EventType::AnswerStale, Some(1000)));
    }
}
