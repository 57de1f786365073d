//! From an offset in a TOML string's text to the offset in its source, past quotes and escapes.

/// Where byte `offset` of the text stands in `raw`, the string as it was typed, quotes and all.
///
/// `raw` may be bare text without quotes, as an environment variable holds it. Never past the end.
pub(super) fn raw_offset(raw: &str, offset: usize) -> usize {
    let (open, escapes) = opening(raw);
    let raw_text = &raw[open..];
    let within = if escapes { skip_escaped(raw_text, offset) } else { offset };
    (open + within).min(raw.len())
}

/// How long the opening quotes are, and whether backslashes mean something behind them.
fn opening(raw: &str) -> (usize, bool) {
    for (quote, escapes) in [("\"\"\"", true), ("'''", false)] {
        if let Some(rest) = raw.strip_prefix(quote) {
            // A newline right behind the opening is not part of the text.
            let newline = if rest.starts_with("\r\n") { 2 } else { usize::from(rest.starts_with('\n')) };
            return (quote.len() + newline, escapes);
        }
    }
    match raw.as_bytes().first() {
        Some(b'"') => (1, true),
        Some(b'\'') => (1, false),
        _ => (0, false),
    }
}

/// The raw offset of the text's byte `offset`, in text with escapes.
fn skip_escaped(raw: &str, offset: usize) -> usize {
    let (mut read, mut decoded) = (0, 0);
    while decoded < offset {
        // A broken escape may claim more than there is; then this is as near as it gets.
        let Some(rest) = raw.get(read..).filter(|rest| !rest.is_empty()) else { break };
        let (raw_length, text_length) = if rest.starts_with('\\') { escape(rest) } else { plain(rest) };
        read += raw_length;
        decoded += text_length;
    }
    read.min(raw.len())
}

/// One plain character's length, raw and as text.
fn plain(rest: &str) -> (usize, usize) {
    let length = rest.chars().next().map_or(1, char::len_utf8);
    (length, length)
}

/// One escape's length, raw and as text.
fn escape(rest: &str) -> (usize, usize) {
    let digits = match rest.as_bytes().get(1) {
        Some(b'x') => 2,
        Some(b'u') => 4,
        Some(b'U') => 8,
        // A backslash at the end of a line swallows the white space behind it.
        Some(b' ' | b'\t' | b'\r' | b'\n') => {
            let swallowed = rest[1..].len() - rest[1..].trim_start().len();
            return (1 + swallowed, 0);
        }
        Some(byte) if byte.is_ascii() => return (2, 1),
        _ => return (1, 1),
    };
    let character = rest.get(2..2 + digits).and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
    (2 + digits, character.map_or(1, char::len_utf8))
}
