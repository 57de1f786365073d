//! One event as bytes on disk.
//!
//! `dce1`, length of the body, CRC-32 of the body (both 32 bits, little endian), then the body: number,
//! milliseconds of the wall clock, flags, length of the key, key, text. The checksum covers the number, so that a
//! record cannot pass for another.

use std::sync::Arc;

/// Starts every record: what a reader looks for behind a bad one.
pub(super) const MAGIC: [u8; 4] = *b"dce1";
const HEAD: usize = 12;
const FIXED: usize = 8 + 8 + 1 + 2;
/// No event is longer; a longer length is damage.
pub(super) const MAX_BODY: usize = 1024 * 1024;

const SUMMARY: u8 = 1;
const DROPPED: u8 = 2;

/// An event with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number in the spool.
    pub offset: u64,
    /// When it was spooled, in milliseconds of the wall clock.
    pub at_ms: u64,
    /// What keeps its order: the lookup.
    pub key: Arc<str>,
    /// The finished event; empty for one that had to go for want of room.
    pub text: Arc<str>,
    /// True for a sum over many calls.
    pub summary: bool,
}

impl Record {
    /// True for what only holds the number of an event that had to go.
    pub fn is_dropped(&self) -> bool {
        self.text.is_empty()
    }

    /// What it weighs in memory, more or less.
    pub(in crate::events) fn weight(&self) -> usize {
        64 + self.text.len()
    }
}

/// What is found at a place in a file.
#[derive(Debug)]
pub(super) enum Found {
    /// A record and its length.
    Record(Record, usize),
    /// The bytes end before the record does.
    Short,
    /// No record begins here, or not the one that was written.
    Bad,
}

/// Appends the record to `out`.
pub(super) fn encode(record: &Record, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[0; HEAD - MAGIC.len()]);
    out.extend_from_slice(&record.offset.to_le_bytes());
    out.extend_from_slice(&record.at_ms.to_le_bytes());
    out.push(u8::from(record.summary) * SUMMARY + u8::from(record.is_dropped()) * DROPPED);
    // The journal cuts keys and texts to what fits.
    let key = u16::try_from(record.key.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&key.to_le_bytes());
    out.extend_from_slice(&record.key.as_bytes()[..usize::from(key)]);
    out.extend_from_slice(record.text.as_bytes());
    let body = start + HEAD;
    let length = u32::try_from(out.len() - body).unwrap_or(u32::MAX);
    let crc = crc32fast::hash(&out[body..]);
    out[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
    out[start + 8..start + 12].copy_from_slice(&crc.to_le_bytes());
}

/// Reads what begins at the first byte.
pub(super) fn decode(bytes: &[u8]) -> Found {
    let known = bytes.len().min(MAGIC.len());
    if bytes[..known] != MAGIC[..known] {
        return Found::Bad;
    }
    let (Some(length), Some(crc)) = (number::<4>(bytes, 4), number::<4>(bytes, 8)) else { return Found::Short };
    let (length, crc) = (u32::from_le_bytes(length) as usize, u32::from_le_bytes(crc));
    if !(FIXED..=MAX_BODY).contains(&length) {
        return Found::Bad;
    }
    let Some(body) = bytes.get(HEAD..HEAD + length) else { return Found::Short };
    if crc32fast::hash(body) != crc {
        return Found::Bad;
    }
    record(body).map_or(Found::Bad, |record| Found::Record(record, HEAD + length))
}

fn record(body: &[u8]) -> Option<Record> {
    let offset = u64::from_le_bytes(number(body, 0)?);
    let at_ms = u64::from_le_bytes(number(body, 8)?);
    let flags = *body.get(16)?;
    let key = usize::from(u16::from_le_bytes(number(body, 17)?));
    let key_end = FIXED.checked_add(key)?;
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(Arc::<str>::from);
    Some(Record {
        offset,
        at_ms,
        key: text(body.get(FIXED..key_end)?)?,
        text: text(body.get(key_end..)?)?,
        summary: flags & SUMMARY != 0,
    })
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_record() -> impl Strategy<Value = Record> {
        (any::<u64>(), any::<u64>(), ".{0,20}", ".{1,200}", any::<bool>()).prop_map(
            |(offset, at_ms, key, text, summary)| Record { offset, at_ms, key: key.into(), text: text.into(), summary },
        )
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(record in any_record()) {
            let mut bytes = Vec::new();
            encode(&record, &mut bytes);
            match decode(&bytes) {
                Found::Record(read, used) => prop_assert_eq!((read, used), (record, bytes.len())),
                other => prop_assert!(false, "{other:?}"),
            }
        }

        #[test]
        fn one_flipped_bit_is_seen(record in any_record(), at in any::<proptest::sample::Index>(), bit in 0..8_u32) {
            let mut bytes = Vec::new();
            encode(&record, &mut bytes);
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            let found = decode(&bytes);
            prop_assert!(!matches!(found, Found::Record(..)), "{found:?}");
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes);
            let mut behind_magic = MAGIC.to_vec();
            behind_magic.extend(bytes);
            let _ = decode(&behind_magic);
        }
    }
}
