//! Habits from other languages: what people write who know jq, JSONPath, JavaScript or SQL, and what it is here.

/// What to write in the place of an expression that does not parse; `rest` is where the parser stopped.
pub(super) fn instead_of_syntax(source: &str, rest: &str) -> Option<&'static str> {
    let source = source.trim();
    let has = |text: &str| source.contains(text);
    let mend = if has("{{") {
        "write an expression without `{{` and `}}`"
    } else if source.starts_with("if ") {
        "write the test itself, without `if`"
    } else if source.starts_with(['$', '/']) {
        "write the path from `body` on, with dots, as in `body.data.lrn`"
    } else if has("&&") || has("||") || rest.starts_with('!') {
        "write `and`, `or` and `not`"
    } else if has("=~") || has("!~") {
        "write a test, as in `text is matching('(?i)not found')`"
    } else if rest.starts_with("contains") {
        "write it the other way round: `'not found' in text`"
    } else if rest.starts_with('?') {
        "write `a if test else b`"
    } else if rest.starts_with(',') {
        "a list stands in brackets, as in `status in [404, 410]`"
    } else if rest.starts_with('=') {
        "write `==` to compare two values, as in `status == 404`"
    } else {
        return None;
    };
    Some(mend)
}

/// What to write in the place of a name that does not exist; `known` are those that do.
pub(super) fn instead_of_name(name: &str, known: &[&str]) -> Option<&'static str> {
    let knows = |name: &str| known.contains(&name);
    match name {
        "null" | "nil" | "NULL" | "undefined" | "Null" => {
            Some("write `not body.lrn`: what is null, empty or not there counts as false; null alone is `is none`")
        }
        "response" | "resp" | "res" | "json" | "xml" | "data" | "result" | "payload" | "answer" | "doc" | "root"
            if knows("body") =>
        {
            Some("the decoded answer is `body`, as in `body.data.lrn`")
        }
        "number" | "phone" | "phone_number" | "tn" | "msisdn" | "caller" | "called" | "input" if knows("key") => {
            Some("what is asked about is `key`; every further input is declared in [input]")
        }
        _ if knows("rows") && !knows("body") => Some("a column is `rows[0].NAME`; what is asked about is `key`"),
        _ if knows("row") && !knows("body") => Some("a column is `row.NAME`"),
        _ => None,
    }
}

/// What to write in the place of a test that does not exist.
pub(super) fn instead_of_test(name: &str) -> Option<&'static str> {
    match name {
        "null" | "nil" | "Null" | "NULL" => {
            Some("write `is none`, or `not …`, which holds for what is not there as well")
        }
        "contains" => Some("write `'text' in value`, or `is containing('text')`"),
        "like" | "match" | "matches" | "regex" => Some("write `is matching('regular expression')`"),
        _ => None,
    }
}
