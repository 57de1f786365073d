//! A question to a name server, rendered and put into wire form.

use hickory_proto::op::{Edns, Message, Query as WireQuery};
use hickory_proto::rr::{Name, RecordType};

use crate::policy::expr::Scope;
use crate::policy::sip::Host;
use crate::policy::{Destination, DnsPolicy, DnsRecord, Question, RecordChoice, Template};
use crate::upstream::{Failure, FailureKind};

/// The largest UDP answer we ask for: what passes nearly every path unfragmented, as the operators of the DNS agreed.
pub(super) const UDP_PAYLOAD: u16 = 1232;

/// What a query asks for beside its name and type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Switches {
    pub recursion: bool,
    pub edns: bool,
    pub mixed_case: bool,
}

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
    let record = match &dns.record {
        RecordChoice::One(record) => *record,
        RecordChoice::Asked(template) => asked(template, question)?,
    };
    // Of a URI only the host has records.
    let host = |name: &str| match Destination::parse(name).map(|destination| destination.host) {
        Some(Host::Name(host)) => Some(host.to_string()),
        _ => None,
    };
    let name = match record {
        DnsRecord::Sip => name,
        _ if name.contains([':', ';']) => host(&name).unwrap_or(name),
        _ => name,
    };
    Ok(Query { name, record })
}

fn asked(template: &Template, question: &Question) -> Result<DnsRecord, Failure> {
    let fault = |why: String| Failure::new(FailureKind::Policy, format!("the record type does not render: {why}"));
    let word = template.render(&Scope::of_question(question)).map_err(|error| fault(error.to_string()))?;
    DnsRecord::from_name(word.trim()).ok_or_else(|| fault(format!("`{}` is none that can be asked for", word.trim())))
}

impl Query {
    /// The message, with a random id.
    ///
    /// # Errors
    /// [`FailureKind::Policy`] when the name is none: empty labels, labels above 63 bytes, more than 255 bytes.
    pub(super) fn message(&self, switches: Switches) -> Result<Message, Failure> {
        let text = if switches.mixed_case { mixed(&self.name) } else { self.name.to_ascii_lowercase() };
        let parsed = if text.is_ascii() { Name::from_ascii(&text) } else { Name::from_utf8(&text) };
        let mut name = parsed.map_err(|error| {
            Failure::new(FailureKind::Policy, format!("the rendered name is none of the DNS: {error}"))
        })?;
        name.set_fqdn(true);
        let mut message = Message::query();
        message.metadata.recursion_desired = switches.recursion;
        let record = self.record.wire().ok_or_else(|| Failure::new(FailureKind::Bug, "SIP is no type of record"))?;
        message.add_query(WireQuery::query(name, record));
        if switches.edns {
            let mut options = Edns::new();
            options.set_max_payload(UDP_PAYLOAD);
            message.set_edns(options);
        }
        Ok(message)
    }
}

/// Each letter in a case of chance (draft-vixie-dnsext-dns0x20).
fn mixed(name: &str) -> String {
    let either = |c: char| if fastrand::bool() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    name.chars().map(either).collect()
}

impl DnsRecord {
    /// Every type, in the order of declaration.
    pub const ALL: [Self; 8] =
        [Self::A, Self::Aaaa, Self::Srv, Self::Naptr, Self::Txt, Self::Ptr, Self::Cname, Self::Sip];

    /// The type of this name, if it is one that can be asked for.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|record| record.as_str().eq_ignore_ascii_case(name))
    }

    /// The type's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Srv => "SRV",
            Self::Naptr => "NAPTR",
            Self::Txt => "TXT",
            Self::Ptr => "PTR",
            Self::Cname => "CNAME",
            Self::Sip => "SIP",
        }
    }

    /// The type that a message asks for; `None` for one that nobody here knows.
    pub fn of_wire(wire: RecordType) -> Option<Self> {
        Self::ALL.into_iter().find(|record| record.wire() == Some(wire))
    }

    /// The field of a `dns` record that holds what was found.
    pub const fn field(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::Aaaa => "aaaa",
            Self::Srv => "srv",
            Self::Naptr => "naptr",
            Self::Txt => "txt",
            Self::Ptr => "ptr",
            Self::Cname => "cname",
            Self::Sip => "targets",
        }
    }

    /// The type as messages have it; `None` for what is no record.
    const fn wire(self) -> Option<RecordType> {
        Some(match self {
            Self::A => RecordType::A,
            Self::Aaaa => RecordType::AAAA,
            Self::Srv => RecordType::SRV,
            Self::Naptr => RecordType::NAPTR,
            Self::Txt => RecordType::TXT,
            Self::Ptr => RecordType::PTR,
            Self::Cname => RecordType::CNAME,
            Self::Sip => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switches(recursion: bool, edns: bool) -> Switches {
        Switches { recursion, edns, mixed_case: false }
    }

    #[test]
    fn letters_are_mixed_and_the_name_is_the_same() {
        let name = "abcdefghijklmnopqrstuvwxyz.test";
        let message = query(name).message(Switches { mixed_case: true, ..switches(true, true) }).expect("a message");
        let asked = message.queries[0].name().to_ascii();
        assert_eq!(asked.to_ascii_lowercase(), format!("{name}."));
        assert_ne!(asked, asked.to_ascii_lowercase());
        let wire = Message::from_vec(&message.to_vec().expect("bytes")).expect("a message");
        assert_eq!(wire.queries[0].name().to_ascii(), asked, "the wire keeps the case");
    }

    fn query(name: &str) -> Query {
        Query { name: name.to_owned(), record: DnsRecord::Naptr }
    }

    #[test]
    fn the_switches_reach_the_message() {
        for (recursion, edns) in [(true, true), (false, false)] {
            let message = query("1.2.e164.arpa").message(switches(recursion, edns)).expect("a message");
            let bytes = message.to_vec().expect("bytes");
            assert_eq!(bytes[2] & 1 == 1, recursion);
            assert_eq!(bytes[11] == 1, edns, "the additional section holds the OPT record or nothing");
        }
    }

    #[test]
    fn a_name_that_is_none_is_the_policys_fault() {
        for name in ["a..b", &"x".repeat(64), &"abcdefg.".repeat(40)] {
            assert_eq!(query(name).message(switches(true, true)).expect_err(name).kind, FailureKind::Policy);
        }
    }
}
