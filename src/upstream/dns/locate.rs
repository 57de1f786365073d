//! Where SIP is spoken: from a domain or URI over NAPTR, SRV and addresses to targets (RFC 3263).
//!
//! ```text
//! an address                          itself
//! a port                              the host's addresses, no SRV
//! a transport                         its SRV, else the host's addresses
//! a domain alone                      what its NAPTR records name; else the SRV of each transport; else its addresses
//! ```
//!
//! What does not need to wait for another answer does not: NAPTR and the SRV of every transport are asked side by side,
//! and then all addresses. Every query has the one deadline of the dip, and the number of them is bounded. The targets
//! come out with rank, priority and weight and in no order beyond that: which one a call takes is chosen call by
//! call, in `lookup/targets.rs`.
//!
//! What is not known because a name server did not say is passed over where there is something else to go to; the life
//! of such an answer is the shortest that the policy has.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::join_all;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RData;
use minijinja::value::Serde;
use serde_json::{Value as Json, json};

use super::{DnsUpstream, Query, reading};
use crate::deadline::Deadline;
use crate::policy::sip::Host;
use crate::policy::{Destination, DnsPolicy, DnsRecord, Reading, Transport};
use crate::upstream::{Failure, FailureKind};

/// The most services of a domain that are looked at.
const MAX_SERVICES: usize = 8;

/// The most hosts whose addresses are asked for.
const MAX_HOSTS: usize = 16;

/// The most targets of one answer.
const MAX_TARGETS: usize = 64;

/// One machine that may be tried, and its place among the others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Candidate {
    /// The service's place: targets of rank 0 are tried before those of rank 1.
    rank: usize,
    priority: u16,
    weight: u16,
    transport: Transport,
    host: String,
    port: u16,
}

/// A service that a domain has.
#[derive(Clone, Debug)]
struct Service {
    transport: Transport,
    /// The name that has its SRV records; or the host itself, where NAPTR says so (flag `a`).
    name: String,
    is_host: bool,
}

/// What is known so far.
struct Walk<'a> {
    upstream: &'a DnsUpstream,
    deadline: Deadline,
    ipv6: bool,
    /// The least life of all that led here.
    ttl: Option<u32>,
    /// What one name server failed to say first.
    unknown: Option<Unknown>,
    /// The code of the last "no".
    denied: Option<Message>,
}

/// Why something is not known.
enum Unknown {
    Failure(Failure),
    Code(ResponseCode),
}

impl DnsUpstream {
    /// Finds the targets.
    ///
    /// # Errors
    /// When nothing is known because no name server answered, or the text is no destination.
    pub(super) async fn locate(&self, dns: &DnsPolicy, text: &str, deadline: Deadline) -> Result<Reading, Failure> {
        let destination = Destination::parse(text).ok_or_else(|| {
            Failure::new(FailureKind::Policy, "`domain` gave no domain, address, or sip: or sips: URI")
        })?;
        let mut walk = Walk {
            upstream: self,
            deadline: self.limited(deadline),
            ipv6: dns.ipv6,
            ttl: None,
            unknown: None,
            denied: None,
        };
        let offered: Vec<Transport> = match (destination.secure, destination.transport) {
            (true, _) => vec![Transport::Tls],
            (false, Some(wanted)) => vec![wanted],
            (false, None) => dns.transports.clone(),
        };
        let usable: Vec<Transport> = offered.into_iter().filter(|way| dns.transports.contains(way)).collect();
        let Some(first) = usable.first().copied() else { return Ok(walk.reading(Vec::new())) };
        // RFC 3263, section 4.1: without NAPTR and SRV a SIP URI means UDP, where we speak it.
        let plain = if usable.contains(&Transport::Udp) { Transport::Udp } else { first };
        let port = destination.port.unwrap_or_else(|| plain.port());
        let targets = match (&destination.host, destination.port) {
            (Host::Address(address), _) => {
                let candidate = Candidate::alone(plain, &address.to_string(), port);
                vec![candidate.target(*address)]
            }
            (Host::Name(host), Some(port)) => walk.addresses(vec![Candidate::alone(plain, host, port)]).await,
            (Host::Name(host), None) => {
                let naptr = destination.transport.is_none();
                match walk.services(host, &usable, naptr).await {
                    Some(candidates) => walk.addresses(candidates).await,
                    None => walk.addresses(vec![Candidate::alone(plain, host, port)]).await,
                }
            }
        };
        match (targets.is_empty(), walk.unknown.take()) {
            (true, Some(Unknown::Failure(failure))) => Err(failure),
            (true, Some(Unknown::Code(code))) => {
                Ok(Reading { rcode: Some(reading::code_name(code)), ..Reading::default() })
            }
            (_, unknown) => {
                if unknown.is_some() {
                    walk.ttl = Some(0);
                }
                Ok(walk.reading(targets))
            }
        }
    }
}

