use super::*;

fn read(content_type: &str, body: &[u8], format: Format) -> Reading {
    Reading::of_http(200, vec![("Content-Type".into(), content_type.into())], body, &format.into())
}

#[test]
fn charsets_are_obeyed_and_bad_bytes_replaced() {
    assert_eq!(&*read("text/plain; charset=iso-8859-1", b"M\xdcLLER", Format::Text).text, "MÜLLER");
    assert_eq!(&*read("text/plain; Charset=\"windows-1252\"", b"\x80", Format::Text).text, "€");
    assert_eq!(&*read("text/plain", b"M\xdcLLER", Format::Text).text, "M\u{fffd}LLER");
    assert_eq!(&*read("text/plain; charset=martian", "MÜLLER".as_bytes(), Format::Text).text, "MÜLLER");
    assert_eq!(&*read("", b"\xef\xbb\xbfACME", Format::Text).text, "ACME");
}

#[test]
fn what_is_no_text_comes_whole_in_base64() {
    let reading = read("application/pkix-cert", b"\x30\x82\xff\0\xfe", Format::Binary);
    assert_eq!((&*reading.text, reading.body.as_str(), reading.undecoded), ("MIL/AP4=", Some("MIL/AP4="), None));
    assert_eq!(&*read("", b"", Format::Binary).text, "");
}

#[test]
fn json_decodes_whatever_the_header_says() {
    let reading = read("text/html; charset=iso-8859-1", "\u{feff}{\"a\":[1,\"Ü\"]}".as_bytes(), Format::Json);
    assert_eq!(reading.undecoded, None);
    let item = reading.body.get_attr("a").unwrap().get_item_by_index(1).unwrap();
    assert_eq!(item.as_str(), Some("Ü"));
    assert_eq!(reading.header("content-type"), Some("text/html; charset=iso-8859-1"));
    for bare in ["-1003", "\"x\"", "[]", "null", "true"] {
        assert_eq!(read("", bare.as_bytes(), Format::Json).undecoded, None, "{bare}");
    }
}

#[test]
fn integers_are_exact() {
    let reading = read("", b"[18446744073709551615,-9223372036854775808]", Format::Json);
    assert_eq!(reading.body.to_string(), "[18446744073709551615, -9223372036854775808]");
}

#[test]
fn what_is_no_json_says_so_and_keeps_its_text() {
    let reading = read("application/json", b"<html>502</html>", Format::Json);
    assert!(reading.body.is_undefined());
    assert!(reading.undecoded.unwrap().contains("line 1 column 1"));
    assert_eq!(&*reading.text, "<html>502</html>");
    assert_eq!(read("", b" \n", Format::Json).undecoded.as_deref(), Some("the body is empty"));
    let deep = "[".repeat(100_000);
    assert!(read("", deep.as_bytes(), Format::Json).undecoded.unwrap().contains("recursion limit"));
}

fn tree(format: Format, body: &str) -> serde_json::Value {
    decoded(&format.into(), body).unwrap()
}

fn decoded(decoding: &Decoding, body: &str) -> Result<serde_json::Value, String> {
    let reading = Reading::of_http(200, vec![], body.as_bytes(), decoding);
    match reading.undecoded {
        None => Ok(serde_json::to_value(&reading.body).unwrap()),
        Some(why) => Err(why),
    }
}

/// What an expression over the body gives.
fn of(format: Format, body: &str, expression: &str) -> serde_json::Value {
    let reading = Reading::of_http(200, vec![], body.as_bytes(), &format.into());
    let expr = crate::policy::Expr::compile(expression, &["key", "body", "text"]).unwrap();
    let question = crate::policy::Question::of_key("+13035550100");
    let value = expr.eval(&crate::policy::Scope::of_reading(&question, &reading)).unwrap();
    serde_json::to_value(&value).unwrap()
}

