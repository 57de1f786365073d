//! What the pipeline promises, with a vendor on a real socket that misbehaves to order.

mod support;

use std::sync::Arc;
use std::time::Duration;

use dipcache::answer::{Outcome, Source};
use dipcache::deadline::now;
use dipcache::events::EventType;
use dipcache::health::State;
use dipcache::lookup::Lookup;
use futures_util::future::join_all;

use support::lookups::{Desk, ask};
use support::vendor::{Mode, Vendor};

const BODY: &str = r#"{"lrn":"+13035550000","ocn":"1234"}"#;

/// A policy with these upstreams and these further lines before them.
fn lrn(vendors: &[&Vendor], lines: &str) -> String {
    let upstreams: String = vendors
        .iter()
        .enumerate()
        .map(|(index, vendor)| {
            format!(
                "[[upstream]]\nname = \"v{index}\"\ntype = \"http\"\nurl = \"{}\"\nconcurrency = 500\n\
                 [upstream.fields]\nlrn = \"body.lrn\"\nocn = \"body.ocn\"\n",
                vendor.url("/lrn/{{ key | nanp10 }}")
            )
        })
        .collect();
    format!("kind = \"lrn\"\n[input]\nkey = {{ type = \"tn\", country = \"US\" }}\n{lines}\n{upstreams}")
}

const PLAIN: &str = "[budget]\ncall = \"50ms\"\nbackground = \"1s\"\n[breaker]\nconsecutive = 3\nopen = \"200ms\"\nopen_max = \"400ms\"";

