//! A name server, asked with `hickory-proto`'s messages over sockets of our own.
//!
//! Why not `hickory-resolver`: it turns SERVFAIL, REFUSED and NXDOMAIN into errors and drops what came with
//! them, but a REFUSED that carries records must reach the policy's rules, and so must the SOA of a negative answer; it
//! chooses among servers by its own measurements, where the policy gives an order and the caller a deadline;
//! and its UDP sockets are not connected, so a name server that is down (port unreachable) looks like a
//! silent one and costs the whole try instead of no time at all.
//!
//! The life of one dip: the policy's template makes a [`Query`]; the servers are asked in order, each once; UDP
//! first, then TCP where the answer was truncated; the first server that gives a real answer (NOERROR, NXDOMAIN)
//! ends it. SERVFAIL, REFUSED, FORMERR and NOTIMP move on to the next server, and are the reading only when
//! nobody does better. A server may take `try_timeout`, and never more than its share of what is left, so that the
//! last one is asked too. For a number's NAPTR records the way goes on over them to a URI: see `number`. Where SIP is
//! spoken takes several queries, side by side and within one deadline: see `locate`.
//!
//! What holds: one socket a query, on a port of the system's choice, connected, so that only the server's own address is
//! heard; an answer with another id or question is dropped and the wait goes on. Nothing is cached, nobody is asked twice.

mod exchange;
mod locate;
mod number;
mod query;
mod reading;

pub use query::{Query, render};

use number::Step;
use query::Switches;

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::Message;
use minijinja::Value;
use serde_json::Value as Json;

use crate::deadline::{Deadline, now};
use crate::policy::{DnsPolicy, DnsRecord, Question, Reading, RecordChoice, UpstreamPolicy};
use crate::upstream::{Failure, FailureKind};

/// Name servers that answer for one another.
#[derive(Debug)]
pub struct DnsUpstream {
    servers: Vec<SocketAddr>,
    try_timeout: Duration,
    total_timeout: Option<Duration>,
    switches: Switches,
}

impl DnsUpstream {
    /// Makes the client. Opens no socket yet.
    ///
    /// # Errors
    /// When the policy names no server.
    pub fn build(policy: &UpstreamPolicy, dns: &DnsPolicy) -> Result<Self, Failure> {
        if dns.servers.is_empty() {
            return Err(Failure::new(
                FailureKind::Policy,
                "`servers` is empty: name at least one, as \"192.0.2.1:53\"",
            ));
        }
        Ok(Self {
            servers: dns.servers.clone(),
            try_timeout: dns.try_timeout,
            total_timeout: policy.total_timeout,
            switches: Switches { recursion: dns.recursion, edns: dns.edns, mixed_case: dns.mixed_case },
        })
    }

    /// Renders the query and asks.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn ask(&self, dns: &DnsPolicy, question: &Question, deadline: Deadline) -> Result<Reading, Failure> {
        let query = render(dns, question)?;
        if query.record == DnsRecord::Sip {
            return self.locate(dns, &query.name, deadline).await;
        }
        match number::application_unique_string(&question.key) {
            Some(number) if query.record == DnsRecord::Naptr => self.resolve(dns, query, &number, deadline).await,
            _ => self.fetch(&query, deadline).await,
        }
    }

    /// Follows a number's records to a URI (RFC 6116). The reading is that of the last name; what was read on the way
    /// bounds its life.
    async fn resolve(
        &self,
        dns: &DnsPolicy,
        mut query: Query,
        number: &str,
        deadline: Deadline,
    ) -> Result<Reading, Failure> {
        let mut least: Option<Duration> = None;
        for _ in 0..=dns.hops {
            let answer = self.exchange(&query, deadline).await?;
            let mut reading = reading::read(&answer);
            least = least.into_iter().chain(reading.ttl).min();
            reading.ttl = least;
            match number::step(reading::naptr(&answer), number, &dns.services) {
                Step::Next(name) => query.name = name,
                Step::Uris(uris) => {
                    reading.enumeration = number::reading(uris);
                    return Ok(reading);
                }
                Step::Nothing => return Ok(reading),
            }
        }
        Err(Failure::new(
            FailureKind::Protocol,
            format!("more than {} NAPTR records in a row lead elsewhere", dns.hops),
        ))
    }

    /// Asks the servers in order, each once, until one gives a real answer.
    ///
    /// # Errors
    /// The last server's failure when none answered at all: `Timeout`, `Connect`, or `Protocol` for answers that do
    /// not parse.
    pub async fn fetch(&self, query: &Query, deadline: Deadline) -> Result<Reading, Failure> {
        self.exchange(query, deadline).await.map(|answer| reading::read(&answer))
    }

    async fn exchange(&self, query: &Query, deadline: Deadline) -> Result<Message, Failure> {
        let deadline = self.limited(deadline);
        let mut second_best = None;
        let mut last = Failure::new(FailureKind::Timeout, "no time was left to ask a name server");
        for (place, server) in self.servers.iter().enumerate() {
            if deadline.passed() {
                break;
            }
            let message = query.message(self.switches)?;
            let wait = self.try_timeout.min(share(deadline, self.servers.len() - place));
            match exchange::exchange(*server, &message, wait, deadline).await {
                Ok(answer) if reading::is_decisive(&answer) => return Ok(answer),
                Ok(answer) => second_best = second_best.or(Some(answer)),
                Err(failure) => last = failure,
            }
        }
        second_best.ok_or(last)
    }

    fn limited(&self, deadline: Deadline) -> Deadline {
        match self.total_timeout {
            Some(limit) => deadline.earlier(Deadline::at(now() + limit)),
            None => deadline,
        }
    }

    /// The query in words.
    pub fn describe(&self, query: &Query) -> String {
        let servers: Vec<String> = self.servers.iter().map(SocketAddr::to_string).collect();
        let rd = if self.switches.recursion { "recursion desired" } else { "no recursion" };
        let edns = if self.switches.edns { "EDNS" } else { "no EDNS" };
        format!("{} IN {} @ {} ({rd}, {edns})", query.name, query.record.as_str(), servers.join(", "))
    }
}

/// What expressions see as `enum` when a name server says this, for replayed cases: the records are written as expressions
/// see them in `answers`. One that leads on to another name is not followed: the case has the answers of the last.
pub fn enumeration(dns: &DnsPolicy, question: &Question, answers: &[Json]) -> Value {
    let asks_for_naptr = matches!(dns.record, RecordChoice::One(DnsRecord::Naptr));
    let Some(number) = number::application_unique_string(&question.key).filter(|_| asks_for_naptr) else {
        return Value::UNDEFINED;
    };
    let records: Vec<_> = answers.iter().filter_map(reading::naptr_of).collect();
    match number::step(records.iter(), &number, &dns.services) {
        Step::Uris(uris) => number::reading(uris),
        Step::Next(_) | Step::Nothing => Value::UNDEFINED,
    }
}

/// What one server may take when as many as `left` are still to be asked.
fn share(deadline: Deadline, left: usize) -> Duration {
    deadline.remaining() / u32::try_from(left.max(1)).unwrap_or(u32::MAX)
}
