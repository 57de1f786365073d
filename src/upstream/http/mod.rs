//! A REST vendor, asked over plain HTTP by a client of our own (`direct`), else with reqwest.
//!
//! The life of one dip: the policy's templates make a draft; at one of the base URLs and with credentials it
//! becomes a [`Request`]; the client sends it over a kept connection or a new one; the head comes, then the body
//! piece by piece until it is whole, too large or too late; what came becomes a [`Reading`]. Every status is a
//! reading: what a `404` or a `500` means is for the policy's rules to say.
//!
//! What holds: nothing is awaited past the deadline; a body is counted while it comes
//! and dropped with its connection one piece after the limit, packed or not; a request given up takes its HTTP/1 connection
//! along, so that a late answer can never meet a later question. Redirects are not followed but to the same host
//! where the policy says so, and no proxy is taken from the environment. A vendor's address is looked up by the
//! system's resolver on a new connection only; where the URL is the caller's own, `public` looks at it.
//!
//! A request is sent a second time in three cases, all within the one deadline (`tries`): to the next base URL,
//! as a repetition that the policy allows, and once with fresh credentials after a 401. One that is neither a GET
//! nor marked `safe` is only ever repeated where no connection came about or a 401 refused it. Beyond
//! that there are no retries: they are the pipeline's decision. (A kept connection that the vendor had closed
//! before anything was written to it is replaced by the client itself.)

mod answer;
mod bases;
mod client;
mod direct;
mod named;
mod public;
mod request;
mod sign;
mod stamp;
mod token;
mod tries;
mod whole;

pub use answer::Answer;
pub use request::{Request, render, render_at};
pub use stamp::Stamp;
pub use token::token_request;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::deadline::{Deadline, Instant, now};
use crate::policy::{Auth, Decoding, HttpPolicy, Question, Reading, Secret, UpstreamPolicy};
use crate::upstream::{Failure, FailureKind};
use bases::Bases;
use direct::Direct;
use token::TokenSource;

/// A REST vendor.
#[derive(Debug)]
pub struct HttpUpstream {
    way: Way,
    /// All that must be hidden, and read anew when it is refused.
    secrets: Vec<Secret>,
    /// Users and passwords that are hidden together, too.
    basics: Vec<(Secret, Secret)>,
    bases: Bases,
    /// Where tokens come from, by the name that their credentials are chosen by.
    tokens: Vec<(Option<String>, Arc<TokenSource>)>,
    /// When the secrets were read anew the last time.
    read_anew: Mutex<Option<Instant>>,
    total_timeout: Option<Duration>,
    max_body: usize,
    decoding: Decoding,
    server_name: Option<String>,
    /// True: the URL is the caller's, and must not lead into our own network.
    public_only: bool,
}

/// Who sends the requests.
#[derive(Debug)]
enum Way {
    Direct(Box<Direct>),
    Client(reqwest::Client),
}

impl Way {
    fn build(policy: &UpstreamPolicy, http: &HttpPolicy) -> Result<Self, Failure> {
        match direct::serves(http) {
            true => Ok(Self::Direct(Box::new(Direct::build(policy, http)?))),
            false => Ok(Self::Client(client::build(policy, http)?)),
        }
    }
}

impl HttpUpstream {
    /// Makes the client. Opens no connection yet.
    ///
    /// # Errors
    /// When a file or URL that the policy names for TLS or the proxy does not do.
    pub fn build(policy: &UpstreamPolicy, http: &HttpPolicy) -> Result<Self, Failure> {
        let way = Way::build(policy, http)?;
        let token_source = |(name, auth): (Option<&str>, &Auth)| match (auth, &way) {
            (Auth::OAuth2(oauth2), Way::Client(client)) => {
                Some((name.map(str::to_owned), TokenSource::new(oauth2, client.clone())))
            }
            _ => None,
        };
        Ok(Self {
            tokens: http.auths().filter_map(token_source).collect(),
            way,
            secrets: http.secrets(),
            basics: http.basics(),
            bases: Bases::new(&http.bases, &http.weights),
            read_anew: Mutex::new(None),
            total_timeout: policy.total_timeout,
            max_body: http.max_body,
            decoding: policy.decoding.clone(),
            server_name: http.wire.tls.server_name.clone(),
            public_only: http.public_only(),
        })
    }

    /// One with connections of its own. Tokens are the same ones: a vendor may take an older one for void when it gives
    /// another.
    ///
    /// # Errors
    /// As [`HttpUpstream::build`].
    pub fn build_beside(&self, policy: &UpstreamPolicy, http: &HttpPolicy) -> Result<Self, Failure> {
        Ok(Self { tokens: self.tokens.clone(), ..Self::build(policy, http)? })
    }

    /// Fetches what dips will need, tokens that is, before the first of them comes. Needs a runtime.
    pub fn prepare(&self) {
        self.tokens.iter().for_each(|(_, source)| source.keep());
    }

    /// Renders the request and asks.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn ask(&self, http: &HttpPolicy, question: &Question, deadline: Deadline) -> Result<Reading, Failure> {
        let asked = tries::ask(self, http, question, self.within(deadline)).await;
        let answer = asked.map_err(|failure| self.hidden(failure))?;
        Ok(answer.into_reading(&self.decoding))
    }

    /// Sends a rendered request once and reads what comes.
    ///
    /// # Errors
    /// `Timeout` at the deadline, `Connect` without a connection, `Protocol` for what is no HTTP or ends early,
    /// `TooLarge` past a bound.
    pub async fn fetch(&self, request: &Request, deadline: Deadline) -> Result<Answer, Failure> {
        let wanted = if self.decoding.wants_no_body() { 0 } else { self.max_body };
        let deadline = self.within(deadline);
        let answer = match &self.way {
            // Pinned here: what is handed over by value is copied, kilobytes each time.
            Way::Direct(direct) => deadline.limit(pin!(direct.fetch(request, wanted))).await,
            Way::Client(client) => {
                let head = client.execute(self.prepared(request)?);
                deadline.limit(Box::pin(answer::read(head, wanted))).await
            }
        };
        match answer {
            Some(result) => result,
            None => Err(Failure::new(FailureKind::Timeout, "no whole answer by the deadline")),
        }
    }

    /// The request in words, without its secrets.
    pub fn describe(&self, request: &Request) -> String {
        request.describe(&request::redactor(&self.secrets, &self.basics))
    }

    fn within(&self, deadline: Deadline) -> Deadline {
        self.total_timeout.map_or(deadline, |limit| deadline.earlier(Deadline::at(now() + limit)))
    }

    /// A failure's words come from libraries and templates; none of them may hold a secret.
    fn hidden(&self, failure: Failure) -> Failure {
        if self.secrets.is_empty() || failure.kind == FailureKind::Timeout {
            return failure;
        }
        Failure { detail: request::redactor(&self.secrets, &self.basics).hide(&failure.detail).into(), ..failure }
    }

    fn prepared(&self, request: &Request) -> Result<reqwest::Request, Failure> {
        let url = request.checked_url()?;
        if self.public_only {
            public::checked(&url)?;
        }
        let url = match &self.server_name {
            Some(name) => named::called(url, name)?,
            None => url,
        };
        let mut prepared = reqwest::Request::new(client::method(request.method), url);
        *prepared.headers_mut() = request.checked_headers()?;
        if let Some((_, text)) = &request.body {
            *prepared.body_mut() = Some(text.clone().into());
        }
        Ok(prepared)
    }
}
