//! Statuses, headers and bodies, to the letter.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::client::{Client, Response, get, plain};

const HIT: &str = r#"{"lrn":"13035550123","ocn":"7, \"x\"","ported":true,"nil":null}"#;

fn told(response: &Response) -> (u16, &str, &str) {
    (response.status, response.header("X-Dip-Outcome").unwrap(), response.header("X-Dip-Source").unwrap())
}

#[tokio::test]
async fn a_hit_is_one_line_of_json() {
    let hit = get(&plain(), "/v1/lookup/lrn/13035550123").await;
    assert_eq!((told(&hit), hit.text()), ((200, "found", "local"), HIT));
    assert_eq!(hit.header("Content-Type"), Some("application/json"));
    assert_eq!(hit.header("Cache-Status"), Some("dipcache; hit; ttl=3600; detail=local"));
    assert_eq!(hit.header("Age"), Some("12"));
    assert_eq!(hit.header("Retry-After"), None);
}

#[tokio::test]
async fn every_outcome_has_its_status() {
    let server = plain();
    let table = [
        ("200", 200, "found", "vendor-a", "dipcache; fwd=miss; stored", None),
        ("201", 200, "partial", "vendor-a", "dipcache; fwd=miss; stored; collapsed", None),
        ("202", 200, "found", "stale", "dipcache; hit; ttl=-7; detail=stale", None),
        ("203", 200, "fallback", "fallback", "dipcache; fwd=miss; detail=fallback", None),
        ("204", 200, "found", "shared", "dipcache; hit; ttl=9; detail=shared", None),
        ("404", 404, "not_found", "vendor-a", "dipcache; fwd=miss; stored", None),
        ("405", 404, "not_applicable", "none", "dipcache; detail=not_applicable", None),
        ("406", 404, "invalid_number", "vendor-a", "dipcache; fwd=miss; stored", None),
        ("500", 503, "open", "none", "dipcache; detail=open", Some("3")),
        ("501", 503, "rate_limited", "none", "dipcache; detail=rate_limited", Some("1")),
        ("502", 502, "vendor_error", "none", "dipcache; fwd=miss; detail=vendor_error", None),
        ("503", 503, "quota_exhausted", "none", "dipcache; detail=quota_exhausted", Some("60")),
        ("506", 503, "auth_error", "none", "dipcache; detail=auth_error", Some("1")),
        ("507", 503, "overload", "none", "dipcache; detail=overload", Some("1")),
        ("999", 504, "timeout", "none", "dipcache; fwd=miss; detail=timeout", None),
        ("abc", 400, "invalid_number", "none", "dipcache; detail=invalid_number", None),
        ("", 400, "invalid_number", "none", "dipcache; detail=invalid_number", None),
    ];
    let mut client = Client::connect(server.address).await;
    for (key, status, outcome, source, cache_status, retry_after) in table {
        let response = client.get(&format!("/v1/lookup/lrn/{key}")).await;
        assert_eq!(told(&response), (status, outcome, source), "{key}");
        assert_eq!(response.header("Cache-Status"), Some(cache_status), "{key}");
        assert_eq!(response.header("Retry-After"), retry_after, "{key}");
        assert_eq!(response.header("Age").is_some(), cache_status.contains("hit"), "{key}");
        let length = response.body.len().to_string();
        assert_eq!(response.header("Content-Length"), Some(length.as_str()), "{key}");
        assert_eq!(response.body.is_empty(), status != 200, "an error's body is empty: {key}");
        assert_eq!(response.header("Content-Type").is_some(), status == 200, "{key}");
    }
    assert_eq!(server.desk.answered.load(Ordering::Relaxed), table.len(), "each answer is counted once");
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let server = plain();
    let mut client = Client::connect(server.address).await;
    let bad = [
        "/v1/lookup/cnam/abc",
        "/v1/lookup/lrn/1?nothing=1",
        "/v1/lookup/lrn/1?ani=x",
        "/v1/lookup/lrn/1?budget_ms=0",
        "/v1/lookup/lrn/1?budget_ms=1.5",
        "/v1/lookup/lrn/1?format=xml",
        "/v1/lookup/lrn/1?format=json&format=json",
        "/v1/lookup/lrn/1?field=",
        "/v1/lookup/lrn/%zz",
        "/v1/lookup/raw/%00",
        "/v1/lookup/raw/a%0d%0ab",
        "/v1/lookup/raw/%ff",
    ];
    for target in bad {
        let response = client.get(target).await;
        assert_eq!((told(&response), response.text()), ((400, "invalid_input", "none"), ""), "{target}");
    }
    let long = "1".repeat(4097);
    assert_eq!(told(&client.get(&format!("/v1/lookup/lrn/{long}")).await), (400, "invalid_input", "none"));
    assert_eq!(client.get(&format!("/v1/lookup/lrn/{}", &long[1..])).await.status, 200);
    assert_eq!(told(&client.get("/v1/lookup/nobody/1").await), (404, "unknown_lookup", "none"));
    assert_eq!(told(&client.get("/v1/health/nobody").await), (404, "unknown_lookup", "none"));
    assert_eq!(server.desk.unknown.load(Ordering::Relaxed), 2);
    for nowhere in ["/v1/lookup/lrn", "/v1/lookup/lrn/1/2", "/v1/", "/v1/else?x=%zz"] {
        let response = client.get(nowhere).await;
        assert_eq!((response.status, response.text(), response.header("X-Dip-Outcome")), (404, "", None), "{nowhere}");
    }
}

