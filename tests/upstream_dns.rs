//! A promise a test: whatever a name server does, a dip ends by its deadline with the right reading or failure.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use dipcache::deadline::{Deadline, now};
use dipcache::policy::{DnsPolicy, DnsRecord, Reading, TransportPolicy};
use dipcache::upstream::dns::{DnsUpstream, Query};
use dipcache::upstream::{Failure, FailureKind};
use hickory_proto::op::ResponseCode;
use serde_json::{Value, json};
use support::nameserver::{Mode, Nameserver};
use support::nsd::Nsd;
use support::{SLACK, policies};

const TRY: Duration = Duration::from_millis(400);

const ZONE: &str = r#"$ORIGIN carrier.test.
$TTL 300
@ IN SOA ns.carrier.test. op.carrier.test. 1 3600 600 86400 45
@ IN NS ns
ns IN A 127.0.0.1
sip 120 IN A 192.0.2.10
sip 60 IN A 192.0.2.11
sip IN AAAA 2001:db8::10
alias 30 IN CNAME sip
_sip._udp IN SRV 10 60 5060 sip
_sip._udp IN SRV 20 0 5062 backup
4.3.2.1 IN NAPTR 10 20 "u" "E2U+pstn:tel" "!^.*$!tel:+1303;npdi;rn=+1720!" .
@ IN NAPTR 50 50 "s" "SIP+D2U" "" _sip._udp
text IN TXT "v=1" "more"
10.2.0.192 IN PTR sip
"#;

fn upstream(dns: DnsPolicy) -> DnsUpstream {
    let policy = policies::upstream(TransportPolicy::Dns(policies::dns(&dns.servers, dns.try_timeout)));
    DnsUpstream::build(&policy, &dns).expect("a client")
}

fn of(servers: &[SocketAddr]) -> DnsUpstream {
    upstream(policies::dns(servers, TRY))
}

fn query(name: &str, record: DnsRecord) -> Query {
    Query { name: name.to_owned(), record }
}

async fn ask(upstream: &DnsUpstream, budget: Duration) -> Result<Reading, Failure> {
    let begun = now();
    let result = upstream.fetch(&query("a.test", DnsRecord::A), Deadline::after(budget)).await;
    let took = now() - begun;
    assert!(took < budget + SLACK, "{took:?} of {budget:?}");
    result
}

fn answers(reading: &Reading) -> Value {
    serde_json::to_value(&reading.answers).expect("JSON")
}

fn rcode(reading: &Reading) -> &str {
    reading.rcode.as_deref().unwrap_or_default()
}

#[tokio::test]
async fn a_real_server_answers_every_type() {
    let Some(nsd) = Nsd::start(&[("carrier.test", ZONE)]).await else { return };
    let upstream = of(&[nsd.address]);
    for (name, record, expected, ttl) in [
        (
            "SIP.carrier.test.",
            DnsRecord::A,
            json!([
                {"name": "sip.carrier.test", "type": "A", "ttl": 120, "address": "192.0.2.10"},
                {"name": "sip.carrier.test", "type": "A", "ttl": 60, "address": "192.0.2.11"},
            ]),
            60,
        ),
        (
            "alias.carrier.test",
            DnsRecord::Aaaa,
            json!([{"name": "sip.carrier.test", "type": "AAAA", "ttl": 300, "address": "2001:db8::10"}]),
            30,
        ),
        (
            "_sip._udp.carrier.test",
            DnsRecord::Srv,
            json!([
                {"name": "_sip._udp.carrier.test", "type": "SRV", "ttl": 300, "priority": 10, "weight": 60, "port": 5060, "target": "sip.carrier.test"},
                {"name": "_sip._udp.carrier.test", "type": "SRV", "ttl": 300, "priority": 20, "weight": 0, "port": 5062, "target": "backup.carrier.test"},
            ]),
            300,
        ),
        (
            "4.3.2.1.carrier.test",
            DnsRecord::Naptr,
            json!([{"name": "4.3.2.1.carrier.test", "type": "NAPTR", "ttl": 300, "order": 10, "preference": 20, "flags": "u",
                    "service": "E2U+pstn:tel", "regexp": "!^.*$!tel:+1303;npdi;rn=+1720!", "replacement": "."}]),
            300,
        ),
        (
            "text.carrier.test",
            DnsRecord::Txt,
            json!([{"name": "text.carrier.test", "type": "TXT", "ttl": 300, "text": "v=1more", "strings": ["v=1", "more"]}]),
            300,
        ),
        (
            "10.2.0.192.carrier.test",
            DnsRecord::Ptr,
            json!([{"name": "10.2.0.192.carrier.test", "type": "PTR", "ttl": 300, "target": "sip.carrier.test"}]),
            300,
        ),
    ] {
        let reading = upstream.fetch(&query(name, record), Deadline::after(Duration::from_secs(2))).await.expect(name);
        let mut seen = answers(&reading);
        // A server may turn the order of a set at each answer.
        seen.as_array_mut().expect("a list").sort_by_key(|answer| answer.to_string());
        assert_eq!((rcode(&reading), seen), ("NOERROR", expected), "{name}");
        assert_eq!(reading.ttl, Some(Duration::from_secs(ttl)), "{name}");
    }
}

