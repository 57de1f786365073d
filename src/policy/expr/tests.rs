use serde_json::json;

use super::*;
use crate::policy::{Format, Question, Reading};

const RULE_NAMES: [&str; 9] = ["key", "status", "headers", "body", "text", "rcode", "answers", "rows", "ani"];

fn question() -> Question {
    Question {
        names: vec!["ani".into()],
        inputs: vec![Some("+12025550123".into())],
        ..Question::of_key("+13035550100")
    }
}

fn reading(body: &serde_json::Value) -> Scope {
    let headers = vec![("X-Cost".into(), "1".into()), ("x-cost".into(), "2".into())];
    let reading = Reading::of_http(200, headers, body.to_string().as_bytes(), &Format::Json.into());
    Scope::of_reading(&question(), &reading)
}

fn eval(source: &str, body: &serde_json::Value) -> serde_json::Value {
    let value = Expr::compile(source, &RULE_NAMES).unwrap().eval(&reading(body)).unwrap();
    serde_json::to_value(value).unwrap()
}

fn render(source: &str, place: Place) -> String {
    Template::compile(source, &["key", "ani"], place).unwrap().render(&Scope::of_question(&question())).unwrap()
}

/// Renders with a value of one's own as `ani`.
fn render_value(source: &str, value: &str, place: Place) -> Result<String, ExprError> {
    let question = Question { inputs: vec![Some(value.into())], ..question() };
    Template::compile(source, &["key", "ani"], place).unwrap().render(&Scope::of_question(&question))
}

#[test]
fn the_language_of_the_policy_page_runs() {
    let body = json!({
        "data": {"portability": {"lrn": "+13035559999"}},
        "error_code": 1005,
        "missed": ["+13035550100"],
        "results": [{"phoneNumber": "+12025550100"}, {"phoneNumber": "+13035550100", "v": 7}],
    });
    assert_eq!(eval("status == 404", &body), json!(false));
    assert_eq!(eval("status == 200 and body.error_code == 1005", &body), json!(true));
    assert_eq!(eval("status in [200, 201]", &body), json!(true));
    assert_eq!(eval("body.data.portability.lrn or key", &body), json!("+13035559999"));
    assert_eq!(eval("(body.data.portability.lrn or key) != key", &body), json!(true));
    assert_eq!(eval("(body.results | selectattr(\"phoneNumber\", \"==\", key) | first).v", &body), json!(7));
    assert_eq!(eval("body.results | length", &body), json!(2));
    assert_eq!(eval("key in body.missed", &body), json!(true));
    assert_eq!(eval("key | npa not in tollfree", &body), json!(true));
    assert_eq!(eval("'+18885550100' | npa not in tollfree", &body), json!(false));
    assert_eq!(eval("{'Y': true, 'N': false}[body.ported]", &body), json!(null));
    assert_eq!(eval("headers['x-cost']", &body), json!("1, 2"));
    assert_eq!(eval("ani", &body), json!("+12025550123"));
    assert_eq!(eval("text is matching('1005')", &body), json!(true));
}

#[test]
fn what_is_not_there_is_undefined_and_no_error() {
    let body = json!({"a": null, "n": 5, "list": []});
    for path in
        ["body.x.y.z", "body.a.b.c", "body.n.b.c", "body.list[3].x", "body['x'][0]", "body.x | e164_plus", "rows[0].x"]
    {
        assert_eq!(eval(path, &body), json!(null), "{path}");
        assert_eq!(eval(&format!("({path}) or key"), &body), json!("+13035550100"), "{path}");
    }
    assert_eq!(eval("body.x.y == 5", &body), json!(false));
    assert_eq!(eval("5 in body.x", &body), json!(false));
    assert_eq!(eval("body.x | selectattr('a', '==', 5) | first", &body), json!(null));
}

#[test]
fn number_filters_give_the_forms_that_vendors_want() {
    let body = json!({"ten": "3035550100", "number": 13_035_550_100_i64, "empty": ""});
    for (filter, expected) in [
        ("e164", "13035550100"),
        ("e164_plus", "+13035550100"),
        ("nanp10", "3035550100"),
        ("nanp11", "13035550100"),
        ("national", "3035550100"),
        ("npa", "303"),
        ("nxx", "555"),
        ("line", "0100"),
        ("block", "0"),
        ("dashed", "303-555-0100"),
        ("cc", "1"),
    ] {
        for value in ["key", "body.ten", "body.number"] {
            assert_eq!(eval(&format!("{value} | {filter}"), &body), json!(expected), "{value} | {filter}");
        }
    }
    assert_eq!(eval("key | enum('e164.arpa')", &body), json!("0.0.1.0.5.5.5.3.0.3.1.e164.arpa"));
    assert_eq!(eval("body.empty | e164_plus", &body), json!(null));
    assert_eq!(eval("'+4930901820' | npa", &body), json!(null));
    let refused = Expr::compile("'+4930901820' | nanp10", &[]).unwrap().eval(&reading(&body)).unwrap_err();
    assert_eq!(refused.to_string(), "the number is not in the North American plan");
}