impl Walk<'_> {
    /// The hosts behind the domain's services; `None` where it names none, so that the domain itself is the host.
    async fn services(&mut self, domain: &str, usable: &[Transport], naptr: bool) -> Option<Vec<Candidate>> {
        let standard: Vec<Service> = usable
            .iter()
            .map(|way| Service { transport: *way, name: format!("{}.{domain}", way.service()), is_host: false })
            .collect();
        let (named, known) = futures_util::join!(
            async {
                match naptr {
                    true => Some(self.ask(domain, DnsRecord::Naptr).await),
                    false => None,
                }
            },
            join_all(standard.iter().map(|service| self.ask(&service.name, DnsRecord::Srv)))
        );
        let services = match named.map(|answer| self.heard(answer)) {
            Some(Some(answer)) => named_services(&answer, usable),
            _ => Vec::new(),
        };
        let mut known: Vec<_> = standard.iter().map(|service| service.name.clone()).zip(known).collect();
        let services = if services.is_empty() { standard } else { services };
        let missing: Vec<&str> = services
            .iter()
            .filter(|service| !service.is_host && !known.iter().any(|(name, _)| *name == service.name))
            .map(|service| service.name.as_str())
            .collect();
        let more = join_all(missing.iter().map(|name| self.ask(name, DnsRecord::Srv))).await;
        let more: Vec<_> = missing.iter().map(|name| (*name).to_owned()).zip(more).collect();
        known.extend(more);
        let mut found = Vec::new();
        let mut any = false;
        for (rank, service) in services.iter().enumerate() {
            if service.is_host {
                any = true;
                found.push(Candidate {
                    rank,
                    ..Candidate::alone(service.transport, &service.name, service.transport.port())
                });
                continue;
            }
            let Some(place) = known.iter().position(|(name, _)| *name == service.name) else { continue };
            let (_, answer) = known.swap_remove(place);
            let Some(answer) = self.heard(answer) else { continue };
            for record in reading::answering(&answer).0 {
                let RData::SRV(srv) = &record.data else { continue };
                any = true;
                // The root as a target says that there is no such service (RFC 2782).
                if !srv.target.is_root() && srv.port != 0 {
                    found.push(Candidate {
                        rank,
                        priority: srv.priority,
                        weight: srv.weight,
                        transport: service.transport,
                        host: reading::name(&srv.target),
                        port: srv.port,
                    });
                }
            }
        }
        any.then_some(found)
    }

    /// The addresses of these hosts, as targets.
    async fn addresses(&mut self, mut candidates: Vec<Candidate>) -> Vec<Json> {
        candidates.sort_by_key(|candidate| (candidate.rank, candidate.priority));
        let mut hosts: Vec<&str> = Vec::new();
        for candidate in &candidates {
            if !hosts.contains(&candidate.host.as_str()) && hosts.len() < MAX_HOSTS {
                hosts.push(&candidate.host);
            }
        }
        let types: &[DnsRecord] = if self.ipv6 { &[DnsRecord::A, DnsRecord::Aaaa] } else { &[DnsRecord::A] };
        let queries = hosts.iter().flat_map(|host| types.iter().map(|kind| (*host, *kind)));
        let answers = join_all(queries.map(async |(host, kind)| (host, self.ask(host, kind).await))).await;
        let mut known: Vec<(String, IpAddr)> = Vec::new();
        for (host, answer) in answers.into_iter().map(|(host, answer)| (host.to_owned(), answer)).collect::<Vec<_>>() {
            let Some(answer) = self.heard(answer) else { continue };
            known.extend(reading::answering(&answer).0.into_iter().filter_map(|record| match &record.data {
                RData::A(address) => Some((host.clone(), IpAddr::V4(address.0))),
                RData::AAAA(address) => Some((host.clone(), IpAddr::V6(address.0))),
                _ => None,
            }));
        }
        let of = |candidate: &Candidate| {
            let here = known.iter().filter(|(host, _)| *host == candidate.host).map(|(_, address)| *address);
            here.map(|address| candidate.target(address)).collect::<Vec<_>>()
        };
        candidates.iter().flat_map(of).take(MAX_TARGETS).collect()
    }

    async fn ask(&self, name: &str, record: DnsRecord) -> Result<Message, Failure> {
        self.upstream.exchange(&Query { name: name.to_owned(), record }, self.deadline).await
    }

    /// Takes note of what an answer says about its own life, or of why there is none.
    fn heard(&mut self, answer: Result<Message, Failure>) -> Option<Message> {
        let answer = match answer {
            Ok(answer) if reading::is_decisive(&answer) => answer,
            Ok(answer) => {
                self.unknown.get_or_insert(Unknown::Code(answer.metadata.response_code));
                return None;
            }
            Err(failure) => {
                self.unknown.get_or_insert(Unknown::Failure(failure));
                return None;
            }
        };
        let (found, life) = reading::answering(&answer);
        if found.is_empty() {
            self.denied = Some(answer.clone());
        } else {
            self.ttl = self.ttl.into_iter().chain(life).min();
        }
        Some(answer)
    }

    /// The reading: the targets are its answers. Where there are none, it is the last "no" that counts.
    fn reading(self, targets: Vec<Json>) -> Reading {
        if let (true, Some(no)) = (targets.is_empty(), &self.denied) {
            return reading::read(no);
        }
        Reading {
            rcode: Some(reading::code_name(ResponseCode::NoError)),
            answers: minijinja::Value::from(Serde(targets)),
            ttl: self.ttl.map(|seconds| Duration::from_secs(seconds.into())),
            ..Reading::default()
        }
    }
}

