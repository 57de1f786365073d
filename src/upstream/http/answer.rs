//! What comes back: a head within bounds, a body within bounds, or a failure with a reason.

use std::borrow::Cow;
use std::error::Error;

use bytes::Bytes;
use compact_str::CompactString;
use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};

use super::public::NotPublic;
use super::whole::Whole;
use crate::policy::{Decoding, Reading};
use crate::upstream::{Failure, FailureKind};

/// How much of a head a reading keeps: headers, and bytes of all their names and values. Rules look at a few short
/// ones; what is longer than a value may be is left out, not cut, so that no rule sees half a value.
const HEADERS_KEPT: usize = 100;
const VALUE_KEPT: usize = 4 * 1024;
const HEAD_KEPT: usize = 16 * 1024;

/// How deep in a chain of causes a reason is looked for.
const CAUSES: usize = 8;

/// What a vendor answered, before it is decoded.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Header names in lower case, and values with bad bytes replaced.
    pub headers: Vec<(CompactString, CompactString)>,
    /// The decompressed body; empty where the policy looks at none.
    pub body: Bytes,
}

impl Answer {
    /// Of a head and the whole body.
    pub(super) fn of(status: StatusCode, headers: &HeaderMap, body: Bytes) -> Self {
        Self {
            status: status.as_u16(),
            headers: kept(headers.len(), headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))),
            body,
        }
    }

    /// Decodes it for rules and fields.
    pub fn into_reading(self, decoding: &Decoding) -> Reading {
        Reading::of_http(self.status, self.headers, &self.body, decoding)
    }
}

/// Awaits the head, then at most `max_body` bytes of body; a limit of 0 wants none.
pub(super) async fn read(
    head: impl Future<Output = Result<Response, reqwest::Error>>,
    max_body: usize,
) -> Result<Answer, Failure> {
    let mut response = head.await.map_err(failure)?;
    let body = if max_body == 0 { Bytes::new() } else { body(&mut response, max_body).await? };
    Ok(Answer::of(response.status(), response.headers(), body))
}

async fn body(response: &mut Response, limit: usize) -> Result<Bytes, Failure> {
    let mut whole = Whole::begin(response.content_length().unwrap_or(0), limit)?;
    while let Some(piece) = response.chunk().await.map_err(failure)? {
        whole.add(piece)?;
    }
    Ok(whole.done())
}

/// The part of a head of so many fields that a reading keeps.
pub(super) fn kept<'a>(
    count: usize,
    fields: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> Vec<(CompactString, CompactString)> {
    let mut room = HEAD_KEPT;
    let mut kept = Vec::with_capacity(count.min(HEADERS_KEPT));
    for (name, value) in fields {
        let size = name.len() + value.len();
        if value.len() > VALUE_KEPT || size > room || kept.len() == HEADERS_KEPT {
            continue;
        }
        room -= size;
        let mut name = CompactString::from(name);
        name.make_ascii_lowercase();
        kept.push((name, text(value).into()));
    }
    kept
}

/// A value as text, bad bytes replaced.
pub(super) fn text(value: &[u8]) -> Cow<'_, str> {
    // Nearly all are good, and that is seen many bytes at once.
    str::from_utf8(value).map_or_else(|_| String::from_utf8_lossy(value), Cow::Borrowed)
}

/// The client's error in our words.
pub(super) fn failure(error: reqwest::Error) -> Failure {
    // The URL has the key in it, and perhaps a secret.
    let error = error.without_url();
    Failure::new(kind(&error), chain(&error))
}

fn kind(error: &reqwest::Error) -> FailureKind {
    if causes(error).any(<dyn Error>::is::<NotPublic>) {
        return FailureKind::Policy;
    }
    // A connection that was not there within the connect timeout says so twice; having none is what counts.
    if error.is_connect() {
        FailureKind::Connect
    } else if error.is_timeout() {
        FailureKind::Timeout
    } else if causes(error).any(is_too_large) {
        FailureKind::TooLarge
    } else {
        FailureKind::Protocol
    }
}

fn is_too_large(cause: &(dyn Error + 'static)) -> bool {
    cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse_too_large)
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |cause| (**cause).source()).take(CAUSES)
}

/// An error and its causes on one line, repetitions left out.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = String::new();
    for cause in causes(error) {
        let words = cause.to_string();
        if !line.contains(&words) {
            line.push_str(if line.is_empty() { "" } else { ": " });
            line.push_str(&words);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    #[test]
    fn a_reading_keeps_a_bounded_head() {
        let mut headers = HeaderMap::new();
        headers.insert("x-long", HeaderValue::from_str(&"v".repeat(VALUE_KEPT + 1)).expect("a value"));
        headers.insert("x-latin", HeaderValue::from_bytes(b"caf\xe9").expect("a value"));
        for n in 0..200 {
            let name = HeaderName::from_bytes(format!("x-{n}").as_bytes()).expect("a name");
            headers.insert(name, HeaderValue::from_static("1"));
        }
        let kept = Answer::of(StatusCode::OK, &headers, Bytes::new()).headers;
        assert_eq!(kept.len(), HEADERS_KEPT);
        assert_eq!(kept[0], ("x-latin".into(), "caf\u{fffd}".into()));
    }

    #[test]
    fn a_deep_tree_does_not_decode() {
        let body = Bytes::from("[".repeat(10_000));
        let answer = Answer { status: 200, headers: Vec::new(), body };
        let reading = answer.into_reading(&Decoding::default());
        assert!(reading.undecoded.is_some() && reading.body.is_undefined());
    }
}
