//! A question to a name server, rendered and put into wire form.

use hickory_proto::op::{Edns, Message, Query as WireQuery};
use hickory_proto::rr::{Name, RecordType};

use crate::policy::expr::Scope;
use crate::policy::{DnsPolicy, DnsRecord, Question};
use crate::upstream::{Failure, FailureKind};

/// The largest UDP answer we ask for: what passes nearly every path unfragmented, as the operators of the DNS agreed.
pub(super) const UDP_PAYLOAD: u16 = 1232;

/// A query, rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The name that is asked for, with or without the dot at its end; always absolute.
    pub name: String,
    /// The type that is asked for.
    pub record: DnsRecord,
}

/// Renders the policy's name over a question.
///
/// # Errors
/// [`FailureKind::Policy`] when the template refuses the question.
pub fn render(dns: &DnsPolicy, question: &Question) -> Result<Query, Failure> {
    let name = dns
        .name
        .render(&Scope::of_question(question))
        .map_err(|error| Failure::new(FailureKind::Policy, format!("the name does not render: {error}")))?;
    Ok(Query { name, record: dns.record })
}

impl Query {
    /// The message, with a random id.
    ///
    /// # Errors
    /// [`FailureKind::Policy`] when the name is none: empty labels, labels above 63 bytes, more than 255 bytes.
    pub(super) fn message(&self, recursion: bool, edns: bool) -> Result<Message, Failure> {
        let parsed = if self.name.is_ascii() { Name::from_ascii(&self.name) } else { Name::from_utf8(&self.name) };
        let mut name = parsed.map_err(|error| {
            Failure::new(FailureKind::Policy, format!("the rendered name is none of the DNS: {error}"))
        })?;
        name.set_fqdn(true);
        let mut message = Message::query();
        message.metadata.recursion_desired = recursion;
        message.add_query(WireQuery::query(name, self.record.wire()));
        if edns {
            let mut options = Edns::new();
            options.set_max_payload(UDP_PAYLOAD);
            message.set_edns(options);
        }
        Ok(message)
    }
}

impl DnsRecord {
    /// The type's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Srv => "SRV",
            Self::Naptr => "NAPTR",
            Self::Txt => "TXT",
            Self::Ptr => "PTR",
        }
    }

    /// The type as messages have it.
    const fn wire(self) -> RecordType {
        match self {
            Self::A => RecordType::A,
            Self::Aaaa => RecordType::AAAA,
            Self::Srv => RecordType::SRV,
            Self::Naptr => RecordType::NAPTR,
            Self::Txt => RecordType::TXT,
            Self::Ptr => RecordType::PTR,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(name: &str) -> Query {
        Query { name: name.to_owned(), record: DnsRecord::Naptr }
    }

    #[test]
    fn the_switches_reach_the_message() {
        for (recursion, edns) in [(true, true), (false, false)] {
            let message = query("1.2.e164.arpa").message(recursion, edns).expect("a message");
            let bytes = message.to_vec().expect("bytes");
            assert_eq!(bytes[2] & 1 == 1, recursion);
            assert_eq!(bytes[11] == 1, edns, "the additional section holds the OPT record or nothing");
        }
    }

    #[test]
    fn a_name_that_is_none_is_the_policys_fault() {
        for name in ["a..b", &"x".repeat(64), &"abcdefg.".repeat(40)] {
            assert_eq!(query(name).message(true, true).expect_err(name).kind, FailureKind::Policy);
        }
    }
}
