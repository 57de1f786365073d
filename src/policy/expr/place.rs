//! Where a template's text goes, and what that asks of the values in it.
//!
//! The escape belongs to the place, not to the operator's memory: a vendor's or a caller's value can
//! never end a URL's path, a header's line or a JSON string. Most places escape a value on its own. JSON
//! needs to know whether the value stands within quotes, which only the finished text tells:
//! values are written between marks (byte 0, which no JSON text holds), and [`Place::finish`] settles them.

use std::fmt::Write;
use std::ops::Range;

use memchr::{memchr_iter, memchr2};
use minijinja::{Error, ErrorKind, Value};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{CompileError, ExprError};

/// Where a template's text goes, which decides how values in it are escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A URL: path segments before the `?`, query values behind it. Both keep RFC 3986's unreserved
    /// characters and nothing else, so `/` becomes `%2F` and `+` becomes `%2B`.
    Url,
    /// A header's value: no CR, LF or NUL.
    Header,
    /// A JSON body: values as JSON, text within quotes escaped.
    Json,
    /// An XML body.
    Xml,
    /// A form body: percent-encoded.
    Form,
    /// A name of the DNS.
    DnsName,
    /// Text that goes nowhere but into a record.
    Plain,
}

/// All but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Encloses a value in a JSON body that is not settled yet.
const MARK: char = '\0';

