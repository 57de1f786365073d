//! What a node that was away does with what it finds: of each subject the last word, and nothing that is over.

use std::time::Duration;

use indexmap::IndexMap;

use crate::orders::Order;
use crate::orders::written::Written;

/// A warm order that is older warms what nobody will ask for.
const WARM_LIFE: Duration = Duration::from_secs(3600);
/// So many subjects, keys and records are gathered before the first are carried out.
const MOST: usize = 100_000;

/// An order from the topic.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Heard {
    pub written: Written,
    /// When it was given, in milliseconds since 1970.
    pub at: u64,
    pub partition: i32,
    pub offset: i64,
}

/// The last word on each subject so far.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    words: IndexMap<String, Heard>,
    /// What they hold: subjects, keys and records.
    weight: usize,
}

const fn weight(order: &Order) -> usize {
    match order {
        Order::Warm { keys, .. } => keys.len(),
        Order::Ingest { records, .. } => records.len(),
        Order::Flush { .. }
        | Order::Health { .. }
        | Order::Table { .. }
        | Order::WarmJob { .. }
        | Order::Target { .. } => 1,
    }
}

impl Gathered {
    /// Adds an order. `is_new`: no earlier run has carried it out. `now_ms` is the calendar's.
    pub(super) fn add(&mut self, heard: Heard, is_new: bool, now_ms: u64) {
        let order = &heard.written.order;
        let life = u64::try_from(WARM_LIFE.as_millis()).unwrap_or(u64::MAX);
        let is_over = match order {
            // A start loads every table.
            Order::Table { .. } => true,
            Order::Warm { .. } | Order::WarmJob { .. } => heard.at.saturating_add(life) < now_ms,
            // A record knows how old it is; a destination's word may have ended a longer one, though its time is over.
            Order::Flush { .. } | Order::Health { .. } | Order::Ingest { .. } | Order::Target { .. } => false,
        };
        if is_over || !(is_new || order.makes_state()) {
            return;
        }
        let subject = match order {
            Order::Flush { lookup, key } => format!("flush {lookup} {}", key.as_deref().unwrap_or_default()),
            Order::Health { lookup, .. } => format!("health {lookup}"),
            Order::Target { target, .. } => format!("target {target}"),
            Order::WarmJob { lookup } => format!("warm_job {lookup}"),
            Order::Table { .. } | Order::Warm { .. } | Order::Ingest { .. } => format!("id {}", heard.written.id),
        };
        self.weight += weight(order);
        // The last word comes last.
        if let Some(before) = self.words.shift_remove(&subject) {
            self.weight -= weight(&before.written.order);
        }
        self.words.insert(subject, heard);
    }

    pub(super) fn is_full(&self) -> bool {
        self.weight >= MOST
    }

    /// All of them, in the order in which they were given.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Heard> + use<> {
        std::mem::take(self).words.into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Override;

    fn heard(at: u64, order: Order) -> Heard {
        Heard { written: Written { id: at.to_string(), order }, at, partition: 0, offset: at as i64 }
    }

    fn flush(key: &str) -> Order {
        Order::Flush { lookup: "account".into(), key: Some(key.into()) }
    }

    fn health(hand: Override) -> Order {
        Order::Health { lookup: "account".into(), hand }
    }

    #[test]
    fn of_each_subject_the_last_word_and_nothing_that_is_over() {
        let mut gathered = Gathered::default();
        let now = 10_000_000;
        let warm = || Order::Warm { lookup: "account".into(), keys: vec!["1".into()], per_second: None };
        for (at, order, is_new) in [
            (1, health(Override::Down), true),
            (2, flush("1"), true),
            (3, flush("2"), true),
            (4, health(Override::Up), false),
            (5, flush("1"), true),
            (6, flush("3"), false),
            (7, Order::Table { lookup: "account".into(), upstream: None, force: false }, true),
            (8, warm(), true),
            (now, warm(), true),
        ] {
            gathered.add(heard(at, order), is_new, now);
        }
        let left: Vec<_> = gathered.take().map(|heard| heard.at).collect();
        assert_eq!(left, [3, 4, 5, now]);
    }
}
