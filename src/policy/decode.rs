//! What an upstream said, in the form that rules and fields look at.
//!
//! The policy says how a body decodes; a vendor's `Content-Type` is believed for its charset only. A body
//! that does not decode is no error here: rules may look at its text first, and the tail behind them
//! calls it what it is.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use encoding_rs::{Encoding, UTF_8};
use minijinja::Value;

use crate::answer::Record;

/// How a body is turned into the tree that expressions see as `body`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 8259, to a bounded depth.
    Json,
    /// The whole body is one string.
    Text,
    /// There is no body worth looking at.
    None,
}

/// What an upstream said. Every transport fills in its part and leaves the rest empty.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// HTTP: the status.
    pub status: Option<u16>,
    /// HTTP: header names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// HTTP: the body as text, bad bytes replaced.
    pub text: Arc<str>,
    /// The decoded body; undefined where it did not decode.
    pub body: Value,
    /// Why the body did not decode, if it did not.
    pub undecoded: Option<String>,
    /// DNS: the response code's name, `NOERROR`, `NXDOMAIN`, `SERVFAIL` and so on.
    pub rcode: Option<String>,
    /// DNS: a list of maps, one a record of the answer.
    pub answers: Value,
    /// SQL: a list of maps, one a row.
    pub rows: Value,
    /// Table: the record, made when the table was loaded; `None` where no row has the key.
    pub kept: Option<Record>,
    /// How long the answer says it may be kept: the least TTL of the records, or the SOA's minimum.
    pub ttl: Option<Duration>,
}

impl Reading {
    /// The reading of an HTTP answer. Header names may have any case; `body` is decompressed and within
    /// the policy's bound.
    pub fn of_http(status: u16, mut headers: Vec<(String, String)>, body: &[u8], format: Format) -> Self {
        headers.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
        let content_type = header(&headers, "content-type");
        let text = format.text(content_type, body);
        let (body, undecoded) = match format.decode(&text) {
            Ok(body) => (body, None),
            Err(why) => (Value::UNDEFINED, Some(why)),
        };
        Self { status: Some(status), text: text.into(), body, undecoded, headers, ..Self::default() }
    }

    /// The first header of this lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

impl Format {
    /// The word for it in policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
            Self::None => "none",
        }
    }

    /// The format of this name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Json, Self::Text, Self::None].into_iter().find(|format| format.as_str() == name)
    }

    /// A body as text: in the charset that a byte order mark or the header names, else UTF-8; the mark
    /// is removed and bad bytes are replaced.
    fn text<'a>(self, content_type: Option<&str>, body: &'a [u8]) -> Cow<'a, str> {
        // JSON is UTF-8 whatever the header says (RFC 8259 section 8.1).
        let named = if self == Self::Json { None } else { content_type.and_then(charset) };
        named.unwrap_or(UTF_8).decode(body).0
    }

    fn decode(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Json => json(text),
            Self::Text => Ok(Value::from(text)),
            Self::None => Ok(Value::UNDEFINED),
        }
    }
}

/// The charset that a `Content-Type` names (RFC 9110 section 8.3.2), where it is a known one.
fn charset(content_type: &str) -> Option<&'static Encoding> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then_some(value)?;
        Encoding::for_label(value.trim().trim_matches('"').as_bytes())
    })
}

/// A JSON text as a tree, at most 128 deep; integers of 64 bits are kept exactly.
fn json(text: &str) -> Result<Value, String> {
    if text.trim_ascii().is_empty() {
        return Err("the body is empty".to_owned());
    }
    // serde_json refuses what is deeper than 128.
    serde_json::from_str(text).map_err(|error| format!("the body is no JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content_type: &str, body: &[u8], format: Format) -> Reading {
        Reading::of_http(200, vec![("Content-Type".to_owned(), content_type.to_owned())], body, format)
    }

    #[test]
    fn charsets_are_obeyed_and_bad_bytes_replaced() {
        assert_eq!(&*read("text/plain; charset=iso-8859-1", b"M\xdcLLER", Format::Text).text, "MÜLLER");
        assert_eq!(&*read("text/plain; Charset=\"windows-1252\"", b"\x80", Format::Text).text, "€");
        assert_eq!(&*read("text/plain", b"M\xdcLLER", Format::Text).text, "M\u{fffd}LLER");
        assert_eq!(&*read("text/plain; charset=martian", "MÜLLER".as_bytes(), Format::Text).text, "MÜLLER");
        assert_eq!(&*read("", b"\xef\xbb\xbfACME", Format::Text).text, "ACME");
    }

    #[test]
    fn json_decodes_whatever_the_header_says() {
        let reading = read("text/html; charset=iso-8859-1", "\u{feff}{\"a\":[1,\"Ü\"]}".as_bytes(), Format::Json);
        assert_eq!(reading.undecoded, None);
        let item = reading.body.get_attr("a").unwrap().get_item_by_index(1).unwrap();
        assert_eq!(item.as_str(), Some("Ü"));
        assert_eq!(reading.header("content-type"), Some("text/html; charset=iso-8859-1"));
        for bare in ["-1003", "\"x\"", "[]", "null", "true"] {
            assert_eq!(read("", bare.as_bytes(), Format::Json).undecoded, None, "{bare}");
        }
    }

    #[test]
    fn integers_are_exact() {
        let reading = read("", b"[18446744073709551615,-9223372036854775808]", Format::Json);
        assert_eq!(reading.body.to_string(), "[18446744073709551615, -9223372036854775808]");
    }

    #[test]
    fn what_is_no_json_says_so_and_keeps_its_text() {
        let reading = read("application/json", b"<html>502</html>", Format::Json);
        assert!(reading.body.is_undefined());
        assert!(reading.undecoded.unwrap().contains("line 1 column 1"));
        assert_eq!(&*reading.text, "<html>502</html>");
        assert_eq!(read("", b" \n", Format::Json).undecoded.as_deref(), Some("the body is empty"));
        let deep = "[".repeat(100_000);
        assert!(read("", deep.as_bytes(), Format::Json).undecoded.unwrap().contains("recursion limit"));
    }
}