const REPLY: &str = r#"<?xml version="1.0"?><!-- a reply -->
<s:Envelope xmlns:s="http://example.test/s"><s:Body code="0" s:note="a &amp; b">
  <lrn> 3035550100 </lrn><empty/><name><![CDATA[A & B]]> &lt;C&gt;&#33;</name>
  <carrier id="7">Acme</carrier>
  <tn><number>1</number><type>x</type></tn><tn><number>2</number></tn>
  <code>5</code><code>6</code><one><part>p</part></one>
</s:Body></s:Envelope>"#;

#[test]
fn xml_is_the_tree_that_json_gives() {
    let of = |expression: &str| of(Format::Xml, REPLY, expression);
    assert_eq!(of("body.Envelope.Body.lrn"), "3035550100");
    assert_eq!(of("body.Envelope.Body.lrn == '3035550100'"), true);
    assert_eq!(of("body.Envelope.Body['@code']"), "0");
    assert_eq!(of("body.Envelope.Body['@note']"), "a & b");
    assert_eq!(of("body.Envelope.Body.name"), "A & B <C>!");
    assert_eq!(of("body.Envelope.Body.empty"), "");
    assert_eq!(of("body.Envelope.Body.carrier['#text']"), "Acme");
    assert_eq!(of("body.Envelope.Body.carrier | upper"), "ACME");
    assert_eq!(of("body.Envelope.nothing.at.all is defined"), false);
    assert_eq!(of("body.Envelope.Body.code"), serde_json::json!(["5", "6"]));
}

#[test]
fn an_element_that_comes_once_is_itself_and_a_list_of_one() {
    let of = |expression: &str| of(Format::Xml, REPLY, expression);
    assert_eq!(of("body.Envelope.Body.one.part"), "p");
    assert_eq!(of("(body.Envelope.Body.one | first).part"), "p");
    assert_eq!(of("body.Envelope.Body.one[0].part"), "p");
    assert_eq!(of("body.Envelope.Body.one | selectattr('part', '==', 'p') | list | count"), 1);
    assert_eq!(of("body.Envelope.Body.one | map(attribute='part') | list"), serde_json::json!(["p"]));
    assert_eq!(of("body.Envelope.Body.one"), serde_json::json!([{"part": "p"}]));
    assert_eq!(of("body.Envelope.Body.tn.number"), "1");
    assert_eq!(of("(body.Envelope.Body.tn | selectattr('number', '==', '2') | first).number"), "2");
    assert_eq!(of("(body.Envelope.Body.tn | last).number"), "2");
    assert_eq!(of("body.Envelope.Body.tn | count"), 2);
}

#[test]
fn xml_with_a_dtd_or_entities_or_without_end_does_not_decode() {
    let why = |body: &str| decoded(&Format::Xml.into(), body).unwrap_err();
    assert!(why("<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>").contains("DTD"));
    assert!(why("<a>&x;</a>").contains("entity"));
    assert!(why("<a b=\"&x;\"/>").contains("no XML"));
    assert!(why("<a><b></a>").contains("no XML"));
    assert!(why("<a>").contains("not closed"));
    assert!(why("<a/><b/>").contains("2 roots"));
    assert!(why("<a/>x").contains("outside"));
    assert!(why("OK").contains("outside"));
    assert!(why(&"<a>".repeat(10_000)).contains("deeper"));
    assert!(why(&format!("<a>{}</a>", "<b/>".repeat(60_000))).contains("more than"));
    assert_eq!(why(" "), "the body is empty");
}

#[test]
fn xml_says_its_charset_where_nobody_else_does() {
    let body = b"<?xml version='1.0' encoding='ISO-8859-1'?><n>M\xdcLLER</n>";
    let name = |content_type: &str| {
        let reading = read(content_type, body, Format::Xml);
        reading.body.get_attr("n").unwrap().as_str().map(str::to_owned)
    };
    assert_eq!(name("").as_deref(), Some("MÜLLER"));
    assert_eq!(name("text/xml; charset=utf-8").as_deref(), Some("M\u{fffd}LLER"));
}

