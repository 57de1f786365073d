//! One question to one server: HTTP, DNS or SQL behind one `match`.
//!
//! An upstream renders its request over the [`Question`], asks within the [`Deadline`], and gives
//! back a [`Reading`] or a [`Failure`]. It knows nothing of caches, breakers or other upstreams, and
//! it never retries: that is `lookup`'s to decide, which alone knows how much time is left.

pub mod dns;
pub mod failure;
pub mod http;
pub mod redact;
pub mod sql;

pub use failure::{Failure, FailureKind};

use crate::deadline::Deadline;
use crate::policy::{Question, Reading, TransportPolicy, UpstreamPolicy};

/// A place that can answer, ready to be asked.
#[derive(Debug)]
pub enum Upstream {
    /// A REST vendor.
    Http(http::HttpUpstream),
    /// A name server.
    Dns(dns::DnsUpstream),
    /// A database.
    Sql(sql::SqlUpstream),
}

impl Upstream {
    /// Makes an upstream of its policy. Opens no connection yet.
    ///
    /// # Errors
    /// When the client cannot be built: a CA file that does not read, a database URL of an unknown scheme.
    pub fn build(policy: &UpstreamPolicy) -> Result<Self, Failure> {
        match &policy.transport {
            TransportPolicy::Http(http) => http::HttpUpstream::build(policy, http).map(Self::Http),
            TransportPolicy::Dns(dns) => dns::DnsUpstream::build(policy, dns).map(Self::Dns),
            TransportPolicy::Sql(sql) => sql::SqlUpstream::build(policy, sql).map(Self::Sql),
        }
    }

    /// Fetches what dips will need before the first of them comes. Needs a runtime.
    pub fn prepare(&self) {
        if let Self::Http(upstream) = self {
            upstream.prepare();
        }
    }

    /// Asks, and waits no longer than the deadline.
    ///
    /// # Errors
    /// A [`Failure`] says whose fault it was. An answer of any kind, even `500`, is a [`Reading`].
    pub async fn ask(
        &self,
        policy: &UpstreamPolicy,
        question: &Question,
        deadline: Deadline,
    ) -> Result<Reading, Failure> {
        match (self, &policy.transport) {
            (Self::Http(upstream), TransportPolicy::Http(http)) => upstream.ask(http, question, deadline).await,
            (Self::Dns(upstream), TransportPolicy::Dns(dns)) => upstream.ask(dns, question, deadline).await,
            (Self::Sql(upstream), TransportPolicy::Sql(sql)) => upstream.ask(sql, question, deadline).await,
            _ => Err(mismatch()),
        }
    }

    /// The exact request that [`Upstream::ask`] would send, in words, without its secrets.
    ///
    /// # Errors
    /// [`FailureKind::Policy`] when a template or an expression refuses the question.
    pub fn describe(&self, policy: &UpstreamPolicy, question: &Question) -> Result<String, Failure> {
        match (self, &policy.transport) {
            (Self::Http(upstream), TransportPolicy::Http(http)) => {
                http::render(http, question).map(|request| upstream.describe(&request))
            }
            (Self::Dns(upstream), TransportPolicy::Dns(dns)) => {
                dns::render(dns, question).map(|query| upstream.describe(&query))
            }
            (Self::Sql(upstream), TransportPolicy::Sql(sql)) => {
                sql::render(sql, question).map(|bound| upstream.describe(&bound))
            }
            _ => Err(mismatch()),
        }
    }
}

fn mismatch() -> Failure {
    Failure::new(FailureKind::Bug, "an upstream was asked with another transport's policy")
}
