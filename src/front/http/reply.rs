//! What is said, as HTTP: a status, header fields and a body, the same bytes in both lanes.
//!
//! The fields are written as the plain lane sends them; the full lane reads them back into hyper's
//! map. So there is one place that decides what a caller sees.

use std::time::Duration;

use crate::answer::{Answer, Outcome, Source};
use crate::front::desk::Line;
use crate::front::form::{self, Form};
use crate::front::http::ask::Said;
use crate::front::http::problem::Problem;

/// A reply, all but written.
#[derive(Debug)]
pub struct Reply<'a> {
    status: u16,
    media_type: &'static str,
    /// The answer that is told of, and the outcome that is told; the two differ where one field was
    /// asked for that the record does not have.
    told: Option<(&'a Answer, Outcome)>,
    /// The body; empty for every error.
    body: &'a [u8],
    /// The methods of a page that was asked for by another one; else empty.
    allow: &'static str,
}

impl<'a> Reply<'a> {
    /// The reply that says this. `scratch` is where its body is built if it must be.
    pub fn of<L: Line>(said: &'a Said<L>, scratch: &'a mut Vec<u8>) -> Self {
        match said {
            Said::Answer { line, answer, form } => {
                let status = match (form, answer.outcome) {
                    // A table without a row is no error.
                    (Form::Rows(_), outcome) if no_row(outcome) => {
                        let (told, media_type) = (Some((answer, outcome)), form::media_type(form));
                        return Self { status: 200, media_type, told, body: b"", allow: "" };
                    }
                    (_, outcome) => status(outcome),
                };
                let Some(record) = answer.record.as_ref().filter(|_| status == 200) else {
                    // A record without a record's outcome, or the other way round, is a fault that a caller hears as "nothing".
                    return Self::empty(if status == 200 { 404 } else { status }, Some((answer, answer.outcome)));
                };
                match form::render(record, form, line, scratch) {
                    Some(body) => Self {
                        status,
                        media_type: form::media_type(form),
                        told: Some((answer, answer.outcome)),
                        body,
                        allow: "",
                    },
                    None => Self::empty(404, Some((answer, Outcome::NotFound))),
                }
            }
            Said::Refusal { status, answer, .. } => Self::empty(*status, Some((answer, answer.outcome))),
            Said::Flag(up) => {
                let body: &[u8] = if *up { b"1" } else { b"0" };
                Self { status: 200, media_type: "text/plain; charset=utf-8", told: None, body, allow: "" }
            }
            Said::Flags(json) => {
                Self { status: 200, media_type: "application/json", told: None, body: json.as_bytes(), allow: "" }
            }
            Said::Called(called) => match &called.failure {
                None => Self {
                    status: 200,
                    media_type: "application/json",
                    told: None,
                    body: called.json.as_bytes(),
                    allow: "",
                },
                // As with one lookup, an error has no body: a script that shows what it gets shows nothing.
                Some(worst) => Self::empty(call_status(worst.outcome), Some((worst, worst.outcome))),
            },
            Said::Nowhere => Self::empty(404, None),
            Said::WrongMethod => Self { allow: "GET, HEAD", ..Self::empty(405, None) },
            Said::OnlyPost => Self { allow: "POST", ..Self::empty(405, None) },
            Said::BadHost => Self::empty(400, None),
        }
    }

