//! The classic commands on plain keys, with memcached's own semantics.

use crate::front::memcached::command::{Keep, Verb};
use crate::front::memcached::numbers;
use crate::front::memcached::store::{Expires, Item, Slot, Store};

/// The reply to a value that no store takes.
pub const TOO_LARGE: &[u8] = b"SERVER_ERROR object too large for cache\r\n";

/// Writes `VALUE …` if the key is there; true if it was. `touch` is the new `exptime` of what is found.
pub fn get(key: &[u8], with_cas: bool, touch: Option<i64>, store: &Store, tick: u64, out: &mut Vec<u8>) -> bool {
    store.with(key, tick, |slot| {
        let Some(item) = slot.read() else { return false };
        if let Some(exptime) = touch {
            item.expires = Expires::of(exptime, tick);
        }
        (item.fetched, item.used) = (true, tick);
        write_value(key, item.flags, &item.value, with_cas.then_some(item.cas), out);
        true
    })
}

/// One `VALUE` with its data.
pub fn write_value(key: &[u8], flags: u32, value: &[u8], cas: Option<u64>, out: &mut Vec<u8>) {
    out.reserve(key.len() + value.len() + 64);
    out.extend_from_slice(b"VALUE ");
    out.extend_from_slice(key);
    out.push(b' ');
    numbers::write(flags.into(), out);
    out.push(b' ');
    numbers::write(value.len() as u64, out);
    if let Some(cas) = cas {
        out.push(b' ');
        numbers::write(cas, out);
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Keeps a value, or does not; answers the reply.
pub fn keep(wish: &Keep<'_>, value: &[u8], store: &Store, tick: u64) -> &'static [u8] {
    store.with(wish.key, tick, |slot| {
        let value: Box<[u8]> = match (wish.verb, slot.item()) {
            (Verb::Add, Some(item)) => {
                item.used = tick;
                return b"NOT_STORED\r\n".as_slice();
            }
            (Verb::Replace | Verb::Append | Verb::Prepend, None) => return b"NOT_STORED\r\n",
            (Verb::Cas(_), None) => return b"NOT_FOUND\r\n",
            (Verb::Cas(wanted), Some(item)) if wanted != item.cas => return b"EXISTS\r\n",
            (Verb::Append, Some(item)) => [&item.value, value].concat().into(),
            (Verb::Prepend, Some(item)) => [value, &item.value].concat().into(),
            _ => value.into(),
        };
        // A value that came alone was measured before it came; one that grew too large is not kept.
        if !Store::fits(wish.key, value.len()) {
            return b"NOT_STORED\r\n";
        }
        put(wish, value, slot);
        b"STORED\r\n"
    })
}

fn put(wish: &Keep<'_>, value: Box<[u8]>, slot: &mut Slot<'_>) {
    let tick = slot.tick;
    let mut item = Item::new(value, wish.flags, Expires::of(wish.exptime, tick), tick);
    // What is added to a value leaves its flags and its time alone.
    if let (Verb::Append | Verb::Prepend, Some(old)) = (wish.verb, slot.item()) {
        (item.flags, item.expires) = (old.flags, old.expires);
    }
    slot.put(item);
}

/// A value that is too large takes the old one with it: better none than one that its writer thinks replaced.
pub fn forget_outgrown(key: &[u8], store: &Store, tick: u64) {
    store.with(key, tick, |slot| slot.remove());
}

/// `delete`
pub fn delete(key: &[u8], store: &Store, tick: u64) -> &'static [u8] {
    if store.with(key, tick, |slot| slot.remove()) { b"DELETED\r\n" } else { b"NOT_FOUND\r\n" }
}

/// `touch`
pub fn touch(key: &[u8], exptime: i64, store: &Store, tick: u64) -> &'static [u8] {
    store.with(key, tick, |slot| match slot.read() {
        Some(item) => {
            (item.expires, item.used) = (Expires::of(exptime, tick), tick);
            b"TOUCHED\r\n".as_slice()
        }
        None => b"NOT_FOUND\r\n",
    })
}

/// `incr` and `decr`: up round 2^64, down to zero and no further.
pub fn count(key: &[u8], delta: u64, up: bool, store: &Store, tick: u64, out: &mut Vec<u8>) {
    store.with(key, tick, |slot| {
        let Some(old) = slot.item() else { return out.extend_from_slice(b"NOT_FOUND\r\n") };
        let Some(number) = old.number() else {
            return out.extend_from_slice(b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
        };
        let number = if up { number.wrapping_add(delta) } else { number.saturating_sub(delta) };
        let mut item = Item { written: tick, used: tick, ..old.clone() };
        item.set_number(number);
        slot.put(item);
        numbers::write(number, out);
        out.extend_from_slice(b"\r\n");
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_told_with_its_length() {
        for length in [0, 1, 9, 10, 79, 99, 100, 101, 999, 1000, 70_000] {
            let value = vec![b'v'; length];
            let text = str::from_utf8(&value).unwrap();
            for (flags, cas, numbers) in [(0, None, "0"), (9, None, "9"), (10, None, "10"), (1, Some(7), "1")] {
                let mut out = b"before".to_vec();
                write_value(b"key", flags, &value, cas, &mut out);
                let cas = cas.map(|cas| format!(" {cas}")).unwrap_or_default();
                let expected = format!("beforeVALUE key {numbers} {length}{cas}\r\n{text}\r\n");
                assert_eq!(str::from_utf8(&out).unwrap(), expected);
            }
        }
    }
}