/// The services that NAPTR records name and that are ours, the best first.
fn named_services(answer: &Message, usable: &[Transport]) -> Vec<Service> {
    let mut records: Vec<_> = reading::naptr(answer).collect();
    records.sort_by_key(|record| (record.order, record.preference));
    let service = |record: &hickory_proto::rr::rdata::NAPTR| {
        let transport = Transport::of_naptr(&String::from_utf8_lossy(&record.services))?;
        let is_host = match record.flags.to_ascii_lowercase().as_slice() {
            b"s" => false,
            b"a" => true,
            _ => return None,
        };
        let ours = usable.contains(&transport) && !record.replacement.is_root();
        ours.then(|| Service { transport, name: reading::name(&record.replacement), is_host })
    };
    records.into_iter().filter_map(service).take(MAX_SERVICES).collect()
}

impl Candidate {
    /// The only one.
    fn alone(transport: Transport, host: &str, port: u16) -> Self {
        Self { rank: 0, priority: 0, weight: 0, transport, host: host.to_owned(), port }
    }

    fn target(&self, ip: IpAddr) -> Json {
        json!({
            "ip": ip.to_string(), "port": self.port, "transport": self.transport.as_str(), "host": self.host,
            "rank": self.rank, "priority": self.priority, "weight": self.weight,
        })
    }
}
