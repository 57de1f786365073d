//! What a dip ends in: an [`Outcome`], perhaps a [`Record`], and a [`Source`] that tells where it came from.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value as Json};

/// How a dip ended. Decided by the policy's rules before the cache or the breaker sees it, and the
/// same word in headers, metrics, logs and events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Outcome {
    /// A usable record.
    Found,
    /// Usable, with parts missing.
    Partial,
    /// The upstream answered that it knows nothing about this key.
    NotFound,
    /// The policy's gate says that this key is never asked: no dip was made.
    NotApplicable,
    /// The number cannot exist: our own parser or the vendor says so.
    InvalidNumber,
    /// The vendor asks us to slow down, or our own token bucket is empty.
    RateLimited,
    /// Money or plan is used up at the vendor.
    QuotaExhausted,
    /// The vendor refuses our credentials.
    AuthError,
    /// The upstream answered, and badly: a 5xx, a body that does not decode, a vendor's own error code.
    VendorError,
    /// No answer in time, or no connection.
    Timeout,
    /// Nothing was sent: the breaker is open, a hold is on, or no upstream is left.
    Open,
    /// Nothing was sent: this node has too much in hand already.
    Overload,
    /// The policy's fallback record, because nothing better was to be had.
    Fallback,
    /// The key or an input does not fit what the policy declares.
    InvalidInput,
    /// No policy has this name.
    UnknownLookup,
}

impl Outcome {
    /// Every outcome, in the order of declaration.
    pub const ALL: [Self; 15] = [
        Self::Found,
        Self::Partial,
        Self::NotFound,
        Self::NotApplicable,
        Self::InvalidNumber,
        Self::RateLimited,
        Self::QuotaExhausted,
        Self::AuthError,
        Self::VendorError,
        Self::Timeout,
        Self::Open,
        Self::Overload,
        Self::Fallback,
        Self::InvalidInput,
        Self::UnknownLookup,
    ];

    /// The word for it, everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Partial => "partial",
            Self::NotFound => "not_found",
            Self::NotApplicable => "not_applicable",
            Self::InvalidNumber => "invalid_number",
            Self::RateLimited => "rate_limited",
            Self::QuotaExhausted => "quota_exhausted",
            Self::AuthError => "auth_error",
            Self::VendorError => "vendor_error",
            Self::Timeout => "timeout",
            Self::Open => "open",
            Self::Overload => "overload",
            Self::Fallback => "fallback",
            Self::InvalidInput => "invalid_input",
            Self::UnknownLookup => "unknown_lookup",
        }
    }

    /// The outcome of this name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == name)
    }

    /// True for an answer that the upstream stands by, even if the answer is "nothing": it may be
    /// cached, and it is a success for the breaker.
    pub const fn is_answer(self) -> bool {
        matches!(self, Self::Found | Self::Partial | Self::NotFound | Self::InvalidNumber)
    }

    /// True when a record comes with it.
    pub const fn has_record(self) -> bool {
        matches!(self, Self::Found | Self::Partial | Self::Fallback)
    }

    /// True when the dip failed through the upstream's fault: a sample for the breaker.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::VendorError | Self::Timeout)
    }

    /// True when the vendor asks to be left alone for a while, which is no failure.
    pub const fn is_hold(self) -> bool {
        matches!(self, Self::RateLimited | Self::QuotaExhausted | Self::AuthError)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where an answer came from, as `X-Dip-Source` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The local cache, fresh.
    Local,
    /// The shared cache, fresh.
    Shared,
    /// A cached record past its time, because nothing fresh was to be had.
    Stale,
    /// The policy's fallback record.
    Fallback,
    /// The upstream of this name, just now.
    Upstream(Arc<str>),
    /// Nobody: the dip ended without an answer.
    Nobody,
}

impl Source {
    /// The word for it; an upstream's is its name.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Local => "local",
            Self::Shared => "shared",
            Self::Stale => "stale",
            Self::Fallback => "fallback",
            Self::Upstream(name) => name,
            Self::Nobody => "none",
        }
    }
}

