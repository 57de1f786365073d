//! Answers ready to be sent: what was said once is said again by copying it.
//!
//! The shelf keeps the bytes of replies that came from the local cache, by the question as it stands on the wire. The
//! cache is asked every time all the same: it knows what is fresh, what was flushed and what is to be renewed. Only
//! when it gives the very record that the bytes were made of are they sent, with the query's id, its spelling of the
//! name and the time that is left. Everything unusual (options, flags, several questions) takes the long way.

use ahash::RandomState;
use hashbrown::HashTable;

use crate::answer::{Answer, Outcome, Record, Source};
use crate::front::Front;
use crate::front::desk::{Desk, Line};
use crate::front::dns::reply;
use crate::policy::Question;

/// The size of a message's header.
const HEADER: usize = 12;

/// Type and class of a question.
const TYPE_AND_CLASS: usize = 4;

/// A bare OPT: the root's name, type, payload size, no flags, no options (RFC 6891).
const BARE_OPT: usize = 11;

/// OPT's type.
const OPT: u16 = 41;

/// A reply that fits every client.
const SMALL: usize = 512;

/// Replies on the shelf. When it is full it is emptied: what is wanted is back at once.
const MOST: usize = 32_768;

/// Replies by question.
pub struct Shelf<L> {
    replies: HashTable<Ready<L>>,
    state: RandomState,
    /// The lookups that these replies are of.
    edition: u64,
    /// Where a query's key is built.
    key: Vec<u8>,
}

/// A reply and what it was made of.
struct Ready<L> {
    line: L,
    question: Question,
    record: Record,
    /// The key, the reply, and where in it the TTLs stand, two bytes each: all that an answer reads beside the cache, in one piece.
    text: Box<[u8]>,
    /// Where the reply begins in it.
    reply: u16,
    /// Where the places of the TTLs begin.
    lives: u16,
}

impl<L> Ready<L> {
    fn key(&self) -> &[u8] {
        &self.text[..self.reply.into()]
    }

    fn reply(&self) -> &[u8] {
        &self.text[self.reply.into()..self.lives.into()]
    }

    fn lives(&self) -> impl Iterator<Item = usize> {
        self.text[self.lives.into()..].as_chunks().0.iter().map(|place| u16::from_be_bytes(*place).into())
    }
}

/// What a reply was made of.
pub struct Made<L> {
    /// The lookup.
    pub line: L,
    /// What it was asked.
    pub question: Question,
    /// What it answered.
    pub record: Record,
}

impl<L> Default for Shelf<L> {
    fn default() -> Self {
        Self { replies: HashTable::new(), state: RandomState::new(), edition: 0, key: Vec::new() }
    }
}

impl<L: Line> Shelf<L> {
    /// Puts the reply to this query behind what is in `out`, if it is ready; if not, there may be a part of one.
    pub fn answer<D: Desk<Line = L>>(&mut self, desk: &D, query: &[u8], tick: u64, out: &mut Vec<u8>) -> bool {
        if self.edition != desk.edition() {
            self.edition = desk.edition();
            self.replies.clear();
        }
        let Some(end) = plain(query, &mut self.key) else { return false };
        let hash = self.state.hash_one(&*self.key);
        let Some(ready) = self.replies.find(hash, |ready| ready.key() == self.key) else { return false };
        let question = |_| Some(ready.question.clone());
        let begin = out.len();
        let said = ready.line.each_hit(Front::Dns, &[&*ready.question.id], tick, question, |_, told| {
            let same =
                told.outcome == Outcome::Found && told.record.is_some_and(|record| record.is_same(&ready.record));
            if same {
                out.extend_from_slice(ready.reply());
                let life = reply::fresh_ttl(told.ttl).to_be_bytes();
                ready.lives().for_each(|place| out[begin..][place..place + 4].copy_from_slice(&life));
            }
            same
        });
        if said == 0 {
            return false;
        }
        let out = &mut out[begin..];
        out[..2].copy_from_slice(&query[..2]);
        // Whether recursion is wanted is told back (RFC 1035, section 4.1.1).
        out[2] = out[2] & !1 | query[2] & 1;
        out[HEADER..end].copy_from_slice(&query[HEADER..end]);
        true
    }

    /// Keeps the reply to this query for the next who asks, where it is of the kind that can be.
    pub fn keep(&mut self, query: &[u8], reply: &[u8], made: Made<L>) {
        if reply.len() > SMALL || plain(query, &mut self.key).is_none() {
            return;
        }
        let Some(lives) = lives(reply) else { return };
        if self.replies.len() >= MOST {
            self.replies.clear();
        }
        let Made { line, question, record } = made;
        let text = [&*self.key, reply, &lives].concat().into();
        // A key is no longer than a query, and a reply no longer than `SMALL`.
        let begins = self.key.len() as u16;
        let ready = Ready { line, question, record, text, reply: begins, lives: begins + reply.len() as u16 };
        let hash = |key: &[u8]| self.state.hash_one(key);
        let place = self.replies.entry(hash(&self.key), |ready| ready.key() == self.key, |ready| hash(ready.key()));
        place.insert(ready);
    }
}

