//! Destinations that somebody found dead: told from outside, each for a time, and forgotten by themselves.
//!
//! It is looked at when an answer with targets is given, never when one is kept: so a destination is avoided from the
//! next call on, whatever the caches hold, and comes back the moment its time is over.

use std::net::SocketAddr;
use std::time::Duration;

use ahash::AHashMap;
use parking_lot::RwLock;

use crate::deadline::Instant;

/// The most destinations that are remembered: more are an outage of ours.
pub const MOST: usize = 4096;

/// The longest that one is avoided.
pub const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The list.
#[derive(Debug, Default)]
pub struct FailedTargets {
    until: RwLock<AHashMap<SocketAddr, Instant>>,
}

/// The list is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MOST} destinations are on the list already")]
pub struct Full;

impl FailedTargets {
    /// Avoids a destination for this long from `now`, at most a day; a second word replaces the first.
    ///
    /// # Errors
    /// When too many are on the list whose time is not over.
    pub fn avoid(&self, target: SocketAddr, span: Duration, now: Instant) -> Result<(), Full> {
        let mut until = self.until.write();
        if until.len() >= MOST && !until.contains_key(&target) {
            until.retain(|_, until| *until > now);
            if until.len() >= MOST {
                return Err(Full);
            }
        }
        until.insert(target, now + span.min(LONGEST));
        Ok(())
    }

    /// Takes it off the list; for how much longer it would have been avoided.
    pub fn trust(&self, target: SocketAddr, now: Instant) -> Option<Duration> {
        let until = self.until.write().remove(&target)?;
        (until > now).then(|| until - now)
    }

    /// Whether it is avoided now.
    pub fn is_avoided(&self, target: SocketAddr, now: Instant) -> bool {
        self.until.read().get(&target).is_some_and(|until| *until > now)
    }

    /// What is avoided now and for how much longer, in order of address.
    pub fn list(&self, now: Instant) -> Vec<(SocketAddr, Duration)> {
        let mut until = self.until.write();
        until.retain(|_, until| *until > now);
        let mut list: Vec<_> = until.iter().map(|(target, until)| (*target, *until - now)).collect();
        list.sort_unstable();
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline::now;

    fn target(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 1, 1], port))
    }

    #[test]
    fn a_destination_is_avoided_for_its_time() {
        let (failed, start) = (FailedTargets::default(), now());
        failed.avoid(target(1), Duration::from_secs(10), start).unwrap();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(failed.is_avoided(target(1), at(9)) && !failed.is_avoided(target(1), at(10)));
        assert!(!failed.is_avoided(target(2), start));
        assert_eq!(failed.list(at(4)), [(target(1), Duration::from_secs(6))]);
        assert_eq!(failed.trust(target(1), at(4)), Some(Duration::from_secs(6)));
        assert_eq!(failed.trust(target(1), at(4)), None);
        failed.avoid(target(1), Duration::MAX, start).unwrap();
        assert_eq!(failed.list(start)[0].1, LONGEST);
    }

    #[test]
    fn the_list_is_bounded_and_room_is_made_of_what_is_over() {
        let (failed, start) = (FailedTargets::default(), now());
        for port in 0..MOST as u16 {
            failed.avoid(target(port), Duration::from_secs(10), start).unwrap();
        }
        assert_eq!(failed.avoid(target(9999), Duration::from_secs(1), start), Err(Full));
        failed.avoid(target(0), Duration::from_secs(20), start).unwrap();
        let later = start + Duration::from_secs(10);
        failed.avoid(target(9999), Duration::from_secs(1), later).unwrap();
        assert_eq!(failed.list(later).len(), 2);
    }
}