#[tokio::test]
async fn nothing_there_is_a_reading_with_the_life_that_the_soa_gives() {
    let Some(nsd) = Nsd::start(&[("carrier.test", ZONE)]).await else { return };
    let upstream = of(&[nsd.address]);
    for (name, code) in [("nobody.carrier.test", "NXDOMAIN"), ("ns.carrier.test", "NOERROR")] {
        let deadline = Deadline::after(Duration::from_secs(2));
        let reading = upstream.fetch(&query(name, DnsRecord::Srv), deadline).await.expect("a reading");
        assert_eq!((rcode(&reading), answers(&reading)), (code, json!([])));
        assert_eq!(reading.ttl, Some(Duration::from_secs(45)));
    }
}

#[tokio::test]
async fn a_large_answer_of_a_real_server_comes_over_tcp() {
    let mut zone = ZONE.to_owned();
    for n in 0..200 {
        zone.push_str(&format!("many IN SRV 10 {n} 5060 target-number-{n}\n"));
    }
    let Some(nsd) = Nsd::start(&[("carrier.test", &zone)]).await else { return };
    for edns in [true, false] {
        let mut dns = policies::dns(&[nsd.address], TRY);
        dns.edns = edns;
        let reading = upstream(dns)
            .fetch(&query("many.carrier.test", DnsRecord::Srv), Deadline::after(Duration::from_secs(2)))
            .await
            .expect("a reading");
        assert_eq!(reading.answers.len(), Some(200));
    }
}

#[tokio::test]
async fn a_stopped_server_is_a_timeout_and_answers_again_when_it_goes_on() {
    let Some(nsd) = Nsd::start(&[("carrier.test", ZONE)]).await else { return };
    let upstream = of(&[nsd.address]);
    let sip = query("sip.carrier.test", DnsRecord::A);
    nsd.server.pause();
    let begun = now();
    let failure = upstream.fetch(&sip, Deadline::after(Duration::from_secs(3))).await.expect_err("stopped");
    assert_eq!(failure.kind, FailureKind::Timeout);
    assert!(now() - begun < TRY + SLACK, "one try, and no more");
    nsd.server.resume();
    upstream.fetch(&sip, Deadline::after(Duration::from_secs(1))).await.expect("an answer");
}

#[tokio::test]
async fn a_silent_server_costs_its_share_and_the_next_one_answers() {
    let silent = Nameserver::start(Mode::Silent).await;
    let good = Nameserver::start(Mode::Ok).await;
    let upstream = of(&[silent.address, good.address]);
    let reading = ask(&upstream, Duration::from_secs(2)).await.expect("the second one's answer");
    assert_eq!(rcode(&reading), "NOERROR");
    // Less time than a try may take: the second one gets its half all the same.
    let reading = ask(&upstream, Duration::from_millis(400)).await.expect("the second one's answer");
    assert_eq!(answers(&reading)[0]["address"], "192.0.2.1");
    assert_eq!((silent.udp_queries(), good.udp_queries()), (2, 2));
}

#[tokio::test]
async fn bad_codes_move_on_and_are_the_reading_when_nobody_does_better() {
    for (code, name) in [
        (ResponseCode::ServFail, "SERVFAIL"),
        (ResponseCode::Refused, "REFUSED"),
        (ResponseCode::FormErr, "FORMERR"),
        (ResponseCode::NotImp, "NOTIMP"),
    ] {
        let bad = Nameserver::start(Mode::Code(code)).await;
        let other = Nameserver::start(Mode::Ok).await;
        let upstream = of(&[bad.address, other.address]);
        assert_eq!(rcode(&ask(&upstream, Duration::from_secs(1)).await.expect("a reading")), "NOERROR");
        other.set(Mode::Silent);
        let reading = ask(&upstream, Duration::from_secs(1)).await.expect("a reading");
        assert_eq!((rcode(&reading), answers(&reading), reading.ttl), (name, json!([]), None));
        other.set(Mode::Code(code));
        assert_eq!(rcode(&ask(&upstream, Duration::from_secs(1)).await.expect("a reading")), name);
    }
}