/// True for an answer whose reply depends on nothing but its record and the time that is left.
pub fn is_plain_hit(answer: &Answer) -> bool {
    answer.outcome == Outcome::Found && answer.source == Source::Local
}

/// Where the question ends, if this is a query of the plainest kind; `key` is then what tells it from others.
fn plain(query: &[u8], key: &mut Vec<u8>) -> Option<usize> {
    let header = query.get(..HEADER)?;
    let flags = (header[2], header[3]);
    // A query without TC or AA; AD and CD mean nothing here.
    if flags.0 & !1 != 0 || flags.1 & !0x30 != 0 || header[4..10] != [0, 1, 0, 0, 0, 0] || header[10] != 0 {
        return None;
    }
    let end = name_end(query, HEADER)? + TYPE_AND_CLASS;
    let rest = query.get(end..)?;
    let fits = match header[11] {
        0 => rest.is_empty(),
        1 => rest.len() == BARE_OPT && rest[..3] == [0, 0, OPT as u8] && rest[5..] == [0; 6],
        _ => false,
    };
    if !fits {
        return None;
    }
    key.clear();
    key.extend_from_slice(&query[HEADER..end]);
    // A label's length is below 64, and so no letter.
    key[..end - HEADER - TYPE_AND_CLASS].make_ascii_lowercase();
    key.push(header[11]);
    Some(end)
}

/// Where a name that starts here ends; `None` for one that is cut off or points elsewhere.
fn name_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
}

/// Where the TTLs of a reply's records stand, two bytes each.
fn lives(reply: &[u8]) -> Option<Vec<u8>> {
    let number = |at: usize| Some(u16::from_be_bytes([*reply.get(at)?, *reply.get(at + 1)?]));
    // No error, not cut short.
    if reply.get(3)? & 0x0f != 0 || reply.get(2)? & 0x02 != 0 || number(4)? != 1 {
        return None;
    }
    let records = [6, 8, 10].into_iter().map(|at| number(at).map(u32::from)).sum::<Option<u32>>()?;
    let mut at = name_end(reply, HEADER)? + TYPE_AND_CLASS;
    let mut lives = Vec::new();
    for _ in 0..records {
        at = owner_end(reply, at)?;
        if number(at)? != OPT {
            lives.extend(u16::try_from(at + 4).ok()?.to_be_bytes());
        }
        at += 10 + usize::from(number(at + 8)?);
    }
    (at == reply.len()).then_some(lives)
}

/// Where a record's owner ends: a name that may end in a pointer.
fn owner_end(reply: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *reply.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            0xc0.. => return Some(at + 2),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03Sip\x04test\x00\x00\x01\x00\x01";

    fn key(query: &[u8]) -> Option<Vec<u8>> {
        let mut key = Vec::new();
        plain(query, &mut key).map(|_| key)
    }

    #[test]
    fn a_plain_query_is_known_by_its_question_whatever_its_spelling() {
        let mut other = QUERY.to_vec();
        other[..2].copy_from_slice(b"\xff\xff");
        other[13] = b's';
        other[2] = 0;
        assert!(key(QUERY).is_some());
        assert_eq!(key(QUERY), key(&other));
        let mut of_srv = QUERY.to_vec();
        of_srv[23] = 33;
        assert_ne!(key(QUERY), key(&of_srv));
        let mut with_opt = [QUERY, b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"].concat();
        assert_eq!(key(&with_opt), None, "it says that there is nothing more");
        with_opt[11] = 1;
        assert!(key(&with_opt).is_some());
        assert_ne!(key(&with_opt), key(QUERY));
    }

    #[test]
    fn whatever_is_not_plain_takes_the_long_way() {
        for (place, byte) in [(2, 0x81), (2, 0x28), (2, 0x03), (3, 0x80), (5, 2), (7, 1), (9, 1), (11, 2), (12, 0xc0)] {
            let mut query = QUERY.to_vec();
            query[place] = byte;
            assert_eq!(key(&query), None, "{place} {byte}");
        }
        let with_do = [QUERY, b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00"].concat();
        let with_option = [QUERY, b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x04abcd"].concat();
        for mut query in [with_do, with_option] {
            query[11] = 1;
            assert_eq!(key(&query), None);
        }
        for length in 0..QUERY.len() {
            assert_eq!(key(&QUERY[..length]), None);
        }
    }

    #[test]
    fn ttls_are_found_behind_names_and_pointers() {
        let mut reply = QUERY.to_vec();
        reply[2] = 0x81;
        reply[7] = 2;
        reply[11] = 1;
        reply.extend_from_slice(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x7f\x00\x00\x01");
        reply.extend_from_slice(b"\x01a\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x7f\x00\x00\x01");
        reply.extend_from_slice(b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00");
        let start = QUERY.len() as u16;
        let places = [start + 6, start + 16 + 8].map(u16::to_be_bytes);
        assert_eq!(lives(&reply).as_deref(), Some(places.as_flattened()));
        assert_eq!(lives(&reply[..reply.len() - 1]), None);
        reply[2] |= 2;
        assert_eq!(lives(&reply), None, "cut short");
    }
}
