//! A REST vendor, asked with reqwest.
//!
//! The life of one dip: the policy's templates make a [`Request`]; the client sends it over a kept
//! connection or a new one; the head comes, then the body piece by piece until it is whole, too large
//! or too late; what came becomes a [`Reading`]. Every status is a reading: what a `404` or a `500`
//! means is for the policy's rules to say.
//!
//! What holds: nothing is awaited past the deadline; a body is counted after decompression while it comes
//! and dropped with its connection one piece after the limit; a request given up takes its HTTP/1 connection
//! along, so that a late answer can never meet a later question. Redirects are not followed, and no proxy
//! is taken from the environment. A vendor's address is looked up by the system's resolver on a new connection only.
//!
//! Deliberately absent: retries. A kept connection that the vendor had closed before anything was written to it is
//! replaced by the client itself; anything later is the pipeline's decision.

mod answer;
mod client;
mod request;

pub use answer::Answer;
pub use request::{Request, render};

use std::time::Duration;

use crate::deadline::{Deadline, now};
use crate::policy::{Decoding, HttpPolicy, Question, Reading, UpstreamPolicy};
use crate::upstream::redact::Redactor;
use crate::upstream::{Failure, FailureKind};

/// A REST vendor.
#[derive(Debug)]
pub struct HttpUpstream {
    client: reqwest::Client,
    redactor: Redactor,
    total_timeout: Option<Duration>,
    max_body: usize,
    decoding: Decoding,
}

impl HttpUpstream {
    /// Makes the client. Opens no connection yet.
    ///
    /// # Errors
    /// When the policy's CA file does not read or holds no certificate.
    pub fn build(policy: &UpstreamPolicy, http: &HttpPolicy) -> Result<Self, Failure> {
        Ok(Self {
            client: client::build(policy, http)?,
            redactor: request::secrets(&http.auth),
            total_timeout: policy.total_timeout,
            max_body: http.max_body,
            decoding: policy.decoding.clone(),
        })
    }

    /// Renders the request and asks once.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn ask(&self, http: &HttpPolicy, question: &Question, deadline: Deadline) -> Result<Reading, Failure> {
        let request = render(http, question)?;
        Ok(self.fetch(&request, deadline).await?.into_reading(&self.decoding))
    }

    /// Sends a rendered request and reads what comes.
    ///
    /// # Errors
    /// `Timeout` at the deadline, `Connect` without a connection, `Protocol` for what is no HTTP or ends early,
    /// `TooLarge` past a bound.
    pub async fn fetch(&self, request: &Request, deadline: Deadline) -> Result<Answer, Failure> {
        let request = self.prepare(request)?;
        let deadline = match self.total_timeout {
            Some(limit) => deadline.earlier(Deadline::at(now() + limit)),
            None => deadline,
        };
        let wanted = if self.decoding.wants_no_body() { 0 } else { self.max_body };
        match deadline.limit(answer::read(self.client.execute(request), wanted)).await {
            Some(result) => result,
            None => Err(Failure::new(FailureKind::Timeout, "no whole answer by the deadline")),
        }
    }

    /// The request in words, without its secrets.
    pub fn describe(&self, request: &Request) -> String {
        request.describe(&self.redactor)
    }

    fn prepare(&self, request: &Request) -> Result<reqwest::Request, Failure> {
        let mut prepared = reqwest::Request::new(client::method(request.method), request.checked_url()?);
        *prepared.headers_mut() = request.checked_headers()?;
        if let Some((_, text)) = &request.body {
            *prepared.body_mut() = Some(text.clone().into());
        }
        Ok(prepared)
    }
}
