//! The meta commands on plain keys.

use std::borrow::Cow;

use crate::front::memcached::command::words;
use crate::front::memcached::meta::{MetaLine, MetaVerb};
use crate::front::memcached::numbers;
use crate::front::memcached::store::{Expires, Item, Slot, Store};

/// Runs it and writes the reply. `value` is what follows an `ms`.
pub fn run(line: &MetaLine<'_>, value: &[u8], store: &Store, tick: u64, out: &mut Vec<u8>) {
    store.with(&line.key, tick, |slot| match line.verb {
        MetaVerb::Get => get(line, slot, out),
        MetaVerb::Set => set(line, value, slot, out),
        MetaVerb::Delete => delete(line, slot, out),
        MetaVerb::Arithmetic => arithmetic(line, slot, out),
        MetaVerb::Debug => debug(line, slot, out),
    });
}

/// What the client wants told back of its own: key, opaque, and that the key is base64.
pub fn echo(word: &[u8], line: &MetaLine<'_>, out: &mut Vec<u8>) {
    match word[0] {
        b'O' => {
            out.push(b' ');
            out.extend_from_slice(word);
        }
        b'k' => {
            out.extend_from_slice(b" k");
            out.extend_from_slice(line.sent_key);
            if matches!(line.key, Cow::Owned(_)) {
                out.extend_from_slice(b" b");
            }
        }
        _ => {}
    }
}

/// A reply of a code, the client's own flags, and nothing else.
pub fn reply(code: &[u8], line: &MetaLine<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(code);
    words(line.sent_flags).for_each(|word| echo(word, line, out));
    out.extend_from_slice(b"\r\n");
}

/// One flag with a number.
pub fn told(letter: u8, number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b' ', letter]);
    numbers::write(number, out);
}

fn told_ttl(expires: Expires, tick: u64, out: &mut Vec<u8>) {
    match expires.seconds_left(tick) {
        Some(seconds) => told(b't', seconds, out),
        None => out.extend_from_slice(b" t-1"),
    }
}

fn get(line: &MetaLine<'_>, slot: &mut Slot<'_>, out: &mut Vec<u8>) {
    let tick = slot.tick;
    let mut won = false;
    if slot.item().is_none() {
        let Some(exptime) = line.flags.vivify else {
            if !line.flags.quiet {
                reply(b"EN", line, out);
            }
            return;
        };
        slot.put(Item::new(Box::default(), 0, Expires::of(exptime, tick), tick));
        won = true;
    }
    let item = if line.flags.unseen { slot.item() } else { slot.read() };
    // It was there, or was made just now under the same lock.
    let Some(item) = item else { return };
    if line.flags.value {
        out.extend_from_slice(b"VA ");
        numbers::write(item.value.len() as u64, out);
    } else {
        out.extend_from_slice(b"HD");
    }
    let made = won;
    for word in words(line.sent_flags) {
        match word[0] {
            b'T' => item.expires = line.flags.exptime.map_or(item.expires, |exptime| Expires::of(exptime, tick)),
            b'R' if !made && !item.token_sent => won |= is_due(item, line.flags.recache, tick),
            b's' => told(b's', item.value.len() as u64, out),
            b't' => told_ttl(item.expires, tick, out),
            b'c' => told(b'c', item.cas, out),
            b'f' => told(b'f', item.flags.into(), out),
            b'l' => told(b'l', tick.saturating_sub(item.used) / 1000, out),
            b'h' => told(b'h', item.fetched.into(), out),
            _ => echo(word, line, out),
        }
    }
    if item.token_sent {
        out.extend_from_slice(b" Z");
    }
    if item.stale {
        out.extend_from_slice(b" X");
        won |= !item.token_sent;
    }
    if won {
        out.extend_from_slice(b" W");
        item.token_sent = true;
    }
    out.extend_from_slice(b"\r\n");
    if line.flags.value {
        out.extend_from_slice(&item.value);
        out.extend_from_slice(b"\r\n");
    }
    if !line.flags.unseen {
        (item.fetched, item.used) = (true, tick);
    }
}

fn is_due(item: &Item, recache: Option<i64>, tick: u64) -> bool {
    let left = item.expires.seconds_left(tick);
    left.zip(recache).is_some_and(|(left, recache)| i64::try_from(left).unwrap_or(i64::MAX) < recache)
}