#[test]
fn string_filters() {
    let body = json!({"s": "abcdef", "n": 42});
    for (source, expected) in [
        ("body.s | strip_prefix('ab')", "cdef"),
        ("body.s | prefix('x-')", "x-abcdef"),
        ("body.s | substr(1, 3)", "bcd"),
        ("body.s | substr(4)", "ef"),
        ("body.s | truncate(2)", "ab"),
        ("body.s | upper", "ABCDEF"),
        ("body.s | replace('a', 'z')", "zbcdef"),
        ("body.x | default('d')", "d"),
        ("'(303) 555' | digits", "303555"),
        ("body.n | prefix('0')", "042"),
        ("body.s | regex_search('b(c.)', 1)", "cd"),
        ("body.s | regex_replace('[a-c]', '')", "def"),
        ("body.s[1:3]", "bc"),
    ] {
        assert_eq!(eval(source, &body), json!(expected), "{source}");
    }
}

#[test]
fn values_are_escaped_for_their_place() {
    assert_eq!(
        render("https://v.example/v1/{{ key }}?ani={{ ani }}", Place::Url),
        "https://v.example/v1/%2B13035550100?ani=%2B12025550123"
    );
    let evil = "a/../b?c=d&e#f \"'<>\r\nX: y\u{0}%2e+ä";
    assert_eq!(
        render_value("/{{ ani }}?{{ ani }}", "a/../b?c&=#+ %ä", Place::Url).unwrap(),
        "/a%2F..%2Fb%3Fc%26%3D%23%2B%20%25%C3%A4?a%2F..%2Fb%3Fc%26%3D%23%2B%20%25%C3%A4"
    );
    assert!(render_value("/{{ ani }}/x", "..", Place::Url).is_err());
    assert_eq!(render_value("Token {{ ani }}", evil, Place::Header).unwrap(), "Token a/../b?c=d&e#f \"'<>X: y%2e+ä");
    assert_eq!(render_value("Token {{ ani | raw }}", "a\r\nb", Place::Header).unwrap(), "Token ab");
    assert_eq!(
        render_value("<a b='{{ ani }}'>", "\"'<>&\u{1}\n", Place::Xml).unwrap(),
        "<a b='&quot;&#39;&lt;&gt;&amp;&#10;'>"
    );
    assert_eq!(render_value("a={{ ani }}&b=1", "x&b=2 +", Place::Form).unwrap(), "a=x%26b%3D2%20%2B&b=1");
    assert_eq!(render_value("{{ ani }}", evil, Place::Plain).unwrap(), evil);
    assert_eq!(render("{{ key | enum('e164.arpa.') }}", Place::DnsName), "0.0.1.0.5.5.5.3.0.3.1.e164.arpa");
    assert!(render_value("{{ ani }}.carrier.test", "a b", Place::DnsName).is_err());
    assert!(render_value("{{ ani }}.carrier.test", "a..b", Place::DnsName).is_err());
    assert_eq!(render_value("/{{ ani | raw }}", "a/b", Place::Url).unwrap(), "/a/b");
}

#[test]
fn json_bodies_stay_json_whatever_the_value() {
    let source = r#"{"a":"{{ ani }}","b":{{ ani }},"c":[{{ [key, 5, true, none] }}],"d":"n{{ none }}","e":{{ missing }}{% if ani %},"f":"\"{{ ani }}"{% endif %}}"#;
    let source = source.replace("missing", "none");
    for evil in ["x", "\",\"a\":\"", "\\", "\"", "}\n\u{1}\u{0}", "ä\u{2028}"] {
        let text = render_value(&source, evil, Place::Json).unwrap();
        let tree: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(tree["a"], json!(evil));
        assert_eq!(tree["b"], json!(evil));
        assert_eq!(tree["c"], json!([["+13035550100", 5, true, null]]));
        assert_eq!(tree["d"], json!("n"));
        assert_eq!(tree["e"], json!(null));
        assert_eq!(tree["f"], json!(format!("\"{evil}")));
    }
    assert_eq!(render_value("{{ '[1]' | raw }}\n", "x", Place::Json).unwrap(), "[1]\n");
    assert!(Template::compile("{\"a\":\u{0}}", &[], Place::Json).is_err());
}

