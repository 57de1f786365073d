//! What an upstream said, in the form that rules and fields look at.

use std::time::Duration;

use minijinja::Value;

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
    pub text: String,
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
    /// How long the answer says it may be kept: the least TTL of the records, or the SOA's minimum.
    pub ttl: Option<Duration>,
}
