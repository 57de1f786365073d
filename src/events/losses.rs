//! What is lost for want of room, or because it is too old, is told: when it begins, once a minute while it goes on, and
//! when it is over.

use std::time::Duration;

use crate::deadline::Instant;
use crate::events::{Event, EventType, Events};

/// It is over when nothing was lost for so long.
const QUIET: Duration = Duration::from_secs(60);

/// What is known of losses.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// So many there were at the last look.
    known: u64,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    /// So many there were before it began.
    before: u64,
    latest: Instant,
    logged: Instant,
}

impl Losses {
    /// Looks at the count of all that was ever lost.
    pub(super) fn tell(&mut self, lost: u64, now: Instant, events: &Events) {
        let fresh = lost - self.known.min(lost);
        let before = std::mem::replace(&mut self.known, lost);
        match &mut self.current {
            None if fresh > 0 => {
                self.current = Some(Current { before, latest: now, logged: now });
                let reason = format!("{fresh} events are lost: the spool has no room for them, or they are too old");
                raise(events, EventType::SinkDown, ("up", "dropping"), reason);
            }
            None => {}
            Some(current) => {
                if fresh > 0 {
                    current.latest = now;
                }
                let count = lost - current.before;
                if now.saturating_duration_since(current.latest) >= QUIET {
                    self.current = None;
                    raise(events, EventType::SinkUp, ("dropping", "up"), format!("{count} events were lost"));
                } else if now.saturating_duration_since(current.logged) >= QUIET {
                    current.logged = now;
                    tracing::warn!(lost = count, "the spool goes on losing events");
                }
            }
        }
    }
}

fn raise(events: &Events, event: EventType, (from, to): (&'static str, &'static str), reason: String) {
    events.raise(Event { sink: Some("spool".into()), from, to, ..Event::of_node(event, reason) });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline::now;

    #[test]
    fn a_loss_is_told_when_it_begins_and_when_it_is_over() {
        let (events, mut losses, start) = (Events::default(), Losses::default(), now());
        let mut look = |lost, seconds| losses.tell(lost, start + Duration::from_secs(seconds), &events);
        look(0, 0);
        look(3, 1);
        (2..200).for_each(|second| look(3 + second, second));
        (200..300).for_each(|second| look(202, second));
        let told = events.recent();
        let told: Vec<_> = told.iter().map(|told| (told.event, told.to, told.reason.as_str())).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!((told[0].0, told[0].1), (EventType::SinkDown, "dropping"));
        assert_eq!(told[1], (EventType::SinkUp, "up", "202 events were lost"));
    }
}
