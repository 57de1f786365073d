//! Filters over text: cutting, joining, and names that are fit to be shown.

use minijinja::{Environment, Error, ErrorKind, Value};

use super::text_of;

/// The filters of this module.
pub(super) const NAMES: [&str; 11] = [
    "strip_prefix",
    "prefix",
    "substr",
    "truncate",
    "digits",
    "enum",
    "presentable",
    "ascii",
    "spam_tag",
    "untagged",
    "raw",
];

/// What vendors put before a name to warn of it, in small letters.
const SPAM_TAGS: [&str; 8] =
    ["spam?", "spam:", "[spam]", "spam risk", "scam likely", "potential spam", "spam likely", "suspected spam"];

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
    environment.add_filter("ascii", |value: &Value| over(value, ascii));
    environment.add_filter("spam_tag", |value: &Value| {
        let text = text_of(value)?;
        let tag = tag(text.trim_start())?;
        Some(text.trim_start()[..tag].trim_matches(|c: char| !c.is_alphanumeric()).to_owned())
    });
    environment.add_filter("untagged", |value: &Value| {
        over(value, |text| text.trim_start()[tag(text.trim_start()).unwrap_or(0)..].trim().to_owned())
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

/// How long the warning at the start of a name is, if there is one.
fn tag(text: &str) -> Option<usize> {
    let starts = |tag: &&&str| text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    SPAM_TAGS.iter().filter(starts).map(|tag| tag.len()).max()
}

/// Letters with marks without them, as far as Latin ones go; what has no ASCII form is left out.
fn ascii(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            _ if c.is_ascii() => folded.push(c),
            'À'..='Å' | 'Ā' | 'Ă' | 'Ą' => folded.push('A'),
            'à'..='å' | 'ā' | 'ă' | 'ą' => folded.push('a'),
            'Æ' => folded.push_str("AE"),
            'æ' => folded.push_str("ae"),
            'Ç' | 'Ć' | 'Č' => folded.push('C'),
            'ç' | 'ć' | 'č' => folded.push('c'),
            'Ď' | 'Đ' | 'Ð' => folded.push('D'),
            'ď' | 'đ' | 'ð' => folded.push('d'),
            'È'..='Ë' | 'Ē' | 'Ę' | 'Ě' => folded.push('E'),
            'è'..='ë' | 'ē' | 'ę' | 'ě' => folded.push('e'),
            'Ğ' => folded.push('G'),
            'ğ' => folded.push('g'),
            'Ì'..='Ï' | 'Ī' | 'İ' => folded.push('I'),
            'ì'..='ï' | 'ī' | 'ı' => folded.push('i'),
            'Ł' | 'Ľ' => folded.push('L'),
            'ł' | 'ľ' => folded.push('l'),
            'Ñ' | 'Ń' | 'Ň' => folded.push('N'),
            'ñ' | 'ń' | 'ň' => folded.push('n'),
            'Ò'..='Ö' | 'Ø' | 'Ō' | 'Ő' => folded.push('O'),
            'ò'..='ö' | 'ø' | 'ō' | 'ő' => folded.push('o'),
            'Œ' => folded.push_str("OE"),
            'œ' => folded.push_str("oe"),
            'Ř' => folded.push('R'),
            'ř' => folded.push('r'),
            'Ś' | 'Š' | 'Ş' => folded.push('S'),
            'ś' | 'š' | 'ş' => folded.push('s'),
            'ß' => folded.push_str("ss"),
            'Ť' | 'Ţ' => folded.push('T'),
            'ť' | 'ţ' => folded.push('t'),
            'Ù'..='Ü' | 'Ū' | 'Ů' | 'Ű' => folded.push('U'),
            'ù'..='ü' | 'ū' | 'ů' | 'ű' => folded.push('u'),
            'Ý' | 'Ÿ' => folded.push('Y'),
            'ý' | 'ÿ' => folded.push('y'),
            'Ź' | 'Ż' | 'Ž' => folded.push('Z'),
            'ź' | 'ż' | 'ž' => folded.push('z'),
            '\u{2018}' | '\u{2019}' => folded.push('\''),
            '\u{2013}' | '\u{2014}' => folded.push('-'),
            _ if c.is_whitespace() => folded.push(' '),
            _ => {}
        }
    }
    folded
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

    #[test]
    fn names_fold_to_ascii_and_lose_their_warning() {
        assert_eq!(ascii("Müller & Søn – Łódź 名"), "Muller & Son - Lodz ");
        assert_eq!(tag("Spam? JOHN"), Some(5));
        assert_eq!(tag("SPAM LIKELY"), Some(11));
        assert_eq!(tag("SPAMALOT INC"), None);
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