#[tokio::test]
async fn a_plus_stays_a_plus_where_a_number_is_meant() {
    let mut client = Client::connect(plain().address).await;
    for key in ["+1303", "%2B1303", "%2b1303"] {
        assert_eq!(client.get(&format!("/v1/lookup/lrn/{key}?field=lrn")).await.text(), "+1303", "{key}");
    }
    for ani in ["+1202", "%2B1202"] {
        assert_eq!(client.get(&format!("/v1/lookup/lrn/1303?field=ani&ani={ani}")).await.text(), "+1202", "{ani}");
    }
    assert_eq!(
        client.get("/v1/lookup/raw/sip:+1303@a.b;user=phone?field=key").await.text(),
        "sip:+1303@a.b;user=phone"
    );
    assert_eq!(client.get("/v1/lookup/raw/a%20%C3%A9%2Fb?field=key").await.text(), "a é/b");
    assert_eq!(client.get("/v1/lookup/%6crn/1303?field=lrn").await.text(), "1303");
}

#[tokio::test]
async fn a_record_comes_in_the_form_that_is_asked_for() {
    let mut client = Client::connect(plain().address).await;
    let table = [
        ("format=json", "application/json", r#"{"lrn":"1","ocn":"7, \"x\"","ported":true,"nil":null}"#),
        ("format=text", "text/plain; charset=utf-8", "1"),
        ("format=params", "application/x-www-form-urlencoded", "lrn=1&ocn=7%2C+%22x%22&ported=true&nil="),
        ("format=csv", "text/csv; charset=utf-8", r#"1,"7, ""x""",true,"#),
        ("field=ported", "text/plain; charset=utf-8", "true"),
        ("format=csv&field=ocn", "text/plain; charset=utf-8", "7, \"x\""),
    ];
    for (query, media_type, body) in table {
        let response = client.get(&format!("/v1/lookup/lrn/1?{query}")).await;
        assert_eq!((told(&response), response.text()), ((200, "found", "local"), body), "{query}");
        assert_eq!(response.header("Content-Type"), Some(media_type), "{query}");
    }
    for absent in ["gone", "nil", "%2E"] {
        let response = client.get(&format!("/v1/lookup/lrn/1?field={absent}")).await;
        assert_eq!((told(&response), response.text()), ((404, "not_found", "local"), ""), "{absent}");
    }
    assert_eq!(client.get("/v1/lookup/raw/x?format=text").await.status, 404, "the text field may be absent too");
}

#[tokio::test]
async fn the_callers_budget_shortens_the_policys_and_never_lengthens_it() {
    let mut client = Client::connect(plain().address).await;
    for (asked, least, most) in [("20", 20, 200), ("99999999999999999999", 300, 600)] {
        let begun = dipcache::deadline::now();
        let response = client.get(&format!("/v1/lookup/lrn/999?budget_ms={asked}")).await;
        let took = begun.elapsed();
        assert_eq!(response.status, 504);
        let bounds = Duration::from_millis(least)..Duration::from_millis(most);
        assert!(bounds.contains(&took), "{asked}: {took:?}");
    }
}

#[tokio::test]
async fn flags_are_for_scripts() {
    let mut client = Client::connect(plain().address).await;
    let all = client.get("/v1/health").await;
    assert_eq!((all.status, all.text()), (200, r#"{"cnam":1,"lrn":0,"raw":1}"#));
    assert_eq!(all.header("Content-Type"), Some("application/json"));
    for (lookup, flag) in [("cnam", "1"), ("lrn", "0")] {
        let one = client.get(&format!("/v1/health/{lookup}")).await;
        assert_eq!((one.status, one.text()), (200, flag));
        assert_eq!(one.header("Content-Type"), Some("text/plain; charset=utf-8"));
    }
}
