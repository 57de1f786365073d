//! What an answer of the pipeline is in the DNS: a code, records, a TTL, and the reason for what is not as asked.

use hickory_proto::op::{DEFAULT_MAX_PAYLOAD_LEN, Message, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{Name, RData, Record};

use crate::answer::{self, Answer, Outcome, Source};
use crate::front::dns::query::Asked;
use crate::front::dns::records;

/// The largest reply over UDP, whatever a client takes: below it no network fragments (DNS flag day 2020).
pub const UDP_PAYLOAD: u16 = DEFAULT_MAX_PAYLOAD_LEN;

/// The TTL of what is past its time, or a stand-in: short, so that the client asks again when the name servers are well. RFC
/// 8767, section 4, says at most 30 seconds.
const STOPGAP_TTL: u32 = 5;

/// The option that carries an extended error.
const EXTENDED_ERROR: u16 = 15;

/// Why a reply is not what the client would have liked: RFC 8914's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Reason {
    /// Something else.
    Other = 0,
    /// The records are past their time.
    Stale = 3,
    /// The records are the policy's fallback.
    Forged = 4,
    /// Too much in hand.
    NotReady = 14,
    /// The policy leaves this name out.
    Prohibited = 18,
    /// No lookup answers for this name and type.
    NotAuthoritative = 20,
    /// Not this type.
    NotSupported = 21,
    /// No name server is to be had.
    NoReachableAuthority = 22,
    /// The name servers do not answer, or badly.
    Network = 23,
}

impl Reason {
    /// Tells it, to a client who speaks EDNS.
    pub fn tell(self, reply: &mut Message) {
        if let Some(edns) = &mut reply.edns {
            edns.options_mut().insert(EdnsOption::Unknown(EXTENDED_ERROR, (self as u16).to_be_bytes().to_vec()));
        }
    }
}

/// The reply to a question that no lookup takes.
pub fn refused(asked: Asked, reason: Reason) -> Message {
    let mut reply = asked.reply;
    reply.metadata.response_code = ResponseCode::Refused;
    reason.tell(&mut reply);
    reply
}

/// The reply to a question that cannot be answered now.
pub fn failed(asked: Asked, reason: Reason) -> Message {
    let mut reply = asked.reply;
    reply.metadata.response_code = ResponseCode::ServFail;
    reason.tell(&mut reply);
    reply
}

/// The reply that says this answer.
pub fn of(asked: Asked, answer: &Answer) -> Message {
    match answer.outcome {
        outcome if outcome.has_record() => with_records(asked, answer),
        Outcome::NotFound | Outcome::InvalidNumber => {
            let code = if denies_the_name(answer) { ResponseCode::NXDomain } else { ResponseCode::NoError };
            nothing(asked, code, ttl(answer))
        }
        Outcome::NotApplicable => refused(asked, Reason::Prohibited),
        Outcome::InvalidInput | Outcome::UnknownLookup => refused(asked, Reason::NotAuthoritative),
        Outcome::Overload => failed(asked, Reason::NotReady),
        Outcome::Open => failed(asked, Reason::NoReachableAuthority),
        Outcome::Timeout | Outcome::VendorError => failed(asked, Reason::Network),
        _ => failed(asked, Reason::Other),
    }
}

fn with_records(asked: Asked, answer: &Answer) -> Message {
    let name = asked.question.name().clone();
    let data = answer.record.as_ref().map(|record| records::of(record, asked.record)).unwrap_or_default();
    let life = ttl(answer);
    if data.is_empty() {
        return nothing(asked, ResponseCode::NoError, life);
    }
    let mut reply = asked.reply;
    reply.add_answers(data.into_iter().map(|data| Record::from_rdata(name.clone(), life, data)));
    match answer.source {
        Source::Stale => Reason::Stale.tell(&mut reply),
        Source::Fallback => Reason::Forged.tell(&mut reply),
        _ => {}
    }
    reply
}

/// True when a name server said that there is no such name. Where nobody did, "no such data" denies the least.
fn denies_the_name(answer: &Answer) -> bool {
    let says = |record: &answer::Record| record.to_map().get("rcode").is_some_and(|rcode| rcode == "NXDOMAIN");
    answer.record.as_ref().is_some_and(says)
}

/// No such name or data, and for how long that may be remembered (RFC 2308): the SOA is of our own making.
fn nothing(asked: Asked, code: ResponseCode, life: u32) -> Message {
    let name = asked.question.name().clone();
    let mut reply = asked.reply;
    reply.metadata.response_code = code;
    let soa = SOA::new(Name::root(), Name::root(), 1, 3600, 600, 86400, life);
    reply.add_authority(Record::from_rdata(name, life, RData::SOA(soa)));
    reply
}

/// How long an answer may be remembered, in seconds.
pub fn ttl(answer: &Answer) -> u32 {
    match answer.source {
        Source::Stale | Source::Fallback => STOPGAP_TTL,
        _ => fresh_ttl(answer.ttl),
    }
}

/// The TTL of records that are fresh for so many seconds.
pub fn fresh_ttl(seconds: i64) -> u32 {
    u32::try_from(seconds.clamp(1, i64::from(i32::MAX))).unwrap_or(1)
}

/// The reply's bytes. What is larger than `size` goes without records and says so: the client asks again over TCP.
pub fn bytes(reply: &Message, size: u16) -> Option<Vec<u8>> {
    let whole = reply.to_vec();
    match whole {
        Ok(bytes) if bytes.len() <= usize::from(size) && reply_fits(&bytes) => Some(bytes),
        Ok(_) => reply.truncate().to_vec().ok(),
        Err(error) => {
            tracing::debug!(%error, "a DNS reply cannot be written");
            let mut reply = Message::response(reply.metadata.id, reply.metadata.op_code);
            reply.metadata.response_code = ResponseCode::ServFail;
            reply.to_vec().ok()
        }
    }
}

/// A message over TCP has 65,535 bytes at most; hickory marks one that it had to cut short.
fn reply_fits(bytes: &[u8]) -> bool {
    bytes.len() <= usize::from(u16::MAX)
}
