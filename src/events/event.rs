//! One event as it was raised, before it has a form.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::deadline::wall_clock;
use crate::events::EventType;

/// One event. Empty parts are left out where it is written.
#[derive(Clone, Debug)]
pub struct Event {
    /// What happened.
    pub event: EventType,
    /// To which lookup.
    pub lookup: Option<Arc<str>>,
    /// To which of its upstreams.
    pub upstream: Option<Arc<str>>,
    /// To which sink of events.
    pub sink: Option<Arc<str>>,
    /// The state before.
    pub from: &'static str,
    /// The state after.
    pub to: &'static str,
    /// Why, in words; never a phone number.
    pub reason: String,
    /// Failures by samples in the breaker's window, 0 to 1.
    pub failure_ratio: f64,
    /// Slow ones by samples in the breaker's window, 0 to 1.
    pub slow_ratio: f64,
    /// Half of the callers waited less.
    pub p50: Option<Duration>,
    /// All but one in a hundred waited less.
    pub p99: Option<Duration>,
    /// The time that the figures are about.
    pub window: Option<Duration>,
    /// Since when the state before had lasted.
    pub since: Option<SystemTime>,
    /// How many calls a sum is about.
    pub count: Option<u64>,
    /// The version of the cluster's document about this lookup. Where there is one, every node that sees
    /// the same turn gives its event the same `id`.
    pub epoch: Option<u64>,
    /// When, by the wall clock.
    pub at: SystemTime,
}

impl Event {
    /// An event about the node itself.
    pub fn of_node(event: EventType, reason: impl Into<String>) -> Self {
        Self {
            event,
            lookup: None,
            upstream: None,
            sink: None,
            from: "",
            to: "",
            reason: reason.into(),
            failure_ratio: 0.0,
            slow_ratio: 0.0,
            p50: None,
            p99: None,
            window: None,
            since: None,
            count: None,
            epoch: None,
            at: wall_clock(),
        }
    }
}
