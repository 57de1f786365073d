//! Numbers as memcached reads them.

/// An unsigned number below 2^64: digits and nothing else.
pub fn parse_u64(word: &[u8]) -> Option<u64> {
    if word.is_empty() || word.len() > 20 || !word.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// An unsigned number below 2^32.
pub fn parse_u32(word: &[u8]) -> Option<u32> {
    u32::try_from(parse_u64(word)?).ok()
}

/// A signed number of 32 bits, for times.
pub fn parse_i32(word: &[u8]) -> Option<i64> {
    let (sign, digits) = match word {
        [b'-', digits @ ..] => (-1, digits),
        digits => (1, digits),
    };
    let number = sign * i64::try_from(parse_u64(digits)?).ok()?;
    i32::try_from(number).ok().map(i64::from)
}

/// Writes a number.
#[inline]
pub fn write(number: u64, out: &mut Vec<u8>) {
    if let digit @ 0..10 = number {
        return out.push(b'0' + digit as u8);
    }
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_only_and_within_their_size() {
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
        for bad in ["", "18446744073709551616", "-1", "+1", " 1", "1a", "0x1"] {
            assert_eq!(parse_u64(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse_i32(b"-1"), Some(-1));
        assert_eq!(parse_i32(b"2147483648"), None);
        assert_eq!(parse_u32(b"4294967296"), None);
    }
}
