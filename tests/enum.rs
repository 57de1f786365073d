//! A promise a test: from a number to its routing number over a real name server (RFC 6116), by a policy and nothing else.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::Path;
use std::time::Duration;

use dipcache::answer::Outcome;
use dipcache::deadline::Deadline;
use dipcache::policy::{Judgement, Policy, check};
use dipcache::upstream::{Failure, FailureKind, Upstream};
use hickory_proto::op::ResponseCode;
use serde_json::{Map, Value, json};
use support::nameserver::{Mode, Nameserver};
use support::nsd::Nsd;

/// Last digits of the numbers: 1 ported, 2 not, 3 by SIP only, 4 leads elsewhere, 5 in a circle, 6 by the first digits,
/// 7 hostile, 8 without a usable record, 9 with a life of its own.
const ZONE: &str = r#"$ORIGIN e164.test.
$TTL 300
@ IN SOA ns.e164.test. op.e164.test. 1 3600 600 86400 45
@ IN NS ns
ns IN A 127.0.0.1
1.0.0.1.5.5.5.3.0.3.1 IN NAPTR 20 10 "u" "E2U+sip" "!^.*$!sip:+13035551001@b.test!" .
1.0.0.1.5.5.5.3.0.3.1 IN NAPTR 10 20 "u" "E2U+pstn:tel" "!^.*$!tel:+13035551001;npdi!" .
1.0.0.1.5.5.5.3.0.3.1 IN NAPTR 10 10 "u" "E2U+pstn:tel" "!^(\\+1303.*)$!tel:\\1;npdi;rn=+17205550000;spn=1234;mcc=310;mnc=004;cic=+16789;q_stat=200!" .
2.0.0.1.5.5.5.3.0.3.1 IN NAPTR 10 10 "u" "E2U+pstn:tel" "!^.*$!tel:+13035551002;npdi!" .
3.0.0.1.5.5.5.3.0.3.1 IN NAPTR 10 10 "U" "e2u+SIP" "!^\\+1(303)(.*)$!sip:\\2;npdi;rn=7205550000;rn-context=+1@gw-\\1.test:5070;user=phone!" .
4.0.0.1.5.5.5.3.0.3.1 90 IN NAPTR 10 10 "" "" "" moved
moved IN NAPTR 10 10 "u" "E2U+pstn:tel" "!^.*$!tel:+13035551004;npdi;rn=+17205550004!" .
5.0.0.1.5.5.5.3.0.3.1 IN NAPTR 10 10 "" "" "" circle
circle IN NAPTR 10 10 "" "" "" circle
6.0.0.1.5.5.5.3.0.3.1 IN CNAME block
block IN NAPTR 10 10 "u" "E2U+pstn:tel" "!^\\+1303(.*)$!tel:+1720\\1;npdi;rn=+1720\\1!" .
7.0.0.1.5.5.5.3.0.3.1 IN NAPTR 10 10 "u" "E2U+pstn:tel" "!^.*$!tel:+1;npdi;rn=+17205550007;spn=a%0d%0aEvil: 1!" .
8.0.0.1.5.5.5.3.0.3.1 IN NAPTR 10 10 "u" "E2U+mailto" "!^.*$!mailto:a@b.test!" .
8.0.0.1.5.5.5.3.0.3.1 IN NAPTR 10 20 "u" "E2U+sip" "!(!sip:broken@b.test!" .
9.0.0.1.5.5.5.3.0.3.1 0 IN NAPTR 10 10 "u" "E2U+pstn:tel" "!^.*$!tel:+13035551009;npdi!" .
"#;

