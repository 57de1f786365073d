//! Dead destinations: what one node is told, every node avoids.
//!
//! The word goes round in the node documents of the lookups that have targets, under the destination's name; the latest 64
//! are remembered. Each node has one list for all its lookups ([`FailedTargets`](crate::health::FailedTargets)), so a word
//! that comes in two documents is one word.

use std::net::SocketAddr;
use std::time::Duration;

use crate::deadline::{calendar, now};
use crate::health::failed::{Full, LONGEST};
use crate::health::flags::{Mind, Note};
use crate::lookup::{Lookup, Lookups};

/// What a word's name begins with; the destination follows.
const TARGET: &str = "target ";
/// The word that a destination is dead.
const DEAD: &str = "dead";
/// The word that it is not.
const WELL: &str = "well";
/// So long at least that a destination is well is told to nodes that were away when it was dead.
const SHORTEST: Duration = Duration::from_secs(60);

impl Lookups {
    /// Has every call avoid a destination for this long, at most a day; on every node.
    ///
    /// # Errors
    /// When too many are avoided already.
    pub fn avoid(&self, target: SocketAddr, span: Duration) -> Result<(), Full> {
        let span = span.min(LONGEST);
        self.failed_targets().avoid(target, span, now())?;
        self.tell_of(target, |mind, name| mind.note(name, DEAD, span));
        Ok(())
    }

    /// Takes that back. True if it was avoided here.
    pub fn trust(&self, target: SocketAddr) -> bool {
        let left = self.failed_targets().trust(target, now());
        self.tell_of(target, |mind, name| mind.note(name, WELL, left.unwrap_or_default().max(SHORTEST)));
        left.is_some()
    }

    /// As [`Lookups::avoid`], by an order that every node hears by itself, given at this time (milliseconds since 1970): the
    /// latest word about a destination counts. No time at all takes it back.
    ///
    /// # Errors
    /// When too many are avoided already.
    pub fn avoid_as_told(&self, target: SocketAddr, span: Duration, at: u64) -> Result<(), Full> {
        let span = span.min(LONGEST);
        let (word, life) = if span.is_zero() { (WELL, SHORTEST) } else { (DEAD, span) };
        let (mut tellers, mut is_news) = (0, false);
        self.tell_of(target, |mind, name| {
            tellers += 1;
            is_news |= mind.note_as_told(name, word, at, life);
        });
        // Without a lookup that has targets nobody remembers whose word was the last.
        if tellers > 0 && !is_news {
            return Ok(());
        }
        let left = left_of(span, at);
        if left.is_zero() {
            self.failed_targets().trust(target, now());
            return Ok(());
        }
        self.failed_targets().avoid(target, left, now())
    }

    fn tell_of(&self, target: SocketAddr, mut tell: impl FnMut(&Mind, &str)) {
        let name = format!("{TARGET}{target}");
        for lookup in self.all().iter().filter(|lookup| lookup.steers) {
            tell(&lookup.mind, &name);
            lookup.nudge();
        }
    }
}

impl Lookup {
    /// Another node's word; passed over where it is about something else.
    pub(super) fn hear_of_target(&self, name: &str, note: &Note) {
        let Some(target) = name.strip_prefix(TARGET).and_then(|target| target.parse().ok()) else { return };
        let left = match note.text.as_str() {
            DEAD => left_of(Duration::from_millis(note.until.saturating_sub(note.at)), note.at),
            WELL => Duration::ZERO,
            // A later version's.
            _ => return,
        };
        if left.is_zero() {
            self.failed.trust(target, now());
        } else if let Err(full) = self.failed.avoid(target, left, now()) {
            tracing::warn!(%full, "another node's word about a dead destination is not heeded");
        }
    }
}

/// What is left of a span that began at this time, by our clock; all of it where that clock is behind.
fn left_of(span: Duration, at: u64) -> Duration {
    span.saturating_sub(Duration::from_millis(calendar().saturating_sub(at)))
}
