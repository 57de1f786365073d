//! The meta commands' lines: `mg`, `ms`, `md`, `ma`, `me` with their one-letter flags.
//!
//! Read as memcached 1.6 reads them: every known flag is taken by every command, whether it means
//! something there or not; an unknown one and one given twice refuse the line.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::front::memcached::command::{Refusal, is_key, words};
use crate::front::memcached::numbers::{parse_i32, parse_u32, parse_u64};

/// What a meta command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetaVerb {
    /// `mg`
    Get,
    /// `ms`: a value follows.
    Set,
    /// `md`
    Delete,
    /// `ma`
    Arithmetic,
    /// `me`
    Debug,
}

/// A meta command.
#[derive(Debug, PartialEq, Eq)]
pub struct MetaLine<'a> {
    /// What it does.
    pub verb: MetaVerb,
    /// The key; owned where it came as base64 and was decoded.
    pub key: Cow<'a, [u8]>,
    /// The key as it was sent, for flag `k`.
    pub sent_key: &'a [u8],
    /// The flags as they were sent: what they ask to be told is told in this order.
    pub sent_flags: &'a [u8],
    /// `ms`: the value's length in bytes.
    pub length: usize,
    /// What the flags say.
    pub flags: Flags,
}

/// What the flags say; those that only ask to be told something stay in [`MetaLine::sent_flags`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `v`: tell the value.
    pub value: bool,
    /// `q`: leave out the ordinary reply.
    pub quiet: bool,
    /// `u`: a read that does not count as one.
    pub unseen: bool,
    /// `I`: make it stale instead of refusing or removing.
    pub invalidate: bool,
    /// `T`: the new `exptime`.
    pub exptime: Option<i64>,
    /// `N`: where there is none, make one that lives this long.
    pub vivify: Option<i64>,
    /// `R`: somebody is to renew it when less than this is left, in seconds.
    pub recache: Option<i64>,
    /// `C`: only where the `cas` is this.
    pub cas: Option<u64>,
    /// `F`: the client's own 32 bits.
    pub client: u32,
    /// `M`: the mode; 0 is the command's default.
    pub mode: u8,
    /// `D`: by how much; `None` is 1.
    pub delta: Option<u64>,
    /// `J`: where counting starts.
    pub initial: u64,
}

const BAD_TOKEN: Refusal = Refusal::because("CLIENT_ERROR bad token in command line format");
const INVALID: Refusal = Refusal::because("CLIENT_ERROR invalid flag");
const TWICE: Refusal = Refusal::because("CLIENT_ERROR duplicate flag");

/// Reads what stands behind the command's name; `verb` is its second letter.
pub fn parse(verb: u8, rest: &[u8]) -> Result<MetaLine<'_>, Refusal> {
    let verb = match verb {
        b'g' => MetaVerb::Get,
        b's' => MetaVerb::Set,
        b'd' => MetaVerb::Delete,
        b'a' => MetaVerb::Arithmetic,
        _ => MetaVerb::Debug,
    };
    let Some(sent_key) = words(rest).next() else {
        return Err(if verb == MetaVerb::Debug { Refusal::BAD_LINE } else { Refusal::UNKNOWN });
    };
    let mut sent_flags = &rest.trim_ascii_start()[sent_key.len()..];
    let mut length = None;
    if verb == MetaVerb::Set {
        let word = words(sent_flags).next().unwrap_or_default();
        // As in memcached: what does not fit its own `int` is no length.
        length = Some(parse_u32(word).filter(|length| *length <= i32::MAX as u32 - 2).ok_or(Refusal::BAD_LINE)?);
        sent_flags = &sent_flags.trim_ascii_start()[word.len()..];
    }
    let after = |refusal| Refusal { value: length.map(u64::from), ..refusal };
    if !is_key(sent_key) {
        return Err(after(Refusal::BAD_LINE));
    }
    let (flags, is_binary) = flags(verb, sent_flags).map_err(|refusal| after(in_words_of(verb, refusal)))?;
    let key = if is_binary {
        let key = STANDARD.decode(sent_key).ok().filter(|key| !key.is_empty());
        Cow::Owned(key.ok_or_else(|| after(Refusal::because("CLIENT_ERROR error decoding key")))?)
    } else {
        Cow::Borrowed(sent_key)
    };
    Ok(MetaLine { verb, key, sent_key, sent_flags, length: length.unwrap_or(0) as usize, flags })
}

