use std::path::Path;

use super::*;

const POLICY: &str = r#"
kind = "lrn"
enabled = "secrets"

[input]
key = { type = "tn", country = "US" }
ani = { type = "tn", optional = true }
applies_when = "key | npa not in tollfree"

[cache]
found = "1h"
max_ttl = "30m"

[[upstream]]
name = "a"
type = "http"
url = "https://a.example/{{ key | nanp10 }}"
headers = { Accept = "application/json" }
body = { tn = "{{ key }}" }
auth = { type = "bearer", token = "env:KEY_OF_A" }
[[upstream.rule]]
when = "body.code == 7"
outcome = "rate_limited"
hold = "90s"
[[upstream.rule]]
when = "body.short"
outcome = "found"
ttl = "45m"
[upstream.fields]
lrn = "body.lrn | e164_plus"
ocn = "body.ocn"

[[upstream]]
name = "b"
type = "dns"
record = "NAPTR"
domain = "{{ key | enum('e164.arpa') }}"
servers = "192.0.2.53"
[upstream.fields]
lrn = "answers[0].rn"
"#;

/// What a file with this one case differs in, a line each.
fn differences(case: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("cases")).unwrap();
    std::fs::write(folder.path().join("lrn.toml"), POLICY).unwrap();
    let file = folder.path().join("cases/lrn.json");
    let key = if case.contains(r#""key""#) { "" } else { r#""key":"3035550123","# };
    let text = format!(r#"{{"secrets":{{"env:KEY_OF_A":"k e y"}},"cases":[{{"name":"one",{key}{case}}}]}}"#);
    std::fs::write(&file, text).unwrap();
    match replay(&file) {
        Ok(report) => {
            assert_eq!((report.lookup.as_str(), report.cases.len()), ("lrn", 1));
            let line = |one: &Difference| format!("{}: {} != {}", one.what, one.expected, one.got);
            report.cases[0].differences.iter().map(line).collect()
        }
        Err(faults) => {
            let folder = format!("{}/", folder.path().display());
            faults.iter().map(|fault| fault.to_string().replace(&folder, "")).collect()
        }
    }
}

const NONE: [&str; 0] = [];

#[test]
fn a_case_that_holds() {
    let request = r#""request":{"method":"POST","url":"https://a.example/3035550123","headers":{"AUTHORIZATION":"Bearer k e y","x-none":null,"content-type":"application/json"},"body":{"tn":"+13035550123"}}"#;
    let answer = r#""answer":{"body":{"lrn":"3035550100","ocn":"1234","address":"kept by nobody"}}"#;
    let expect = r#""expect":{"outcome":"found","record":{"lrn":"+13035550100","ocn":"1234","spid":null},"ttl":"1h","hold":"0","rule":"built in: 200"}"#;
    assert_eq!(differences(&format!("{request},{answer},{expect}")), NONE);
}

#[test]
fn everything_that_differs_is_told_by_name() {
    let request = r#""request":{"method":"GET","url":"https://a.example/1","headers":{"accept":"text/plain","x-none":"1"},"body":{"tn":1}}"#;
    let answer = r#""answer":{"body":{"lrn":"3035550100","ocn":"1234","short":true}}"#;
    let expect = r#""expect":{"outcome":"partial","record":{"lrn":"+13035550199","lata":"656"},"ttl":"1h","hold":"1s","rule":"rule 1"}"#;
    assert_eq!(
        differences(&format!("{request},{answer},{expect}")),
        [
            "request.method: GET != POST",
            "request.url: https://a.example/1 != https://a.example/3035550123",
            "request.headers.accept: text/plain != application/json",
            "request.headers.x-none: 1 != nothing",
            r#"request.body: {"tn":1} != {"tn":"+13035550123"}"#,
            "outcome: partial != found (rule 2)",
            r#"record.lrn: "+13035550199" != "+13035550100""#,
            r#"record.lata: "656" != nothing"#,
            r#"record.ocn: nothing != "1234""#,
            "ttl: 1h != 30m",
            "hold: 1s != 0ms",
            "rule: rule 1 != rule 2",
        ]
    );
}

#[test]
fn the_next_upstream_is_asked_when_one_has_no_answer() {
    let answers = r#""answers":{"a":{"status":429,"headers":{"Retry-After":"7"}},"b":{"answers":[{"rn":"+13035550100"}],"ttl":60}}"#;
    let expect = r#""expect":{"outcome":"found","record":{"lrn":"+13035550100"},"ttl":"1m"}"#;
    let name = r#""request":{"name":"3.2.1.0.5.5.5.3.0.3.1.e164.arpa"}"#;
    assert_eq!(differences(&format!("{answers},{expect},{name}")), NONE);
    let only_a = r#""upstream":"a","expect":{"outcome":"rate_limited","hold":"7s"}"#;
    assert_eq!(differences(&format!("{answers},{only_a}")), NONE);
    let nobody = r#""upstream":"c","expect":{"outcome":"open"}"#;
    assert_eq!(differences(&format!("{answers},{nobody}")), ["upstream: c != a, b"]);
    let silent = r#""upstream":"b","answer":{"failure":"timeout"},"expect":{"outcome":"timeout"}"#;
    assert_eq!(differences(silent), NONE);
}

#[test]
fn what_is_never_asked_needs_no_answer() {
    let asked = differences(r#""expect":{"outcome":"not_applicable"}"#);
    assert_eq!(
        asked,
        ["answer: no request != a request to `b`", "outcome: not_applicable != open (the case has no answer)",]
    );
    assert_eq!(differences(r#""key":"8005550123","expect":{"outcome":"not_applicable"}"#), NONE);
    assert_eq!(differences(r#""inputs":{"ani":"x"},"expect":{"outcome":"invalid_input"}"#), NONE);
}

#[test]
fn a_wrong_file_says_where() {
    assert_eq!(
        differences(r#""expct":{"outcome":"found"}"#),
        [
            "cases/lrn.json:1:85: unknown field `expct`, expected one of `name`, `key`, `inputs`, `upstream`, `answer`, `answers`, `steps`, `at`, `request`, `expect`; policies/README.md shows what a cases file looks like"
        ]
    );
    assert!(
        differences(r#""expect":{"outcome":"fund"}"#)[0].contains("`fund` is no outcome; there are found, partial")
    );
    assert!(replay(Path::new("/no/such.json")).unwrap_err()[0].what.contains("does not read"));
}

#[test]
fn a_secret_without_a_stand_in_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("lrn.toml"), POLICY.replace("enabled = \"secrets\"", "")).unwrap();
    let file = folder.path().join("cases.json");
    std::fs::write(&file, r#"{"policy":"lrn.toml","cases":[{"name":"x","key":"1","expect":{"outcome":"found"}}]}"#)
        .unwrap();
    let fault = &replay(&file).unwrap_err()[0];
    assert_eq!(fault.what, "the cases file has no stand-in for the secret `env:KEY_OF_A`");
    assert_eq!(fault.mend, "add `\"env:KEY_OF_A\": \"…\"` to its `secrets`");
}

/// What a file of this policy and these cases differs in, a line each.
fn differences_of(policy: &str, cases: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("lrn.toml"), policy).unwrap();
    let file = folder.path().join("cases.json");
    std::fs::write(&file, cases).unwrap();
    let report = replay(&file).unwrap_or_else(|faults| panic!("{}", faults[0]));
    let line = |one: &Difference| format!("{}: {} != {}", one.what, one.expected, one.got);
    report.cases.iter().flat_map(|case| case.differences.iter().map(line)).collect()
}

const HEAD: &str = "kind = \"lrn\"\n[input]\nkey = { type = \"tn\", country = \"US\" }\n";

#[test]
fn answers_are_merged_as_the_pipeline_merges_them() {
    let upstream = |name: &str, fields: &str| {
        format!(
            "[[upstream]]\nname = \"{name}\"\ntype = \"http\"\nurl = \"https://{name}.example/{{{{ key }}}}\"\n[upstream.fields]\n{fields}\n"
        )
    };
    let policy = format!(
        "{HEAD}[budget]\nanswer = \"merge\"\n[merge]\nocn = [\"b\", \"a\"]\n{}{}",
        upstream("a", "lrn = \"body.lrn\"\nocn = \"body.ocn\""),
        upstream("b", "ocn = \"body.ocn\"\nlata = \"body.lata\"")
    );
    let a = r#"{"body":{"lrn":"3035550100","ocn":"1111"}}"#;
    let cases = |b: &str, expect: &str| {
        format!(
            r#"{{"policy":"lrn.toml","cases":[{{"name":"x","key":"3035550123","answers":{{"a":{a},"b":{b}}},"expect":{expect}}}]}}"#
        )
    };
    let both = cases(
        r#"{"body":{"ocn":"2222","lata":"656"}}"#,
        r#"{"outcome":"found","record":{"lrn":"+13035550100","ocn":"2222","lata":"656"}}"#,
    );
    assert_eq!(differences_of(&policy, &both), NONE);
    let one =
        cases(r#"{"failure":"timeout"}"#, r#"{"outcome":"partial","record":{"lrn":"+13035550100","ocn":"1111"}}"#);
    assert_eq!(differences_of(&policy, &one), NONE);
}

#[test]
fn dependent_steps_are_asked_of_their_stubs() {
    let policy = format!(
        "{HEAD}[[upstream]]\ntype = \"http\"\nurl = \"https://a.example/{{{{ key }}}}\"\n[upstream.fields]\nlrn = \"body.lrn\"\n\
         [[then]]\nlookup = \"lerg\"\nkey = \"{{{{ record.lrn | npa }}}}{{{{ record.lrn | nxx }}}}\"\nfields = {{ state = \"state\" }}\n"
    );
    let cases = |steps: &str, expect: &str| {
        format!(
            r#"{{"policy":"lrn.toml","cases":[{{"name":"x","key":"3035550123","answer":{{"body":{{"lrn":"7205550100"}}}},"steps":{steps},"expect":{expect}}}]}}"#
        )
    };
    let whole = r#"{"outcome":"found","record":{"lrn":"+17205550100","state":"CO"}}"#;
    let stub = r#"{"lerg":{"key":"720555","record":{"state":"CO","ocn":"9999"}}}"#;
    assert_eq!(differences_of(&policy, &cases(stub, whole)), NONE);
    let partial = r#"{"outcome":"partial","record":{"lrn":"+17205550100"}}"#;
    assert_eq!(differences_of(&policy, &cases(r#"{"lerg":{}}"#, partial)), NONE);
    let other = stub.replace("720555", "303555");
    assert_eq!(differences_of(&policy, &cases(&other, whole)), ["steps.lerg.key: 303555 != 720555"]);
}

#[test]
fn a_signature_and_a_token_request_are_compared() {
    let signed = format!(
        "{HEAD}[[upstream]]\ntype = \"http\"\nurl = \"https://a.example/v1/{{{{ key | e164 }}}}?u={{{{ uuid }}}}\"\n\
         auth = {{ type = \"hmac\", secret = \"env:SECRET\", string = \"{{{{ method }}}}{{{{ path }}}}{{{{ timestamp }}}}\", \
         headers = {{ X-Sign = \"{{{{ signature }}}}\", X-Time = \"{{{{ timestamp }}}}\" }} }}\n[upstream.fields]\nlrn = \"body.lrn\"\n"
    );
    let case = |at: &str, sign: &str| {
        format!(
            r#"{{"policy":"lrn.toml","secrets":{{"env:SECRET":"s"}},"cases":[{{"name":"x","key":"3035550123",{at}"request":{{"url":"https://a.example/v1/13035550123?u=00000000-0000-0000-0000-000000000000","headers":{{"x-time":"1763700000","x-sign":"{sign}"}}}},"answer":{{"body":{{"lrn":"7205550100"}}}},"expect":{{"outcome":"found"}}}}]}}"#
        )
    };
    // printf 'GET/v1/130355501231763700000' | openssl dgst -sha256 -hmac s
    let sign = "c718de38a5fb3842c7d8139c6693ab4506b536e7dce4771746206481564ed481";
    assert_eq!(differences_of(&signed, &case(r#""at":1763700000,"#, sign)), NONE);
    assert_eq!(
        differences_of(&signed, &case(r#""at":1763700000,"#, "0"))[0],
        format!("request.headers.x-sign: 0 != {sign}")
    );
    assert_eq!(
        differences_of(&signed, &case("", sign)).len(),
        3,
        "without a moment the URL, the time and the signature vary"
    );

    let oauth2 = format!(
        "{HEAD}[[upstream]]\ntype = \"http\"\nurl = \"https://a.example/{{{{ key }}}}\"\n\
         auth = {{ type = \"oauth2\", token_url = \"https://auth.example/token\", client_id = \"me\", client_secret = \"env:SECRET\", scope = \"lrn\" }}\n\
         [upstream.fields]\nlrn = \"body.lrn\"\n"
    );
    let case = |scope: &str| {
        format!(
            r#"{{"policy":"lrn.toml","secrets":{{"env:SECRET":"s"}},"cases":[{{"name":"x","key":"3035550123","request":{{"headers":{{"authorization":"Bearer ***"}},"token":{{"method":"POST","url":"https://auth.example/token","headers":{{"authorization":"Basic bWU6cw=="}},"body":"grant_type=client_credentials&scope={scope}"}}}},"answer":{{"body":{{"lrn":"7205550100"}}}},"expect":{{"outcome":"found"}}}}]}}"#
        )
    };
    assert_eq!(differences_of(&oauth2, &case("lrn")), NONE);
    assert_eq!(
        differences_of(&oauth2, &case("cnam")),
        ["request.token.body: grant_type=client_credentials&scope=cnam != grant_type=client_credentials&scope=lrn"]
    );
}