fn policy(server: std::net::SocketAddr, switches: &str) -> Policy {
    let text = format!(
        r#"kind = "enum"
[input]
key = {{ type = "tn", country = "US" }}
[budget]
call = "1s"
[[upstream]]
name = "enum"
type = "dns"
record = "NAPTR"
domain = "{{{{ key | enum('e164.test') }}}}"
servers = ["{server}"]
services = ["E2U+pstn:tel", "E2U+sip"]
{switches}
[[upstream.rule]]
when = "rcode == 'REFUSED' and answers"
outcome = "not_applicable"
[upstream.fields]
uri = "enum.uri"
lrn = "enum.lrn or (key if enum.npdi)"
npdi = "enum.npdi"
spn = "enum.spn"
mcc = "enum.mcc"
mnc = "enum.mnc"
cic = "enum.cic"
q_stat = "enum.q_stat"
host = "enum.host"
"#
    );
    check::parse("enum", Path::new("enum.toml"), &text).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

async fn ask(policy: &Policy, key: &str) -> Result<Judgement, Failure> {
    let question = policy.question(key, &[]).expect("a number");
    let upstream = &policy.upstreams[0];
    let client = Upstream::build(upstream).expect("a client");
    let reading = client.ask(upstream, &question, Deadline::after(Duration::from_secs(2))).await?;
    Ok(upstream.judge(policy.kind, &question, &reading))
}

async fn record(policy: &Policy, key: &str) -> Map<String, Value> {
    let judgement = ask(policy, key).await.expect("a reading");
    judgement.record.unwrap_or_else(|| panic!("{key}: {:?}", judgement.outcome)).to_map()
}

#[tokio::test]
async fn numbers_lead_to_routing_numbers() {
    let Some(nsd) = Nsd::start(&[("e164.test", ZONE)]).await else { return };
    for switches in ["", "edns = false\nrecursion = false", "mixed_case = true"] {
        let policy = policy(nsd.address, switches);
        let ported = json!({
            "uri": "tel:+13035551001;npdi;rn=+17205550000;spn=1234;mcc=310;mnc=004;cic=+16789;q_stat=200",
            "lrn": "+17205550000", "npdi": true, "spn": "1234", "mcc": "310", "mnc": "004", "cic": "+16789",
            "q_stat": "200",
        });
        assert_eq!(Value::Object(record(&policy, "303 555 1001").await), ported, "{switches}");
        let not_ported = record(&policy, "3035551002").await;
        assert_eq!((&not_ported["lrn"], &not_ported["npdi"]), (&json!("+13035551002"), &json!(true)));
    }
}

#[tokio::test]
async fn every_way_of_writing_it_is_understood() {
    let Some(nsd) = Nsd::start(&[("e164.test", ZONE)]).await else { return };
    let policy = policy(nsd.address, "");
    let by_sip = record(&policy, "3035551003").await;
    assert_eq!((&by_sip["lrn"], &by_sip["host"]), (&json!("+17205550000"), &json!("gw-303.test")));
    assert_eq!(record(&policy, "3035551006").await["lrn"], "+17205551006");
    let hostile = record(&policy, "3035551007").await;
    assert_eq!((&hostile["lrn"], &hostile["spn"]), (&json!("+17205550007"), &json!("aEvil: 1")));
    for unusable in ["3035551008", "3035559999"] {
        assert_eq!(ask(&policy, unusable).await.unwrap().outcome, Outcome::NotFound, "{unusable}");
    }
}

#[tokio::test]
async fn a_record_may_lead_elsewhere_and_never_for_ever() {
    let Some(nsd) = Nsd::start(&[("e164.test", ZONE)]).await else { return };
    let moved = ask(&policy(nsd.address, ""), "3035551004").await.unwrap();
    assert_eq!(moved.ttl, Some(Duration::from_secs(90)), "the least on the way");
    assert_eq!(moved.record.unwrap().to_map()["lrn"], "+17205550004");
    let failure = ask(&policy(nsd.address, "hops = 3"), "3035551005").await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Protocol);
    assert!(failure.detail.contains("more than 3"), "{failure}");
    assert_eq!(ask(&policy(nsd.address, "hops = 0"), "3035551004").await.unwrap_err().kind, FailureKind::Protocol);
}

#[tokio::test]
async fn records_say_how_long_and_so_does_nothing() {
    let Some(nsd) = Nsd::start(&[("e164.test", ZONE)]).await else { return };
    let policy = policy(nsd.address, "");
    assert_eq!(ask(&policy, "3035551001").await.unwrap().ttl, Some(Duration::from_secs(300)));
    assert_eq!(ask(&policy, "3035551009").await.unwrap().ttl, Some(Duration::ZERO), "the cache lifts it to `min_ttl`");
    let nothing = ask(&policy, "3035559999").await.unwrap();
    assert_eq!((nothing.outcome, nothing.ttl), (Outcome::NotFound, Some(Duration::from_secs(45))));
}

#[tokio::test]
async fn a_refusal_that_carries_records_can_be_told_from_one_without() {
    let server = Nameserver::start(Mode::Code(ResponseCode::Refused)).await;
    let policy = policy(server.address, "");
    assert_eq!(ask(&policy, "3035551001").await.unwrap().outcome, Outcome::VendorError);
    server.set(Mode::Naptr(ResponseCode::Refused));
    assert_eq!(ask(&policy, "3035551001").await.unwrap().outcome, Outcome::NotApplicable);
    server.set(Mode::Naptr(ResponseCode::NoError));
    assert_eq!(record(&policy, "3035551001").await["lrn"], "+13035551001");
}

#[tokio::test]
async fn mixed_case_must_come_back_as_it_went() {
    let server = Nameserver::start(Mode::Naptr(ResponseCode::NoError)).await;
    let policy = policy(server.address, "mixed_case = true\ntry_timeout = \"200ms\"");
    assert!(ask(&policy, "3035551001").await.is_ok());
    let asked = server.last_query().expect("a query").queries[0].name().to_ascii();
    assert_eq!(asked.to_ascii_lowercase(), "1.0.0.1.5.5.5.3.0.3.1.e164.test.");
    server.set(Mode::NaptrInSmallLetters);
    // Seven letters come back in small ones by chance once in 128 times; four such in a row never.
    let mut dropped = 0;
    for _ in 0..4 {
        dropped += u32::from(ask(&policy, "3035551001").await.is_err());
    }
    assert!(dropped > 0);
}
