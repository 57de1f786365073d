use std::time::UNIX_EPOCH;

use minijinja::Value;
use serde_json::json;

use super::*;
use crate::policy::{
    BreakerRules, Budget, CacheRules, DnsPolicy, DnsRecord, Format, InputType, Inputs, Order, Template,
    TransportPolicy, TtlRules, expr::Place,
};

const NAMES: [&str; 8] = ["key", "status", "headers", "body", "text", "rcode", "answers", "rows"];

fn expr(source: &str) -> Expr {
    Expr::compile(source, &NAMES).unwrap()
}

fn upstream(rules: &[(&str, Outcome)], fields: &[(&str, &str)]) -> UpstreamPolicy {
    let dns = DnsPolicy {
        record: DnsRecord::A.into(),
        name: Template::compile("{{ key }}", &["key"], Place::DnsName).unwrap(),
        servers: vec![],
        try_timeout: Duration::from_secs(1),
        edns: true,
        recursion: true,
        mixed_case: false,
        services: vec![],
        hops: 5,
        transports: Vec::new(),
        ipv6: true,
    };
    UpstreamPolicy {
        name: "vendor-a".into(),
        transport: TransportPolicy::Dns(dns),
        connect_timeout: Duration::from_secs(1),
        total_timeout: None,
        concurrency: 1,
        rate: None,
        decoding: Format::Json.into(),
        rules: rules.iter().map(|(when, outcome)| Rule::new(expr(when), *outcome)).collect(),
        fields: fields.iter().map(|(name, source)| ((*name).to_owned(), expr(source))).collect(),
        required: vec![],
        also: vec![],
        hold: Duration::from_secs(5),
        ttl: TtlRules::default(),
    }
}

fn http(status: u16, body: &str) -> Reading {
    Reading::of_http(status, vec![], body.as_bytes(), &Format::Json.into())
}

fn with_header(mut reading: Reading, name: &str, value: &str) -> Reading {
    let new = (name.into(), value.into());
    reading.headers = reading.headers.iter().cloned().chain([new]).collect();
    reading
}

fn judge(upstream: &UpstreamPolicy, reading: &Reading) -> Judgement {
    upstream.judge(Kind::Raw, &Question::of_key("+13035550100"), reading)
}

fn record(judgement: &Judgement) -> &str {
    judgement.record.as_ref().map_or("none", Record::as_json)
}