    fn empty(status: u16, told: Option<(&'a Answer, Outcome)>) -> Self {
        Self { status, media_type: "", told, body: b"", allow: "" }
    }

    /// Puts a problem document into an error's empty body, for a caller who asked for one (RFC 9457).
    pub fn explained<L>(self, said: &Said<L>, scratch: &'a mut Vec<u8>) -> Self {
        if self.status < 400 {
            return self;
        }
        let why = if let Said::Refusal { why, .. } = said { Some(why.as_str()) } else { None };
        Problem::new(self.status, self.told.map(|(_, outcome)| outcome), why).write(scratch);
        Self { media_type: "application/problem+json", body: scratch, ..self }
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The body.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Writes the whole reply as HTTP/1.1. `date` is a whole `Date` field.
    pub fn write(&self, date: &[u8], closing: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(status_line(self.status).as_bytes());
        self.write_fields(out);
        out.extend_from_slice(date);
        if closing {
            out.extend_from_slice(b"Connection: close\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(self.body);
    }

    /// Writes the header fields, each with its line end.
    pub fn write_fields(&self, out: &mut Vec<u8>) {
        if !self.media_type.is_empty() {
            out.extend_from_slice(b"Content-Type: ");
            out.extend_from_slice(self.media_type.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"Content-Length: ");
        number(self.body.len(), out);
        if let Some((answer, outcome)) = self.told {
            out.extend_from_slice(b"\r\nCache-Status: dipcache");
            cache_status(answer, out);
            if self.status == 503 {
                out.extend_from_slice(b"\r\nRetry-After: ");
                number(whole_seconds(answer.retry_after), out);
            }
            out.extend_from_slice(b"\r\nX-Dip-Outcome: ");
            out.extend_from_slice(outcome.as_str().as_bytes());
            out.extend_from_slice(b"\r\nX-Dip-Source: ");
            word(answer.source.as_str(), out);
        }
        if !self.allow.is_empty() {
            out.extend_from_slice(b"\r\nAllow: ");
            out.extend_from_slice(self.allow.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// True where there is an answer, and it is that there is none.
const fn no_row(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::NotFound | Outcome::NotApplicable | Outcome::InvalidNumber | Outcome::InvalidInput)
}

/// The status of a call of which no part has an answer. A number that cannot be was refused before it was asked about.
const fn call_status(worst: Outcome) -> u16 {
    match worst {
        Outcome::InvalidNumber => 400,
        worst => status(worst),
    }
}

/// The status that an outcome of the pipeline has. Refusals have their own.
const fn status(outcome: Outcome) -> u16 {
    match outcome {
        Outcome::Found | Outcome::Partial | Outcome::Fallback => 200,
        Outcome::NotFound | Outcome::NotApplicable | Outcome::InvalidNumber | Outcome::UnknownLookup => 404,
        Outcome::InvalidInput => 400,
        Outcome::VendorError => 502,
        Outcome::Timeout => 504,
        Outcome::Open | Outcome::Overload | Outcome::RateLimited | Outcome::QuotaExhausted | Outcome::AuthError => 503,
    }
}

const fn status_line(status: u16) -> &'static str {
    match status {
        200 => "HTTP/1.1 200 OK\r\n",
        404 => "HTTP/1.1 404 Not Found\r\n",
        405 => "HTTP/1.1 405 Method Not Allowed\r\n",
        502 => "HTTP/1.1 502 Bad Gateway\r\n",
        503 => "HTTP/1.1 503 Service Unavailable\r\n",
        504 => "HTTP/1.1 504 Gateway Timeout\r\n",
        _ => "HTTP/1.1 400 Bad Request\r\n",
    }
}

/// The parameters of `Cache-Status` (RFC 9211) and, where a cache answered, `Age` (RFC 9111 section 5.1).
fn cache_status(answer: &Answer, out: &mut Vec<u8>) {
    let from_cache = match &answer.source {
        Source::Local => "; detail=local",
        Source::Shared => "; detail=shared",
        Source::Stale => "; detail=stale",
        Source::Fallback | Source::Upstream(_) | Source::Nobody => return not_cached(answer, out),
    };
    out.extend_from_slice(b"; hit; ttl=");
    out.extend_from_slice(itoa::Buffer::new().format(answer.ttl).as_bytes());
    out.extend_from_slice(from_cache.as_bytes());
    out.extend_from_slice(b"\r\nAge: ");
    out.extend_from_slice(itoa::Buffer::new().format(answer.age.as_secs()).as_bytes());
}

/// Only a dip that was made was forwarded; where nobody answered, the outcome says why.
fn not_cached(answer: &Answer, out: &mut Vec<u8>) {
    let answered = matches!(answer.source, Source::Upstream(_));
    let tried = answer.source == Source::Fallback || matches!(answer.outcome, Outcome::Timeout | Outcome::VendorError);
    if answered || tried {
        out.extend_from_slice(b"; fwd=miss");
    }
    if answered && answer.ttl > 0 {
        out.extend_from_slice(b"; stored");
    }
    if answer.collapsed {
        out.extend_from_slice(b"; collapsed");
    }
    if !answered {
        out.extend_from_slice(b"; detail=");
        out.extend_from_slice(answer.outcome.as_str().as_bytes());
    }
}

/// A name as a header's value: what is not printable ASCII could end the line or the head.
fn word(name: &str, out: &mut Vec<u8>) {
    out.extend(name.bytes().map(|byte| if byte.is_ascii_graphic() { byte } else { b'_' }));
}

/// At least 1: a client that reads 0 asks again at once.
fn whole_seconds(wait: Option<Duration>) -> usize {
    let wait = wait.unwrap_or(Duration::ZERO);
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    usize::try_from(seconds).unwrap_or(usize::MAX).max(1)
}

fn number(number: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn cache_status_of(answer: &Answer) -> String {
        let mut out = Vec::new();
        cache_status(answer, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn cache_status_tells_where_the_answer_is_from() {
        let mut answer = Answer::empty(Outcome::Found, Source::Local);
        (answer.ttl, answer.age) = (59, Duration::from_millis(1900));
        assert_eq!(cache_status_of(&answer), "; hit; ttl=59; detail=local\r\nAge: 1");
        (answer.source, answer.ttl) = (Source::Stale, -7);
        assert_eq!(cache_status_of(&answer), "; hit; ttl=-7; detail=stale\r\nAge: 1");
        (answer.source, answer.ttl) = (Source::Upstream(Arc::from("a")), 60);
        assert_eq!(cache_status_of(&answer), "; fwd=miss; stored");
        answer.collapsed = true;
        assert_eq!(cache_status_of(&answer), "; fwd=miss; stored; collapsed");
        answer.ttl = 0;
        assert_eq!(cache_status_of(&answer), "; fwd=miss; collapsed");
        (answer.outcome, answer.source, answer.collapsed) = (Outcome::Fallback, Source::Fallback, false);
        assert_eq!(cache_status_of(&answer), "; fwd=miss; detail=fallback");
        assert_eq!(cache_status_of(&Answer::empty(Outcome::Timeout, Source::Nobody)), "; fwd=miss; detail=timeout");
        assert_eq!(cache_status_of(&Answer::empty(Outcome::Open, Source::Nobody)), "; detail=open");
    }

    #[test]
    fn retry_after_is_whole_seconds_and_never_none() {
        assert_eq!(whole_seconds(None), 1);
        assert_eq!(whole_seconds(Some(Duration::ZERO)), 1);
        assert_eq!(whole_seconds(Some(Duration::from_millis(1001))), 2);
        assert_eq!(whole_seconds(Some(Duration::from_secs(60))), 60);
    }

    #[test]
    fn a_name_cannot_end_the_head() {
        let mut out = Vec::new();
        word("a\r\nX: é", &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "a__X:___");
    }
}
