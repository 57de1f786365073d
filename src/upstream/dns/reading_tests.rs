use std::str::FromStr;

use hickory_proto::op::{OpCode, Query};
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::{A, CNAME, NAPTR, SOA, TXT};

use super::*;

fn named(text: &str) -> Name {
    Name::from_str(text).expect("a name")
}

fn answer(asked: RecordType, code: ResponseCode, records: Vec<Record>) -> Message {
    let mut message = Message::response(1, OpCode::Query);
    message.metadata.response_code = code;
    message.add_query(Query::query(named("a.test."), asked));
    message.insert_answers(records);
    message
}

fn alias(from: &str, to: &str, ttl: u32) -> Record {
    Record::from_rdata(named(from), ttl, RData::CNAME(CNAME(named(to))))
}

fn address(owner: &str, ttl: u32) -> Record {
    Record::from_rdata(named(owner), ttl, RData::A(A::new(192, 0, 2, 1)))
}

fn json(reading: &Reading) -> Json {
    serde_json::to_value(&reading.answers).expect("JSON")
}

#[test]
fn aliases_are_passed_over_and_the_least_ttl_counts() {
    let records = vec![alias("A.test.", "b.test.", 30), address("B.test.", 60), address("elsewhere.test.", 1)];
    let reading = read(&answer(RecordType::A, ResponseCode::NoError, records));
    assert_eq!(json(&reading), json!([{"name": "b.test", "type": "A", "ttl": 60, "address": "192.0.2.1"}]));
    assert_eq!(reading.ttl, Some(Duration::from_secs(30)));
}

#[test]
fn a_loop_of_aliases_has_no_answer() {
    let records = vec![alias("a.test.", "b.test.", 30), alias("b.test.", "a.test.", 30)];
    assert_eq!(json(&read(&answer(RecordType::A, ResponseCode::NoError, records))), json!([]));
}

#[test]
fn nothing_lives_as_long_as_the_soa_says() {
    for (ttl, minimum, expected) in [(600, 60, 60), (30, 3600, 30), (u32::MAX, 60, 0)] {
        let mut message = answer(RecordType::A, ResponseCode::NXDomain, Vec::new());
        let soa = SOA::new(named("ns.test."), named("op.test."), 1, 2, 3, 4, minimum);
        message.add_authority(Record::from_rdata(named("test."), ttl, RData::SOA(soa)));
        let reading = read(&message);
        assert_eq!(reading.rcode.as_deref(), Some("NXDOMAIN"));
        assert_eq!(reading.ttl, Some(Duration::from_secs(expected)));
    }
}

#[test]
fn without_a_soa_nothing_has_no_life_of_its_own() {
    assert_eq!(read(&answer(RecordType::A, ResponseCode::NoError, Vec::new())).ttl, None);
    assert_eq!(read(&answer(RecordType::A, ResponseCode::ServFail, Vec::new())).ttl, None);
}

#[test]
fn a_ttl_with_the_top_bit_is_zero() {
    let reading = read(&answer(RecordType::A, ResponseCode::NoError, vec![address("a.test.", 1 << 31)]));
    assert_eq!(reading.ttl, Some(Duration::ZERO));
}

#[test]
fn a_refusal_with_records_shows_them_and_is_decisive() {
    let message = answer(RecordType::A, ResponseCode::Refused, vec![address("a.test.", 5)]);
    assert!(is_decisive(&message));
    let reading = read(&message);
    assert_eq!((reading.rcode.as_deref(), reading.answers.len()), (Some("REFUSED"), Some(1)));
    assert!(!is_decisive(&answer(RecordType::A, ResponseCode::Refused, Vec::new())));
}

#[test]
fn naptr_and_txt_have_all_their_parts() {
    let naptr = NAPTR::new(
        10,
        20,
        b"u".to_vec().into(),
        b"E2U+pstn:tel".to_vec().into(),
        b"!^.*$!tel:+1303;npdi!".to_vec().into(),
        Name::root(),
    );
    let record = Record::from_rdata(named("a.test."), 9, RData::NAPTR(naptr));
    assert_eq!(
        json(&read(&answer(RecordType::NAPTR, ResponseCode::NoError, vec![record]))),
        json!([{"name": "a.test", "type": "NAPTR", "ttl": 9, "order": 10, "preference": 20, "flags": "u",
                "service": "E2U+pstn:tel", "regexp": "!^.*$!tel:+1303;npdi!", "replacement": "."}])
    );
    let txt = TXT::from_bytes(vec![b"one", b"tw\xff"]);
    let record = Record::from_rdata(named("a.test."), 9, RData::TXT(txt));
    assert_eq!(
        json(&read(&answer(RecordType::TXT, ResponseCode::NoError, vec![record]))),
        json!([{"name": "a.test", "type": "TXT", "ttl": 9, "text": "onetw\u{fffd}", "strings": ["one", "tw\u{fffd}"]}])
    );
}
