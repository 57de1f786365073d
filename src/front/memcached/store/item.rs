//! One value as a client stored it, and when it ends.

use std::time::UNIX_EPOCH;

use crate::deadline::wall_clock;

/// An `exptime` above this is a date (seconds since 1970), not a span: memcached's protocol text, "Expiration times".
const LONGEST_SPAN: i64 = 30 * 24 * 60 * 60;

/// When an item ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expires {
    /// Never, unless room is needed.
    Never,
    /// At this tick (see [`crate::deadline::tick`]).
    At(u64),
}

impl Expires {
    /// What an `exptime` means at this tick: 0 never, negative at once, up to 30 days a span, beyond that a date.
    pub fn of(exptime: i64, tick: u64) -> Self {
        let seconds = match exptime {
            0 => return Self::Never,
            ..0 => return Self::At(0),
            1..=LONGEST_SPAN => exptime,
            date => {
                let now = wall_clock().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
                date.saturating_sub(i64::try_from(now).unwrap_or(i64::MAX))
            }
        };
        match u64::try_from(seconds) {
            Ok(seconds @ 1..) => Self::At(tick.saturating_add(seconds.saturating_mul(1000))),
            _ => Self::At(0),
        }
    }

    /// True once it is over.
    pub fn is_over(self, tick: u64) -> bool {
        matches!(self, Self::At(end) if end <= tick)
    }

    /// Seconds left, rounded up as a client wrote them; `None` for ever.
    pub fn seconds_left(self, tick: u64) -> Option<u64> {
        match self {
            Self::Never => None,
            Self::At(end) => Some(end.saturating_sub(tick).div_ceil(1000)),
        }
    }
}

/// A value with what memcached keeps beside it.
#[derive(Clone, Debug)]
pub struct Item {
    /// The value's bytes.
    pub value: Box<[u8]>,
    /// The client's own 32 bits.
    pub flags: u32,
    /// Different after every change.
    pub cas: u64,
    /// When it ends.
    pub expires: Expires,
    /// The tick of the last write, by which a delayed flush knows it.
    pub written: u64,
    /// The tick of the last read or write.
    pub used: u64,
    /// Read since it was written (meta flag `h`).
    pub fetched: bool,
    /// Marked stale by `md … I`: still served, told as `X`.
    pub stale: bool,
    /// Somebody was told `W`: to renew it is theirs, all others are told `Z`.
    pub token_sent: bool,
}

impl Item {
    /// A fresh item; it gets its `cas` when it is put.
    pub fn new(value: Box<[u8]>, flags: u32, expires: Expires, tick: u64) -> Self {
        Self {
            value,
            flags,
            cas: 0,
            expires,
            written: tick,
            used: tick,
            fetched: false,
            stale: false,
            token_sent: false,
        }
    }

    /// The value as a number, as memcached reads it: blanks before, digits, then an end or a blank.
    pub fn number(&self) -> Option<u64> {
        let text = self.value.trim_ascii_start();
        let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if text.get(digits).is_some_and(|byte| !byte.is_ascii_whitespace()) {
            return None;
        }
        std::str::from_utf8(&text[..digits]).ok()?.parse().ok()
    }

    /// Puts a number in the value's place. A shorter one leaves the length as it was and blanks behind it: so does memcached.
    pub fn set_number(&mut self, number: u64) {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(number).as_bytes();
        let mut value = vec![b' '; digits.len().max(self.value.len())];
        value[..digits.len()].copy_from_slice(digits);
        self.value = value.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exptime_is_never_a_span_or_a_date() {
        assert_eq!(Expires::of(0, 5), Expires::Never);
        assert!(Expires::of(-1, 5).is_over(5));
        assert_eq!(Expires::of(2, 5), Expires::At(2005));
        assert_eq!(Expires::of(LONGEST_SPAN, 0), Expires::At(2_592_000_000));
        assert!(Expires::of(LONGEST_SPAN + 1, 5).is_over(5), "a day in 1970");
        let now = i64::try_from(wall_clock().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
        let left = Expires::of(now + 100, 1000).seconds_left(1000).unwrap();
        assert!((98..=100).contains(&left), "{left}");
    }

    #[test]
    fn numbers_keep_their_length_as_in_memcached() {
        let mut item = Item::new((*b"10").into(), 0, Expires::Never, 0);
        item.set_number(9);
        assert_eq!((&*item.value, item.number()), (b"9 ".as_slice(), Some(9)));
        item.set_number(100);
        assert_eq!(&*item.value, b"100");
        for (text, number) in [("", None), ("x", None), (" 12", Some(12)), ("12 x", Some(12)), ("12x", None)] {
            item.value = text.as_bytes().into();
            assert_eq!(item.number(), number, "{text:?}");
        }
    }
}
