//! Records: only the fields that the policy names, in its order, clean enough for a SIP header.

use minijinja::Value;
use minijinja::value::Serde;
use serde_json::Value as Json;

use super::pem::certificates;
use crate::answer::Record;
use crate::policy::Expr;
use crate::policy::expr::Scope;
use crate::policy::filters::presentable;
use crate::policy::kind::Kind;

/// The longest record, as JSON, in bytes. What a script needs is a hundredth of it.
pub(super) const MAX_RECORD: usize = 64 * 1024;

/// The most characters of a caller's name, as the network carries them.
const NAME_LENGTH: usize = 15;

/// Fields with their values, in the order they were written in.
#[derive(Debug)]
pub(super) struct Fields<'a>(Vec<(&'a str, Json)>);

impl<'a> Fields<'a> {
    /// True without any.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is one of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| *known == name)
    }

    /// The same in this order; what it does not name is left out.
    pub(super) fn in_order(mut self, names: impl Iterator<Item = &'a str>) -> Self {
        let mut take = |name: &str| {
            let place = self.0.iter().position(|(known, _)| *known == name)?;
            Some(self.0.swap_remove(place).1)
        };
        Self(names.filter_map(|name| Some((name, take(name)?))).collect())
    }

    /// The record of them.
    pub(super) fn record(&self) -> Record {
        Record::of(self.0.iter().map(|(name, value)| (*name, value)))
    }
}

/// Evaluates the fields and brings each to its type. One that is undefined, null or empty is left out.
///
/// # Errors
/// Names the field that does not run, or says that the record is too large.
pub(super) fn of_fields<'a>(kind: Kind, fields: &'a [(String, Expr)], scope: &Scope) -> Result<Fields<'a>, String> {
    let mut record = Vec::with_capacity(fields.len());
    let mut size = 2;
    for (name, expr) in fields {
        let value = expr.eval(scope).map_err(|error| format!("field `{name}`: {error}"))?;
        let value = kind.field_type(name).of(value);
        let Some(value) = json(&value).map_err(|error| format!("field `{name}`: {error}"))? else { continue };
        let Some(value) = kept(kind, name, value) else { continue };
        size += name.len() + size_of(&value);
        if size > MAX_RECORD {
            return Err(format!("field `{name}`: the record is longer than {MAX_RECORD} bytes"));
        }
        record.push((name.as_str(), value));
    }
    Ok(Fields(record))
}

/// The same of values that are there already, each of another name.
pub(super) fn of_values<'a>(kind: Kind, values: impl Iterator<Item = (&'a str, Json)>) -> Fields<'a> {
    let typed = |name: &str, value: Json| json(&kind.field_type(name).of(Value::from(Serde(value)))).ok().flatten();
    Fields(values.filter_map(|(name, value)| Some((name, kept(kind, name, typed(name, value)?)?))).collect())
}

fn json(value: &Value) -> Result<Option<Json>, serde_json::Error> {
    if let Some(text) = value.as_str() {
        return Ok(Some(text.into()));
    }
    if value.is_undefined() || value.is_none() {
        return Ok(None);
    }
    serde_json::to_value(value).map(Some)
}

/// A field's value as it is kept; `None` for one that says nothing.
fn kept(kind: Kind, name: &str, value: Json) -> Option<Json> {
    let value = match (kind, name, value) {
        (_, _, Json::Null) => return None,
        (Kind::Cnam, "name", value) => Json::String(presentable(&text(&value), NAME_LENGTH)),
        (Kind::Cnam, "name_full", value) => Json::String(presentable(&text(&value), usize::MAX)),
        // The only text with lines; what a script reads bare has spaces in their place.
        (Kind::Cert, "pem", value) => Json::String(certificates(&text(&value))),
        (_, _, value) => clean(value),
    };
    (value.as_str() != Some("")).then_some(value)
}

fn text(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// Takes control characters out of every text, however deep. A vendor's tree is at most 128 deep.
fn clean(value: Json) -> Json {
    match value {
        Json::String(text) => Json::String(without_controls(text)),
        Json::Array(items) => Json::Array(items.into_iter().map(clean).collect()),
        Json::Object(fields) => {
            Json::Object(fields.into_iter().map(|(name, value)| (without_controls(name), clean(value))).collect())
        }
        other => other,
    }
}

/// Scripts put a field into a SIP header, where a line's end would begin another one. The Unicode line
/// separators go too.
fn without_controls(mut text: String) -> String {
    if text.bytes().fold(true, |is_plain, byte| is_plain & matches!(byte, b' '..=b'~')) {
        return text;
    }
    let is_control = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if text.contains(is_control) {
        text.retain(|c| !is_control(c));
    }
    text
}

/// About how long a value is as JSON, without writing it.
fn size_of(value: &Json) -> usize {
    match value {
        Json::Null | Json::Bool(_) => 6,
        Json::Number(_) => 12,
        Json::String(text) => text.len() + 4,
        Json::Array(items) => items.iter().map(|item| size_of(item) + 1).sum::<usize>() + 2,
        Json::Object(fields) => fields.iter().map(|(name, value)| name.len() + size_of(value) + 4).sum::<usize>() + 2,
    }
}
