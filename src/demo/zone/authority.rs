//! What the zone says: from a query's bytes to an answer's bytes (RFC 1034, section 4.3.2).

use std::collections::{BTreeMap, BTreeSet};

use hickory_proto::op::{DEFAULT_MAX_PAYLOAD_LEN, Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{LowerName, Name, RData, Record, RecordSet, RecordType, RrKey};
use hickory_proto::serialize::txt::{ParseError, Parser};

/// The largest answer over UDP for a client that does not say what it takes (RFC 1035).
const PLAIN_UDP: u16 = 512;
/// CNAMEs followed before we take the zone for a circle.
const MAX_ALIASES: usize = 8;

/// How a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// With a size limit.
    Udp,
    /// Without.
    Tcp,
}

/// One zone, in memory.
#[derive(Debug)]
pub struct Authority {
    origin: LowerName,
    sets: BTreeMap<RrKey, RecordSet>,
    /// Every name there is, those between the zone and a deeper name included.
    names: BTreeSet<LowerName>,
    soa: Record,
}

impl Authority {
    /// The zone `carrier.test`.
    ///
    /// # Errors
    /// When the zone file beside this source does not parse, or has no SOA.
    pub fn of_the_demo() -> Result<Self, ParseError> {
        Self::parse(include_str!("carrier.test.zone"))
    }

    pub(super) fn parse(zone: &str) -> Result<Self, ParseError> {
        let (origin, sets) = Parser::new(zone, None, None).parse()?;
        let soa = sets
            .values()
            .flat_map(|set| set.records_without_rrsigs())
            .find(|record| record.record_type() == RecordType::SOA)
            .cloned()
            .ok_or(ParseError::from("the zone has no SOA"))?;
        let origin = LowerName::from(origin);
        let names = sets.keys().flat_map(|key| with_parents(key.name(), &origin)).collect();
        Ok(Self { origin, sets, names, soa })
    }

    /// Answers a query; `None` for bytes that are none.
    pub fn answer(&self, query: &[u8], carrier: Carrier) -> Option<Vec<u8>> {
        let (query, mut answer) = open(query)?;
        match query.queries.as_slice() {
            _ if query.metadata.op_code != OpCode::Query => answer.metadata.response_code = ResponseCode::NotImp,
            [question] => self.fill(&mut answer, question),
            _ => answer.metadata.response_code = ResponseCode::FormErr,
        }
        let limit = match (carrier, &query.edns) {
            (Carrier::Tcp, _) => u16::MAX,
            (Carrier::Udp, None) => PLAIN_UDP,
            (Carrier::Udp, Some(edns)) => edns.max_payload().clamp(PLAIN_UDP, DEFAULT_MAX_PAYLOAD_LEN),
        };
        let bytes = answer.to_vec().ok()?;
        if bytes.len() <= usize::from(limit) { Some(bytes) } else { answer.truncate().to_vec().ok() }
    }

    /// Answers a query with SERVFAIL; `None` for bytes that are none.
    pub fn servfail(&self, query: &[u8]) -> Option<Vec<u8>> {
        let (_, mut answer) = open(query)?;
        answer.metadata.response_code = ResponseCode::ServFail;
        answer.to_vec().ok()
    }

    fn fill(&self, answer: &mut Message, question: &Query) {
        let mut name = LowerName::from(question.name());
        if !self.origin.zone_of(&name) {
            answer.metadata.response_code = ResponseCode::Refused;
            return;
        }
        answer.metadata.authoritative = true;
        for _ in 0..MAX_ALIASES {
            let found = self.records(&name, question.query_type());
            if !found.is_empty() {
                answer.add_answers(found);
                return;
            }
            let Some(alias) = self.records(&name, RecordType::CNAME).pop() else { break };
            let RData::CNAME(target) = &alias.data else { break };
            name = LowerName::from(&target.0);
            answer.add_answer(alias);
            if !self.origin.zone_of(&name) {
                return;
            }
        }
        if !self.names.contains(&name) {
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
        // With it, "nothing" may be remembered, and for how long (RFC 2308).
        answer.add_authority(self.soa.clone());
    }

    fn records(&self, name: &LowerName, kind: RecordType) -> Vec<Record> {
        let set = self.sets.get(&RrKey::new(name.clone(), kind));
        set.map(|set| set.records_without_rrsigs().cloned().collect()).unwrap_or_default()
    }
}

/// Reads a query and starts its answer.
fn open(query: &[u8]) -> Option<(Message, Message)> {
    let query = Message::from_vec(query).ok()?;
    if query.metadata.message_type != MessageType::Query {
        return None;
    }
    let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
    answer.metadata.recursion_desired = query.metadata.recursion_desired;
    answer.add_queries(query.queries.iter().cloned());
    if query.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(DEFAULT_MAX_PAYLOAD_LEN);
        answer.set_edns(edns);
    }
    Some((query, answer))
}

/// A name and all that lie between it and the zone's own.
fn with_parents(name: &LowerName, origin: &LowerName) -> Vec<LowerName> {
    let mut names = vec![name.clone()];
    let mut walker = Name::from(name.clone());
    while LowerName::from(&walker) != *origin && !walker.is_root() {
        walker = walker.base_name();
        names.push(LowerName::from(&walker));
    }
    names
}
