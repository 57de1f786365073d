//! From bytes to a question; or to the code that says what is wrong with them.

use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::DNSClass;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};

use crate::front::dns::cookie::Baker;
use crate::front::dns::reply::{Reason, UDP_PAYLOAD};
use crate::policy::DnsRecord;

/// The size of a message's header.
const HEADER: usize = 12;

/// The largest answer over UDP for a client that does not say what it takes (RFC 1035).
const PLAIN_UDP: u16 = 512;

/// What came in.
pub enum Incoming {
    /// A question to be answered.
    Asked(Box<Asked>),
    /// A message that is done with by this reply: there is nothing to look up.
    Refused(Box<Message>, u16),
    /// Nothing that is ever answered: a stray answer, or less than a header.
    Noise,
}

/// A question.
pub struct Asked {
    /// The reply so far: id, flags and the question as it was written.
    pub reply: Message,
    /// The name and type.
    pub question: Query,
    /// The type, as policies know it.
    pub record: DnsRecord,
    /// The largest reply over UDP.
    pub size: u16,
}

/// Reads a message from this client.
pub fn read(bytes: &[u8], from: IpAddr, baker: &Baker) -> Incoming {
    if bytes.len() < HEADER || bytes[2] & 0x80 != 0 {
        return Incoming::Noise;
    }
    let id = u16::from_be_bytes([bytes[0], bytes[1]]);
    let op_code = OpCode::from_u8((bytes[2] >> 3) & 0x0f);
    let mut reply = Message::response(id, op_code);
    reply.metadata.recursion_desired = bytes[2] & 1 != 0;
    reply.metadata.recursion_available = true;
    // Before the rest is read: an update's sections are none of a query's.
    if op_code != OpCode::Query {
        return refused(reply, ResponseCode::NotImp, PLAIN_UDP);
    }
    let Ok(query) = Message::from_vec(bytes) else { return refused(reply, ResponseCode::FormErr, PLAIN_UDP) };
    if query.metadata.message_type != MessageType::Query {
        return Incoming::Noise;
    }
    let mut size = PLAIN_UDP;
    if let Some(asked) = &query.edns {
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_PAYLOAD);
        size = asked.max_payload().clamp(PLAIN_UDP, UDP_PAYLOAD);
        let cookie = match asked.option(EdnsCode::Cookie) {
            Some(EdnsOption::Unknown(_, cookie)) => Some(baker.cookie(cookie, from)),
            _ => None,
        };
        if let Some(Some(cookie)) = &cookie {
            edns.options_mut().insert(EdnsOption::Unknown(EdnsCode::Cookie.into(), cookie.clone()));
        }
        reply.set_edns(edns);
        if asked.version() > 0 {
            return refused(reply, ResponseCode::BADVERS, size);
        }
        match cookie {
            Some(None) => return refused(reply, ResponseCode::FormErr, size),
            // Somebody who wants nothing but a cookie (RFC 7873, section 5.4).
            Some(Some(_)) if query.queries.is_empty() => return refused(reply, ResponseCode::NoError, size),
            _ => {}
        }
    }
    let [question] = query.queries.as_slice() else { return refused(reply, ResponseCode::FormErr, size) };
    reply.add_query(question.clone());
    match DnsRecord::of_wire(question.query_type()).filter(|_| question.query_class() == DNSClass::IN) {
        Some(record) => Incoming::Asked(Box::new(Asked { question: question.clone(), record, size, reply })),
        None => {
            Reason::NotSupported.tell(&mut reply);
            refused(reply, ResponseCode::Refused, size)
        }
    }
}

/// A reply with this code and no records.
fn refused(mut reply: Message, code: ResponseCode, size: u16) -> Incoming {
    reply.metadata.response_code = code;
    Incoming::Refused(Box::new(reply), size)
}