#[tokio::test]
async fn a_refusal_with_records_reaches_the_rules() {
    let odd = Nameserver::start(Mode::CodeWithRecords(ResponseCode::Refused)).await;
    let other = Nameserver::start(Mode::Ok).await;
    let reading = ask(&of(&[odd.address, other.address]), Duration::from_secs(1)).await.expect("a reading");
    assert_eq!((rcode(&reading), reading.answers.len(), other.udp_queries()), ("REFUSED", Some(1), 0));
}

#[tokio::test]
async fn a_truncated_answer_is_asked_again_over_tcp_within_the_same_deadline() {
    let server = Nameserver::start(Mode::Truncated).await;
    let upstream = of(&[server.address]);
    assert_eq!(rcode(&ask(&upstream, Duration::from_secs(1)).await.expect("a reading")), "NOERROR");
    assert_eq!((server.udp_queries(), server.tcp_queries()), (1, 1));
    server.set(Mode::TruncatedThenSilent);
    assert_eq!(ask(&upstream, Duration::from_millis(80)).await.expect_err("silence").kind, FailureKind::Timeout);
    server.set(Mode::TruncatedThenClose);
    assert_eq!(ask(&upstream, Duration::from_secs(1)).await.expect_err("broken off").kind, FailureKind::Protocol);
    let good = Nameserver::start(Mode::Ok).await;
    ask(&of(&[server.address, good.address]), Duration::from_secs(1)).await.expect("the second one's answer");
}

#[tokio::test]
async fn forged_answers_are_dropped_and_the_wait_goes_on() {
    let server = Nameserver::start(Mode::Forged).await;
    let mut dns = policies::dns(&[server.address], Duration::from_secs(5));
    dns.recursion = false;
    let reading = upstream(dns).fetch(&query("a.test", DnsRecord::A), Deadline::after(Duration::from_secs(5))).await;
    assert_eq!(answers(&reading.expect("the true one"))[0]["name"], "a.test");
    for mode in [Mode::ForgedOnly, Mode::Garbage] {
        server.set(mode);
        let failure = ask(&of(&[server.address]), Duration::from_millis(300)).await.expect_err("nothing true came");
        assert!(matches!(failure.kind, FailureKind::Protocol | FailureKind::Timeout), "{mode:?}: {failure}");
    }
}

#[tokio::test]
async fn a_server_that_is_down_is_known_at_once() {
    let port = support::process::free_port();
    let good = Nameserver::start(Mode::Ok).await;
    let down = SocketAddr::from(([127, 0, 0, 1], port));
    let begun = now();
    assert_eq!(ask(&of(&[down]), Duration::from_secs(2)).await.expect_err("nobody").kind, FailureKind::Connect);
    ask(&of(&[down, good.address]), Duration::from_secs(2)).await.expect("the second one's answer");
    assert!(now() - begun < SLACK, "the system's refusal is heard");
}

#[tokio::test]
async fn the_switches_reach_the_server() {
    let server = Nameserver::start(Mode::Ok).await;
    for (edns, recursion) in [(true, false), (false, true)] {
        let mut dns = policies::dns(&[server.address], TRY);
        (dns.edns, dns.recursion) = (edns, recursion);
        ask(&upstream(dns), Duration::from_secs(1)).await.expect("an answer");
        let seen = server.last_query().expect("a query");
        assert_eq!((seen.edns.is_some(), seen.metadata.recursion_desired), (edns, recursion));
    }
}

#[tokio::test]
async fn a_query_in_words_names_servers_and_switches() {
    let upstream = of(&["127.0.0.1:5399".parse().expect("an address")]);
    let words = upstream.describe(&query("4.3.2.1.e164.arpa", DnsRecord::Naptr));
    assert_eq!(words, "4.3.2.1.e164.arpa IN NAPTR @ 127.0.0.1:5399 (recursion desired, EDNS)");
}