#[test]
fn raw_touches_its_own_value_and_no_other() {
    for source in
        ["{{ [ani | raw, key] | join }}", "{{ ani | raw | replace('a', key) }}", "{% set x = ani | raw %}{{ x }}"]
    {
        let error = Template::compile(source, &["key", "ani"], Place::Url).unwrap_err();
        assert_eq!(&source[error.at.clone()], "raw", "{error:?}");
    }
    assert!(Expr::compile("key | raw", &["key"]).is_err());
    assert_eq!(render_value("{{ ani | lower | raw }}{{ ani }}", "A/", Place::Url).unwrap(), "a/A%2F");
}

#[test]
fn an_absent_input_prints_nothing() {
    let question = Question { inputs: vec![None], ..question() };
    let template = Template::compile("/x{% if ani %}?ani={{ ani }}{% endif %}{{ ani }}", &["key", "ani"], Place::Url);
    assert_eq!(template.unwrap().render(&Scope::of_question(&question)).unwrap(), "/x");
}

#[test]
fn a_typo_is_found_when_it_is_compiled() {
    for (source, at, what, mend) in [
        ("body.lrn | nanp01", 11..17, "no filter `nanp01`", "`nanp10`"),
        ("boddy.lrn", 0..5, "no name `boddy`", "`body`"),
        ("status == 1 and stauts == 2", 16..22, "no name `stauts`", "`status`"),
        ("body is definde", 8..15, "no test `definde`", "`defined`"),
        ("body | selectattr('a', 'eqq', 1)", 23..28, "no test `eqq`", "`eq`"),
        ("body | map('uper')", 11..17, "no filter and no value map `uper`", "`upper`"),
        ("body.a.startswith('x')", 7..17, "no method `startswith`", "startingwith"),
        ("lower(body)", 0..5, "no function `lower`", "`value | lower`"),
        ("body | tojson", 7..13, "no filter `tojson`", "leave it out"),
        ("text | regex_search('(')", 20..23, "unclosed group", "regex crate"),
        ("'ä' == korper", 8..14, "no name `korper`", "[input]"),
        ("key | nanp10(3)", 6..12, "takes fewer arguments than these 1", "parentheses"),
        ("key | truncate", 6..14, "takes more arguments than these 0", "parentheses"),
        ("key is startingwith", 7..19, "takes more arguments", "parentheses"),
        ("nmae", 0..4, "no name `nmae`", "`name`"),
    ] {
        let names: Vec<&str> = RULE_NAMES.into_iter().chain(["name"]).collect();
        let error = Expr::compile(source, &names).unwrap_err();
        assert!(error.what.contains(what), "{source}: {error:?}");
        assert!(error.mend.contains(mend), "{source}: {error:?}");
        assert!(source.get(error.at.clone()).is_some(), "{source}: {error:?}");
        if !source.contains("startswith") {
            assert_eq!(error.at, at, "{source}: {error:?}");
        }
    }
}

#[test]
fn what_is_no_expression_says_where() {
    for source in ["", "  ", "body.", "body ==", "(a", "body.a b", "a = b", "'x", "{{ key }}", "a && b", "ä ö"] {
        let error = Expr::compile(source, &RULE_NAMES).unwrap_err();
        assert!(source.get(error.at.clone()).is_some(), "{source}: {error:?}");
        assert!(!error.what.is_empty() && !error.mend.is_empty(), "{source}: {error:?}");
    }
    assert!(Expr::compile("{{ key }}", &["key"]).unwrap_err().mend.contains("without `{{`"));
    assert!(Expr::compile("key && key", &["key"]).unwrap_err().mend.contains("`and`"));
    assert!(Expr::compile(&"(".repeat(5000), &[]).is_err());
    assert!(Expr::compile(&"a".repeat(100_000), &[]).is_err());
}

