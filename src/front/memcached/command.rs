//! A line in memcached's text protocol, read into a [`Command`].
//!
//! Words are parted by blanks, the first names the command, in lower case. What is refused is refused
//! as memcached 1.6 does, word for word, with one difference: where a refused line announced a value,
//! the value is told to the caller of [`parse`], who passes over it. memcached takes it for the next command.

use crate::front::memcached::meta::{self, MetaLine, MetaVerb};
use crate::front::memcached::numbers::{parse_i32, parse_u32, parse_u64};

/// The longest key, in bytes.
pub const MAX_KEY: usize = 250;

/// More words than this in a line, other than a get's keys, are none of memcached's commands.
const MAX_WORDS: usize = 8;

/// What a client wants.
#[derive(Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// `get`, `gets`, `gat`, `gats`.
    Get {
        /// The part of the line that holds the keys; see [`words`].
        keys: &'a [u8],
        /// True where the `cas` is told too.
        with_cas: bool,
        /// The new `exptime` of what is found.
        touch: Option<i64>,
    },
    /// `set` and its kin: a value follows.
    Keep(Keep<'a>),
    /// `delete`.
    Delete {
        /// The key.
        key: &'a [u8],
        /// True where no reply is wanted.
        quiet: bool,
    },
    /// `incr`, `decr`.
    Count {
        /// The key.
        key: &'a [u8],
        /// By how much.
        delta: u64,
        /// False counts down, to zero and no further.
        up: bool,
        /// True where no reply is wanted.
        quiet: bool,
    },
    /// `touch`.
    Touch {
        /// The key.
        key: &'a [u8],
        /// Its new `exptime`.
        exptime: i64,
        /// True where no reply is wanted.
        quiet: bool,
    },
    /// `flush_all`, now or after a delay.
    FlushAll {
        /// An `exptime`; 0 is now.
        delay: i64,
        /// True where no reply is wanted.
        quiet: bool,
    },
    /// `verbosity`: taken and without effect.
    Verbosity {
        /// True where no reply is wanted.
        quiet: bool,
    },
    /// `version`.
    Version,
    /// `stats`, perhaps of something.
    Stats(&'a [u8]),
    /// `mn`: a mark in the stream of replies.
    Nothing,
    /// The other meta commands.
    Meta(MetaLine<'a>),
    /// `quit`.
    Quit,
}

impl Command<'_> {
    /// Key and length of the value that follows the line, if one does, and whether no reply is wanted.
    pub fn announced(&self) -> Option<(&[u8], usize, bool)> {
        match self {
            Self::Keep(keep) => Some((keep.key, keep.length, keep.quiet)),
            Self::Meta(line) if line.verb == MetaVerb::Set => Some((&line.key, line.length, false)),
            _ => None,
        }
    }
}

/// A value to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep<'a> {
    /// On what condition.
    pub verb: Verb,
    /// The key.
    pub key: &'a [u8],
    /// The client's own 32 bits.
    pub flags: u32,
    /// When it ends; see [`Expires::of`](crate::front::memcached::store::Expires::of).
    pub exptime: i64,
    /// The value's length in bytes; it follows the line.
    pub length: usize,
    /// True where no reply is wanted.
    pub quiet: bool,
}

/// On what condition a value is kept, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Always.
    Set,
    /// Where there is none.
    Add,
    /// Where there is one.
    Replace,
    /// Behind the one that is there.
    Append,
    /// Before the one that is there.
    Prepend,
    /// Where the one that is there has this `cas`.
    Cas(u64),
}

/// A line that is no command.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reply, without its line end.
    pub reply: &'static str,
    /// The length of the value that follows the line.
    pub value: Option<u64>,
    /// True where no reply is wanted.
    pub quiet: bool,
}

impl Refusal {
    /// memcached's word for what it does not know.
    pub const UNKNOWN: Self = Self::because("ERROR");
    /// For a line that names a known command and does not fit it.
    pub const BAD_LINE: Self = Self::because("CLIENT_ERROR bad command line format");
    /// For an `exptime` that is no number.
    pub const BAD_EXPTIME: Self = Self::because("CLIENT_ERROR invalid exptime argument");

    /// A refusal with this reply.
    pub const fn because(reply: &'static str) -> Self {
        Self { reply, value: None, quiet: false }
    }
}

/// The words of a line.
pub fn words(line: &[u8]) -> Words<'_> {
    Words(line)
}

