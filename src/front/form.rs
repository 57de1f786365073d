//! A record in the form that the caller asked for.
//!
//! The record is kept as one line of JSON, so that form costs nothing; a bare field is picked out of
//! the line without building the rest of it; `params` and `csv` read all of it.

use std::fmt;
use std::sync::Arc;

use compact_str::CompactString;
use form_urlencoded::byte_serialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::answer::Record;
use crate::front::desk::Line;

/// In which form the record is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// The record as one compact line.
    Json,
    /// The policy's text field, bare.
    Text,
    /// `k=v&k=v`, form-encoded.
    Params,
    /// One line of RFC 4180, in the policy's order of fields.
    Csv,
    /// The field of this name, bare.
    Field(CompactString),
    /// A table of one row with these columns, or all fields where none is named: what OpenSIPS' `db_http` reads.
    Rows(Arc<[CompactString]>),
}

/// The record in this form; `scratch` is where it is built if it must be. `None` when the one field
/// that was asked for is absent or null.
pub fn render<'a>(record: &'a Record, form: &Form, line: &impl Line, scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    scratch.clear();
    match form {
        Form::Json => return Some(record.as_json().as_bytes()),
        Form::Text => bare_field(record, line.text_field(), scratch)?,
        Form::Field(name) => bare_field(record, name, scratch)?,
        Form::Params => params(record, scratch),
        Form::Csv => csv(record, line.field_order(), scratch),
        Form::Rows(columns) => rows(record, columns, line.field_order(), scratch),
    }
    Some(scratch)
}

/// Its media type, as a header's value.
pub const fn media_type(form: &Form) -> &'static str {
    match form {
        Form::Json => "application/json",
        Form::Text | Form::Field(_) | Form::Rows(_) => "text/plain; charset=utf-8",
        Form::Params => "application/x-www-form-urlencoded",
        Form::Csv => "text/csv; charset=utf-8",
    }
}

/// In the record's order. A null is an empty value.
fn params(record: &Record, out: &mut Vec<u8>) {
    let mut text = Vec::new();
    for (name, value) in &record.to_map() {
        if !out.is_empty() {
            out.push(b'&');
        }
        text.clear();
        bare(value, &mut text);
        out.extend(byte_serialize(name.as_bytes()).flat_map(str::bytes));
        out.push(b'=');
        out.extend(byte_serialize(&text).flat_map(str::bytes));
    }
}

/// In the policy's order, a column a field whether it is there or not.
fn csv(record: &Record, order: &[String], out: &mut Vec<u8>) {
    let fields = record.to_map();
    let mut text = Vec::new();
    for (column, name) in order.iter().enumerate() {
        if column > 0 {
            out.push(b',');
        }
        text.clear();
        bare(fields.get(name).unwrap_or(&Value::Null), &mut text);
        put(&text, b',', b'"', out);
    }
}

/// A text between delimiters: as it is, or in quotes, which are doubled within, where one of the two stands in it.
fn put(text: &[u8], delimiter: u8, quote: u8, out: &mut Vec<u8>) {
    if !text.iter().any(|byte| *byte == delimiter || *byte == quote) {
        return out.extend_from_slice(text);
    }
    out.push(quote);
    for &byte in text {
        if byte == quote {
            out.push(quote);
        }
        out.push(byte);
    }
    out.push(quote);
}

/// A line of types and a line of values, `;` between them. What does not fit the 32 bits of an `int` is a `string`, which
/// every version knows; `|` quotes a value in which a delimiter stands, and is doubled within.
fn rows(record: &Record, columns: &[CompactString], order: &[String], out: &mut Vec<u8>) {
    let fields = record.to_map();
    let names: Vec<&str> = match columns {
        [] => order.iter().map(String::as_str).collect(),
        _ => columns.iter().map(CompactString::as_str).collect(),
    };
    let values: Vec<Value> = names.iter().map(|name| column(fields.get(*name))).collect();
    let types = values.iter().map(|value| if value.is_i64() { "int" } else { "string" });
    out.extend_from_slice(types.collect::<Vec<_>>().join(";").as_bytes());
    out.push(b'\n');
    let mut text = Vec::new();
    for (place, value) in values.iter().enumerate() {
        if place > 0 {
            out.push(b';');
        }
        text.clear();
        bare(value, &mut text);
        put(&text, b';', b'|', out);
    }
    out.push(b'\n');
}

/// A value as a column: truth is 1 or 0, a whole number that fits stays one, all else is text.
fn column(value: Option<&Value>) -> Value {
    match value {
        None | Some(Value::Null) => Value::String(String::new()),
        Some(Value::Bool(truth)) => i64::from(*truth).into(),
        Some(Value::Number(number)) => match number.as_i64().and_then(|number| i32::try_from(number).ok()) {
            Some(number) => i64::from(number).into(),
            None => number.to_string().into(),
        },
        Some(other) => other.clone(),
    }
}

/// A value as bare text: a string without quotes, nothing for a null, JSON for the rest.
fn bare(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::String(text) => one_line(text, out),
        other => out.extend_from_slice(other.to_string().as_bytes()),
    }
}

