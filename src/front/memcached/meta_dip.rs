//! The meta commands on the keys of lookups and of health flags: `mg` asks, `ms` warms, `md` flushes.

use crate::deadline::{Instant, tick_at};
use crate::front::desk::Line;
use crate::front::form::Form;
use crate::front::memcached::command::words;
use crate::front::memcached::dip::{Look, ask};
use crate::front::memcached::key::Asked;
use crate::front::memcached::meta::{MetaLine, MetaVerb};
use crate::front::memcached::meta_run::{echo, reply, told};
use crate::front::memcached::numbers;

/// Runs it on a health flag.
pub fn flag(line: &MetaLine<'_>, up: Option<bool>, out: &mut Vec<u8>) {
    match (line.verb, up) {
        (MetaVerb::Get, Some(up)) => found(line, if up { b"1" } else { b"0" }, 0, None, out),
        (MetaVerb::Set, _) => reply(b"NS", line, out),
        _ => nothing(line, out),
    }
}

/// Runs it on a lookup's key.
pub async fn run<L: Line>(
    line: &MetaLine<'_>,
    asked: Asked<'_, L>,
    form: &Form,
    since: Instant,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) {
    match line.verb {
        MetaVerb::Get => {
            let said = match ask(asked, form, tick_at(since)) {
                Look::Said(said) => said,
                Look::Asking(asking) => asking.answer(since).await,
                _ => return nothing(line, out),
            };
            match said.value(scratch) {
                Some(value) => found(line, value, 1, Some(said.answer.ttl.max(0)), out),
                None => nothing(line, out),
            }
        }
        MetaVerb::Set | MetaVerb::Delete => {
            let done = asked.pose().is_ok_and(|posed| match line.verb {
                MetaVerb::Set => {
                    asked.line.warm(&posed.question);
                    true
                }
                _ => asked.line.forget(&posed.question),
            });
            match (done, line.verb) {
                (true, _) if line.flags.quiet => {}
                (true, _) => reply(b"HD", line, out),
                (false, MetaVerb::Set) => reply(b"NS", line, out),
                (false, _) => reply(b"NF", line, out),
            }
        }
        MetaVerb::Arithmetic | MetaVerb::Debug => nothing(line, out),
    }
}

fn nothing(line: &MetaLine<'_>, out: &mut Vec<u8>) {
    match line.verb {
        MetaVerb::Get if line.flags.quiet => {}
        MetaVerb::Get | MetaVerb::Debug => reply(b"EN", line, out),
        _ => reply(b"NF", line, out),
    }
}

fn found(line: &MetaLine<'_>, value: &[u8], flags: u64, ttl: Option<i64>, out: &mut Vec<u8>) {
    if line.flags.value {
        out.extend_from_slice(b"VA ");
        numbers::write(value.len() as u64, out);
    } else {
        out.extend_from_slice(b"HD");
    }
    for word in words(line.sent_flags) {
        match word[0] {
            b's' => told(b's', value.len() as u64, out),
            b't' => match ttl.and_then(|ttl| u64::try_from(ttl).ok()) {
                Some(ttl) => told(b't', ttl, out),
                None => out.extend_from_slice(b" t-1"),
            },
            b'f' => told(b'f', flags, out),
            b'c' => told(b'c', 0, out),
            b'h' => told(b'h', 1, out),
            b'l' => told(b'l', 0, out),
            _ => echo(word, line, out),
        }
    }
    out.extend_from_slice(b"\r\n");
    if line.flags.value {
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
}
