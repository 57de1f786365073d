//! Several upstreams and several lookups together: the next vendor, merging, dependent steps, costs, hedges.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use dipcache::answer::{Outcome, Source};
use dipcache::deadline::{Deadline, now};
use dipcache::events::EventType;
use support::lookups::{Desk, ask};
use support::vendor::{Mode, Vendor};

const INPUT: &str = "[input]\nkey = { type = \"tn\", country = \"US\" }\n[breaker]\nconsecutive = 100\n";
const BUDGET: &str = "[budget]\ncall = \"200ms\"\nbackground = \"1s\"\n";

async fn vendor(body: &str) -> Vendor {
    let vendor = Vendor::start(Mode::OK).await;
    vendor.set_body(body);
    vendor
}

fn slow(ms: u64) -> Mode {
    Mode::Ok(Duration::from_millis(ms))
}

fn broken(status: u16) -> Mode {
    Mode::Answer(status, "application/json", b"{}".to_vec())
}

/// An upstream with these fields of the same name in the body.
fn upstream(name: &str, vendor: &Vendor, fields: &[&str], more: &str) -> String {
    let fields: String = fields.iter().map(|field| format!("{field} = \"body.{field}\"\n")).collect();
    format!(
        "[[upstream]]\nname = \"{name}\"\ntype = \"http\"\nurl = \"{}\"\n{more}\n[upstream.fields]\n{fields}",
        vendor.url("/{{ key | nanp10 }}")
    )
}

fn json(answer: &dipcache::answer::Answer) -> &str {
    answer.record.as_ref().map_or("", |record| record.as_json())
}

