//! Misuses of the policy language, and what an operator who never saw it is told: where, what is wrong, and the next step.

#![allow(clippy::unwrap_used, reason = "clippy knows tests, and not their helpers beside them")]

use std::path::Path;

use dipcache::policy::check::parse;

/// A policy without a fault, to be misused in one place.
const GOOD: &str = r#"kind = "lrn"
[input]
key = { type = "tn", country = "US" }
[[upstream]]
type = "http"
url = "https://lrn.vendor.example/v1/{{ key | nanp10 }}"
[[upstream.rule]]
when = "status == 404"
outcome = "not_found"
[upstream.fields]
lrn = "body.lrn or key"
"#;

/// What is wrong with the good policy once `good` is replaced by `bad`.
fn told(good: &str, bad: &str) -> String {
    assert!(GOOD.contains(good), "the test replaces what is not there: {good}");
    let faults = parse("lrn", Path::new("lrn.toml"), &GOOD.replace(good, bad)).err().unwrap_or_default();
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_good_policy_is_good() {
    assert_eq!(told("404", "404"), "");
}

#[test]
fn one_equals_sign() {
    assert_eq!(
        told("status == 404", "status = 404"),
        "lrn.toml:8:16: this is no expression: unexpected input after expression; write `==` to compare two values, as in `status == 404`"
    );
}

#[test]
fn text_without_quotes() {
    assert_eq!(
        told("status == 404", "body.code == NOT_FOUND"),
        "lrn.toml:8:22: there is no name `NOT_FOUND`; known here: `tollfree`, `nullnames`, `nullwords`, `key`, `status`, `headers`, `body`, `text`; a further input is declared in [input], a fixed text stands in quotes"
    );
}

#[test]
fn a_string_that_never_ends() {
    assert_eq!(
        told("body.lrn or key", "body['lrn] or key"),
        "lrn.toml:11:25: this is no expression: unexpected end of string; a text has no closing quote: close it with the quote that opened it"
    );
}

#[test]
fn a_bracket_that_never_ends() {
    assert_eq!(
        told("body.lrn or key", "body['lrn' or key"),
        "lrn.toml:11:22: this is no expression: unexpected end of input, expected `]`; something is open: close it with `]`"
    );
}

#[test]
fn an_unknown_filter() {
    assert_eq!(
        told("body.lrn or key", "body.lrn | to_e164"),
        "lrn.toml:11:19: there is no filter `to_e164`; the filters for numbers are `e164`, `e164_plus`, `nanp10`, `nanp11`, `national`, `npa`, `nxx`, `line`, `block`, `dashed`, `cc`"
    );
}

#[test]
fn a_method_of_another_language() {
    assert_eq!(
        told("status == 404", "text.startswith('ERR')"),
        r#"lrn.toml:8:9: values have no method `startswith`; use a test: `value is startingwith("…")`"#
    );
}

#[test]
fn operators_of_another_language() {
    assert_eq!(
        told("status == 404", "status == 404 && text == ''"),
        "lrn.toml:8:23: this is no expression: unexpected character; write `and`, `or` and `not`"
    );
}

#[test]
fn a_template_in_an_expression() {
    assert_eq!(
        told("body.lrn or key", "{{ body.lrn }}"),
        "lrn.toml:11:20: this is no expression: unexpected `}`, expected `:`; write an expression without `{{` and `}}`"
    );
}

#[test]
fn an_expression_where_a_template_belongs() {
    assert_eq!(
        told("v1/{{ key | nanp10 }}", "v1/{ key | nanp10 }"),
        "lrn.toml:6:7: the URL has a space in it; a value stands in two braces, as in `{{ key | nanp10 }}`; a space is written %20"
    );
}

#[test]
fn a_host_from_the_question() {
    assert_eq!(
        told("lrn.vendor.example", "{{ key }}.vendor.example"),
        "lrn.toml:6:7: `{{ key }}` stands in the host: who asks would choose whom we ask; write the host in full, or with `{{ vars.NAME }}`; what varies goes into the path or into `query`"
    );
}

#[test]
fn a_url_from_the_question() {
    assert_eq!(
        told("https://lrn.vendor.example/v1/{{ key | nanp10 }}", "{{ key }}"),
        "lrn.toml:6:7: `{{ key }}` stands where the URL begins: who asks would choose whom we ask; write scheme and host in full, or with `{{ vars.NAME }}`; a URL that is the caller's to choose is an input `{ type = \"url\", hosts = [\"cert\\\\.carrier\\\\.example\"] }`, and stands alone: `url = \"{{ key }}\"`"
    );
}

/// The good policy with a URL as its key, and these lines in its upstream.
fn told_of_callers_url(input: &str, lines: &str) -> String {
    let text = GOOD.replace(r#"{ type = "tn", country = "US" }"#, input).replace(
        r#"url = "https://lrn.vendor.example/v1/{{ key | nanp10 }}""#,
        &format!("url = \"{{{{ key }}}}\"\n{lines}"),
    );
    let faults = parse("lrn", Path::new("lrn.toml"), &text).err().unwrap_or_default();
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_callers_url_without_a_word_on_where_it_may_lead() {
    assert_eq!(told_of_callers_url(r#"{ type = "url", hosts = ["a\\.example"] }"#, ""), "");
    assert_eq!(
        told_of_callers_url(r#"{ type = "url" }"#, ""),
        "lrn.toml:3:7: `hosts` is missing: who asks would choose whom we ask; write the whole of each host as a regular expression, as in `hosts = [\"cert\\\\.carrier\\\\.example\"]`"
    );
    assert_eq!(
        told_of_callers_url(r#"{ type = "text", hosts = ["a"], ports = [0], allow_private = true }"#, "")
            .lines()
            .next(),
        Some("lrn.toml:3:32: `hosts` belongs to URLs; take it out, or write `type = \"url\"`")
    );
    assert_eq!(
        told_of_callers_url(r#"{ type = "url", hosts = ["*.example"], ports = [70000] }"#, ""),
        "lrn.toml:3:32: the regular expression does not compile: repetition operator missing expression; write the whole of each host as a regular expression, as in `hosts = [\"cert\\\\.carrier\\\\.example\"]`\n\
         lrn.toml:3:55: `70000` is no port; write a number from 1 to 65535"
    );
}

#[test]
fn what_is_ours_sent_where_the_caller_says() {
    let input = r#"{ type = "url", hosts = ["a\\.example"] }"#;
    for (line, what) in [
        (r#"auth = { type = "bearer", token = "env:PATH" }"#, "`auth` would go to a server of the caller's choice"),
        (r#"query = { a = "1" }"#, "`query` would go to a server of the caller's choice"),
        (r#"json = { a = "1" }"#, "`json` would go to a server of the caller's choice"),
        (
            r#"proxy = "http://proxy.example:3128""#,
            "behind a proxy nobody could tell where `key`, the caller's own URL, leads",
        ),
        (r#"method = "POST""#, "`key` is the caller's own URL, and is only ever fetched"),
        (r#"headers = { X-Key = "{{ secrets.a }}" }"#, "a secret would go to a server of the caller's choice"),
    ] {
        let told = told_of_callers_url(input, line);
        assert!(told.contains(what) && told.starts_with("lrn.toml:7:"), "{line}: {told}");
        assert!(told.contains("a `url` of your own"), "it says what to do: {told}");
    }
}

#[test]
fn what_was_said_in_a_request() {
    assert_eq!(
        told("v1/{{ key | nanp10 }}", "v1/{{ body.lrn }}"),
        "lrn.toml:6:41: there is no name `body`; only rules and fields see what the upstream said"
    );
}

#[test]
fn a_name_of_another_transport() {
    assert_eq!(
        told("status == 404", "rcode == 'NXDOMAIN'"),
        "lrn.toml:8:9: this type of upstream has no `rcode`; there are `key`, `status`, `headers`, `body`, `text`"
    );
}

#[test]
fn a_key_of_another_transport() {
    assert_eq!(
        told(
            r#"url = "https"#,
            r#"servers = "192.0.2.53"
url = "https"#
        ),
        r#"lrn.toml:6:11: `servers` means nothing for `type = "http"`; take it out: it belongs to `type = "dns"`"#
    );
}

#[test]
fn an_outcome_that_no_rule_can_decide() {
    assert_eq!(
        told(r#""not_found""#, r#""fallback""#),
        "lrn.toml:9:11: `fallback` is not an outcome that a rule can decide; there are found, partial, not_found, not_applicable, invalid_number, rate_limited, quota_exhausted, auth_error, vendor_error, timeout"
    );
}

#[test]
fn a_hold_on_an_answer() {
    assert_eq!(
        told(
            r#""not_found""#,
            r#""not_found"
hold = "10m""#
        ),
        "lrn.toml:10:8: `hold` means nothing for `not_found`: the upstream answered; take it out, or write `ttl` for how long the answer is kept"
    );
}

#[test]
fn a_regular_expression_that_does_not_compile() {
    assert_eq!(
        told("status == 404", "text is matching('(?i)not (found')"),
        "lrn.toml:8:26: the regular expression does not compile: unclosed group; write it in the syntax of the Rust regex crate; there are no look-arounds and no back-references"
    );
}

#[test]
fn a_duration_without_a_unit() {
    assert_eq!(
        told(
            r#""not_found""#,
            r#""not_found"
ttl = 60"#
        ),
        r#"lrn.toml:10:7: `60` is a duration without its unit; write it in quotes with its unit, such as "80ms", "3s", "5m", "1h", "7d"; none at all is "0""#
    );
}

#[test]
fn a_secret_in_the_open() {
    assert_eq!(
        told(
            r#"url = "https"#,
            r#"auth = { type = "bearer", token = "KEY0123" }
url = "https"#
        ),
        "lrn.toml:6:35: a secret is given by reference: `env:NAME`, `file:PATH` or `cred:NAME`; put it into the environment or into a file, and name that here"
    );
}

#[test]
fn a_template_that_never_ends() {
    assert_eq!(
        told("v1/{{ key | nanp10 }}", "v1/{{ key | nanp10"),
        "lrn.toml:6:47: this is no template: unexpected end of input, expected end of variable block; close the value with `}}`, as in `{{ key | nanp10 }}`"
    );
}

#[test]
fn a_word_for_enabled() {
    assert_eq!(
        told(
            r#"kind = "lrn""#,
            r#"enabled = "yes"
kind = "lrn""#
        ),
        r#"lrn.toml:1:11: `yes` does not say whether the policy is served; write true, false, or "secrets": served once every secret it names is there"#
    );
}

#[test]
fn habits_of_other_languages_in_expressions() {
    for (bad, expected) in [
        (
            "status == '404'",
            "lrn.toml:8:19: `status` is a number, and never equal to a text; write it without quotes: `404`",
        ),
        (
            "status in ['404', 410]",
            "lrn.toml:8:20: `status` is a number, and never equal to a text; write it without quotes: `404`",
        ),
        (
            "status in 404, 410",
            "unexpected input after expression; a list stands in brackets, as in `status in [404, 410]`",
        ),
        ("if status == 404", "unexpected input after expression; write the test itself, without `if`"),
        (
            "body.lrn == null",
            "lrn.toml:8:21: there is no name `null`; write `not body.lrn`: what is null, empty or not there counts as false; null alone is `is none`",
        ),
        (
            "body.lrn is null",
            "there is no test `null`; write `is none`, or `not …`, which holds for what is not there as well",
        ),
        (
            "text =~ /not found/",
            "unexpected input after expression; write a test, as in `text is matching('(?i)not found')`",
        ),
        ("text contains 'x'", "unexpected input after expression; write it the other way round: `'not found' in text`"),
        ("$.data.code == 5", "unexpected character; write the path from `body` on, with dots, as in `body.data.lrn`"),
        (
            "response.code == 5",
            "lrn.toml:8:9: there is no name `response`; the decoded answer is `body`, as in `body.data.lrn`",
        ),
    ] {
        let told = told("status == 404", bad);
        assert!(told.starts_with("lrn.toml:8:") && told.ends_with(expected), "{bad}: {told}");
    }
    assert_eq!(
        told("body.lrn or key", "body.lrn ? body.lrn : key"),
        "lrn.toml:11:17: this is no expression: unexpected character; write `a if test else b`"
    );
}

#[test]
fn a_request_that_is_the_same_for_every_number() {
    for (written, shown) in [
        ("[NUMBER]", "[NUMBER]"),
        ("{key}", "{key}"),
        (":number", "/:number"),
        ("${caller_id_number}", "${caller_id_number}"),
        ("?n=$thenumber", "$thenumber"),
    ] {
        let expected = format!(
            "lrn.toml:6:7: `{shown}` is plain text here, and the request is the same for every question; write `{{{{ key }}}}` where it goes, with a filter where the vendor wants another form, as in `{{{{ key | nanp10 }}}}`"
        );
        assert_eq!(told("{{ key | nanp10 }}", written), expected);
    }
    assert_eq!(told("{{ key | nanp10 }}", "all"), "", "it may be meant: that is a warning");
}

#[test]
fn a_secret_among_the_parameters() {
    assert_eq!(
        told("{{ key | nanp10 }}", "{{ key | nanp10 }}?apikey=s3cr3t"),
        "lrn.toml:6:7: `apikey` carries a secret, which never stands in a policy; declare it under [secrets], as in `key = \"env:NAME\"`, and write `apikey` as `{{ secrets.key }}`; or write `auth = { type = \"query\", name = \"apikey\", value = \"env:NAME\" }`"
    );
    let told_reference = told("{{ key | nanp10 }}", "{{ key | nanp10 }}?k=env:KEY");
    assert!(
        told_reference
            .starts_with("lrn.toml:6:7: `k` would be sent as the words `env:KEY`: no reference is read here;")
    );
    let in_query = told(r#"url = "https"#, "query = { password = \"hunter2\" }\nurl = \"https");
    assert!(in_query.starts_with("lrn.toml:6:22: `password` carries a secret"), "{in_query}");
    let in_auth = told(r#"url = "https"#, "auth = \"Bearer s3cr3t\"\nurl = \"https");
    assert!(in_auth.contains("found something else") && !in_auth.contains("s3cr3t"), "{in_auth}");
}

#[test]
fn a_path_into_a_body_that_has_none() {
    assert_eq!(
        told(r#"url = "https"#, "format = \"text\"\nurl = \"https"),
        "lrn.toml:12:7: with `format = \"text\"` the body is one text, and has no `lrn`; take a part of it, as in `body | regex_search('LRN:(\\d+)')`, or write another `format`"
    );
    assert_eq!(
        told(r#"url = "https"#, "format = \"delimited\"\ncolumns = [\"lnr\", \"spid\"]\nurl = \"https"),
        "lrn.toml:13:7: `columns` has no `lrn`; did you mean `lnr`? there are lnr, spid"
    );
}

#[test]
fn what_is_no_toml() {
    for (good, bad, expected) in [
        (r#"type = "http""#, "type: http", "write `=` between a key and its value: `type = \"http\"`"),
        (r#""status == 404""#, "“status == 404”", "these quotes are typographic; write straight ones: `\"` or `'`"),
        (
            r#""body.lrn or key""#,
            r#""body["lrn"] or key""#,
            "a text ends at its next quote: write one with `\"` in it in single quotes, or `\\\"` for each",
        ),
        (
            "status == 404",
            r"text is matching('\d+')",
            "a backslash means something within \"…\": write the text in single quotes, or two backslashes",
        ),
        (
            r#""https://lrn.vendor.example/v1/{{ key | nanp10 }}""#,
            "https://lrn.vendor.example/v1/{{ key }}",
            "text needs quotes: write \"https://lrn.vendor.example/v1/{{ key }}\"",
        ),
        (
            GOOD,
            "{ \"kind\": \"lrn\" }",
            "this is JSON: write a line a key, as in `kind = \"lrn\"`, and tables as `[input]`",
        ),
        (
            "[[upstream]]",
            "[upstream]",
            "there may be more than one: write its header in two brackets, as in `[[upstream]]`",
        ),
    ] {
        let told = told(good, bad);
        assert!(told.starts_with("lrn.toml:") && told.ends_with(expected), "{bad}: {told}");
    }
}

#[test]
fn a_test_that_is_a_key() {
    let told = told("when = \"status == 404\"", "status = 404");
    let (missing, unknown) = told.split_once('\n').unwrap();
    assert_eq!(missing, "lrn.toml:7:1: `when` is missing; add the test, such as `when = \"status == 404\"`");
    assert!(unknown.starts_with(
        "lrn.toml:8:1: unknown key `status` in [[upstream.rule]]; a test is an expression: `when = \"status == 404\"`;"
    ));
}

#[test]
fn what_would_be_served_old_and_must_not_be() {
    assert_eq!(
        told("kind = \"lrn\"", "kind = \"location\"\ncache = { stale = \"1d\" }"),
        "lrn.toml:2:19: `stale` is not to be had here: where somebody was is not where he is; take it out, or write \"0\""
    );
}

#[test]
fn widths_and_weights_that_do_not_add_up() {
    let table = GOOD[..GOOD.find("[[upstream]]").unwrap()].to_owned()
        + "[[upstream]]\ntype = \"table\"\nfile = \"deck.dat\"\nkey_column = \"prefix\"\ncolumns = [\"prefix\", \"rate\"]\nwidths = [7]\nseparator = \";\"\n[upstream.fields]\nocn = \"row.rate\"\n";
    let faults = parse("lrn", Path::new("lrn.toml"), &table).err().unwrap_or_default();
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "lrn.toml:9:10: 1 widths do not go together with 2 `columns`; write one width from 1 to 10000 for each, as in `columns = [\"npa\", \"nxx\"]` and `widths = [3, 3]`",
            "lrn.toml:10:13: columns of fixed `widths` have no `separator` between them; take one of the two out",
        ]
    );
    assert_eq!(
        told(r#"url = "https"#, "weights = [3, 1]\nurl = \"https"),
        "lrn.toml:6:11: 2 weights do not go together with 0 `urls`; write one weight for each of `urls`, as in `weights = [3, 1]`"
    );
}