/// An answer's kept fields: one JSON object on one line, in the policy's order of fields.
///
/// It is serialised once, when the answer is made, so that a hit copies bytes and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record(Arc<str>);

/// Most records are shorter, in bytes.
const USUAL: usize = 256;

impl Record {
    /// Wraps a JSON object's text. The caller vouches that it is one compact line.
    pub fn from_json(json: impl Into<Arc<str>>) -> Self {
        Self(json.into())
    }

    /// The record of these fields.
    pub fn from_map(fields: &Map<String, Json>) -> Self {
        Self::of(fields.iter().map(|(name, value)| (name.as_str(), value)))
    }

    /// The record of these fields, each of another name.
    pub fn of<'a>(fields: impl Iterator<Item = (&'a str, &'a Json)>) -> Self {
        let mut json = String::with_capacity(USUAL);
        for (name, value) in fields {
            json.push(if json.is_empty() { '{' } else { ',' });
            push_quoted(&mut json, name);
            json.push(':');
            match value {
                Json::String(text) => push_quoted(&mut json, text),
                // Writing to a string cannot fail.
                other => {
                    let _ = write!(json, "{other}");
                }
            }
        }
        json.push_str(if json.is_empty() { "{}" } else { "}" });
        Self(json.into())
    }

    /// The JSON text.
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// True when the two are one and the same, not merely equal.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The fields, parsed.
    pub fn to_map(&self) -> serde_json::Map<String, serde_json::Value> {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

/// The bytes that stand in a JSON string as they are (RFC 8259 section 7).
const PLAIN: [bool; 256] = {
    let (mut plain, mut byte) = ([false; 256], 0);
    while byte < 256 {
        plain[byte] = byte >= 0x20 && byte != b'"' as usize && byte != b'\\' as usize;
        byte += 1;
    }
    plain
};

/// Text as JSON has it.
fn push_quoted(json: &mut String, text: &str) {
    // Nearly all text.
    if text.bytes().all(|byte| PLAIN[usize::from(byte)]) {
        json.push('"');
        json.push_str(text);
        json.push('"');
    } else {
        let _ = write!(json, "{}", Json::from(text));
    }
}

/// A fresh answer from the local cache, where it lies: for who tells it at once and keeps nothing.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// See [`Answer::outcome`].
    pub outcome: Outcome,
    /// See [`Answer::record`].
    pub record: Option<&'a Record>,
    /// See [`Answer::ttl`].
    pub ttl: i64,
}

/// What the pipeline gives back to a front: always something, always in time.
#[derive(Clone, Debug)]
pub struct Answer {
    /// How the dip ended.
    pub outcome: Outcome,
    /// Where the answer came from.
    pub source: Source,
    /// The kept fields, if the outcome has any. A name server's "no" keeps its `rcode` where that says more than the outcome.
    pub record: Option<Record>,
    /// How long ago the upstream gave it.
    pub age: Duration,
    /// How long it stays fresh, in seconds; negative for a stale one.
    pub ttl: i64,
    /// When asking again makes sense, if the proxy knows.
    pub retry_after: Option<Duration>,
    /// True when this caller shared another caller's fetch.
    pub collapsed: bool,
}

impl Answer {
    /// An answer without a record.
    pub fn empty(outcome: Outcome, source: Source) -> Self {
        Self { outcome, source, record: None, age: Duration::ZERO, ttl: 0, retry_after: None, collapsed: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_the_json_that_serde_writes() {
        for text in ["", "a b", "quo\"te", "back\\slash", "line\nend\u{1}", "\u{7f}é\u{2028}💬", "/"] {
            let fields = Map::from_iter([
                (text.to_owned(), Json::from(text)),
                ("more".to_owned(), serde_json::json!([1, 2.5, null, {"a": text}])),
            ]);
            assert_eq!(Record::from_map(&fields).as_json(), serde_json::to_string(&fields).unwrap());
        }
        assert_eq!(Record::from_map(&Map::new()).as_json(), "{}");
    }
}
