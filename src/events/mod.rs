//! What broke and what healed, told to whoever listens.
//!
//! [`Events::raise`] never waits: it writes one log line, keeps the event among the latest for the status
//! page, and hands it to the subscribers. A subscriber that is too slow loses the oldest and is told how many.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use tokio::sync::broadcast;

/// How many of the latest events the status page can show.
const RECENT: usize = 64;
/// How far a subscriber may fall behind.
const BACKLOG: usize = 1024;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// A lookup's flag turned 0.
    Degraded,
    /// A lookup's flag turned 1.
    Recovered,
    /// A breaker opened.
    Opened,
    /// A breaker lets a probe through.
    HalfOpen,
    /// A breaker closed.
    Closed,
    /// A vendor asked to be left alone.
    Held,
    /// A vendor answered what a rule of its policy marks with `alert`.
    Alert,
    /// A table has rows for the first time, or again after a load that failed.
    TableLoaded,
    /// A load of a table failed or was not believed; the old rows go on.
    TableRejected,
    /// A server of the shared cache does not answer, and is not asked any more.
    SharedDown,
    /// A server of the shared cache is used again.
    SharedUp,
    /// A run of a policy's warm job ended.
    WarmFinished,
    /// A new config runs.
    ConfigReloaded,
    /// A new config was refused, and the old one goes on.
    ConfigRejected,
    /// This node takes calls.
    NodeStarted,
    /// This node drains.
    NodeStopping,
}

impl EventType {
    /// The CloudEvents `type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Degraded => "dipcache.dependency.degraded",
            Self::Recovered => "dipcache.dependency.recovered",
            Self::Opened => "dipcache.upstream.opened",
            Self::HalfOpen => "dipcache.upstream.half_open",
            Self::Closed => "dipcache.upstream.closed",
            Self::Held => "dipcache.upstream.held",
            Self::Alert => "dipcache.upstream.alert",
            Self::TableLoaded => "dipcache.table.loaded",
            Self::TableRejected => "dipcache.table.rejected",
            Self::SharedDown => "dipcache.cache.shared_down",
            Self::SharedUp => "dipcache.cache.shared_up",
            Self::WarmFinished => "dipcache.warm.finished",
            Self::ConfigReloaded => "dipcache.config.reloaded",
            Self::ConfigRejected => "dipcache.config.rejected",
            Self::NodeStarted => "dipcache.node.started",
            Self::NodeStopping => "dipcache.node.stopping",
        }
    }

    /// True for what somebody should look at.
    const fn is_bad(self) -> bool {
        matches!(
            self,
            Self::Degraded
                | Self::Opened
                | Self::Held
                | Self::Alert
                | Self::TableRejected
                | Self::SharedDown
                | Self::ConfigRejected
        )
    }
}

/// One event. Empty parts are left out where it is written.
#[derive(Clone, Debug)]
pub struct Event {
    /// What happened.
    pub event: EventType,
    /// To which lookup.
    pub lookup: Option<Arc<str>>,
    /// To which of its upstreams.
    pub upstream: Option<Arc<str>>,
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
    /// The version of the cluster's document about this lookup. Where there is one, every node that tells
    /// of the same turn tells it under the same `id`.
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
            from: "",
            to: "",
            reason: reason.into(),
            failure_ratio: 0.0,
            slow_ratio: 0.0,
            epoch: None,
            at: SystemTime::now(),
        }
    }
}

/// Where events go.
#[derive(Debug)]
pub struct Events {
    recent: Mutex<VecDeque<Event>>,
    subscribers: broadcast::Sender<Event>,
}

impl Default for Events {
    fn default() -> Self {
        Self { recent: Mutex::new(VecDeque::with_capacity(RECENT)), subscribers: broadcast::Sender::new(BACKLOG) }
    }
}

impl Events {
    /// Tells everybody. Never waits.
    pub fn raise(&self, event: Event) {
        log(&event);
        let mut recent = self.recent.lock();
        if recent.len() == RECENT {
            recent.pop_front();
        }
        recent.push_back(event.clone());
        drop(recent);
        // An error only says that nobody listens.
        let _ = self.subscribers.send(event);
    }

    /// The latest events, oldest first.
    pub fn recent(&self) -> Vec<Event> {
        self.recent.lock().iter().cloned().collect()
    }

    /// Every event from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.subscribers.subscribe()
    }
}

fn log(event: &Event) {
    // `None` leaves the field out.
    let some = |text: &'static str| Some(text).filter(|text| !text.is_empty());
    let (lookup, upstream) = (event.lookup.as_deref(), event.upstream.as_deref());
    let epoch = event.epoch;
    let (name, from, to, reason) = (event.event.as_str(), some(event.from), some(event.to), event.reason.as_str());
    if event.event.is_bad() {
        tracing::warn!(event = name, lookup, upstream, from, to, epoch, reason);
    } else {
        tracing::info!(event = name, lookup, upstream, from, to, epoch, reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_latest_are_kept_and_a_subscriber_hears_them() {
        let events = Events::default();
        let mut ear = events.subscribe();
        for n in 0..RECENT + 1 {
            events.raise(Event::of_node(EventType::NodeStarted, n.to_string()));
        }
        assert_eq!(events.recent().len(), RECENT);
        assert_eq!(events.recent()[0].reason, "1");
        assert_eq!(ear.recv().await.unwrap().reason, "0");
    }
}