async fn vendor(mode: Mode) -> Vendor {
    let vendor = Vendor::start(mode).await;
    vendor.set_body(BODY);
    vendor
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let gave_up = now() + Duration::from_secs(3);
    while !holds() {
        assert!(now() < gave_up, "waited 3 s in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn breaker(lookup: &Lookup) -> State {
    lookup.members[0].health.breaker(now()).0
}

#[tokio::test]
async fn an_answer_is_asked_for_once_and_then_known() {
    let vendor = vendor(Mode::OK).await;
    let desk = Desk::new(&[("lrn", &lrn(&[&vendor], PLAIN))]);
    let lookup = desk.lookup("lrn");
    let first = ask(&lookup, "3035550123", 500).await;
    assert_eq!((first.outcome, first.source.as_str()), (Outcome::Found, "v0"));
    assert_eq!(first.record.unwrap().as_json(), BODY);
    let second = ask(&lookup, "tel:+1-303-555-0123", 500).await;
    assert_eq!((second.outcome, second.source), (Outcome::Found, Source::Local));
    assert_eq!(vendor.requests(), 1);
    assert!(vendor.last_request().starts_with("GET /lrn/3035550123 "), "{}", vendor.last_request());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_callers_on_a_cold_key_cost_one_request() {
    let vendor = vendor(Mode::Ok(Duration::from_millis(60))).await;
    let policy = lrn(&[&vendor], "[budget]\ncall = \"5s\"\nbackground = \"5s\"");
    let desk = Desk::new(&[("lrn", &policy)]);
    let lookup = desk.lookup("lrn");
    let callers = (0..2000).map(|_| {
        let lookup = Arc::clone(&lookup);
        tokio::spawn(async move { ask(&lookup, "3035550123", 5000).await })
    });
    let answers = join_all(callers).await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().outcome == Outcome::Found));
    // On a busy machine some come when it has landed: they are hits.
    let led = |answer: &&dipcache::answer::Answer| !answer.collapsed && answer.source != Source::Local;
    assert_eq!(answers.iter().flatten().filter(led).count(), 1);
    assert_eq!(vendor.requests(), 1);
}

#[tokio::test]
async fn each_caller_waits_by_an_own_clock_and_the_first_ones_leaving_cancels_nothing() {
    let vendor = vendor(Mode::Ok(Duration::from_millis(500))).await;
    let policy = lrn(&[&vendor], "[budget]\ncall = \"5s\"\nbackground = \"5s\"");
    let desk = Desk::new(&[("lrn", &policy)]);
    let lookup = desk.lookup("lrn");
    let began = now();
    let hurried = async {
        let answer = ask(&lookup, "3035550123", 5).await;
        (answer.outcome, now() - began)
    };
    let patient = async {
        let answer = ask(&lookup, "3035550123", 5000).await;
        (answer.outcome, now() - began)
    };
    // A caller that is dropped in mid-wait, as a closed connection drops it.
    let gone = tokio::time::timeout(Duration::from_millis(1), ask(&lookup, "3035550123", 5000));
    assert!(gone.await.is_err());
    let (hurried, patient) = tokio::join!(hurried, patient);
    assert_eq!(hurried.0, Outcome::Timeout);
    assert!(hurried.1 < Duration::from_millis(400), "{hurried:?}");
    assert_eq!(patient.0, Outcome::Found);
    assert!(patient.1 > Duration::from_millis(450), "{patient:?}");
    assert_eq!(vendor.requests(), 1);
}

#[tokio::test]
async fn a_late_answer_is_kept() {
    let vendor = vendor(Mode::Ok(Duration::from_millis(120))).await;
    let desk = Desk::new(&[("lrn", &lrn(&[&vendor], PLAIN))]);
    let lookup = desk.lookup("lrn");
    assert_eq!(ask(&lookup, "3035550123", 50).await.outcome, Outcome::Timeout);
    until("the late answer is there", || lookup.local.get("+13035550123", dipcache::deadline::tick()).is_some()).await;
    assert_eq!(ask(&lookup, "3035550123", 50).await.source, Source::Local);
    assert_eq!(vendor.requests(), 1);
}

#[tokio::test]
async fn a_stale_record_is_there_within_two_milliseconds_once_the_breaker_is_open() {
    let vendor = vendor(Mode::OK).await;
    let policy = lrn(
        &[&vendor],
        &format!("[cache]\nfound = \"100ms\"\njitter = 0.0\nstale = \"1h\"\nmin_ttl = \"1ms\"\n{PLAIN}"),
    );
    let desk = Desk::new(&[("lrn", &policy)]);
    let lookup = desk.lookup("lrn");
    ask(&lookup, "3035550123", 500).await;
    vendor.set(Mode::Hang);
    tokio::time::sleep(Duration::from_millis(110)).await;
    let began = now();
    let first = ask(&lookup, "3035550123", 50).await;
    assert_eq!(first.source, Source::Stale, "the first one waits for its budget and has the old record then");
    assert!(now() - began >= Duration::from_millis(50));
    // The dip is overdue in the same millisecond in which its caller leaves.
    until("the upstream is suspect", || lookup.members[0].health.is_suspect()).await;
    assert!(nine_in_ten_within_two_milliseconds(&lookup).await, "nobody waits for it any more");
    for number in 0..3 {
        ask(&lookup, &format!("303555020{number}"), 50).await;
    }
    until("the breaker opens", || matches!(breaker(&lookup), State::Open { .. })).await;
    assert!(nine_in_ten_within_two_milliseconds(&lookup).await);
    assert!(!lookup.is_up());
}

/// Asks for a record that is stale, again and again. The rest is for a machine that has others to serve.
async fn nine_in_ten_within_two_milliseconds(lookup: &Arc<Lookup>) -> bool {
    let mut quick = 0;
    for _ in 0..100 {
        let began = now();
        let answer = ask(lookup, "3035550123", 50).await;
        quick += u32::from(now() - began < Duration::from_millis(2));
        assert_eq!((answer.outcome, answer.source), (Outcome::Found, Source::Stale));
        assert!(answer.ttl < 0);
    }
    quick >= 90
}

#[tokio::test]
async fn a_silent_vendor_is_noticed_and_a_healed_one_is_found_without_traffic() {
    let vendor = vendor(Mode::Hang).await;
    let desk = Desk::new(&[("lrn", &lrn(&[&vendor], PLAIN))]);
    let lookup = desk.lookup("lrn");
    for number in 0..3 {
        assert_eq!(ask(&lookup, &format!("303555010{number}"), 50).await.outcome, Outcome::Timeout);
    }
    until("the flag turns", || !lookup.is_up()).await;
    let began = now();
    let refused = ask(&lookup, "3035550199", 50).await;
    assert_eq!((refused.outcome, refused.source), (Outcome::Open, Source::Nobody));
    assert!(refused.retry_after.is_some());
    assert!(now() - began < Duration::from_millis(40), "an open breaker costs no wait");
    let asked = vendor.requests();
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let probes = vendor.requests() - asked;
    assert!((1..=4).contains(&probes), "one probe at a time, with pauses, and not {probes}");
    vendor.set(Mode::OK);
    until("the flag turns back with no caller at all", || lookup.is_up()).await;
    assert_eq!(breaker(&lookup), State::Closed);
    assert_eq!(desk.told(EventType::Degraded), 1);
    assert_eq!(desk.told(EventType::Recovered), 1);
    assert_eq!(ask(&lookup, "3035550199", 500).await.outcome, Outcome::Found);
}

#[tokio::test]
async fn the_second_vendor_answers_within_the_one_deadline() {
    let (silent, good) = (vendor(Mode::Hang).await, vendor(Mode::OK).await);
    let policy = lrn(&[&silent, &good], &PLAIN.replace("50ms", "600ms"));
    let desk = Desk::new(&[("lrn", &policy)]);
    let lookup = desk.lookup("lrn");
    let began = now();
    let answer = ask(&lookup, "3035550123", 600).await;
    assert_eq!((answer.outcome, answer.source.as_str()), (Outcome::Found, "v1"));
    assert!(now() - began < Duration::from_millis(620), "{:?}", now() - began);
    for number in 0..3 {
        ask(&lookup, &format!("303555020{number}"), 600).await;
    }
    until("the silent one's breaker opens though it always loses", || breaker(&lookup) != State::Closed).await;
    let began = now();
    assert_eq!(ask(&lookup, "3035550299", 600).await.outcome, Outcome::Found);
    assert!(now() - began < Duration::from_millis(250), "an open breaker is passed over: {:?}", now() - began);
    assert!(lookup.is_up(), "one usable upstream is enough");
}

#[tokio::test]
async fn a_failing_vendor_hands_over_at_once() {
    let (bad, good) = (vendor(Mode::Answer(500, "text/plain", b"oops".to_vec())).await, vendor(Mode::OK).await);
    let desk = Desk::new(&[("lrn", &lrn(&[&bad, &good], &PLAIN.replace("50ms", "600ms")))]);
    let lookup = desk.lookup("lrn");
    let began = now();
    let answer = ask(&lookup, "3035550123", 600).await;
    assert_eq!((answer.outcome, answer.source.as_str()), (Outcome::Found, "v1"));
    assert!(now() - began < Duration::from_millis(250), "{:?}", now() - began);
}

#[tokio::test]
async fn too_many_requests_is_a_hold_and_no_failure() {
    let vendor = vendor(Mode::TooManyRequests(Some(1))).await;
    let desk = Desk::new(&[("lrn", &lrn(&[&vendor], PLAIN))]);
    let lookup = desk.lookup("lrn");
    assert_eq!(ask(&lookup, "3035550123", 50).await.outcome, Outcome::RateLimited);
    for number in 0..20 {
        let answer = ask(&lookup, &format!("30355502{number:02}"), 50).await;
        assert_eq!(answer.outcome, Outcome::RateLimited);
        assert!(answer.retry_after.is_some_and(|wait| wait <= Duration::from_secs(1)));
    }
    assert_eq!(vendor.requests(), 1, "nobody asks while the hold is on");
    assert!(lookup.is_up(), "a pause of a second is no outage");
    assert_eq!(breaker(&lookup), State::Closed);
    vendor.set(Mode::OK);
    tokio::time::sleep(Duration::from_millis(1050)).await;
    assert_eq!(ask(&lookup, "3035550123", 500).await.outcome, Outcome::Found);
}

#[tokio::test]
async fn money_used_up_turns_the_flag_and_its_hold_ends_by_itself() {
    let vendor = vendor(Mode::Answer(402, "application/json", b"{}".to_vec())).await;
    let policy = lrn(&[&vendor], PLAIN).replace(
        "[upstream.fields]",
        "[[upstream.rule]]\nwhen = \"status == 402\"\noutcome = \"quota_exhausted\"\nhold = \"300ms\"\n[upstream.fields]",
    );
    let desk = Desk::new(&[("lrn", &policy)]);
    let lookup = desk.lookup("lrn");
    assert_eq!(ask(&lookup, "3035550123", 50).await.outcome, Outcome::QuotaExhausted);
    assert!(!lookup.is_up());
    assert_eq!(desk.told(EventType::Held), 1);
    until("the flag turns back when the hold ends", || lookup.is_up()).await;
}

#[tokio::test]
async fn when_nothing_answers_the_policys_own_record_does() {
    let vendor = vendor(Mode::Refuse).await;
    let policy =
        lrn(&[&vendor], &format!("[fallback]\nrecord = {{ lrn = \"{{{{ key }}}}\", ported = false }}\n{PLAIN}"));
    let desk = Desk::new(&[("lrn", &policy)]);
    let answer = ask(&desk.lookup("lrn"), "3035550123", 50).await;
    assert_eq!((answer.outcome, answer.source), (Outcome::Fallback, Source::Fallback));
    assert_eq!(answer.record.unwrap().as_json(), r#"{"lrn":"+13035550123","ported":false}"#);
}

#[tokio::test]
async fn a_no_is_kept_for_its_own_time() {
    let vendor = vendor(Mode::Answer(404, "application/json", b"{}".to_vec())).await;
    let policy = lrn(
        &[&vendor],
        &format!("[cache]\nfound = \"1h\"\nnot_found = \"1500ms\"\njitter = 0.0\nmin_ttl = \"1ms\"\n{PLAIN}"),
    );
    let desk = Desk::new(&[("lrn", &policy)]);
    let lookup = desk.lookup("lrn");
    for _ in 0..10 {
        assert_eq!(ask(&lookup, "3035550123", 500).await.outcome, Outcome::NotFound);
    }
    assert_eq!(vendor.requests(), 1);
    tokio::time::sleep(Duration::from_millis(1600)).await;
    assert_eq!(ask(&lookup, "3035550123", 500).await.outcome, Outcome::NotFound);
    assert_eq!(vendor.requests(), 2);
    assert!(lookup.is_up(), "a no is an answer");
}

#[tokio::test]
async fn what_does_not_apply_is_never_asked() {
    let vendor = vendor(Mode::OK).await;
    let policy = lrn(&[&vendor], PLAIN).replace("[input]", "[input]\napplies_when = \"key | npa not in tollfree\"");
    let desk = Desk::new(&[("lrn", &policy)]);
    let answer = ask(&desk.lookup("lrn"), "8005550123", 50).await;
    assert_eq!((answer.outcome, answer.source), (Outcome::NotApplicable, Source::Nobody));
    assert_eq!(vendor.requests(), 0);
}

#[tokio::test]
async fn our_own_overload_is_not_blamed_on_the_vendor() {
    let vendor = vendor(Mode::Ok(Duration::from_millis(200))).await;
    let policy = lrn(&[&vendor], &PLAIN.replace("50ms", "500ms")).replace("concurrency = 500", "concurrency = 1");
    let desk = Desk::new(&[("lrn", &policy)]);
    let lookup = desk.lookup("lrn");
    let callers = (0..20).map(|number| {
        let lookup = Arc::clone(&lookup);
        async move { ask(&lookup, &format!("30355502{number:02}"), 500).await.outcome }
    });
    let outcomes = join_all(callers).await;
    assert!(outcomes.contains(&Outcome::Found), "{outcomes:?}");
    assert!(outcomes.iter().any(|outcome| matches!(outcome, Outcome::Overload | Outcome::Timeout)), "{outcomes:?}");
    // The one that got its seat last is still being asked; it is late because it had to wait for us.
    until("all have landed", || lookup.flights() == 0).await;
    assert_eq!(breaker(&lookup), State::Closed);
    let (_, _, counts) = lookup.members[0].health.breaker(now());
    assert!(counts.total >= 2 && counts.failed == 0 && counts.slow == 0, "{counts:?}");
}

#[tokio::test]
async fn dips_that_hang_in_every_seat_do_not_keep_a_probe_from_finding_the_vendor_healed() {
    let vendor = vendor(Mode::Hang).await;
    let lines = PLAIN.replace("background = \"1s\"", "background = \"1h\"");
    let policy = lrn(&[&vendor], &lines).replace("concurrency = 500", "concurrency = 3");
    let desk = Desk::new(&[("lrn", &policy)]);
    let lookup = desk.lookup("lrn");
    join_all((0..3).map(|number| ask(&lookup, ["3035550100", "3035550101", "3035550102"][number], 50))).await;
    until("the flag turns", || !lookup.is_up()).await;
    vendor.set(Mode::OK);
    until("a probe finds it healed", || lookup.is_up()).await;
    assert_eq!(lookup.flights(), 3, "the three hang on");
}

#[tokio::test]
async fn a_question_that_always_fails_does_not_keep_a_healthy_vendor_shut() {
    let vendor = vendor(Mode::Answer(500, "text/plain", b"oops".to_vec())).await;
    let poison = "[[upstream.rule]]\nwhen = \"key == '+13035550199'\"\noutcome = \"vendor_error\"\n[upstream.fields]";
    let desk = Desk::new(&[("lrn", &lrn(&[&vendor], PLAIN).replace("[upstream.fields]", poison))]);
    let lookup = desk.lookup("lrn");
    for key in ["3035550100", "3035550101", "3035550199"] {
        assert_eq!(ask(&lookup, key, 50).await.outcome, Outcome::VendorError);
    }
    assert!(!lookup.is_up());
    vendor.set(Mode::OK);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!lookup.is_up(), "the probe asks what was asked last, which fails for its own reasons");
    assert_eq!(ask(&lookup, "3035550123", 50).await.outcome, Outcome::Open);
    until("the next probe asks what the next caller wanted", || lookup.is_up()).await;
}

#[tokio::test]
async fn many_refusals_at_once_are_one_hold() {
    let vendor = vendor(Mode::TooManyRequests(Some(20))).await;
    let desk = Desk::new(&[("lrn", &lrn(&[&vendor], PLAIN))]);
    let lookup = desk.lookup("lrn");
    let keys: Vec<String> = (0..50).map(|number| format!("30355501{number:02}")).collect();
    join_all(keys.iter().map(|key| ask(&lookup, key, 50))).await;
    until("all have landed", || lookup.flights() == 0).await;
    assert!(vendor.requests() > 1, "{}", vendor.requests());
    assert_eq!(desk.told(EventType::Held), 1);
    assert!(!lookup.is_up(), "twenty seconds are an outage");
}

#[tokio::test]
async fn a_reload_ends_an_outage_that_was_told() {
    let vendor = vendor(Mode::Refuse).await;
    let policy = lrn(&[&vendor], PLAIN);
    let desk = Desk::new(&[("lrn", &policy), ("other", &policy)]);
    for lookup in ["lrn", "other"] {
        for number in 0..3 {
            ask(&desk.lookup(lookup), &format!("303555010{number}"), 50).await;
        }
        assert!(!desk.lookup(lookup).is_up());
    }
    let old = desk.lookup("lrn");
    desk.install(&[("lrn", &policy.replace("call = \"50ms\"", "call = \"60ms\""))]);
    assert!(desk.lookup("lrn").is_up());
    assert_eq!((desk.told(EventType::Degraded), desk.told(EventType::Recovered)), (2, 2), "one changed, one gone");
    // The old one's upstream heals, or not: nobody hears of it any more.
    let told = desk.events.recent().len();
    drop(vendor);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(!old.is_up());
    assert_eq!(desk.events.recent().len(), told);
}

#[tokio::test]
async fn a_reload_keeps_the_cache_of_what_has_not_changed() {
    let vendor = vendor(Mode::OK).await;
    let policy = lrn(&[&vendor], PLAIN);
    let desk = Desk::new(&[("lrn", &policy), ("other", &policy)]);
    ask(&desk.lookup("lrn"), "3035550123", 500).await;
    ask(&desk.lookup("other"), "3035550123", 500).await;
    let before = desk.lookup("lrn");
    let slower = policy.replace("call = \"50ms\"", "call = \"60ms\"");
    desk.install(&[("lrn", &policy), ("other", &slower)]);
    assert!(Arc::ptr_eq(&before, &desk.lookup("lrn")), "unchanged: the very same lookup goes on");
    assert_eq!(ask(&desk.lookup("other"), "3035550123", 500).await.source, Source::Local, "same answers, same cache");
    let fewer = policy.replace("ocn = \"body.ocn\"\n", "");
    desk.install(&[("lrn", &fewer), ("other", &slower)]);
    assert_eq!(ask(&desk.lookup("lrn"), "3035550123", 500).await.source.as_str(), "v0", "other fields, other cache");
}

#[tokio::test]
async fn a_stricter_policy_does_not_serve_what_a_laxer_one_kept() {
    let vendor = vendor(Mode::OK).await;
    let cache = "[cache]\nfound = \"50ms\"\njitter = 0.0\nmin_ttl = \"1ms\"\nstale = \"1h\"\n";
    let policy = lrn(&[&vendor], &format!("{cache}{PLAIN}"));
    let desk = Desk::new(&[("lrn", &policy)]);
    ask(&desk.lookup("lrn"), "3035550123", 500).await;
    vendor.set(Mode::Refuse);
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(ask(&desk.lookup("lrn"), "3035550123", 50).await.source, Source::Stale);
    desk.install(&[("lrn", &policy.replace("stale = \"1h\"", "stale = \"0\""))]);
    let answer = ask(&desk.lookup("lrn"), "3035550123", 50).await;
    assert_eq!(answer.source, Source::Nobody, "stale records are forbidden now");
}

#[tokio::test]
async fn what_was_asked_before_a_flush_is_not_kept_behind_it() {
    let vendor = vendor(Mode::Ok(Duration::from_millis(100))).await;
    let policy = lrn(&[&vendor], "[budget]\ncall = \"500ms\"\nbackground = \"1s\"");
    let desk = Desk::new(&[("lrn", &policy)]);
    let lookup = desk.lookup("lrn");
    for all in [true, false] {
        let began = vendor.requests();
        let waiting = ask(&lookup, "3035550123", 500);
        let flushing = async {
            until("it is asked", || vendor.requests() > began).await;
            if all {
                lookup.flush()
            } else {
                assert!(!lookup.forget(&lookup.policy.question("3035550123", &[]).unwrap()))
            }
        };
        let (answer, ()) = tokio::join!(waiting, flushing);
        assert_eq!(answer.outcome, Outcome::Found, "who waits gets it all the same");
        assert!(lookup.local.get("+13035550123", dipcache::deadline::tick()).is_none());
    }
}

#[tokio::test]
async fn one_dip_more_than_may_be_under_way_is_shed() {
    let vendor = vendor(Mode::Hang).await;
    let policy = lrn(&[&vendor], PLAIN);
    let desk = Desk::new(&[("lrn", &policy), ("other", &policy)]);
    desk.lookups.limit(2);
    let (lrn, other) = (desk.lookup("lrn"), desk.lookup("other"));
    let answers = tokio::join!(ask(&lrn, "3035550100", 50), ask(&other, "3035550100", 50), ask(&lrn, "3035550101", 50));
    assert_eq!((answers.0.outcome, answers.1.outcome), (Outcome::Timeout, Outcome::Timeout));
    assert_eq!(answers.2.outcome, Outcome::Overload);
}

#[tokio::test]
async fn a_hit_late_in_its_life_renews_the_entry_behind_the_caller() {
    let vendor = vendor(Mode::Ok(Duration::from_millis(20))).await;
    let cache = "[cache]\nfound = \"2s\"\njitter = 0.0\nrefresh_ahead = 0.5\nmin_ttl = \"1ms\"";
    let desk = Desk::new(&[("lrn", &lrn(&[&vendor], &format!("{cache}\n{PLAIN}")))]);
    let lookup = desk.lookup("lrn");
    ask(&lookup, "3035550123", 500).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let began = now();
    assert_eq!(ask(&lookup, "3035550123", 500).await.source, Source::Local);
    assert!(now() - began < Duration::from_millis(18), "and not as long as the vendor takes");
    until("it is renewed", || vendor.requests() == 2).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(ask(&lookup, "3035550123", 500).await.source, Source::Local, "the life began anew");
}

#[tokio::test]
async fn an_answer_that_must_not_be_kept_is_given_each_time_and_an_alert_is_told_once() {
    let vendor = vendor(Mode::OK).await;
    let rule = "[[upstream.rule]]\nwhen = \"body.ocn\"\noutcome = \"found\"\ncacheable = false\nalert = true\n[upstream.fields]";
    let text = lrn(&[&vendor], "[budget]\ncall = \"1s\"").replace("[upstream.fields]", rule);
    let desk = Desk::new(&[("lrn", &text)]);
    for _ in 0..3 {
        let answer = ask(&desk.lookup("lrn"), "3035550100", 1000).await;
        assert_eq!((answer.outcome, answer.source.as_str()), (Outcome::Found, "v0"));
    }
    assert_eq!(desk.told(EventType::Alert), 1);
}

#[tokio::test]
async fn a_vendor_that_has_had_enough_of_one_number_is_asked_for_others() {
    let vendor = vendor(Mode::TooManyRequests(Some(30))).await;
    let rule = "[[upstream.rule]]\nwhen = \"status == 429\"\noutcome = \"rate_limited\"\nhold_scope = \"key\"\n[upstream.fields]";
    let policy = lrn(&[&vendor], PLAIN).replace("[upstream.fields]", rule);
    let desk = Desk::new(&[("lrn", &policy)]);
    let lookup = desk.lookup("lrn");
    for _ in 0..3 {
        assert_eq!(ask(&lookup, "3035550123", 500).await.outcome, Outcome::RateLimited);
    }
    assert_eq!(vendor.requests(), 1, "the number is left alone");
    assert!(lookup.is_up() && desk.told(EventType::Held) == 0);
    vendor.set(Mode::OK);
    assert_eq!(ask(&lookup, "3035550124", 500).await.outcome, Outcome::Found);
    assert_eq!(ask(&lookup, "3035550123", 500).await.outcome, Outcome::RateLimited);
    assert_eq!(vendor.requests(), 2);
}

#[tokio::test]
async fn a_tenants_credentials_are_held_and_not_the_others() {
    let vendor = vendor(Mode::Wants("Bearer GOOD".to_owned())).await;
    let (_good, good) = support::policies::secret_file("GOOD");
    let (_bad, bad) = support::policies::secret_file("BAD");
    let lines = format!(
        "auth_by = \"tenant\"\nauths = {{ a = {{ type = \"bearer\", token = \"{good}\" }}, b = {{ type = \"bearer\", token = \"{bad}\" }} }}\n\
         [[upstream.rule]]\nwhen = \"status == 401\"\noutcome = \"auth_error\"\nhold_scope = \"credential\"\n[upstream.fields]"
    );
    let policy = lrn(&[&vendor], PLAIN)
        .replace("[upstream.fields]", &lines)
        .replace("[budget]", "tenant = { type = \"word\", words = [\"a\", \"b\"] }\n[budget]");
    let desk = Desk::new(&[("lrn", &policy)]);
    let lookup = desk.lookup("lrn");
    let ask = async |key: &str, tenant: &str| {
        let question = lookup.policy.question(key, &[("tenant", tenant)]).unwrap();
        lookup.ask(question, dipcache::deadline::Deadline::after(Duration::from_millis(500))).await.outcome
    };
    assert_eq!(ask("3035550123", "b").await, Outcome::AuthError);
    let asked = vendor.requests();
    assert_eq!(ask("3035550124", "b").await, Outcome::AuthError, "the tenant is held for every number");
    assert_eq!(vendor.requests(), asked);
    assert_eq!(ask("3035550124", "a").await, Outcome::Found);
    assert!(lookup.is_up());
}