impl Place {
    /// Refuses a template whose own text could be taken for a mark.
    pub(super) fn accepts(self, source: &str) -> Result<(), CompileError> {
        match source.find(MARK) {
            Some(at) if self == Self::Json => Err(CompileError {
                at: at..at + 1,
                what: "a JSON body cannot hold a byte 0".to_owned(),
                mend: "write it as \\u0000 within a JSON string, or leave it out".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// Writes one value, escaped.
    pub(super) fn write(self, out: &mut impl Write, value: &Value) -> Result<(), Error> {
        if self == Self::Json && !value.is_safe() {
            let json = serde_json::to_string(value).map_err(|error| {
                Error::new(ErrorKind::BadSerialization, "the value has no JSON form").with_source(error)
            })?;
            return Ok(write!(out, "{MARK}{json}{MARK}")?);
        }
        if value.is_undefined() || value.is_none() {
            return Ok(());
        }
        match value.as_str() {
            Some(text) if value.is_safe() => Ok(out.write_str(&text.replace(MARK, ""))?),
            Some(text) => self.write_text(out, text),
            None => self.write_text(out, &value.to_string()),
        }
    }

    fn write_text(self, out: &mut impl Write, text: &str) -> Result<(), Error> {
        match self {
            Self::Url | Self::Form => utf8_percent_encode(text, RESERVED).try_for_each(|part| out.write_str(part))?,
            Self::Xml => write_xml(out, text)?,
            Self::DnsName => match text.bytes().find(|byte| !is_dns_byte(*byte)) {
                None => out.write_str(text)?,
                Some(_) => return Err(Error::new(ErrorKind::InvalidOperation, "a value does not fit into a DNS name")),
            },
            // Header: the whole line is cleaned when it is finished. JSON never comes here.
            Self::Header | Self::Plain | Self::Json => out.write_str(text)?,
        }
        Ok(())
    }

    /// What can only be said of the whole text.
    pub(super) fn finish(self, text: String) -> Result<String, ExprError> {
        match self {
            Self::Url => url(text),
            Self::Header => Ok(without_controls(text)),
            Self::Json => settle_json(&text),
            Self::DnsName => dns_name(text),
            Self::Xml | Self::Form | Self::Plain => Ok(text),
        }
    }
}

/// Escapes for text and attributes alike, and leaves out what XML 1.0 section 2.2 cannot hold.
fn write_xml(out: &mut impl Write, text: &str) -> std::fmt::Result {
    for c in text.chars() {
        match c {
            '&' => out.write_str("&amp;")?,
            '<' => out.write_str("&lt;")?,
            '>' => out.write_str("&gt;")?,
            '"' => out.write_str("&quot;")?,
            '\'' => out.write_str("&#39;")?,
            '\t' | '\n' | '\r' => write!(out, "&#{};", c as u32)?,
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            _ => write!(out, "{c}")?,
        }
    }
    Ok(())
}

/// Refuses a path with `.` or `..` as a segment.
fn url(text: String) -> Result<String, ExprError> {
    if climbs(&text) {
        return Err(ExprError("the URL's path has a segment `.` or `..`".to_owned()));
    }
    Ok(text)
}

/// True for a URL whose path has `.` or `..` as a segment, `%2e` included: a client would take it out, and ask for another
/// resource.
pub(crate) fn climbs(url: &str) -> bool {
    let url = url.as_bytes();
    let path = &url[..memchr2(b'?', b'#', url).unwrap_or(url.len())];
    let is_dots = |segment: &[u8]| {
        let behind = dot(segment);
        behind.is_some_and(|rest| matches!(dot(rest).unwrap_or(rest), [] | [b'/', ..]))
    };
    is_dots(path) || memchr_iter(b'/', path).any(|slash| is_dots(&path[slash + 1..]))
}

/// What is behind the dot that this begins with, if it does.
fn dot(text: &[u8]) -> Option<&[u8]> {
    match text {
        [b'.', rest @ ..] | [b'%', b'2', b'e' | b'E', rest @ ..] => Some(rest),
        _ => None,
    }
}

/// A header is one line: nothing that could end it or hide in it passes (RFC 9110 section 5.5).
fn without_controls(mut text: String) -> String {
    if text.chars().any(char::is_control) {
        text.retain(|c| !c.is_control());
    }
    text
}

fn is_dns_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// A name that RFC 1035 can carry: labels of 1 to 63 bytes, 253 in all.
fn dns_name(mut text: String) -> Result<String, ExprError> {
    if text.ends_with('.') {
        text.pop();
    }
    let fits = text.len() <= 253
        && text.bytes().all(is_dns_byte)
        && text.split('.').all(|label| (1..=63).contains(&label.len()));
    if fits {
        Ok(text)
    } else {
        Err(ExprError(
            "the text is no DNS name: labels of 1 to 63 letters, digits, `-` and `_`, 253 bytes in all".to_owned(),
        ))
    }
}

/// Puts each marked value where it stands: as JSON outside quotes, as escaped text within.
fn settle_json(text: &str) -> Result<String, ExprError> {
    let mut settled = String::with_capacity(text.len());
    let mut state = JsonText::Bare;
    for (index, part) in text.split(MARK).enumerate() {
        // Marks come in pairs, so every second part is a value.
        if index % 2 == 0 {
            state = state.behind(part);
            settled.push_str(part);
            continue;
        }
        match state {
            JsonText::Bare => settled.push_str(part),
            JsonText::Quoted => push_quoted(&mut settled, part),
            JsonText::Escape => return Err(ExprError("a backslash stands before a value in the JSON body".to_owned())),
        }
    }
    Ok(settled)
}

/// Where in a JSON text one stands.
#[derive(Clone, Copy)]
enum JsonText {
    Bare,
    Quoted,
    /// Within quotes, behind a backslash.
    Escape,
}

impl JsonText {
    fn behind(self, text: &str) -> Self {
        text.bytes().fold(self, |state, byte| match (state, byte) {
            (Self::Bare, b'"') | (Self::Escape, _) => Self::Quoted,
            (Self::Quoted, b'"') => Self::Bare,
            (Self::Quoted, b'\\') => Self::Escape,
            (state, _) => state,
        })
    }
}

/// A value within quotes: a string's content, nothing for null, and any other value's JSON as text.
fn push_quoted(settled: &mut String, json: &str) {
    match json.as_bytes().first() {
        Some(b'"') if json.len() >= 2 => settled.push_str(&json[1..json.len() - 1]),
        Some(b'n') => {}
        Some(b'{' | b'[') => {
            let quoted = serde_json::Value::from(json).to_string();
            settled.push_str(&quoted[1..quoted.len() - 1]);
        }
        _ => settled.push_str(json),
    }
}

/// The whole of a source, for faults that have no better place.
pub(super) fn whole(source: &str) -> Range<usize> {
    0..source.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_values_know_whether_they_stand_within_quotes() {
        let unsettled =
            "{\"a\":\"x-\0\"q\\\"\"\0\",\"b\":\0\"q\"\0,\"c\":\0null\0,\"d\":\"\0null\0\",\"e\":\"\\\"\0[\"z\"]\0\"}";
        assert_eq!(settle_json(unsettled).unwrap(), r#"{"a":"x-q\"","b":"q","c":null,"d":"","e":"\"[\"z\"]"}"#);
    }

    #[test]
    fn a_value_never_completes_an_escape() {
        assert!(settle_json("{\"a\":\"\\\0\"\\\"}\"\0\"}").is_err());
        assert!(settle_json("{\"a\":\"\\\\\0\"x\"\0\"}").is_ok());
    }

    #[test]
    fn a_path_never_climbs() {
        assert!(url("https://a.example/v1/../x".to_owned()).is_err());
        assert!(url("https://a.example/v1/./x".to_owned()).is_err());
        for climbing in ["..", "./x", "/a/..", "http://a/%2e%2E/b", "http://a/.%2e#x", "http://a/%2e?x", "//./"] {
            assert!(climbs(climbing), "{climbing}");
        }
        for level in ["", "/", "https://a.example/v1/..x?a=/../", "/...", "/a./.b", "/%2ex", "/%2e%2e%2e/", "/a#/../"] {
            assert!(!climbs(level), "{level}");
        }
    }

    #[test]
    fn dns_names_are_bounded() {
        assert_eq!(dns_name("a.b.".to_owned()).unwrap(), "a.b");
        assert!(dns_name("a..b".to_owned()).is_err());
        assert!(dns_name(String::new()).is_err());
        assert!(dns_name("a".repeat(64)).is_err());
        assert!(dns_name("a.".repeat(127)).is_ok());
        assert!(dns_name("a.".repeat(128)).is_err());
    }
}