#[test]
fn the_policys_charset_goes_before_all_others() {
    let decoding = Decoding { charset: charset_of_name("latin-1"), ..Decoding::default() };
    let headers = vec![("content-type".into(), "application/json; charset=utf-8".into())];
    let reading = Reading::of_http(200, headers, b"\"M\xdcLLER\"", &decoding);
    assert_eq!(reading.body.as_str(), Some("MÜLLER"));
    assert!(charset_of_name("martian").is_none());
}

#[test]
fn delimited_text_may_lack_its_last_columns() {
    let columns = ["lrn", "spid", "ocn"].map(str::to_owned).to_vec();
    let decoding = Decoding { columns, ..Format::Delimited.into() };
    let map = |body: &str| decoded(&decoding, body).unwrap();
    assert_eq!(map("3035550100;1234\r\n"), serde_json::json!({"lrn": "3035550100", "spid": "1234"}));
    assert_eq!(map("\n ;1234 ; 5;6"), serde_json::json!({"spid": "1234", "ocn": "5"}));
    assert!(decoded(&decoding, "<!DOCTYPE html><p>;</p>").unwrap_err().contains("markup"));
    assert_eq!(decoded(&decoding, "").unwrap_err(), "the body is empty");
}

#[test]
fn pairs_are_decoded_as_a_form() {
    let body = tree(Format::Kv, "lrn=%2B1303&name=A+B&x=&x=2\n");
    assert_eq!(body, serde_json::json!({"lrn": "+1303", "name": "A B", "x": ["", "2"]}));
    let lines = Decoding { separator: Some('\n'), ..Format::Kv.into() };
    assert_eq!(decoded(&lines, "a = 1\r\nb=c=d%20\n").unwrap(), serde_json::json!({"a": "1", "b": "c=d%20"}));
    assert!(decoded(&Format::Kv.into(), "NOT FOUND").unwrap_err().contains("no `=`"));
    assert!(decoded(&Format::Kv.into(), "<html lang=en>").unwrap_err().contains("markup"));
}

#[test]
fn rows_are_maps_by_the_header_or_the_policy() {
    let body = tree(Format::Csv, "npa,nxx,\"rate center\"\n303,555,\"DENVER, CO\"\n720,556\n");
    assert_eq!(
        body,
        serde_json::json!([{"npa": "303", "nxx": "555", "rate center": "DENVER, CO"}, {"npa": "720", "nxx": "556"}])
    );
    let named = Decoding { columns: vec!["a".to_owned(), "b".to_owned()], ..Format::Tsv.into() };
    assert_eq!(decoded(&named, "1\t2\t3\n").unwrap(), serde_json::json!([{"a": "1", "b": "2"}]));
    let semicolons = Decoding { separator: Some(';'), ..Format::Csv.into() };
    assert_eq!(decoded(&semicolons, "a;b\n1;2").unwrap(), serde_json::json!([{"a": "1", "b": "2"}]));
}

#[test]
fn errors_may_have_a_format_of_their_own() {
    let decoding = Decoding { error_format: Some(Format::Text), ..Format::Json.into() };
    assert_eq!(Reading::of_http(503, vec![], b"busy", &decoding).body.as_str(), Some("busy"));
    assert!(Reading::of_http(200, vec![], b"busy", &decoding).undecoded.is_some());
}

proptest::proptest! {
    #[test]
    fn nothing_that_a_vendor_sends_makes_a_decoder_panic(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        for format in Format::ALL {
            let decoding = Decoding { columns: vec!["a".to_owned()], ..format.into() };
            let _ = serde_json::to_value(&Reading::of_http(200, vec![], &body, &decoding).body);
        }
    }

    #[test]
    fn nothing_like_a_body_makes_a_decoder_panic(body in "[<>/&;=\"'?!#x0-9a-b\\[\\] \\n,\\t-]{0,200}") {
        for format in Format::ALL {
            let decoding = Decoding { columns: vec!["a".to_owned()], ..format.into() };
            let _ = serde_json::to_value(&Reading::of_http(200, vec![], body.as_bytes(), &decoding).body);
        }
    }
}
