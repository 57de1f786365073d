//! The form of an answer in memcached: versioned, and believed only when everything about it is right.
//!
//! ```text
//! "dc" version outcome | generation u64 | born u64 | fresh u32 | dead u32 | length u32 | crc u32 | record
//! ```
//!
//! Numbers are big-endian; `born` is milliseconds of the calendar, since no other clock is the same on two nodes. The
//! checksum runs over the question as well: a good answer under another question's key is as wrong as a torn one.
//! Whatever does not fit is a miss.

use crate::answer::{Outcome, Record};
use crate::cache::Entry;

const MAGIC: &[u8; 2] = b"dc";
const VERSION: u8 = 1;
const HEAD: usize = 36;

/// How far ahead of ours another node's calendar may be, in milliseconds.
const SKEW: u64 = 60_000;

/// The same moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// See [`crate::deadline::tick`].
    pub tick: u64,
    /// Milliseconds since 1970.
    pub calendar: u64,
}

impl Moment {
    /// This one.
    pub fn now() -> Self {
        Self { tick: crate::deadline::tick(), calendar: crate::deadline::calendar() }
    }
}

/// Why a stored value is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// Another program's, another version's, or torn.
    Form,
    /// Kept before the server was away.
    Generation,
    /// Born in the future.
    Clock,
}

impl Bad {
    /// The label in metrics.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Generation => "generation",
            Self::Clock => "clock",
        }
    }
}

/// Writes an entry down.
pub(super) fn write(entry: &Entry, id: &str, generation: u64, now: Moment) -> Vec<u8> {
    let record = entry.record.as_ref().map_or("", Record::as_json).as_bytes();
    let mut bytes = Vec::with_capacity(HEAD + record.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[VERSION, entry.outcome as u8]);
    bytes.extend_from_slice(&generation.to_be_bytes());
    let born = now.calendar.saturating_sub(now.tick.saturating_sub(entry.born));
    bytes.extend_from_slice(&born.to_be_bytes());
    bytes.extend_from_slice(&entry.fresh_ms.to_be_bytes());
    bytes.extend_from_slice(&entry.dead_ms.to_be_bytes());
    // A record longer than a u32 is far above what is kept.
    bytes.extend_from_slice(&u32::try_from(record.len()).unwrap_or(u32::MAX).to_be_bytes());
    let crc = checksum(id, &bytes, record);
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes.extend_from_slice(record);
    bytes
}

/// Reads one back, with the times of this process's clock.
///
/// # Errors
/// Why it is not believed.
pub(super) fn read(bytes: &[u8], id: &str, generation: u64, now: Moment) -> Result<Entry, Bad> {
    let (head, record) = bytes.split_at_checked(HEAD).ok_or(Bad::Form)?;
    if &head[..2] != MAGIC || head[2] != VERSION {
        return Err(Bad::Form);
    }
    let [length, crc] = [28, 32].map(|at| u32_at(head, at));
    if usize::try_from(length) != Ok(record.len()) || checksum(id, &head[..32], record) != crc {
        return Err(Bad::Form);
    }
    if u64_at(head, 4) != generation {
        return Err(Bad::Generation);
    }
    let outcome = Outcome::ALL.into_iter().find(|outcome| *outcome as u8 == head[3]);
    let outcome = outcome.filter(|outcome| outcome.is_answer()).ok_or(Bad::Form)?;
    let born = u64_at(head, 12);
    if born > now.calendar.saturating_add(SKEW) {
        return Err(Bad::Clock);
    }
    let age = now.calendar.saturating_sub(born);
    let (fresh_ms, dead_ms) = (u32_at(head, 20), u32_at(head, 24));
    // Older than this process's clock can tell: dead long ago (see `deadline::tick`).
    let born = now.tick.checked_sub(age).ok_or(Bad::Clock)?;
    let record = if record.is_empty() { None } else { Some(read_record(record)?) };
    if record.is_some() != outcome.has_record() {
        return Err(Bad::Form);
    }
    Ok(Entry { record, born, fresh_ms, dead_ms: dead_ms.max(fresh_ms), outcome })
}

/// Fronts write a record out as it stands: it must be one line of JSON.
fn read_record(bytes: &[u8]) -> Result<Record, Bad> {
    let text = std::str::from_utf8(bytes).map_err(|_| Bad::Form)?;
    let whole = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    if whole && text.starts_with('{') && !text.contains(['\r', '\n', '\0']) {
        Ok(Record::from_json(text))
    } else {
        Err(Bad::Form)
    }
}

fn checksum(id: &str, head: &[u8], record: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&(id.len() as u64).to_be_bytes());
    crc.update(id.as_bytes());
    crc.update(head);
    crc.update(record);
    crc.finalize()
}

/// Only for places within the head, whose length has been looked at.
fn u32_at(head: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(std::array::from_fn(|n| head[at + n]))
}

fn u64_at(head: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(std::array::from_fn(|n| head[at + n]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Source;
    use proptest::prelude::*;

    fn entry(outcome: Outcome, record: Option<&str>) -> Entry {
        let record = record.map(Record::from_json);
        Entry { record, born: 1_000_000, fresh_ms: 60_000, dead_ms: 120_000, outcome }
    }

    const NOW: Moment = Moment { tick: 1_010_000, calendar: 1_700_000_000_000 };

    #[test]
    fn another_process_reads_the_same_answer_with_its_remaining_life() {
        let bytes = write(&entry(Outcome::Found, Some(r#"{"a":1}"#)), "key", 7, NOW);
        let later = Moment { tick: 9_000_000, calendar: NOW.calendar + 20_000 };
        let read = read(&bytes, "key", 7, later).unwrap();
        let answer = read.answer(Source::Shared, later.tick);
        assert_eq!(answer.record.unwrap().as_json(), r#"{"a":1}"#);
        assert_eq!((answer.age.as_secs(), answer.ttl), (30, 30));
    }

    #[test]
    fn another_question_generation_or_version_is_not_believed() {
        let bytes = write(&entry(Outcome::NotFound, None), "key", 7, NOW);
        assert!(read(&bytes, "key", 7, NOW).is_ok());
        assert_eq!(read(&bytes, "yek", 7, NOW).unwrap_err(), Bad::Form);
        assert_eq!(read(&bytes, "key", 8, NOW).unwrap_err(), Bad::Generation);
        let long_before = Moment { calendar: NOW.calendar - 100_000, ..NOW };
        assert_eq!(read(&bytes, "key", 7, long_before).unwrap_err(), Bad::Clock);
    }

    #[test]
    fn a_record_that_is_no_line_of_json_is_not_believed() {
        for record in ["{\"a\":1", "[1]", "{\n}", "{} {}"] {
            let bytes = write(&entry(Outcome::Found, Some(record)), "key", 7, NOW);
            assert_eq!(read(&bytes, "key", 7, NOW).unwrap_err(), Bad::Form, "{record}");
        }
    }

    proptest! {
        #[test]
        fn no_flipped_cut_or_foreign_byte_gets_through(at in 0usize..43, flip in 1u8.., cut in 0usize..43, noise in any::<Vec<u8>>()) {
            let bytes = write(&entry(Outcome::Found, Some(r#"{"a":1}"#)), "key", 7, NOW);
            let mut flipped = bytes.clone();
            flipped[at] ^= flip;
            prop_assert!(read(&flipped, "key", 7, NOW).is_err());
            prop_assert!(read(&bytes[..cut], "key", 7, NOW).is_err());
            prop_assert!(read(&noise, "key", 7, NOW).is_err());
            prop_assert!(read(&[&bytes[..], &[0]].concat(), "key", 7, NOW).is_err());
        }
    }
}
