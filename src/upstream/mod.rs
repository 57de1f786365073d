//! One question to one server, or to a table in memory: HTTP, DNS, SQL and tables behind one `match`.
//!
//! An upstream renders its request over the [`Question`], asks within the [`Deadline`], and gives
//! back a [`Reading`] or a [`Failure`]. It knows nothing of caches, breakers or other upstreams, and
//! it never retries: that is `lookup`'s to decide, which alone knows how much time is left.

pub mod dns;
pub mod failure;
pub mod http;
pub mod redact;
pub mod sql;
pub mod table;

pub use failure::{Failure, FailureKind};

use std::sync::Arc;

use crate::deadline::Deadline;
use crate::policy::{Question, Reading, TransportPolicy, UpstreamPolicy};
use table::Table;

/// A place that can answer, ready to be asked.
#[derive(Debug)]
pub enum Upstream {
    /// A REST vendor.
    // Boxed: it is far larger than the others.
    Http(Box<http::HttpUpstream>),
    /// A name server.
    Dns(dns::DnsUpstream),
    /// A database.
    Sql(sql::SqlUpstream),
    /// A table in memory.
    Table(Arc<Table>),
}

impl Upstream {
    /// As [`Upstream::build`], after another upstream of this name, whose table goes on where it may.
    ///
    /// # Errors
    /// As [`Upstream::build`].
    pub fn build_after(policy: &UpstreamPolicy, before: Option<&Self>) -> Result<Self, Failure> {
        match &policy.transport {
            TransportPolicy::Table(table) => Ok(Self::Table(Table::build(table, before.and_then(Self::table)))),
            _ => Self::build(policy),
        }
    }

    /// One beside another, of the same policy: connections of its own, tokens and tables in common.
    ///
    /// # Errors
    /// As [`Upstream::build`].
    pub fn build_beside(policy: &UpstreamPolicy, other: &Self) -> Result<Self, Failure> {
        match (&policy.transport, other) {
            (TransportPolicy::Http(http), Self::Http(other)) => {
                other.build_beside(policy, http).map(Box::new).map(Self::Http)
            }
            (TransportPolicy::Table(_), Self::Table(table)) => Ok(Self::Table(Arc::clone(table))),
            _ => Self::build(policy),
        }
    }

    /// Makes an upstream of its policy. Opens no connection yet.
    ///
    /// # Errors
    /// When the client cannot be built: a CA file that does not read, a database URL of an unknown scheme.
    pub fn build(policy: &UpstreamPolicy) -> Result<Self, Failure> {
        match &policy.transport {
            TransportPolicy::Http(http) => http::HttpUpstream::build(policy, http).map(Box::new).map(Self::Http),
            TransportPolicy::Dns(dns) => dns::DnsUpstream::build(policy, dns).map(Self::Dns),
            TransportPolicy::Sql(sql) => sql::SqlUpstream::build(policy, sql).map(Self::Sql),
            TransportPolicy::Table(table) => Ok(Self::Table(Table::build(table, None))),
        }
    }

    /// The table, if it is one.
    pub fn table(&self) -> Option<&Arc<Table>> {
        match self {
            Self::Table(table) => Some(table),
            _ => None,
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
            // Boxed: the largest of them would make all dips as large.
            (Self::Dns(upstream), TransportPolicy::Dns(dns)) => Box::pin(upstream.ask(dns, question, deadline)).await,
            (Self::Sql(upstream), TransportPolicy::Sql(sql)) => Box::pin(upstream.ask(sql, question, deadline)).await,
            (Self::Table(upstream), TransportPolicy::Table(table)) => upstream.ask(table, question),
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
            (Self::Table(_), TransportPolicy::Table(table)) => Table::describe(table, question),
            _ => Err(mismatch()),
        }
    }
}

fn mismatch() -> Failure {
    Failure::new(FailureKind::Bug, "an upstream was asked with another transport's policy")
}