/// memcached has one message for everything that is wrong with the flags of `md` and `ma`.
fn in_words_of(verb: MetaVerb, refusal: Refusal) -> Refusal {
    let summed_up = [BAD_TOKEN, INVALID, TWICE].contains(&refusal);
    match verb {
        MetaVerb::Delete | MetaVerb::Arithmetic if summed_up => {
            Refusal::because("CLIENT_ERROR invalid or duplicate flag")
        }
        _ => refusal,
    }
}

fn flags(verb: MetaVerb, sent: &[u8]) -> Result<(Flags, bool), Refusal> {
    let mut flags = Flags::default();
    let (mut seen, mut is_binary) = (0_u128, false);
    for word in words(sent) {
        let (letter, token) = (word[0], &word[1..]);
        if letter >= 0x80 {
            return Err(INVALID);
        }
        if seen & (1 << letter) != 0 {
            return Err(TWICE);
        }
        seen |= 1 << letter;
        match letter {
            b'v' => flags.value = true,
            b'q' => flags.quiet = true,
            b'u' => flags.unseen = true,
            b'I' => flags.invalidate = true,
            b'b' => is_binary = true,
            b'T' => flags.exptime = Some(parse_i32(token).ok_or(BAD_TOKEN)?),
            b'N' => flags.vivify = Some(parse_i32(token).ok_or(BAD_TOKEN)?),
            b'R' => flags.recache = Some(parse_i32(token).ok_or(BAD_TOKEN)?),
            b'C' => flags.cas = Some(parse_u64(token).ok_or(BAD_TOKEN)?),
            b'F' => flags.client = parse_u32(token).ok_or(BAD_TOKEN)?,
            b'D' => flags.delta = Some(parse_u64(token).ok_or(BAD_TOKEN)?),
            b'J' => flags.initial = parse_u64(token).ok_or(BAD_TOKEN)?,
            b'M' => flags.mode = mode(verb, token)?,
            // Opaque to us and told back; longer than any client's own is mischief.
            b'O' if token.len() > 32 => return Err(Refusal::because("CLIENT_ERROR opaque token too long")),
            b'O' | b'P' | b'L' | b'c' | b'f' | b'h' | b'k' | b'l' | b's' | b't' => {}
            _ => return Err(INVALID),
        }
    }
    Ok((flags, is_binary))
}

fn mode(verb: MetaVerb, token: &[u8]) -> Result<u8, Refusal> {
    let mode = token.first().copied().unwrap_or(0);
    match (verb, mode) {
        (MetaVerb::Set, b'E' | b'A' | b'P' | b'R' | b'S') => Ok(mode),
        (MetaVerb::Set, _) => Err(Refusal::because("CLIENT_ERROR invalid mode for ms M token")),
        (MetaVerb::Arithmetic, b'I' | b'i' | b'+') => Ok(b'I'),
        (MetaVerb::Arithmetic, b'D' | b'd' | b'-') => Ok(b'D'),
        (MetaVerb::Arithmetic, _) => Err(Refusal::because("CLIENT_ERROR invalid mode for ma M token")),
        _ => Ok(mode),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_set_knows_its_value() {
        for rest in ["a 7 x", "a 7 v v", "a 7 Tx", "!!! 7 b", "a 7 MZ"] {
            assert_eq!(parse(b's', rest.as_bytes()).unwrap_err().value, Some(7), "{rest}");
        }
        assert_eq!(parse(b's', b"a S2").unwrap_err(), Refusal::BAD_LINE);
    }

    #[test]
    fn keys_may_be_base64() {
        let line = parse(b'g', b" Zm9v  b k v").unwrap();
        assert_eq!((&*line.key, line.sent_key, line.flags.value), (b"foo".as_slice(), b"Zm9v".as_slice(), true));
        assert!(parse(b'g', "a \u{e9}".as_bytes()).is_err());
    }
}
