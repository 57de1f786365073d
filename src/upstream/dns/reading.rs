//! From a DNS message to what rules and fields look at.

use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::NAPTR;
use hickory_proto::rr::{Name, RData, Record};
use minijinja::Value;
use minijinja::value::Serde;
use serde_json::{Map, Value as Json, json};

use crate::answer;
use crate::policy::Reading;

/// How many aliases are followed; a longer chain, or a loop, has no answer.
const ALIASES: usize = 8;

/// True when no other server needs to be asked: it says what there is, or that there is nothing. Records are records,
/// whatever code they come with: there are ENUM servers that send them with REFUSED.
pub(super) fn is_decisive(answer: &Message) -> bool {
    matches!(answer.metadata.response_code, ResponseCode::NoError | ResponseCode::NXDomain)
        || !answer.answers.is_empty()
}

/// The NAPTR records of the answer, past its aliases.
pub(super) fn naptr(answer: &Message) -> impl Iterator<Item = &NAPTR> {
    answering(answer).0.into_iter().filter_map(|record| match &record.data {
        RData::NAPTR(naptr) => Some(naptr),
        _ => None,
    })
}

/// The NAPTR record that [`describe`] would describe so.
pub(super) fn naptr_of(described: &Json) -> Option<NAPTR> {
    let number = |key: &str| u16::try_from(described.get(key)?.as_u64()?).ok();
    let text = |key: &str| described.get(key).and_then(Json::as_str).unwrap_or_default();
    let bytes = |key: &str| text(key).as_bytes().to_vec().into_boxed_slice();
    let replacement =
        Name::from_ascii(Some(text("replacement")).filter(|name| !name.is_empty()).unwrap_or(".")).ok()?;
    let (order, preference) = (number("order")?, number("preference")?);
    Some(NAPTR::new(order, preference, bytes("flags"), bytes("service"), bytes("regexp"), replacement))
}

/// What the message says.
pub(super) fn read(answer: &Message) -> Reading {
    let (records, mut ttl) = answering(answer);
    let code = answer.metadata.response_code;
    if records.is_empty() && matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
        ttl = negative_ttl(answer).map(|negative| ttl.map_or(negative, |alias| alias.min(negative)));
    }
    let answers: Vec<Json> = records.into_iter().filter_map(describe).collect();
    Reading {
        kept: denies_the_name(answer).then(|| answer::Record::from_json(r#"{"rcode":"NXDOMAIN"}"#)),
        rcode: Some(code_name(code)),
        answers: Value::from(Serde(answers)),
        ttl: ttl.map(|seconds| Duration::from_secs(seconds.into())),
        ..Reading::default()
    }
}

/// True when it says that the name that was asked for does not exist. Behind an alias the code speaks of the alias's
/// target (RFC 6604, section 3), and the name itself does exist.
fn denies_the_name(answer: &Message) -> bool {
    answer.metadata.response_code == ResponseCode::NXDomain && answer.answers.is_empty()
}

/// The records of the asked type at the end of the chain of aliases, and the least TTL on the way there.
pub(super) fn answering(answer: &Message) -> (Vec<&Record>, Option<u32>) {
    let Some(question) = answer.queries.first() else { return (Vec::new(), None) };
    let mut owner: &Name = question.name();
    let mut least: Option<u32> = None;
    for _ in 0..=ALIASES {
        let at_owner = answer.answers.iter().filter(|record| record.name == *owner);
        let found: Vec<&Record> =
            at_owner.clone().filter(|record| record.data.record_type() == question.query_type()).collect();
        if !found.is_empty() {
            least = found.iter().copied().map(life).chain(least).min();
            return (found, least);
        }
        let alias = at_owner.clone().find_map(|record| match &record.data {
            RData::CNAME(target) => Some((&target.0, life(record))),
            _ => None,
        });
        let Some((target, ttl)) = alias else { break };
        least = Some(least.map_or(ttl, |so_far| so_far.min(ttl)));
        owner = target;
    }
    (Vec::new(), least)
}

/// How long a record may be kept; above 2^31 - 1 it is to be taken as zero (RFC 2181, section 8).
fn life(record: &Record) -> u32 {
    if record.ttl > i32::MAX as u32 { 0 } else { record.ttl }
}

/// How long "nothing" may be kept: the lesser of the SOA's own TTL and its minimum field (RFC 2308, section 5).
fn negative_ttl(answer: &Message) -> Option<u32> {
    answer.authorities.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some(life(record).min(soa.minimum)),
        _ => None,
    })
}

/// A record as a map; `None` for a type that no policy can ask for.
fn describe(record: &Record) -> Option<Json> {
    let mut map = Map::new();
    map.insert("name".into(), name(&record.name).into());
    map.insert("type".into(), record.data.record_type().to_string().into());
    map.insert("ttl".into(), life(record).into());
    let data = match &record.data {
        RData::A(address) => json!({ "address": address.0.to_string() }),
        RData::AAAA(address) => json!({ "address": address.0.to_string() }),
        RData::PTR(target) => json!({ "target": name(&target.0) }),
        RData::CNAME(target) => json!({ "target": name(&target.0) }),
        RData::SRV(srv) => json!({
            "priority": srv.priority, "weight": srv.weight, "port": srv.port, "target": name(&srv.target),
        }),
        RData::NAPTR(naptr) => json!({
            "order": naptr.order, "preference": naptr.preference, "flags": text(&naptr.flags),
            "service": text(&naptr.services), "regexp": text(&naptr.regexp), "replacement": name(&naptr.replacement),
        }),
        RData::TXT(txt) => {
            let strings: Vec<String> = txt.txt_data.iter().map(|string| text(string)).collect();
            json!({ "text": text(&txt.txt_data.concat()), "strings": strings })
        }
        _ => return None,
    };
    if let Json::Object(data) = data {
        map.extend(data);
    }
    Some(Json::Object(map))
}

/// A name in lower case without the dot at its end; the root, which stands for "none" in SRV and NAPTR, is `.`.
pub(super) fn name(name: &Name) -> String {
    if name.is_root() { ".".to_owned() } else { name.to_ascii().trim_end_matches('.').to_ascii_lowercase() }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The name of a response code as tools print it.
pub(super) fn code_name(code: ResponseCode) -> String {
    let name = match code {
        ResponseCode::NoError => "NOERROR",
        ResponseCode::FormErr => "FORMERR",
        ResponseCode::ServFail => "SERVFAIL",
        ResponseCode::NXDomain => "NXDOMAIN",
        ResponseCode::NotImp => "NOTIMP",
        ResponseCode::Refused => "REFUSED",
        ResponseCode::YXDomain => "YXDOMAIN",
        ResponseCode::YXRRSet => "YXRRSET",
        ResponseCode::NXRRSet => "NXRRSET",
        ResponseCode::NotAuth => "NOTAUTH",
        ResponseCode::NotZone => "NOTZONE",
        ResponseCode::BADVERS => "BADVERS",
        other => return format!("RCODE{}", u16::from(other)),
    };
    name.to_owned()
}

#[cfg(test)]
#[path = "reading_tests.rs"]
mod tests;
