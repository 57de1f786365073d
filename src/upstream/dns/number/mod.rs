//! ENUM (RFC 6116): from the NAPTR records of a number to a URI, and from the URI to its parts.
//!
//! The life of it: the records are sorted by order and preference; the first whose service the policy wants
//! ([`Service`]) and whose substitution ([`regexp`]) fits the number decides. A terminal one (flag `u`) gives a URI,
//! which is taken apart ([`uri`]); one without a flag names where to go on, and the caller asks there.
//!
//! What holds: all of this is a vendor's text, so every part is bounded and none of it is an error: a record that
//! cannot be used is passed over, as RFC 3402 has it.

mod regexp;
mod uri;

use hickory_proto::rr::rdata::NAPTR;
use minijinja::Value;
use serde_json::{Map, Value as Json, json};

use crate::policy::{Service, service};

/// The most records that are looked at.
const MAX_RULES: usize = 64;

/// Where the records of one name lead to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// To URIs, the best first: what expressions see as `enum`.
    Uris(Vec<Json>),
    /// To the records of this name.
    Next(String),
    /// Nowhere.
    Nothing,
}

/// The number as records rewrite it (RFC 6116 section 3.1.1): `+` and digits. `None` for a key that is none.
pub(super) fn application_unique_string(key: &str) -> Option<String> {
    let digits = key.strip_prefix('+').unwrap_or(key);
    let fits = (1..=32).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| format!("+{digits}"))
}

/// Where these records lead for this number.
pub(super) fn step<'a>(records: impl Iterator<Item = &'a NAPTR>, number: &str, wanted: &[Service]) -> Step {
    let mut rules: Vec<&NAPTR> = records.take(MAX_RULES).collect();
    rules.sort_by_key(|rule| (rule.order, rule.preference));
    let mut uris: Vec<Json> = Vec::new();
    for rule in rules {
        let services = String::from_utf8_lossy(&rule.services);
        match rule.flags.to_ascii_lowercase().as_slice() {
            b"u" if service::is_wanted(&services, wanted) => uris.extend(terminal(rule, &services, number)),
            // One that leads elsewhere counts only where nothing better has been found before it.
            b"" if uris.is_empty() && (services.is_empty() || service::is_wanted(&services, wanted)) => {
                if let Some(name) = next(rule, number) {
                    return Step::Next(name);
                }
            }
            _ => {}
        }
    }
    if uris.is_empty() { Step::Nothing } else { Step::Uris(uris) }
}

/// The best URI's parts, and all of them as `all`.
pub(super) fn reading(uris: Vec<Json>) -> Value {
    let Some(Json::Object(mut best)) = uris.first().cloned() else { return Value::UNDEFINED };
    best.insert("all".to_owned(), Json::Array(uris));
    Value::from(minijinja::value::Serde(best))
}

fn terminal(rule: &NAPTR, services: &str, number: &str) -> Option<Json> {
    let uri = regexp::apply(&String::from_utf8_lossy(&rule.regexp), number)?;
    let mut map = Map::new();
    map.insert("order".to_owned(), rule.order.into());
    map.insert("preference".to_owned(), rule.preference.into());
    map.insert("flags".to_owned(), json!("u"));
    map.insert("service".to_owned(), services.into());
    map.insert("uri".to_owned(), uri.as_str().into());
    uri::parts(&uri, &mut map);
    Some(Json::Object(map))
}

