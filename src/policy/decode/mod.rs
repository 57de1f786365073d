//! What an upstream said, in the form that rules and fields look at.
//!
//! The policy says how a body decodes; a vendor's `Content-Type` is believed for its charset only. Whatever the
//! format, the outcome is one kind of tree, so that one language looks at all of them: `json` and `xml` give what
//! they hold, `delimited` and `kv` a map, `csv` and `tsv` a list of maps, `text` a string, `binary` one in Base64.
//!
//! A body that does not decode is no error here: rules may look at its text first, and the tail behind them
//! calls it what it is. An empty body is such a one, and `text == ''` is a test like any other.

mod charset;
mod delimited;
mod json;
mod xml;
#[cfg(test)]
mod tests;

pub(crate) use charset::of_name as charset_of_name;
pub(crate) use json::Fields;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use compact_str::CompactString;
use encoding_rs::Encoding;
use minijinja::Value;

use crate::answer::Record;

/// How a body is turned into the tree that expressions see as `body`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// RFC 8259, to a bounded depth; a bare number or string is a body too.
    #[default]
    Json,
    /// XML 1.0 without DTD and entities of its own, to a bounded depth; see `xml` for the tree.
    Xml,
    /// The whole body is one string.
    Text,
    /// One line of values in a fixed order, `LRN;SPID`: a map of the policy's `columns`.
    Delimited,
    /// `name=value&name=value`, a map; a name that comes twice has a list.
    Kv,
    /// RFC 4180: a list of maps, one a row.
    Csv,
    /// The same with tabs.
    Tsv,
    /// The bytes as they came, in Base64 (RFC 4648): a certificate in DER.
    Binary,
    /// There is no body worth looking at.
    None,
}

/// All that a policy says about an answer's body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoding {
    /// The format of a good answer.
    pub format: Format,
    /// The format of an answer whose status is not 2xx, where it differs.
    pub error_format: Option<Format>,
    /// The charset, whatever the vendor says; `None`: as its header says, else UTF-8.
    pub charset: Option<&'static Encoding>,
    /// What stands between two values; `None` is the format's own: `,`, a tab, `&`, `;`.
    pub separator: Option<char>,
    /// The names of the values, in order. Empty for `csv` and `tsv`: the first row has them.
    pub columns: Vec<String>,
}

impl From<Format> for Decoding {
    fn from(format: Format) -> Self {
        Self { format, ..Self::default() }
    }
}

/// What an upstream said. Every transport fills in its part and leaves the rest empty.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// HTTP: the status.
    pub status: Option<u16>,
    /// HTTP: header names in lower case, and values.
    pub headers: Arc<[(CompactString, CompactString)]>,
    /// HTTP: the body as text, bad bytes replaced; in Base64 where its format is `binary`.
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
    /// Table: the record, made when the table was loaded; `None` where no row has the key. DNS: what is kept of a "no", so
    /// that no such name can be told from no such data.
    pub kept: Option<Record>,
    /// DNS: the parts of the URI that a number's NAPTR records lead to (RFC 6116); undefined where there is none.
    pub enumeration: Value,
    /// How long the answer says it may be kept: the least TTL of the records, or the SOA's minimum.
    pub ttl: Option<Duration>,
}

impl Reading {
    /// The reading of an HTTP answer. Header names may have any case; `body` is decompressed and within
    /// the policy's bound.
    pub fn of_http(
        status: u16,
        mut headers: Vec<(CompactString, CompactString)>,
        body: &[u8],
        decoding: &Decoding,
    ) -> Self {
        headers.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
        let content_type = header(&headers, "content-type");
        let format = decoding.format_of(status);
        let text = match format {
            Format::Binary => STANDARD.encode(body).into(),
            _ => charset::text(decoding, format, content_type, body),
        };
        let (body, undecoded) = match decoding.tree(format, &text) {
            Ok(body) => (body, None),
            Err(why) => (Value::UNDEFINED, Some(why)),
        };
        Self { status: Some(status), text: text.into(), body, undecoded, headers: headers.into(), ..Self::default() }
    }

    /// The first header of this lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

fn header<'a>(headers: &'a [(CompactString, CompactString)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

impl Decoding {
    /// The format of an answer with this status.
    fn format_of(&self, status: u16) -> Format {
        match self.error_format {
            Some(other) if !(200..=299).contains(&status) => other,
            _ => self.format,
        }
    }

    /// True when no part of any body is looked at.
    pub fn wants_no_body(&self) -> bool {
        self.format == Format::None && self.error_format.is_none_or(|format| format == Format::None)
    }

    fn tree(&self, format: Format, text: &str) -> Result<Value, String> {
        match format {
            Format::None => return Ok(Value::UNDEFINED),
            Format::Text | Format::Binary => return Ok(Value::from(text)),
            _ if text.trim_ascii().is_empty() => return Err("the body is empty".to_owned()),
            _ => {}
        }
        match format {
            Format::Json => json::tree(text),
            Format::Xml => xml::tree(text),
            Format::Delimited => delimited::line(text, self.separator, &self.columns),
            Format::Kv => delimited::pairs(text, self.separator),
            Format::Csv | Format::Tsv => delimited::rows(text, format, self.separator, &self.columns),
            Format::Text | Format::Binary | Format::None => Ok(Value::UNDEFINED),
        }
    }
}

impl Format {
    /// Every format, in the order of declaration.
    pub const ALL: [Self; 9] =
        [Self::Json, Self::Xml, Self::Text, Self::Delimited, Self::Kv, Self::Csv, Self::Tsv, Self::Binary, Self::None];

    /// The word for it in policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Xml => "xml",
            Self::Text => "text",
            Self::Delimited => "delimited",
            Self::Kv => "kv",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Binary => "binary",
            Self::None => "none",
        }
    }

    /// The format of this name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name)
    }
}
