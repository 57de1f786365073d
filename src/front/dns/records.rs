//! From a record's field to DNS records.
//!
//! A policy keeps what it likes of a name server's answer. Taken are the answers as they came (maps with
//! `address`, `target`, `priority`… as the `dns` transport tells them) and what is shorter: a bare address, a
//! bare target, a bare text; alone or in a list. What makes no record of the type is left out.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use hickory_proto::rr::rdata::{A, AAAA, CNAME, NAPTR, PTR, SRV, TXT};
use hickory_proto::rr::{Name, RData};
use serde_json::{Map, Value};

use crate::answer;
use crate::policy::DnsRecord;

/// More records than this are no answer to anything that sets up a call.
const MOST: usize = 512;

/// A string in a TXT record is at most this long (RFC 1035, section 3.3).
const TXT_STRING: usize = 255;

/// The records of this type.
pub fn of(record: &answer::Record, of_type: DnsRecord) -> Vec<RData> {
    match record.to_map().get(of_type.field()) {
        Some(Value::Array(all)) => all.iter().take(MOST).filter_map(|one| data(one, of_type)).collect(),
        Some(one) => data(one, of_type).into_iter().collect(),
        None => Vec::new(),
    }
}

fn data(value: &Value, of_type: DnsRecord) -> Option<RData> {
    match of_type {
        DnsRecord::A => Some(RData::A(A(Ipv4Addr::from_str(text(value, "address")?).ok()?))),
        DnsRecord::Aaaa => Some(RData::AAAA(AAAA(Ipv6Addr::from_str(text(value, "address")?).ok()?))),
        DnsRecord::Ptr => Some(RData::PTR(PTR(name(text(value, "target")?)?))),
        DnsRecord::Cname => Some(RData::CNAME(CNAME(name(text(value, "target")?)?))),
        DnsRecord::Txt => txt(value),
        DnsRecord::Srv => {
            let map = value.as_object()?;
            let target = name(map.get("target")?.as_str()?)?;
            Some(RData::SRV(SRV::new(number(map, "priority")?, number(map, "weight")?, number(map, "port")?, target)))
        }
        DnsRecord::Naptr => naptr(value.as_object()?),
        // Where SIP goes is no record of the DNS.
        DnsRecord::Sip => None,
    }
}

fn naptr(map: &Map<String, Value>) -> Option<RData> {
    let part = |field: &str| map.get(field).and_then(Value::as_str).unwrap_or_default().as_bytes().to_vec();
    let replacement = map.get("replacement").and_then(Value::as_str).unwrap_or(".");
    Some(RData::NAPTR(NAPTR::new(
        number(map, "order")?,
        number(map, "preference")?,
        part("flags").into(),
        part("service").into(),
        part("regexp").into(),
        name(replacement)?,
    )))
}

fn txt(value: &Value) -> Option<RData> {
    let strings: Vec<&[u8]> = match value.get("strings").and_then(Value::as_array) {
        Some(strings) => strings.iter().filter_map(Value::as_str).map(str::as_bytes).collect(),
        None => text(value, "text")?.as_bytes().chunks(TXT_STRING).collect(),
    };
    let fits = strings.iter().all(|string| string.len() <= TXT_STRING);
    // An empty text is one empty string: a TXT record without any is none.
    let strings = if strings.is_empty() { vec![b"".as_slice()] } else { strings };
    fits.then(|| RData::TXT(TXT::from_bytes(strings)))
}

/// The value itself where it is text, else its field of this name.
fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.as_str().or_else(|| value.get(field)?.as_str())
}

fn number(map: &Map<String, Value>, field: &str) -> Option<u16> {
    u16::try_from(map.get(field)?.as_u64()?).ok()
}

/// A name from its text, whole whether a dot ends it or not.
fn name(text: &str) -> Option<Name> {
    let mut name = Name::from_ascii(text).ok()?;
    name.set_fqdn(true);
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(json: &str, of_type: DnsRecord) -> Vec<String> {
        of(&answer::Record::from_json(json), of_type).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn bare_values_and_answers_as_they_came() {
        assert_eq!(records(r#"{"a":"192.0.2.1"}"#, DnsRecord::A), ["192.0.2.1"]);
        assert_eq!(
            records(r#"{"a":["192.0.2.1",{"address":"192.0.2.2","ttl":5}]}"#, DnsRecord::A),
            ["192.0.2.1", "192.0.2.2"]
        );
        assert_eq!(records(r#"{"ptr":{"target":"a.test"}}"#, DnsRecord::Ptr), ["a.test."]);
        assert_eq!(records(r#"{"cname":"a.test"}"#, DnsRecord::Cname), ["a.test."]);
        let srv = r#"{"srv":[{"priority":10,"weight":60,"port":5060,"target":"edge-1.test"}]}"#;
        assert_eq!(records(srv, DnsRecord::Srv), ["10 60 5060 edge-1.test."]);
        assert_eq!(records(r#"{"txt":["one",{"text":"onetwo","strings":["one","two"]}]}"#, DnsRecord::Txt).len(), 2);
        let naptr = r#"{"naptr":[{"order":1,"preference":2,"flags":"u","service":"E2U+sip","regexp":"!a!b!","replacement":"."}]}"#;
        assert_eq!(records(naptr, DnsRecord::Naptr).len(), 1);
    }

    #[test]
    fn what_makes_no_record_is_left_out() {
        for json in ["{}", r#"{"a":null}"#, r#"{"a":["x",5,{"address":"2001:db8::1"}]}"#, r#"{"a":{}}"#] {
            assert!(records(json, DnsRecord::A).is_empty(), "{json}");
        }
        assert!(records(r#"{"srv":{"priority":65536,"weight":1,"port":1,"target":"a"}}"#, DnsRecord::Srv).is_empty());
        assert!(records(&format!(r#"{{"ptr":"{}"}}"#, "a".repeat(300)), DnsRecord::Ptr).is_empty());
    }

    #[test]
    fn a_long_text_is_cut_into_strings() {
        let json = format!(r#"{{"txt":"{}"}}"#, "x".repeat(600));
        let RData::TXT(txt) = &of(&answer::Record::from_json(json), DnsRecord::Txt)[0] else { panic!("a TXT record") };
        assert_eq!(txt.txt_data.iter().map(|string| string.len()).collect::<Vec<_>>(), [255, 255, 90]);
    }
}
