//! Filters over text: cutting, joining, and names that are fit to be shown.

use minijinja::{Environment, Error, ErrorKind, Value};

use super::text_of;

/// The filters of this module.
pub(super) const NAMES: [&str; 8] =
    ["strip_prefix", "prefix", "substr", "truncate", "digits", "enum", "presentable", "raw"];

pub(super) fn register(environment: &mut Environment<'static>) {
    environment.add_filter("strip_prefix", |value: &Value, prefix: &str| {
        over(value, |text| text.strip_prefix(prefix).unwrap_or(text).to_owned())
    });
    environment.add_filter("prefix", |value: &Value, prefix: &str| over(value, |text| format!("{prefix}{text}")));
    environment.add_filter("substr", |value: &Value, start: usize, length: Option<usize>| {
        over(value, |text| text.chars().skip(start).take(length.unwrap_or(usize::MAX)).collect())
    });
    environment
        .add_filter("truncate", |value: &Value, length: usize| over(value, |text| text.chars().take(length).collect()));
    environment.add_filter("digits", |value: &Value| over(value, digits));
    environment.add_filter("enum", enum_name);
    environment.add_filter("presentable", |value: &Value, length: Option<usize>| {
        over(value, |text| presentable(text, length.unwrap_or(usize::MAX)))
    });
    environment.add_filter("raw", |value: &Value| match text_of(value) {
        Some(text) => Value::from_safe_string(text.into_owned()),
        None => Value::UNDEFINED,
    });
}

fn over(value: &Value, change: impl FnOnce(&str) -> String) -> Value {
    text_of(value).map_or(Value::UNDEFINED, |text| Value::from(change(&text)))
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// A number's name below an ENUM zone (RFC 6116 section 3.2): its digits from the last, a dot each.
fn enum_name(value: &Value, zone: &str) -> Result<Value, Error> {
    let Some(text) = text_of(value) else { return Ok(Value::UNDEFINED) };
    let digits = digits(&text);
    if digits.is_empty() {
        return Err(Error::new(ErrorKind::InvalidOperation, "`enum` needs a number with digits"));
    }
    let mut name = String::with_capacity(digits.len() * 2 + zone.len());
    for digit in digits.chars().rev() {
        name.push(digit);
        name.push('.');
    }
    name.push_str(zone.trim_matches('.'));
    Ok(Value::from(name))
}

/// A name as a telephone may show it and a routing script may paste it: one line, single spaces, at most
/// `length` characters, without quotes, angle brackets, backslashes and braces. `${` and `%{`, which
/// some servers expand, can therefore never pass, however they are nested.
pub fn presentable(text: &str, length: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(64));
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        let kept = word.chars().filter(|c| is_presentable(*c));
        let before = shown.len();
        if !shown.is_empty() {
            shown.push(' ');
        }
        let started = shown.len();
        shown.extend(kept);
        if shown.len() == started {
            shown.truncate(before);
        }
    }
    if let Some((end, _)) = shown.char_indices().nth(length) {
        shown.truncate(end);
        shown.truncate(shown.trim_end().len());
    }
    shown
}

fn is_presentable(c: char) -> bool {
    !matches!(c,
        '"' | '\'' | '`' | '\\' | '<' | '>' | '{' | '}'
        // Quotes that a font shows like those above.
        | '\u{2018}'..='\u{201f}'
        // What is not seen: zero width, direction marks, byte order mark, replacement.
        | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_becomes_presentable() {
        assert_eq!(presentable("  ACME   \"Corp\"\r\nX-Evil: 1 ", 15), "ACME Corp X-Evi");
        assert_eq!(presentable("$${{{x}}", 15), "$$x");
        assert_eq!(presentable("ABCDEFGHIJKLMN OPQ", 15), "ABCDEFGHIJKLMN");
        assert_eq!(presentable("\"\" \u{0}", 15), "");
        assert_eq!(presentable("MÜLLER GMBH", 15), "MÜLLER GMBH");
    }

    proptest! {
        #[test]
        fn nothing_dangerous_passes(text in "\\PC{0,20}[\"'${}\\r\\n\\x00\\t <>]{0,20}\\PC{0,20}", length in 0usize..40) {
            let shown = presentable(&text, length);
            prop_assert!(shown.chars().count() <= length);
            prop_assert!(!shown.chars().any(char::is_control));
            let dangerous = ["${", "%{", "\"", "'", "  "].iter().any(|text| shown.contains(text));
            prop_assert!(!dangerous, "{}", shown);
            prop_assert_eq!(shown.trim(), &shown);
            prop_assert_eq!(presentable(&shown, length), shown);
        }
    }
}
