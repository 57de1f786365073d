//! A record's substitution: `!^\+1(.*)$!sip:\1@carrier.test!i` (RFC 3402 section 3.2).
//!
//! The first character is the delimiter. What is put out is the replacement alone, back-references filled in, and not
//! the number with a part replaced, as servers that rewrite by ENUM have always read it. The expression is POSIX's
//! extended one in the RFC and the Rust crate's here, which runs in linear time.

use regex::RegexBuilder;

/// The longest substitution and the longest result, in bytes. The DNS carries 255 of the first.
const MAX_TEXT: usize = 1024;

/// The most memory that a compiled expression takes, in bytes.
const MAX_COMPILED: usize = 64 * 1024;

/// A piece of a replacement.
#[derive(Debug, PartialEq)]
enum Piece {
    Char(char),
    Group(usize),
}

/// The result of a substitution; `None` where it is none, or does not fit the number.
pub(super) fn apply(substitution: &str, number: &str) -> Option<String> {
    if substitution.len() > MAX_TEXT {
        return None;
    }
    let (expression, replacement, flags) = split(substitution)?;
    let ignore_case = match flags {
        "" => false,
        "i" | "I" => true,
        _ => return None,
    };
    let regex = RegexBuilder::new(&expression)
        .case_insensitive(ignore_case)
        .size_limit(MAX_COMPILED)
        .dfa_size_limit(MAX_COMPILED)
        .build()
        .ok()?;
    let found = regex.captures(number)?;
    let mut result = String::new();
    for piece in replacement {
        match piece {
            Piece::Char(c) => result.push(c),
            // A group that is not in the expression is a fault of it; one that took no part is empty.
            Piece::Group(index) if index >= found.len() => return None,
            Piece::Group(index) => result.push_str(found.get(index).map_or("", |group| group.as_str())),
        }
        if result.len() > MAX_TEXT {
            return None;
        }
    }
    (!result.is_empty() && !result.chars().any(char::is_control)).then_some(result)
}

/// Expression, replacement and flags.
fn split(substitution: &str) -> Option<(String, Vec<Piece>, &str)> {
    let delimiter = substitution.chars().next().filter(|c| !c.is_ascii_digit() && !matches!(c, '\\' | 'i' | 'I'))?;
    let rest = &substitution[delimiter.len_utf8()..];
    let (expression, rest) = rest.split_at_checked(end(rest, delimiter)?)?;
    let rest = &rest[delimiter.len_utf8()..];
    let (replacement, rest) = rest.split_at_checked(end(rest, delimiter)?)?;
    Some((unescaped(expression, delimiter), pieces(replacement)?, &rest[delimiter.len_utf8()..]))
}

/// Where the next delimiter is that no backslash stands before.
fn end(text: &str, delimiter: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let here = !escaped && c == delimiter;
        escaped = !escaped && c == '\\';
        here.then_some(at)
    })
}

/// The expression with a delimiter behind a backslash as the character itself.
fn unescaped(expression: &str, delimiter: char) -> String {
    let mut plain = String::with_capacity(expression.len());
    let mut chars = expression.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some(next) if next == delimiter => plain.push_str(&regex::escape(&delimiter.to_string())),
                Some(next) => plain.extend(['\\', next]),
                None => plain.push('\\'),
            },
            (c, false) => plain.push(c),
        }
    }
    plain
}

fn pieces(replacement: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut chars = replacement.chars();
    while let Some(c) = chars.next() {
        pieces.push(match c {
            '\\' => match chars.next()? {
                '0' => return None,
                digit @ '1'..='9' => Piece::Group(digit.to_digit(10)? as usize),
                other => Piece::Char(other),
            },
            c => Piece::Char(c),
        });
    }
    Some(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn applied(substitution: &str) -> Option<String> {
        apply(substitution, "+441865332211")
    }

    #[test]
    fn the_rfcs_examples() {
        // RFC 6116 sections 3.4.3 and 6; RFC 3402 has the rest of the syntax.
        assert_eq!(
            applied("!^\\+441865332(.*)$!sip:\\1@sales.example.net!").as_deref(),
            Some("sip:211@sales.example.net")
        );
        assert_eq!(
            applied("!^(.*)$!h323:\\1@gatekeeper.example.net!").as_deref(),
            Some("h323:+441865332211@gatekeeper.example.net")
        );
        assert_eq!(applied("!^.*$!tel:+441865332211;npdi!").as_deref(), Some("tel:+441865332211;npdi"));
        assert_eq!(applied("/^(\\+44)(1865)(.*)$/\\3-\\2-\\1\\//").as_deref(), Some("332211-1865-+44/"));
        assert_eq!(apply("!^abc(.*)$!\\1!i", "ABCd").as_deref(), Some("d"));
        assert_eq!(apply("!^abc(.*)$!\\1!", "ABCd"), None);
        assert_eq!(applied("|^\\+44(1865\\|x)?(.*)$|x\\2|").as_deref(), Some("x1865332211"));
    }

    #[test]
    fn what_is_no_substitution_gives_nothing() {
        for bad in [
            "",
            "!",
            "!a",
            "!^.*$!x",
            "1^.*$1x1",
            "i^.*$ixi",
            "!^.*$!x!g",
            "!(!x!",
            "!^.*$!\\1!",
            "!^.*$!\\0!",
            "!^.*$!\\",
            "!^.*$!!",
            "!^.*$!a\nb!",
            "\\^.*$\\x\\",
            "!(x{900}){900}!x!",
        ] {
            assert_eq!(applied(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_result_is_bounded() {
        let long = format!("!^(.*)$!{}!", "\\1".repeat(400));
        assert_eq!(applied(&long), None);
    }

    proptest! {
        #[test]
        fn nothing_in_a_record_makes_it_panic(text in "[!/^$.*+?()\\[\\]{}|\\\\0-9a-i;:@é]{0,60}") {
            if let Some(result) = applied(&text) {
                prop_assert!(result.len() <= MAX_TEXT + 16);
            }
        }
    }
}