fn next(rule: &NAPTR, number: &str) -> Option<String> {
    if rule.regexp.is_empty() {
        return (!rule.replacement.is_root()).then(|| rule.replacement.to_ascii());
    }
    regexp::apply(&String::from_utf8_lossy(&rule.regexp), number)
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use hickory_proto::rr::Name;

    use super::*;

    const NUMBER: &str = "+13035550123";

    fn record(order: u16, preference: u16, flags: &str, services: &str, regexp: &str, replacement: &str) -> NAPTR {
        let bytes = |text: &str| text.as_bytes().to_vec().into();
        let replacement = Name::from_str(replacement).unwrap();
        NAPTR::new(order, preference, bytes(flags), bytes(services), bytes(regexp), replacement)
    }

    fn uris(records: &[NAPTR], wanted: &[&str]) -> Vec<String> {
        let wanted: Vec<Service> = wanted.iter().map(|text| Service::parse(text).unwrap()).collect();
        match step(records.iter(), NUMBER, &wanted) {
            Step::Uris(uris) => uris.iter().map(|uri| uri["uri"].as_str().unwrap().to_owned()).collect(),
            other => vec![format!("{other:?}")],
        }
    }

    #[test]
    fn order_goes_before_preference_and_the_wrong_service_is_passed_over() {
        let records = [
            record(20, 1, "u", "E2U+sip", "!^.*$!sip:c@c.test!", "."),
            record(10, 20, "U", "e2u+SIP", "!^.*$!sip:b@b.test!", "."),
            record(10, 10, "u", "E2U+pstn:tel", "!^.*$!tel:+1;npdi!", "."),
            record(5, 1, "s", "SIP+D2U", "", "_sip._udp.test."),
        ];
        assert_eq!(uris(&records, &["E2U+sip"]), ["sip:b@b.test", "sip:c@c.test"]);
        assert_eq!(uris(&records, &[]), ["tel:+1;npdi", "sip:b@b.test", "sip:c@c.test"]);
        assert_eq!(uris(&records, &["E2U+mailto"]), ["Nothing"]);
    }

    #[test]
    fn a_record_that_does_not_fit_gives_way_to_the_next() {
        let records = [
            record(10, 1, "u", "E2U+sip", "!^\\+44.*$!sip:uk@test!", "."),
            record(10, 2, "u", "E2U+sip", "!(!sip:broken@test!", "."),
            record(10, 3, "u", "E2U+sip", "!^\\+1(.*)$!sip:\\1@test!", "."),
        ];
        assert_eq!(uris(&records, &[]), ["sip:3035550123@test"]);
    }

    #[test]
    fn a_record_without_a_flag_leads_on() {
        let records =
            [record(10, 1, "", "", "", "other.test."), record(20, 1, "u", "E2U+sip", "!^.*$!sip:x@test!", ".")];
        assert_eq!(step(records.iter(), NUMBER, &[]), Step::Next("other.test.".to_owned()));
        let by_regexp = [record(10, 1, "", "", "!^\\+(.*)$!\\1.test!", ".")];
        assert_eq!(step(by_regexp.iter(), NUMBER, &[]), Step::Next("13035550123.test".to_owned()));
        let nowhere = [record(10, 1, "", "", "", ".")];
        assert_eq!(step(nowhere.iter(), NUMBER, &[]), Step::Nothing);
    }

    #[test]
    fn only_numbers_are_rewritten() {
        assert_eq!(application_unique_string("13035550123").as_deref(), Some(NUMBER));
        assert_eq!(application_unique_string(NUMBER).as_deref(), Some(NUMBER));
        assert_eq!(application_unique_string("sip.carrier.test"), None);
        assert_eq!(application_unique_string("+"), None);
    }

    #[test]
    fn expressions_see_the_best_and_all() {
        let records = [record(10, 1, "u", "E2U+pstn:tel", "!^.*$!tel:+13035550123;npdi;rn=+17205550000!", ".")];
        let Step::Uris(uris) = step(records.iter(), NUMBER, &[]) else { panic!() };
        let value = serde_json::to_value(reading(uris)).unwrap();
        assert_eq!((&value["rn"], &value["npdi"], &value["order"]), (&json!("+17205550000"), &json!(true), &json!(10)));
        assert_eq!(value["all"][0]["uri"], "tel:+13035550123;npdi;rn=+17205550000");
        assert!(reading(Vec::new()).is_undefined());
    }
}