/// See [`words`].
#[derive(Clone, Copy, Debug)]
pub struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    /// The rest of the line from the next word on, as far as it is text and so many keys may reach.
    #[inline]
    pub fn text(&self, keys: usize) -> &'a str {
        let reach = &self.0[..self.0.len().min(keys * (1 + MAX_KEY))];
        match str::from_utf8(reach) {
            Ok(text) => text,
            Err(error) => str::from_utf8(&reach[..error.valid_up_to()]).unwrap_or_default(),
        }
    }

    /// How many bytes are left.
    #[inline]
    pub fn left(&self) -> usize {
        self.0.len()
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self.0.iter().position(|byte| *byte != b' ')?;
        let rest = &self.0[start..];
        let end = memchr::memchr(b' ', rest).unwrap_or(rest.len());
        let (word, rest) = rest.split_at(end);
        self.0 = rest;
        Some(word)
    }
}

/// Reads a line, without its line end.
///
/// # Errors
/// [`Refusal`] says what is to be replied and how much is to be passed over.
pub fn parse(line: &[u8]) -> Result<Command<'_>, Refusal> {
    let line = line.trim_ascii_start();
    let end = memchr::memchr(b' ', line).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    match name {
        b"get" => get(rest, false),
        b"gets" => get(rest, true),
        b"gat" => get_and_touch(rest, false),
        b"gats" => get_and_touch(rest, true),
        b"mg" | b"ms" | b"md" | b"ma" | b"me" => meta::parse(name[1], rest).map(Command::Meta),
        b"mn" => Ok(Command::Nothing),
        b"quit" => Ok(Command::Quit),
        b"version" => Ok(Command::Version),
        b"stats" => Ok(Command::Stats(rest.trim_ascii())),
        _ => with_words(name, rest),
    }
}

fn get(keys: &[u8], with_cas: bool) -> Result<Command<'_>, Refusal> {
    if words(keys).next().is_none() {
        return Err(Refusal::UNKNOWN);
    }
    if !are_keys(keys) {
        return Err(Refusal::BAD_LINE);
    }
    Ok(Command::Get { keys, with_cas, touch: None })
}

/// True when every word is a key.
fn are_keys(line: &[u8]) -> bool {
    if line.len() > MAX_KEY {
        return words(line).all(is_key);
    }
    // None can be too long: one look at all bytes does.
    line.iter().fold(true, |fits, byte| fits & (*byte >= b' ') & (*byte != 0x7f))
}

fn get_and_touch(rest: &[u8], with_cas: bool) -> Result<Command<'_>, Refusal> {
    let Some(exptime) = words(rest).next() else { return Err(Refusal::UNKNOWN) };
    let touch = parse_i32(exptime).ok_or(Refusal::BAD_EXPTIME)?;
    let keys = &rest.trim_ascii_start()[exptime.len()..];
    if !are_keys(keys) {
        return Err(Refusal::BAD_LINE);
    }
    Ok(Command::Get { keys, with_cas, touch: Some(touch) })
}

/// The commands with a fixed number of words.
fn with_words<'a>(name: &[u8], rest: &'a [u8]) -> Result<Command<'a>, Refusal> {
    let mut all: [&[u8]; MAX_WORDS] = [b""; MAX_WORDS];
    let mut count = 0;
    for word in words(rest) {
        if count == MAX_WORDS {
            return Err(Refusal::UNKNOWN);
        }
        all[count] = word;
        count += 1;
    }
    let all = &all[..count];
    let quiet = all.last().is_some_and(|word| *word == b"noreply");
    let read = match (name, all) {
        (b"set", [_, _, _, _] | [_, _, _, _, _]) => keep(Verb::Set, all, quiet),
        (b"add", [_, _, _, _] | [_, _, _, _, _]) => keep(Verb::Add, all, quiet),
        (b"replace", [_, _, _, _] | [_, _, _, _, _]) => keep(Verb::Replace, all, quiet),
        (b"append", [_, _, _, _] | [_, _, _, _, _]) => keep(Verb::Append, all, quiet),
        (b"prepend", [_, _, _, _] | [_, _, _, _, _]) => keep(Verb::Prepend, all, quiet),
        (b"cas", [_, _, _, _, cas] | [_, _, _, _, cas, _]) => compare_and_swap(all, cas, quiet),
        (b"incr", [key, delta] | [key, delta, _]) => count_by(key, delta, true, quiet),
        (b"decr", [key, delta] | [key, delta, _]) => count_by(key, delta, false, quiet),
        (b"touch", [key, exptime] | [key, exptime, _]) => touch(key, exptime, quiet),
        (b"delete", [key, rest @ ..]) if rest.len() < 3 => delete(key, rest, quiet),
        (b"flush_all", []) => Ok(Command::FlushAll { delay: 0, quiet }),
        (b"flush_all", [b"noreply"]) => Ok(Command::FlushAll { delay: 0, quiet }),
        (b"flush_all", [delay] | [delay, _]) => {
            let delay = parse_i32(delay).ok_or(Refusal::BAD_EXPTIME);
            delay.map(|delay| Command::FlushAll { delay: delay.max(0), quiet })
        }
        (b"verbosity", [_] | [_, _]) => Ok(Command::Verbosity { quiet }),
        _ => return Err(Refusal::UNKNOWN),
    };
    read.map_err(|refusal| Refusal { quiet, ..refusal })
}