#[tokio::test]
async fn a_rule_says_whether_the_next_vendor_is_asked() {
    let (a, b) = (vendor("{}").await, vendor(r#"{"ocn":"B"}"#).await);
    let rule = |status: u16, outcome: &str, next: bool| {
        format!("[[upstream.rule]]\nwhen = \"status == {status}\"\noutcome = \"{outcome}\"\nnext = {next}")
    };
    let policy =
        |rule: &str| format!("{INPUT}{BUDGET}{}{}", upstream("a", &a, &["ocn"], rule), upstream("b", &b, &["ocn"], ""));
    a.set(broken(404));
    let desk = Desk::new(&[("x", &policy(&rule(404, "not_found", true)))]);
    let answer = ask(&desk.lookup("x"), "3035550100", 200).await;
    assert_eq!((answer.outcome, json(&answer)), (Outcome::Found, r#"{"ocn":"B"}"#));
    b.set(broken(500));
    assert_eq!(ask(&desk.lookup("x"), "3035550101", 200).await.outcome, Outcome::NotFound, "nobody knew better");
    b.set(Mode::Hang);
    let answer = ask(&desk.lookup("x"), "3035550102", 200).await;
    assert_eq!(answer.outcome, Outcome::NotFound, "what is known comes in time, whoever is silent");

    b.set(Mode::OK);
    a.set(broken(500));
    let before = b.requests();
    let desk = Desk::new(&[("x", &policy(&rule(500, "vendor_error", false)))]);
    assert_eq!(ask(&desk.lookup("x"), "3035550100", 200).await.outcome, Outcome::VendorError);
    assert_eq!(b.requests(), before);
}

fn merging(a: &Vendor, b: &Vendor, more: &str) -> String {
    format!(
        "{INPUT}{BUDGET}answer = \"merge\"\n{more}\n{}{}",
        upstream("a", a, &["lrn", "ocn"], ""),
        upstream("b", b, &["ocn", "state"], "")
    )
}

#[tokio::test]
async fn missing_fields_come_from_the_next_and_each_field_has_its_order() {
    let (a, b) = (vendor(r#"{"lrn":"1","ocn":"A"}"#).await, vendor(r#"{"ocn":"B","state":"CO"}"#).await);
    let desk =
        Desk::new(&[("plain", &merging(&a, &b, "")), ("ordered", &merging(&a, &b, "[merge]\nocn = [\"b\", \"a\"]"))]);
    let answer = ask(&desk.lookup("plain"), "3035550100", 200).await;
    assert_eq!((answer.outcome, json(&answer)), (Outcome::Found, r#"{"lrn":"1","ocn":"A","state":"CO"}"#));
    let answer = ask(&desk.lookup("ordered"), "3035550100", 200).await;
    assert_eq!((answer.outcome, json(&answer)), (Outcome::Found, r#"{"lrn":"1","ocn":"B","state":"CO"}"#));
    b.set(broken(500));
    let answer = ask(&desk.lookup("ordered"), "3035550101", 200).await;
    assert_eq!((answer.outcome, json(&answer)), (Outcome::Partial, r#"{"lrn":"1","ocn":"A"}"#));
}

#[tokio::test]
async fn a_late_part_leaves_the_answer_partial_and_is_kept_when_it_comes() {
    let (a, b) = (vendor(r#"{"lrn":"1","ocn":"A"}"#).await, vendor(r#"{"ocn":"B","state":"CO"}"#).await);
    b.set(slow(400));
    let desk = Desk::new(&[("x", &merging(&a, &b, ""))]);
    let began = now();
    let answer = ask(&desk.lookup("x"), "3035550100", 200).await;
    assert_eq!((answer.outcome, json(&answer)), (Outcome::Partial, r#"{"lrn":"1","ocn":"A"}"#));
    assert!(now() - began <= Duration::from_millis(205), "in time");
    tokio::time::sleep(Duration::from_millis(350)).await;
    let answer = ask(&desk.lookup("x"), "3035550100", 200).await;
    assert_eq!((answer.outcome, answer.source.clone()), (Outcome::Found, Source::Local));
    assert_eq!(json(&answer), r#"{"lrn":"1","ocn":"A","state":"CO"}"#);
}

const THEN: &str = "[[then]]\nlookup = \"lerg\"\nkey = \"{{ record.lrn | npa }}{{ record.lrn | nxx }}\"\nfields = { state = \"state\", rate_center = \"rc\" }\n";

fn dependent(lrn: &Vendor, lerg: &Vendor) -> [(&'static str, String); 2] {
    let first = format!(
        "kind = \"lrn\"\n{INPUT}{BUDGET}[fallback]\nrecord = {{ lrn = \"{{{{ key }}}}\" }}\n{THEN}{}",
        upstream("a", lrn, &["lrn"], "")
    );
    let second = format!(
        "[input]\nkey = {{ type = \"digits\" }}\n{BUDGET}[[upstream]]\ntype = \"http\"\nurl = \"{}\"\n[upstream.fields]\nstate = \"body.state\"\nrc = \"body.rc\"\n",
        lerg.url("/{{ key }}")
    );
    [("lrn", first), ("lerg", second)]
}

fn desk_of(policies: &[(&'static str, String)]) -> Desk {
    let policies: Vec<(&str, &str)> = policies.iter().map(|(name, text)| (*name, text.as_str())).collect();
    Desk::new(&policies)
}

#[tokio::test]
async fn a_record_leads_to_another_lookup_whoever_gave_it() {
    let (lrn, lerg) = (vendor(r#"{"lrn":"+13035550000"}"#).await, vendor(r#"{"state":"CO","rc":"DENVER"}"#).await);
    let desk = desk_of(&dependent(&lrn, &lerg));
    let lookup = desk.lookup("lrn");
    let answer = ask(&lookup, "2125550100", 200).await;
    let whole = r#"{"lrn":"+13035550000","state":"CO","rate_center":"DENVER"}"#;
    assert_eq!((answer.outcome, json(&answer)), (Outcome::Found, whole));
    assert!(lerg.last_request().starts_with("GET /303555 "), "{}", lerg.last_request());
    assert_eq!(json(&ask(&lookup, "2125550101", 200).await), whole);
    assert_eq!((lrn.requests(), lerg.requests()), (2, 1), "the step has a cache of its own");

    lrn.set(broken(500));
    let answer = ask(&lookup, "3035550177", 200).await;
    assert_eq!(answer.outcome, Outcome::Fallback);
    assert_eq!(json(&answer), r#"{"lrn":"+13035550177","state":"CO","rate_center":"DENVER"}"#);
}

#[tokio::test]
async fn a_step_that_is_late_or_fails_leaves_the_record_partial() {
    let (lrn, lerg) = (vendor(r#"{"lrn":"+13035550000"}"#).await, vendor(r#"{"state":"CO","rc":"DENVER"}"#).await);
    let desk = desk_of(&dependent(&lrn, &lerg));
    let lookup = desk.lookup("lrn");
    lerg.set(slow(350));
    let began = now();
    let answer = ask(&lookup, "2125550100", 200).await;
    assert_eq!((answer.outcome, json(&answer)), (Outcome::Partial, r#"{"lrn":"+13035550000"}"#));
    assert!(now() - began <= Duration::from_millis(205), "in time");
    tokio::time::sleep(Duration::from_millis(400)).await;
    let answer = ask(&lookup, "2125550100", 200).await;
    assert_eq!((answer.outcome, answer.source), (Outcome::Found, Source::Local), "the late part was added");
    let alone = desk_of(&dependent(&lrn, &lerg)[..1]);
    let answer = ask(&alone.lookup("lrn"), "2125550102", 200).await;
    assert_eq!(answer.outcome, Outcome::Partial, "a lookup that is not there has no answer");
}

#[tokio::test]
async fn one_answer_fills_two_lookups() {
    let a = vendor(r#"{"lrn":"+13035550000","who":"ACME \"Corp\" of Colorado"}"#).await;
    let cnam = vendor(r#"{"name":"OTHER"}"#).await;
    let also = "[[upstream.also]]\nlookup = \"cnam\"\n[upstream.also.fields]\nname = \"body.who\"\n";
    let first = format!("kind = \"lrn\"\n{INPUT}{BUDGET}{}{also}", upstream("a", &a, &["lrn"], ""));
    let second = format!("kind = \"cnam\"\n{INPUT}{BUDGET}{}", upstream("c", &cnam, &["name"], ""));
    let desk = Desk::new(&[("lrn", &first), ("cnam", &second)]);
    assert_eq!(ask(&desk.lookup("lrn"), "2125550100", 200).await.outcome, Outcome::Found);
    let answer = ask(&desk.lookup("cnam"), "2125550100", 200).await;
    assert_eq!((json(&answer), answer.source.clone()), (r#"{"name":"ACME Corp of Co"}"#, Source::Local));
    assert_eq!(cnam.requests(), 0);
    assert_eq!(json(&ask(&desk.lookup("cnam"), "2125550101", 200).await), r#"{"name":"OTHER"}"#);
}

#[tokio::test]
async fn what_is_spent_ends_the_asking_until_the_day_ends_and_a_reload_does_not_begin_anew() {
    let a = vendor(r#"{"ocn":"A"}"#).await;
    let policy = |limit: &str| {
        format!(
            "{INPUT}{BUDGET}[cost]\nper = {{ found = 0.25 }}\nper_day = {limit}\n{}",
            upstream("a", &a, &["ocn"], "")
        )
    };
    let desk = Desk::new(&[("x", &policy("0.5"))]);
    for number in ["3035550100", "3035550101"] {
        assert_eq!(ask(&desk.lookup("x"), number, 200).await.outcome, Outcome::Found);
    }
    let answer = ask(&desk.lookup("x"), "3035550102", 200).await;
    assert_eq!((answer.outcome, a.requests()), (Outcome::QuotaExhausted, 2));
    assert!(answer.retry_after.is_some_and(|wait| wait <= Duration::from_secs(86_400)), "{answer:?}");
    assert_eq!(ask(&desk.lookup("x"), "3035550100", 200).await.outcome, Outcome::Found, "what is known costs nothing");
    assert!(!desk.lookup("x").is_up());
    assert_eq!(desk.told(EventType::Held), 1);
    desk.install(&[("x", &policy("0.4"))]);
    assert_eq!(ask(&desk.lookup("x"), "3035550103", 200).await.outcome, Outcome::QuotaExhausted);
    desk.install(&[("x", &policy("0.75"))]);
    assert_eq!(ask(&desk.lookup("x"), "3035550104", 200).await.outcome, Outcome::Found, "there is some again");
    assert_eq!(ask(&desk.lookup("x"), "3035550105", 200).await.outcome, Outcome::QuotaExhausted);
}

#[tokio::test]
async fn a_hedge_waits_for_the_measured_percentile_and_has_a_limit() {
    let (a, b) = (vendor(r#"{"ocn":"A"}"#).await, vendor(r#"{"ocn":"B"}"#).await);
    let budget = "[budget]\ncall = \"400ms\"\norder = \"hedge\"\nhedge_after = \"p95\"\nhedge_max = 0.05\n";
    let policy = format!("{INPUT}{budget}{}{}", upstream("a", &a, &["ocn"], ""), upstream("b", &b, &["ocn"], ""));
    let desk = Desk::new(&[("x", &policy)]);
    let lookup = desk.lookup("x");
    for number in 0..40 {
        ask(&lookup, &format!("30355501{number:02}"), 400).await;
    }
    assert!(lookup.members[0].p95().is_some_and(|p95| p95 < Duration::from_millis(50)));
    a.set(Mode::Hang);
    let (before, began) = (b.requests(), now());
    assert_eq!(json(&ask(&lookup, "3035550200", 400).await), r#"{"ocn":"B"}"#);
    assert!(now() - began < Duration::from_millis(120), "long before half of the budget: {:?}", now() - began);
    assert_eq!(b.requests() - before, 1);
}

#[tokio::test]
async fn without_allowance_a_hedge_becomes_a_failover() {
    let (a, b) = (vendor(r#"{"ocn":"A"}"#).await, vendor(r#"{"ocn":"B"}"#).await);
    let budget = "[budget]\ncall = \"200ms\"\norder = \"hedge\"\nhedge_after = \"5ms\"\nhedge_max = 0.0\n";
    let policy = format!("{INPUT}{budget}{}{}", upstream("a", &a, &["ocn"], ""), upstream("b", &b, &["ocn"], ""));
    let desk = Desk::new(&[("x", &policy)]);
    a.set(slow(40));
    assert_eq!(json(&ask(&desk.lookup("x"), "3035550100", 200).await), r#"{"ocn":"A"}"#);
    assert_eq!(b.requests(), 0);
    a.set(Mode::Hang);
    assert_eq!(json(&ask(&desk.lookup("x"), "3035550101", 200).await), r#"{"ocn":"B"}"#, "a caller is still rescued");
}

#[tokio::test]
async fn an_emergency_is_asked_whatever_the_breaker_says_and_nothing_old_is_served() {
    let a = vendor(r#"{"uri":"A"}"#).await;
    let head = "class = \"emergency\"\n[input]\nkey = { type = \"tn\", country = \"US\" }\n[breaker]\nconsecutive = 1\n[cache]\nfound = \"1s\"\njitter = 0.0\nmin_ttl = \"1ms\"\n";
    let policy = format!("{head}{BUDGET}{}", upstream("a", &a, &["uri"], ""));
    let desk = Desk::new(&[("x", &policy)]);
    let lookup = desk.lookup("x");
    assert_eq!(ask(&lookup, "3035550100", 200).await.outcome, Outcome::Found);
    a.set(broken(500));
    tokio::time::sleep(Duration::from_millis(1050)).await;
    let before = a.requests();
    for _ in 0..3 {
        let answer = ask(&lookup, "3035550100", 200).await;
        assert_eq!((answer.outcome, answer.record), (Outcome::VendorError, None), "nothing stale");
    }
    assert!(a.requests() - before >= 3, "asked each time");
    a.set(broken(404));
    for _ in 0..2 {
        let question = lookup.policy.question("3035550101", &[]).unwrap();
        let answer = lookup.ask(question, Deadline::after(Duration::from_millis(200))).await;
        assert_eq!((answer.outcome, answer.source.as_str()), (Outcome::NotFound, "a"), "a no is not kept");
    }
}