#[test]
fn the_first_rule_that_holds_decides() {
    let upstream = upstream(
        &[
            ("body.x | nanp10 == 1", Outcome::VendorError),
            ("body.nothing", Outcome::AuthError),
            ("status == 200 and body.code == 7", Outcome::InvalidNumber),
            ("status == 404", Outcome::Found),
        ],
        &[("lrn", "body.lrn or key")],
    );
    let judgement = judge(&upstream, &http(200, r#"{"x":"no number","code":7}"#));
    assert_eq!((judgement.outcome, judgement.rule.as_str()), (Outcome::InvalidNumber, "rule 3"));
    assert_eq!(record(&judgement), "none");
    let judgement = judge(&upstream, &http(404, "<html>"));
    assert_eq!((judgement.outcome, judgement.rule.as_str()), (Outcome::Found, "rule 4"));
    assert_eq!(record(&judgement), r#"{"lrn":"+13035550100"}"#);
}

#[test]
fn the_tail_knows_http() {
    let upstream = upstream(&[], &[("lrn", "body.lrn")]);
    for (status, body, outcome) in [
        (200, r#"{"lrn":"x"}"#, Outcome::Found),
        (203, r#"{"lrn":"x"}"#, Outcome::Found),
        (200, r#"{"lrn":""}"#, Outcome::NotFound),
        (200, "<html>", Outcome::VendorError),
        (200, "", Outcome::VendorError),
        (404, "", Outcome::NotFound),
        (410, "", Outcome::NotFound),
        (429, "", Outcome::RateLimited),
        (402, "", Outcome::QuotaExhausted),
        (401, "", Outcome::AuthError),
        (403, "", Outcome::AuthError),
        (301, "", Outcome::VendorError),
        (400, r#"{"lrn":"x"}"#, Outcome::VendorError),
        (500, r#"{"lrn":"x"}"#, Outcome::VendorError),
        (100, "", Outcome::VendorError),
    ] {
        let judgement = judge(&upstream, &http(status, body));
        assert_eq!(judgement.outcome, outcome, "{status} {body}");
        assert_eq!(judgement.record.is_some(), outcome == Outcome::Found, "{status} {body}");
        assert!(judgement.rule.starts_with(&format!("built in: {status}")), "{}", judgement.rule);
    }
    let undecoded = judge(&upstream, &http(200, "<html>"));
    assert!(undecoded.detail.unwrap().contains("no JSON"));
}

#[test]
fn the_tail_knows_dns_and_sql() {
    let one = Value::from(vec![Value::from_pairs([("address", "192.0.2.1")])]);
    let dns_upstream = upstream(&[], &[("a", "answers | map(attribute='address') | list")]);
    let dns = |rcode: &str, answers: Value| Reading {
        rcode: Some(rcode.to_owned()),
        answers,
        ttl: Some(Duration::from_secs(30)),
        ..Reading::default()
    };
    let found = judge(&dns_upstream, &dns("NOERROR", one.clone()));
    assert_eq!(found.outcome, Outcome::Found);
    assert_eq!(record(&found), r#"{"a":["192.0.2.1"]}"#);
    assert_eq!(found.ttl, Some(Duration::from_secs(30)));
    assert_eq!(judge(&dns_upstream, &dns("NOERROR", Value::UNDEFINED)).outcome, Outcome::NotFound);
    assert_eq!(judge(&dns_upstream, &dns("NOERROR", Value::from(Vec::<Value>::new()))).outcome, Outcome::NotFound);
    assert_eq!(judge(&dns_upstream, &dns("NXDOMAIN", Value::UNDEFINED)).outcome, Outcome::NotFound);
    assert_eq!(judge(&dns_upstream, &dns("REFUSED", one.clone())).outcome, Outcome::VendorError);

    let sql_upstream = upstream(&[], &[("prefix", "rows[0].address")]);
    let sql = |rows: Value| Reading { rows, ..Reading::default() };
    assert_eq!(record(&judge(&sql_upstream, &sql(one))), r#"{"prefix":"192.0.2.1"}"#);
    assert_eq!(judge(&sql_upstream, &sql(Value::from(Vec::<Value>::new()))).outcome, Outcome::NotFound);
}

#[test]
fn a_record_keeps_the_named_fields_in_order_and_clean() {
    let mut upstream = upstream(
        &[],
        &[
            ("ocn", "body.ocn"),
            ("lrn", "body.lrn"),
            ("empty", "body.empty"),
            ("null", "body.null"),
            ("ported", "body.ported"),
            ("lata", "body.lata"),
            ("list", "body.list"),
        ],
    );
    let body = json!({"lrn": "x", "ocn": "0\r\nEvil: 1\u{0}", "empty": "\u{1}", "null": null, "ported": false, "lata": 0, "list": ["a\nb", {"c\n": "\t"}]});
    let judgement = judge(&upstream, &http(200, &body.to_string()));
    assert_eq!(judgement.outcome, Outcome::Found);
    assert_eq!(record(&judgement), r#"{"ocn":"0Evil: 1","lrn":"x","ported":false,"lata":0,"list":["ab",{"c":""}]}"#);

    upstream.required = vec!["lrn".to_owned(), "empty".to_owned()];
    let judgement = judge(&upstream, &http(200, &body.to_string()));
    assert_eq!((judgement.outcome, judgement.detail.as_deref()), (Outcome::Partial, Some("missing: empty")));
    assert!(judgement.record.is_some());
}

#[test]
fn a_field_that_does_not_run_is_the_vendors_error() {
    let upstream = upstream(&[], &[("lrn", "body.lrn | nanp10")]);
    let judgement = judge(&upstream, &http(200, r#"{"lrn":"unknown"}"#));
    assert_eq!(judgement.outcome, Outcome::VendorError);
    assert_eq!(judgement.detail.as_deref(), Some("field `lrn`: the value is not a telephone number"));
    let huge = json!({"lrn": "x".repeat(70_000)});
    let upstream = self::upstream(&[], &[("lrn", "body.lrn")]);
    assert_eq!(judge(&upstream, &http(200, &huge.to_string())).outcome, Outcome::VendorError);
}

#[test]
fn a_name_is_always_presentable() {
    let upstream = upstream(&[], &[("name", "body.cnam"), ("city", "body.cnam")]);
    let body = json!({"cnam": " \"ACME\"  ${evil}\r\nCorporation of America "});
    let judgement = upstream.judge(Kind::Cnam, &Question::of_key("+13035550100"), &http(200, &body.to_string()));
    assert_eq!(judgement.record.unwrap().to_map()["name"], json!("ACME $evil Corp"));
    let nothing = upstream.judge(Kind::Cnam, &Question::of_key("+1"), &http(200, r#"{"cnam":"\"\""}"#));
    assert_eq!(nothing.record.unwrap().as_json(), r#"{"city":"\"\""}"#);
}

#[test]
fn holds_come_from_the_vendor_the_rule_or_the_policy() {
    let mut upstream = upstream(&[("body.busy", Outcome::RateLimited), ("body.slow", Outcome::VendorError)], &[]);
    let held = |upstream: &UpstreamPolicy, reading: &Reading| judge(upstream, reading).hold.map(|hold| hold.as_secs());
    assert_eq!(held(&upstream, &http(429, "")), Some(5));
    assert_eq!(held(&upstream, &http(402, "")), Some(600));
    assert_eq!(held(&upstream, &http(401, "")), Some(60));
    assert_eq!(held(&upstream, &http(500, "")), None);
    assert_eq!(held(&upstream, &with_header(http(500, ""), "retry-after", "9")), None);
    assert_eq!(held(&upstream, &with_header(http(429, ""), "retry-after", " 17 ")), Some(17));
    assert_eq!(held(&upstream, &with_header(http(429, ""), "retry-after", "99999999999999999999999")), Some(3600));
    assert_eq!(held(&upstream, &with_header(http(429, ""), "retry-after", "0")), Some(5));
    assert_eq!(held(&upstream, &with_header(http(429, ""), "retry-after", "soon")), Some(5));
    upstream.rules[0].hold = Some(Duration::from_secs(30));
    upstream.rules[1].hold = Some(Duration::from_secs(3));
    assert_eq!(held(&upstream, &http(200, r#"{"busy":true}"#)), Some(30));
    assert_eq!(held(&upstream, &with_header(http(200, r#"{"busy":true}"#), "retry-after", "2")), Some(2));
    assert_eq!(held(&upstream, &http(200, r#"{"slow":true}"#)), Some(3));
}

#[test]
fn a_retry_date_is_held_against_the_vendors_clock() {
    let reading = with_header(http(429, ""), "retry-after", "Fri, 31 Dec 1999 23:59:59 GMT");
    let wall = UNIX_EPOCH + Duration::from_secs(946_684_799 - 90);
    assert_eq!(tail::retry_after(&reading, wall), Some(Duration::from_secs(90)));
    let reading = with_header(reading, "date", "Fri, 31 Dec 1999 23:59:49 GMT");
    assert_eq!(tail::retry_after(&reading, wall), Some(Duration::from_secs(10)));
    assert_eq!(tail::retry_after(&reading, UNIX_EPOCH), Some(Duration::from_secs(10)));
    let past = with_header(http(429, ""), "retry-after", "Fri, 31 Dec 1999 23:59:59 GMT");
    assert_eq!(tail::retry_after(&past, wall + Duration::from_secs(1000)), None);
}

#[test]
fn a_rules_ttl_goes_before_the_answers() {
    let mut upstream = upstream(&[("status == 404", Outcome::NotFound)], &[]);
    upstream.rules[0].ttl = Some(Duration::from_secs(7));
    let reading = Reading { ttl: Some(Duration::from_secs(30)), ..http(404, "") };
    assert_eq!(judge(&upstream, &reading).ttl, Some(Duration::from_secs(7)));
}

fn policy(applies_when: Option<&str>, fallback: Vec<(String, FallbackValue)>) -> Policy {
    let second = Duration::from_secs(1);
    Policy {
        name: "lrn".into(),
        kind: Kind::Lrn,
        describe: String::new(),
        inputs: Inputs { key: InputType::Text, further: vec![] },
        applies_when: applies_when.map(expr),
        budget: Budget { call: second, background: second, order: Order::Failover },
        cache: CacheRules {
            found: second,
            partial: second,
            not_found: second,
            invalid_number: second,
            stale: second,
            revalidate: second,
            ceiling: second,
            jitter: 0.0,
            refresh_ahead: 1.0,
            min_ttl: second,
            max_ttl: second,
            max_entries: 1,
            max_bytes: 1,
            engine: crate::policy::Engine::default(),
        },
        breaker: BreakerRules {
            window: second,
            min_samples: 1,
            failure_ratio: 0.5,
            slow: second,
            slow_ratio: 0.5,
            consecutive: 1,
            open: second,
            open_max: second,
            probes: 1,
        },
        fallback: (!fallback.is_empty()).then_some(fallback),
        text_field: "lrn".to_owned(),
        field_order: vec![],
        upstreams: vec![],
        chain: crate::policy::Chain::default(),
        warm: crate::policy::Warm::default(),
        shape: 0,
        fingerprint: 0,
    }
}

#[test]
fn the_gate_lets_through_what_it_cannot_judge() {
    let gate = policy(Some("key | npa not in tollfree"), vec![]);
    assert!(gate.applies(&Question::of_key("+13035550100")));
    assert!(!gate.applies(&Question::of_key("+18885550100")));
    assert!(gate.applies(&Question::of_key("+4930901820")));
    assert!(gate.applies(&Question::of_key("no number")));
    assert!(policy(None, vec![]).applies(&Question::of_key("x")));
}

#[test]
fn the_fallback_is_rendered_over_the_question() {
    let template = |source: &str| FallbackValue::Text(Template::compile(source, &["key"], Place::Plain).unwrap());
    let policy = policy(
        None,
        vec![
            ("lrn".to_owned(), template("{{ key }}")),
            ("ported".to_owned(), FallbackValue::Fixed(json!(false))),
            ("bad".to_owned(), template("{{ 'x' | nanp10 }}")),
            ("empty".to_owned(), template("")),
        ],
    );
    let record = policy.fallback(&Question::of_key("+13035550100")).unwrap();
    assert_eq!(record.as_json(), r#"{"lrn":"+13035550100","ported":false}"#);
    assert!(self::policy(None, vec![]).fallback(&Question::of_key("x")).is_none());
}

#[test]
fn a_hold_is_taken_from_where_the_rule_says() {
    let mut upstream =
        upstream(&[("status == 503", Outcome::RateLimited), ("body.error", Outcome::QuotaExhausted)], &[]);
    upstream.rules[0].hold_from = Some(expr("headers['x-wait']"));
    upstream.rules[1].hold_from = Some(expr("body.reset"));
    upstream.rules[1].hold = Some(Duration::from_secs(30));
    let held = |reading: &Reading| {
        let judgement = judge(&upstream, reading);
        (judgement.hold.map(|hold| hold.as_secs()), judgement.hold_grows)
    };
    assert_eq!(held(&with_header(http(503, ""), "x-wait", "7")), (Some(7), false));
    assert_eq!(held(&with_header(http(503, ""), "retry-after", "9")), (Some(9), false));
    assert_eq!(held(&http(503, "")), (Some(5), true));
    assert_eq!(held(&http(200, r#"{"error":1,"reset":120}"#)), (Some(120), false));
    assert_eq!(held(&http(200, r#"{"error":1,"reset":"soon"}"#)), (Some(30), false));
    assert_eq!(held(&http(200, r#"{"error":1,"reset":99999999}"#)), (Some(86_400), false));
    let date = with_header(
        http(200, r#"{"error":1,"reset":"2025-11-21T10:01:00Z"}"#),
        "date",
        "Fri, 21 Nov 2025 10:00:00 GMT",
    );
    assert_eq!(held(&date), (Some(60), false));
}

#[test]
fn an_answer_may_bring_its_life_along() {
    let mut upstream = upstream(&[("body.fix", Outcome::Found)], &[("a", "body.a")]);
    upstream.ttl = TtlRules { from: Some(expr("body.expires")), cache_control: true };
    upstream.rules[0].ttl = Some(Duration::from_secs(7));
    let life = |upstream: &UpstreamPolicy, reading: &Reading| {
        let judgement = judge(upstream, reading);
        (judgement.ttl.map(|ttl| ttl.as_secs()), judgement.keep)
    };
    assert_eq!(life(&upstream, &http(200, r#"{"a":1,"expires":90}"#)), (Some(90), true));
    assert_eq!(life(&upstream, &http(200, r#"{"a":1,"expires":"NO-CACHE"}"#)), (None, false));
    assert_eq!(life(&upstream, &http(200, r#"{"a":1,"fix":1,"expires":90}"#)), (Some(7), true));
    let cached = with_header(http(200, r#"{"a":1}"#), "cache-control", "max-age=60");
    assert_eq!(life(&upstream, &cached), (Some(60), true));
    upstream.ttl.cache_control = false;
    assert_eq!(life(&upstream, &cached), (None, true));
}

#[test]
fn a_rule_says_more_than_an_outcome() {
    let mut upstream =
        upstream(&[("body.code == 9", Outcome::VendorError), ("body.test", Outcome::Found)], &[("a", "body.a")]);
    upstream.rules[0].detail = Some(expr("body.message"));
    upstream.rules[0].alert = true;
    upstream.rules[0].breaker = false;
    upstream.rules[1].cacheable = false;
    let judgement = judge(&upstream, &http(200, r#"{"code":9,"message":"no plan 1005 for\r\n+13035550100"}"#));
    assert_eq!(judgement.detail.as_deref(), Some("no plan 1005 for+130355*****"));
    assert!(judgement.alert && !judgement.sample && judgement.hold.is_none());
    let judgement = judge(&upstream, &http(200, r#"{"test":true,"a":1}"#));
    assert!(!judgement.keep && judgement.record.is_some());
}

#[test]
fn tests_speak_of_lists_texts_and_nothing() {
    let reading = http(200, r#"{"missed":["+13035550100"],"codes":[1005],"empty":"","name":"(N/A)","rows":[1,2]}"#);
    for (when, holds) in [
        ("body.missed is containing(key)", true),
        ("body.codes is containing('1005')", true),
        ("body.nothing is containing(key)", false),
        ("body.empty is empty and body.nothing is empty", true),
        ("body.name in nullnames", true),
        ("body.name in nullwords", true),
        ("body.rows | count == 2", true),
        ("body.nothing in nullnames", false),
        ("text is matching('^.\"missed')", true),
        ("status // 100 == 2", true),
    ] {
        let upstream = upstream(&[(when, Outcome::InvalidNumber)], &[]);
        assert_eq!(judge(&upstream, &reading).outcome == Outcome::InvalidNumber, holds, "{when}");
    }
}