#[test]
fn templates_know_the_names_of_their_own_blocks_and_no_others() {
    let fine =
        "{% set a = key %}{% for x in [a] %}{{ loop.index }}{{ x }}{% endfor %}{% with y = 1 %}{{ y }}{% endwith %}";
    assert_eq!(render(fine, Place::Plain), "1+130355501001");
    for bad in
        ["{{ x }}", "{% for x in [1] %}{% endfor %}{{ x }}", "{{ status }}", "{{ key", "{% if %}", "{{ self.x() }}"]
    {
        let error = Template::compile(bad, &["key"], Place::Plain).unwrap_err();
        assert!(bad.get(error.at.clone()).is_some(), "{bad}: {error:?}");
    }
    for block in [
        "{% include 'x' %}",
        "{% macro m() %}{% endmacro %}",
        "{% extends 'x' %}",
        "{% import 'x' as y %}",
        "{% block b %}{% endblock %}",
        "{% autoescape false %}{{ key }}{% endautoescape %}",
        "{% filter upper %}x{% endfilter %}",
        "{% set x %}{{ key }}{% endset %}",
    ] {
        let error = Template::compile(block, &["key"], Place::Json).unwrap_err();
        assert!(error.what.contains("a policy's template has no"), "{block}: {error:?}");
    }
}

#[test]
fn no_run_goes_on_for_ever() {
    let loops = "{% for a in range(9999) %}{% for b in range(9999) %}{{ b }}{% endfor %}{% endfor %}";
    let template = Template::compile(loops, &[], Place::Plain).unwrap();
    let error = template.render(&Scope::of_question(&question())).unwrap_err();
    assert!(error.to_string().contains("too long"), "{error}");
}

#[test]
fn compiled_things_go_between_threads() {
    fn anywhere<T: Send + Sync + 'static>() {}
    anywhere::<Expr>();
    anywhere::<Template>();
    anywhere::<Scope>();
}

proptest::proptest! {
    #[test]
    fn any_source_compiles_or_says_where(source in "[\\PC{}%|.()\\[\\]'\"a-k ]{0,40}") {
        for error in [
            Expr::compile(&source, &["key"]).err(),
            Template::compile(&source, &["key"], Place::Json).err(),
        ].into_iter().flatten() {
            proptest::prop_assert!(source.get(error.at.clone()).is_some(), "{:?}", error);
        }
    }

    #[test]
    fn any_value_stays_in_its_place(value in "\\PC{0,10}[\"\\\\/?#&=\\r\\n\\x00.%]{0,10}\\PC{0,5}") {
        if value.is_empty() { return Ok(()); }
        if let Ok(url) = render_value("https://v.example/a/{{ ani }}/b?c={{ ani }}&d=1", &value, Place::Url) {
            proptest::prop_assert_eq!(url.matches('/').count(), 5);
            proptest::prop_assert_eq!(url.matches(['?', '&', '#']).count(), 2);
        }
        let header = render_value("{{ ani }}", &value, Place::Header).unwrap();
        proptest::prop_assert!(!header.chars().any(char::is_control));
        let text = render_value("{\"a\":\"{{ ani }}\",\"b\":{{ ani }}}", &value, Place::Json).unwrap();
        let tree: serde_json::Value = serde_json::from_str(&text).unwrap();
        proptest::prop_assert_eq!(tree, json!({"a": value, "b": value}));
    }
}

#[test]
fn the_wanted_parts_are_a_list() {
    let question =
        Question { inputs: vec![Some("lrn,cnam".into())], names: vec!["want".into()], ..Question::of_key("k") };
    let template =
        Template::compile("{{ want | join('+') }} {{ 'cna' in want }}", &["key", "want"], Place::Plain).unwrap();
    assert_eq!(template.render(&Scope::of_question(&question)).unwrap(), "lrn+cnam False");
}

#[test]
fn an_expression_carries_its_policys_maps_along() {
    use crate::policy::maps::{Maps, ValueMap};
    let mut map = ValueMap::default();
    map.add_word("x", "y".into());
    let mut maps = Maps::default();
    maps.add("own".to_owned(), map);
    let maps = std::sync::Arc::new(maps);
    let scope = Scope::of_question(&Question::of_key("X"));
    let expr = Expr::compile_with("key | map('own')", &["key"], &maps).unwrap();
    assert_eq!(expr.eval(&scope).unwrap().as_str(), Some("y"));
    let template = Template::compile_within(
        "{{ [key, 'z'] | map('own', '-') | join }}{{ key }}",
        &["key"],
        Place::Plain,
        &std::sync::Arc::default(),
        &maps,
    )
    .unwrap();
    assert_eq!(template.render(&scope).unwrap(), "y-X");
    assert!(Expr::compile("key | map('own')", &["key"]).is_err());
    let shipped = Expr::compile("['Wireless', 'x'] | map('line_type') | list", &["key"]).unwrap();
    assert_eq!(shipped.eval(&scope).unwrap().get_item_by_index(0).unwrap().as_str(), Some("mobile"));
    let jinja = Expr::compile("['a'] | map('upper') | first", &["key"]).unwrap();
    assert_eq!(jinja.eval(&scope).unwrap().as_str(), Some("A"));
}