fn keep<'a>(verb: Verb, words: &[&'a [u8]], quiet: bool) -> Result<Command<'a>, Refusal> {
    let bad = || Refusal { value: words.get(3).and_then(|length| parse_u64(length)), ..Refusal::BAD_LINE };
    let &[key, flags, exptime, length, ..] = words else { return Err(Refusal::UNKNOWN) };
    let (Some(flags), Some(exptime), Some(length)) = (parse_u32(flags), parse_i32(exptime), parse_u32(length)) else {
        return Err(bad());
    };
    // As in memcached: what does not fit its own `int` is no length.
    if !is_key(key) || length > i32::MAX as u32 - 2 {
        return Err(bad());
    }
    Ok(Command::Keep(Keep { verb, key, flags, exptime, length: length as usize, quiet }))
}

fn compare_and_swap<'a>(words: &[&'a [u8]], cas: &[u8], quiet: bool) -> Result<Command<'a>, Refusal> {
    match parse_u64(cas) {
        Some(cas) => keep(Verb::Cas(cas), words, quiet),
        None => Err(Refusal { value: words.get(3).and_then(|length| parse_u64(length)), ..Refusal::BAD_LINE }),
    }
}

fn count_by<'a>(key: &'a [u8], delta: &[u8], up: bool, quiet: bool) -> Result<Command<'a>, Refusal> {
    if !is_key(key) {
        return Err(Refusal::BAD_LINE);
    }
    let delta = parse_u64(delta).ok_or(Refusal::because("CLIENT_ERROR invalid numeric delta argument"))?;
    Ok(Command::Count { key, delta, up, quiet })
}

fn touch<'a>(key: &'a [u8], exptime: &[u8], quiet: bool) -> Result<Command<'a>, Refusal> {
    if !is_key(key) {
        return Err(Refusal::BAD_LINE);
    }
    Ok(Command::Touch { key, exptime: parse_i32(exptime).ok_or(Refusal::BAD_EXPTIME)?, quiet })
}

/// Old clients send a time behind the key, which must be 0.
fn delete<'a>(key: &'a [u8], rest: &[&[u8]], quiet: bool) -> Result<Command<'a>, Refusal> {
    if !is_key(key) {
        return Err(Refusal::BAD_LINE);
    }
    match rest {
        [] | [b"0" | b"noreply"] | [b"0", b"noreply"] => Ok(Command::Delete { key, quiet }),
        _ => Err(Refusal::because("CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]")),
    }
}

/// True for what may be a key: a blank never gets here, and a control character is a caller's mischief.
pub fn is_key(key: &[u8]) -> bool {
    (1..=MAX_KEY).contains(&key.len()) && !key.iter().any(|byte| *byte <= b' ' || *byte == 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_value_is_known_by_its_length() {
        let long = format!("set {} 0 0 7", "k".repeat(251));
        for line in [long.as_str(), "set k x 0 7", "cas k 0 0 7 x", "set a\tb 0 0 7", "set k 4294967296 0 7"] {
            let refusal = parse(line.as_bytes()).unwrap_err();
            assert_eq!((refusal.reply, refusal.value), (Refusal::BAD_LINE.reply, Some(7)), "{line}");
        }
        assert_eq!(parse(b"set k 0 0 -1").unwrap_err().value, None);
        assert!(parse(b"set k x 0 7 noreply").unwrap_err().quiet);
    }

    #[test]
    fn what_memcached_does_not_know_is_an_error() {
        for line in
            ["", " ", "GET a", "get", "gets  ", "set a 0 0", "incr a", "flush_all 1 2 3", "foo a b c d e f g h i"]
        {
            assert_eq!(parse(line.as_bytes()), Err(Refusal::UNKNOWN), "{line}");
        }
    }

    #[test]
    fn keys_are_bounded_and_clean() {
        assert!(parse(format!("get {}", "k".repeat(250)).as_bytes()).is_ok());
        for key in ["k".repeat(251), "a\u{1}".into(), "a\u{7f}".into(), "a\tb".into(), "a\rb".into()] {
            assert_eq!(parse(format!("get ok {key}").as_bytes()), Err(Refusal::BAD_LINE));
        }
    }

    #[test]
    fn old_and_new_forms_of_delete() {
        for line in ["delete a", "delete a 0", "delete a noreply", "delete a 0 noreply"] {
            assert!(matches!(parse(line.as_bytes()), Ok(Command::Delete { key: b"a", .. })), "{line}");
        }
        assert!(parse(b"delete a 5").unwrap_err().reply.ends_with("Usage: delete <key> [noreply]"));
    }
}