fn set(line: &MetaLine<'_>, value: &[u8], slot: &mut Slot<'_>, out: &mut Vec<u8>) {
    let tick = slot.tick;
    let flags = &line.flags;
    let mut item = Item::new(value.into(), flags.client, Expires::of(flags.exptime.unwrap_or(0), tick), tick);
    let mut cas = 0;
    let old = slot.item();
    let code: &[u8] = match (flags.cas, old) {
        (Some(_), None) => b"NF",
        (Some(wanted), Some(old)) if wanted != old.cas && !(flags.invalidate && wanted < old.cas) => b"EX",
        (wanted, old) => {
            item.stale = old.as_ref().is_some_and(|old| wanted.is_some_and(|wanted| wanted < old.cas));
            match place(flags.mode, flags.vivify, old.as_deref(), item, tick) {
                Placed::Kept(item) if Store::fits(&line.key, item.value.len()) => {
                    cas = slot.put(item);
                    b"HD"
                }
                _ => b"NS",
            }
        }
    };
    if code == b"HD" && flags.quiet {
        return;
    }
    out.extend_from_slice(code);
    for word in words(line.sent_flags) {
        match word[0] {
            b'c' => told(b'c', cas, out),
            _ => echo(word, line, out),
        }
    }
    out.extend_from_slice(b"\r\n");
}

enum Placed {
    Kept(Item),
    Not,
}

/// What is kept in this mode, given what is there.
fn place(mode: u8, vivify: Option<i64>, old: Option<&Item>, new: Item, tick: u64) -> Placed {
    let joined = |old: &Item, first: &[u8], second: &[u8]| {
        let value = [first, second].concat().into();
        Placed::Kept(Item { value, flags: old.flags, expires: old.expires, ..new.clone() })
    };
    match (mode, old) {
        (b'E', Some(_)) | (b'R', None) => Placed::Not,
        (b'A', Some(old)) => joined(old, &old.value, &new.value),
        (b'P', Some(old)) => joined(old, &new.value, &old.value),
        (b'A' | b'P', None) => match vivify {
            Some(exptime) => Placed::Kept(Item { expires: Expires::of(exptime, tick), ..new }),
            None => Placed::Not,
        },
        _ => Placed::Kept(new),
    }
}

fn delete(line: &MetaLine<'_>, slot: &mut Slot<'_>, out: &mut Vec<u8>) {
    let tick = slot.tick;
    let Some(item) = slot.item() else { return reply(b"NF", line, out) };
    if line.flags.cas.is_some_and(|wanted| wanted != item.cas) {
        return reply(b"EX", line, out);
    }
    if line.flags.invalidate {
        let cas = slot.next_cas();
        let Some(item) = slot.item() else { return };
        (item.stale, item.token_sent, item.cas) = (true, false, cas);
        item.expires = line.flags.exptime.map_or(item.expires, |exptime| Expires::of(exptime, tick));
    } else {
        slot.remove();
    }
    if !line.flags.quiet {
        reply(b"HD", line, out);
    }
}

fn arithmetic(line: &MetaLine<'_>, slot: &mut Slot<'_>, out: &mut Vec<u8>) {
    let (tick, flags) = (slot.tick, &line.flags);
    let (number, item) = match (slot.item(), flags.vivify) {
        (None, None) => return reply(b"NF", line, out),
        (None, Some(exptime)) => {
            let mut item = Item::new(Box::default(), 0, Expires::of(exptime, tick), tick);
            item.set_number(flags.initial);
            (flags.initial, item)
        }
        (Some(old), _) => {
            if flags.cas.is_some_and(|wanted| wanted != old.cas) {
                return reply(b"EX", line, out);
            }
            let Some(number) = old.number() else {
                return out.extend_from_slice(b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
            };
            let delta = flags.delta.unwrap_or(1);
            let number = if flags.mode == b'D' { number.saturating_sub(delta) } else { number.wrapping_add(delta) };
            let mut item = Item { written: tick, used: tick, ..old.clone() };
            item.set_number(number);
            item.expires = flags.exptime.map_or(item.expires, |exptime| Expires::of(exptime, tick));
            (number, item)
        }
    };
    let expires = item.expires;
    let cas = slot.put(item);
    if flags.quiet && !flags.value {
        return;
    }
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(number);
    if flags.value {
        out.extend_from_slice(b"VA ");
        numbers::write(digits.len() as u64, out);
    } else {
        out.extend_from_slice(b"HD");
    }
    for word in words(line.sent_flags) {
        match word[0] {
            b'c' => told(b'c', cas, out),
            b't' => told_ttl(expires, tick, out),
            _ => echo(word, line, out),
        }
    }
    out.extend_from_slice(b"\r\n");
    if flags.value {
        out.extend_from_slice(digits.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

fn debug(line: &MetaLine<'_>, slot: &mut Slot<'_>, out: &mut Vec<u8>) {
    let tick = slot.tick;
    let Some(item) = slot.item() else { return out.extend_from_slice(b"EN\r\n") };
    let expires = item.expires.seconds_left(tick).map_or("-1".to_owned(), |left| left.to_string());
    let size = 48 + 8 + line.key.len() + 1 + item.value.len() + 2 + if item.flags == 0 { 0 } else { 4 };
    out.extend_from_slice(b"ME ");
    out.extend_from_slice(line.sent_key);
    let rest = format!(
        " exp={expires} la={} cas={} fetch={} cls=1 size={size}\r\n",
        tick.saturating_sub(item.used) / 1000,
        item.cas,
        if item.fetched { "yes" } else { "no" },
    );
    out.extend_from_slice(rest.as_bytes());
}
