//! A name server's side of the wire: every name has one address.

use dipcache::demo::vendors::Mode;

/// How long an answer may be kept, in seconds.
const TTL: u32 = 3600;

/// The answer to a query in this mode; `None` where it is no query.
pub(super) fn answer(mode: Mode, query: &[u8]) -> Option<Vec<u8>> {
    let head = query.first_chunk::<12>()?;
    // The name, its end, type and class.
    let end = 12 + memchr::memchr(0, &query[12..])? + 1 + 4;
    let question = query.get(12..end)?;
    let mut out = Vec::with_capacity(end + 16);
    out.extend_from_slice(&head[..2]);
    match mode {
        Mode::Error => {
            out.extend_from_slice(&[0x84, 0x02, 0, 1, 0, 0, 0, 0, 0, 0]);
            out.extend_from_slice(question);
        }
        Mode::Garbage => out.extend_from_slice(b"We'll be right back"),
        _ => {
            out.extend_from_slice(&[0x84, 0x00, 0, 1, 0, 1, 0, 0, 0, 0]);
            out.extend_from_slice(question);
            out.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1]);
            out.extend_from_slice(&TTL.to_be_bytes());
            out.extend_from_slice(&[0, 4, 192, 0, 2, 1]);
        }
    }
    Some(out)
}
