//! From a vendor's bytes to a record, by a policy and nothing else: every format, hostile names, and what it all means.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::Path;
use std::time::Duration;

use dipcache::answer::Outcome;
use dipcache::deadline::Deadline;
use dipcache::policy::{Judgement, check};
use dipcache::upstream::Upstream;
use serde_json::{Value, json};
use support::vendor::{Mode, Vendor};

/// What a policy of this kind makes of an answer; `upstream` is the rest of its `[[upstream]]`.
async fn judged(kind: &str, upstream: &str, status: u16, content_type: &'static str, body: &[u8]) -> Judgement {
    let vendor = Vendor::start(Mode::Answer(status, content_type, body.to_vec())).await;
    let text = format!(
        "kind = \"{kind}\"\n[input]\nkey = {{ type = \"tn\", country = \"US\" }}\nwant = [\"lrn\", \"cnam\"]\n\
         [budget]\ncall = \"2s\"\n[[upstream]]\ntype = \"http\"\nurl = \"{}/{{{{ key | nanp10 }}}}\"\n{upstream}",
        vendor.url("")
    );
    let policy = check::parse("under-test", Path::new("under-test.toml"), &text)
        .unwrap_or_else(|faults| panic!("{}", faults.iter().map(|fault| format!("{fault}\n")).collect::<String>()));
    let question = policy.question("3035550100", &[]).unwrap();
    let client = Upstream::build(&policy.upstreams[0]).unwrap();
    let reading = client.ask(&policy.upstreams[0], &question, Deadline::after(Duration::from_secs(2))).await.unwrap();
    policy.upstreams[0].judge(policy.kind, &question, &reading)
}

fn record(judgement: Judgement) -> Value {
    Value::Object(judgement.record.unwrap_or_else(|| panic!("{:?} {:?}", judgement.outcome, judgement.detail)).to_map())
}

#[tokio::test]
async fn semicolons_echo_a_number_that_is_not_ported() {
    let upstream = r#"format = "delimited"
columns = ["lrn", "spid"]
rule = [{ when = "body.lrn is not matching('^\\d{10}$')", outcome = "vendor_error", detail = "text" }]
fields = { lrn = "body.lrn", spid = "body.spid", ported = "(body.lrn | e164_plus) != key" }
"#;
    let answer = judged("lrn", upstream, 200, "text/plain", b"3035550100\n").await;
    assert_eq!(record(answer), json!({"lrn": "+13035550100", "ported": false}));
    let answer = judged("lrn", upstream, 200, "text/plain", b"7205550000;1234").await;
    assert_eq!(record(answer), json!({"lrn": "+17205550000", "spid": "1234", "ported": true}));
    let answer = judged("lrn", upstream, 200, "text/plain", b"ERROR 7").await;
    assert_eq!((answer.outcome, answer.detail.as_deref()), (Outcome::VendorError, Some("ERROR 7")));
}

