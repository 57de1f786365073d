//! Percent-encoding: what a target's bytes stand for (RFC 3986 section 2.1).

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The text does not decode: an escape that is none, bytes that are not UTF-8, or a control character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadEscape;

/// Decodes a path segment, in which a plus is a plus: `+13035550123` is a telephone number.
pub fn path(text: &str) -> Result<Cow<'_, str>, BadEscape> {
    if text.bytes().any(|byte| byte == b'%') { escaped(text).map(Cow::Owned) } else { clean(text).map(Cow::Borrowed) }
}

/// Decodes a query's name or value, in which a plus is a space; but a value that starts with a plus
/// and a digit is a telephone number of somebody who forgot to escape it, and keeps the plus.
pub fn query(text: &str) -> Result<Cow<'_, str>, BadEscape> {
    let (number, rest) = match text.as_bytes() {
        [b'+', digit, ..] if digit.is_ascii_digit() => ("+", &text[1..]),
        _ => ("", text),
    };
    if !rest.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return clean(text).map(Cow::Borrowed);
    }
    escaped(&rest.replace('+', " ")).map(|decoded| Cow::Owned(number.to_owned() + &decoded))
}

fn escaped(text: &str) -> Result<String, BadEscape> {
    let mut pieces = text.split('%');
    pieces.next();
    let two_digits =
        |piece: &str| matches!(piece.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
    if !pieces.all(two_digits) {
        return Err(BadEscape);
    }
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| BadEscape)?;
    clean(&decoded)?;
    Ok(decoded.into_owned())
}

/// No key and no input has a control character in it, and every log is safer without.
fn clean(text: &str) -> Result<&str, BadEscape> {
    if text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) { Err(BadEscape) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plus_is_a_plus_in_a_path() {
        assert_eq!(path("+1303"), Ok(Cow::Borrowed("+1303")));
        assert_eq!(path("%2B1303%20x"), Ok(Cow::Borrowed("+1303 x")));
        assert!(matches!(path("1303"), Ok(Cow::Borrowed(_))));
    }

    #[test]
    fn a_plus_is_a_space_in_a_query_unless_it_starts_a_number() {
        assert_eq!(query("a+b"), Ok(Cow::Borrowed("a b")));
        assert_eq!(query("+a"), Ok(Cow::Borrowed(" a")));
        assert_eq!(query("+1202"), Ok(Cow::Borrowed("+1202")));
        assert_eq!(query("+1202+x%2B"), Ok(Cow::Borrowed("+1202 x+")));
        assert_eq!(query("%2B1202"), Ok(Cow::Borrowed("+1202")));
    }

    #[test]
    fn what_is_no_escape_is_refused() {
        for bad in ["%", "%1", "%zz", "a%2", "%ff", "%00", "%0d%0a", "%7f", "%%41"] {
            assert_eq!(path(bad), Err(BadEscape), "{bad}");
            assert_eq!(query(bad), Err(BadEscape), "{bad}");
        }
    }
}