/// A control character in bare text could end a line of whoever reads it: it becomes a space.
fn one_line(text: &str, out: &mut Vec<u8>) {
    out.extend(text.bytes().map(|byte| if byte < 0x20 || byte == 0x7f { b' ' } else { byte }));
}

fn bare_field(record: &Record, name: &str, out: &mut Vec<u8>) -> Option<()> {
    let mut reader = serde_json::Deserializer::from_str(record.as_json());
    reader.deserialize_map(PickField { name, out }).ok()?
}

/// Walks the record's fields and builds only the one of this name.
struct PickField<'a> {
    name: &'a str,
    out: &'a mut Vec<u8>,
}

impl<'de> Visitor<'de> for PickField<'_> {
    type Value = Option<()>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(ours) = map.next_key_seed(IsName(self.name))? {
            if ours {
                self.out.clear();
                found = map.next_value_seed(BareValue(self.out))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Compares a field's name without keeping it.
struct IsName<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for IsName<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<bool, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for IsName<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

/// Writes a value as bare text; `None` for a null.
struct BareValue<'a>(&'a mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for BareValue<'_> {
    type Value = Option<()>;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Option<()>, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for BareValue<'_> {
    type Value = Option<()>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Option<()>, E> {
        one_line(text, self.0);
        Ok(Some(()))
    }

    fn visit_unit<E>(self) -> Result<Option<()>, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Option<()>, E> {
        bare(&Value::Bool(value), self.0);
        Ok(Some(()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Option<()>, E> {
        bare(&value.into(), self.0);
        Ok(Some(()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Option<()>, E> {
        bare(&value.into(), self.0);
        Ok(Some(()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Option<()>, E> {
        bare(&value.into(), self.0);
        Ok(Some(()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Option<()>, A::Error> {
        bare(&Value::deserialize(SeqAccessDeserializer::new(list))?, self.0);
        Ok(Some(()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<()>, A::Error> {
        bare(&Value::deserialize(MapAccessDeserializer::new(map))?, self.0);
        Ok(Some(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ODD: &str = r#"{"name":"O\"Neil, \r\nBob","n":-7,"big":12.50,"yes":true,"no":null,"list":[1,"a"],"map":{"k":"v"},"empty":"","a&b":"é+ ="}"#;

    fn field(name: &str) -> Option<String> {
        let mut out = Vec::new();
        bare_field(&Record::from_json(ODD), name, &mut out)?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn one_field_bare() {
        assert_eq!(field("name").unwrap(), "O\"Neil,   Bob");
        assert_eq!(field("n").unwrap(), "-7");
        assert_eq!(field("big").unwrap(), "12.5");
        assert_eq!(field("yes").unwrap(), "true");
        assert_eq!(field("list").unwrap(), r#"[1,"a"]"#);
        assert_eq!(field("map").unwrap(), r#"{"k":"v"}"#);
        assert_eq!(field("empty").unwrap(), "");
        assert_eq!(field("a&b").unwrap(), "é+ =");
        assert_eq!(field("no"), None, "a null is as good as absent");
        assert_eq!(field("k"), None, "only the record's own fields count");
    }

    #[test]
    fn a_record_that_is_none_has_no_fields() {
        for text in ["", "[]", "{", r#"{"name":"#] {
            assert_eq!(bare_field(&Record::from_json(text), "name", &mut Vec::new()), None, "{text}");
        }
    }

    #[test]
    fn params_are_form_encoded_in_the_records_order() {
        let mut out = Vec::new();
        params(&Record::from_json(ODD), &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "name=O%22Neil%2C+++Bob&n=-7&big=12.5&yes=true&no=&list=%5B1%2C%22a%22%5D&map=%7B%22k%22%3A%22v%22%7D&empty=&a%26b=%C3%A9%2B+%3D"
        );
    }

    #[test]
    fn rows_have_types_and_quotes() {
        let rows = |json: &str, columns: &[&str]| {
            let (mut out, order) = (Vec::new(), ["name", "n"].map(str::to_owned));
            let columns: Vec<CompactString> = columns.iter().map(|column| (*column).into()).collect();
            rows(&Record::from_json(json), &columns, &order, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(rows(r#"{"n":7,"name":"ACME CORP"}"#, &[]), "string;int\nACME CORP;7\n");
        assert_eq!(rows(ODD, &["yes", "big", "gone", "no", "n"]), "int;string;string;string;int\n1;12.5;;;-7\n");
        assert_eq!(
            rows(r#"{"a":"x;y|z","b":"l1\nl2","c":15551234567}"#, &["a", "b", "c"]),
            "string;string;string\n|x;y||z|;l1 l2;15551234567\n"
        );
    }

    #[test]
    fn csv_is_one_quoted_line_in_the_policys_order() {
        let order = ["yes", "gone", "name", "n"].map(str::to_owned);
        let mut out = Vec::new();
        csv(&Record::from_json(ODD), &order, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "true,,\"O\"\"Neil,   Bob\",-7");
    }
}