#[tokio::test]
async fn xml_with_codes_words_and_types() {
    let upstream = r#"format = "xml"
rule = [{ when = "body.reply.result['@code'] == '4'", outcome = "not_found" }]
[upstream.fields]
lrn = "(body.reply.number | selectattr('tn', '==', key | nanp10) | first).lrn"
ported = "body.reply.result.ported"
line_type = "body.reply.result.type | map('line_type')"
mnc = "body.reply.result.mnc"
jurisdiction = "body.reply.result.jurisdiction | map('jurisdiction', 'indeterminate')"
lec = "body.reply.result.company | null_if(nullwords)"
[maps.line_type]
"Cell-o-phone" = "mobile"
"/^ip /" = "voip"
"#;
    let body = |kind: &str| {
        format!(
            "<v:reply xmlns:v='http://v.test/'><result code='0'><ported>Y</ported><type>{kind}</type><mnc>004</mnc>\
             <jurisdiction>?</jurisdiction><company>N/A</company></result>\
             <number><tn>3035550100</tn><lrn>7205550000</lrn></number></v:reply>"
        )
    };
    for (word, line_type) in [("CELL O PHONE", "mobile"), ("IP centrex", "voip"), ("Freephone", "toll_free")] {
        let answer = judged("lrn", upstream, 200, "text/html", body(word).as_bytes()).await;
        let expected = json!({"lrn": "+17205550000", "ported": true, "line_type": line_type, "mnc": "004",
                              "jurisdiction": "indeterminate"});
        assert_eq!(record(answer), expected, "{word}");
    }
    let answer = judged("lrn", upstream, 200, "text/xml", b"<reply><result code='4'><x/></result></reply>").await;
    assert_eq!(answer.outcome, Outcome::NotFound);
    let answer = judged("lrn", upstream, 200, "text/xml", b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><reply/>").await;
    assert_eq!(answer.outcome, Outcome::VendorError);
    assert!(answer.detail.unwrap().contains("DTD"));
}

#[tokio::test]
async fn a_hostile_name_never_reaches_a_script() {
    let upstream = r#"format = "text"
charset = "latin-1"
rule = [
  { when = "text is empty", outcome = "not_found" },
  { when = "text in nullnames", outcome = "not_found" },
  { when = "text is matching('^-\\d+$')", outcome = "quota_exhausted", alert = true },
]
[upstream.fields]
name = "text | untagged | presentable(15)"
name_full = "text"
spam_tag = "text | spam_tag"
"#;
    let hostile = b"Spam? \"M\xfcLLER\" ${system(rm)}\r\nX-Evil: 1\x00\x07 %{x} <b>";
    let answer = record(judged("cnam", upstream, 200, "text/plain; charset=utf-8", hostile).await);
    assert_eq!(answer["name"], "MüLLER $system(");
    assert_eq!(answer["spam_tag"], "Spam");
    for text in answer.as_object().unwrap().values().map(|value| value.as_str().unwrap()) {
        let bad = ["\r", "\n", "\0", "\"", "${", "%{", "\u{7}"].iter().find(|bad| text.contains(**bad));
        assert_eq!(bad, None, "{text}");
    }
    for nothing in [&b""[..], b"WIRELESS CALLER", b"3035550100", b" unavailable\n"] {
        assert_eq!(judged("cnam", upstream, 200, "text/plain", nothing).await.outcome, Outcome::NotFound);
    }
    let broke = judged("cnam", upstream, 200, "text/plain", b"-1005").await;
    assert!(broke.outcome == Outcome::QuotaExhausted && broke.alert && broke.hold_grows);
}

#[tokio::test]
async fn forms_tables_scales_and_times() {
    let form = "format = \"kv\"\nfields = { score = \"body.risk | scale(100) | clamp(0, 100)\", level = \"body.risk | scale(100) | level\", first_seen = \"body.seen | iso('%m/%d/%Y')\" }\n";
    let answer = judged("reputation", form, 200, "text/plain", b"risk=0.835&seen=11%2F21%2F2025").await;
    assert_eq!(record(answer), json!({"score": 83.5, "level": "high", "first_seen": "2025-11-21T00:00:00Z"}));
    let table = "format = \"csv\"\nfields = { reports = \"body | count\", level = \"body | count | bucket([1, 3], ['clean', 'low', 'high'])\" }\n";
    let answer = judged("reputation", table, 200, "text/csv", b"when,what\n1,a\n2,b\n3,c\n").await;
    assert_eq!(record(answer), json!({"reports": 3, "level": "high"}));
}

#[tokio::test]
async fn a_life_comes_with_the_answer_and_an_error_page_with_another_format() {
    let upstream = r#"format = "json"
error_format = "text"
ttl = { from = "body.ttl", cache_control = true }
rule = [{ when = "status == 503 and text is containing('busy')", outcome = "rate_limited", hold = "7s" }]
fields = { lrn = "body.lrn" }
"#;
    let answer = judged("lrn", upstream, 200, "application/json", br#"{"lrn":"7205550000","ttl":"90"}"#).await;
    assert_eq!((answer.ttl, answer.keep), (Some(Duration::from_secs(90)), true));
    let answer = judged("lrn", upstream, 200, "application/json", br#"{"lrn":"7205550000","ttl":"NO-CACHE"}"#).await;
    assert!(!answer.keep && answer.record.is_some());
    let answer = judged("lrn", upstream, 503, "text/html", b"<p>busy</p>").await;
    assert_eq!((answer.outcome, answer.hold), (Outcome::RateLimited, Some(Duration::from_secs(7))));
    assert_eq!(judged("lrn", upstream, 200, "text/html", b"<p>busy</p>").await.outcome, Outcome::VendorError);
}
