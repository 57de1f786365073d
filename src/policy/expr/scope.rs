//! What expressions see.
//!
//! A scope holds its trees by reference: building one copies the key and the inputs, and
//! none of the headers, the body, the answers or the rows.

use std::sync::{Arc, OnceLock};

use compact_str::CompactString;
use minijinja::Value;
use minijinja::value::{Enumerator, Object, Serde};
use serde_json::{Map, Value as Json};

use crate::policy::decode::Fields;
use crate::policy::filters::OWN_MAPS;
use crate::policy::input::WANT;
use crate::policy::maps::Maps;
use crate::policy::{Question, Reading};

/// Names whose values are made when somebody looks.
pub trait Later: std::fmt::Debug + Send + Sync {
    /// The value of this name, if it is one of them; the same one each time.
    fn get(&self, name: &str) -> Option<Value>;
}

impl Later for Vec<(&'static str, Value)> {
    fn get(&self, name: &str) -> Option<Value> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }
}

/// What expressions see: `key`, the declared inputs, and what an upstream said, if it has said something.
#[derive(Clone, Debug)]
pub struct Scope(pub(super) Value);

impl Scope {
    /// The names a request's templates see.
    pub fn of_question(question: &Question) -> Self {
        Self(Value::from_object(Names::of(question, None)))
    }

    /// The question's names, and others beside them.
    pub fn of_question_and(question: &Question, further: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        Self::of_question_later(question, Arc::new(further.into_iter().collect::<Vec<_>>()))
    }

    /// The question's names, and others beside them that are made when they are looked at.
    pub fn of_question_later(question: &Question, later: Arc<dyn Later>) -> Self {
        Self(Value::from_object(Names { later: Some(later), ..Names::of(question, None) }))
    }

    /// What a table's fields see: the columns of one row as `row`, and no question.
    pub fn of_row(row: Value) -> Self {
        Self(Value::from_pairs([("row", row)]))
    }

    /// What a bundle's templates see: the request's parameters, and the parts before as `parts`.
    pub fn of_bundle(parameters: &[(String, String)], parts: Map<String, Json>) -> Self {
        let parameters = parameters.iter().map(|(name, value)| (name.as_str(), Value::from(value.as_str())));
        Self(Value::from_pairs(parameters.chain([("parts", Value::from(Serde(parts)))])))
    }

    /// The names a rule or a field sees.
    pub fn of_reading(question: &Question, reading: &Reading) -> Self {
        Self(Value::from_object(Names::of(question, Some(Said::of(reading)))))
    }
}

impl Scope {
    /// The same names, with an expression's own value maps beside them.
    pub(super) fn with_maps(&self, maps: Option<&Arc<Maps>>) -> Value {
        match maps {
            None => self.0.clone(),
            Some(maps) => Value::from_object(WithMaps { names: self.0.clone(), maps: Arc::clone(maps) }),
        }
    }
}

/// What a value has under this name; undefined where it has nothing, or is nothing.
pub(super) fn attribute(value: &Value, name: &str) -> Value {
    value.get_attr(name).unwrap_or(Value::UNDEFINED)
}

/// The same where it lies, if it is one that lies somewhere.
pub(super) fn lent<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value.downcast_object_ref::<Names>() {
        Some(names) => names.lent(name),
        None => value.downcast_object_ref::<Fields>()?.lent(name),
    }
}

#[derive(Debug)]
struct WithMaps {
    names: Value,
    maps: Arc<Maps>,
}

impl Object for WithMaps {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, name: &str) -> Option<Value> {
        if name == OWN_MAPS {
            return Some(Value::from_dyn_object(Arc::clone(&self.maps)));
        }
        self.names.get_attr(name).ok().filter(|value| !value.is_undefined())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }
}

#[derive(Debug)]
struct Names {
    key: Value,
    inputs: Vec<(Arc<str>, Value)>,
    said: Option<Said>,
    later: Option<Arc<dyn Later>>,
}

#[derive(Debug)]
struct Said {
    status: Value,
    sent: Arc<[(CompactString, CompactString)]>,
    /// Made of `sent` when somebody looks at it, which most policies never do.
    headers: OnceLock<Value>,
    body: Value,
    text: Arc<str>,
    rcode: Value,
    answers: Value,
    rows: Value,
    enumeration: Value,
}

impl Names {
    fn of(question: &Question, said: Option<Said>) -> Self {
        let inputs = question
            .named_inputs()
            .map(|(name, value)| (name.clone(), value.map_or(Value::UNDEFINED, |value| input(name, value))))
            .collect();
        Self { key: Value::from(question.key.as_str()), inputs, said, later: None }
    }
}

/// An input's value; the wanted parts are a list.
fn input(name: &str, value: &str) -> Value {
    if name == WANT { value.split(',').map(Value::from).collect() } else { Value::from(value) }
}

impl Said {
    fn of(reading: &Reading) -> Self {
        Self {
            status: reading.status.map_or(Value::UNDEFINED, Value::from),
            sent: Arc::clone(&reading.headers),
            headers: OnceLock::new(),
            body: reading.body.clone(),
            text: Arc::clone(&reading.text),
            rcode: reading.rcode.as_deref().map_or(Value::UNDEFINED, Value::from),
            answers: reading.answers.clone(),
            rows: reading.rows.clone(),
            enumeration: reading.enumeration.clone(),
        }
    }

    fn get(&self, name: &str) -> Option<Value> {
        match name {
            "text" => Some(Value::from(Arc::clone(&self.text))),
            _ => self.lent(name).cloned(),
        }
    }

    fn lent(&self, name: &str) -> Option<&Value> {
        Some(match name {
            "body" => &self.body,
            "status" => &self.status,
            "headers" => self.headers.get_or_init(|| headers(&self.sent)),
            "rcode" => &self.rcode,
            "answers" => &self.answers,
            "rows" => &self.rows,
            "enum" => &self.enumeration,
            _ => return None,
        })
    }
}

/// Headers by lower-case name; one that comes twice is one list, as RFC 9110 section 5.3 reads it.
fn headers(headers: &[(CompactString, CompactString)]) -> Value {
    let mut joined: indexmap::IndexMap<&str, CompactString> = indexmap::IndexMap::with_capacity(headers.len());
    for (name, value) in headers {
        match joined.get_mut(name.as_str()) {
            Some(known) => {
                known.push_str(", ");
                known.push_str(value);
            }
            None => drop(joined.insert(name, value.clone())),
        }
    }
    Value::from_pairs(joined.iter().map(|(name, value)| (*name, value.as_str())))
}

impl Names {
    /// The value of this name where it lies; none of those that are only made when somebody looks.
    fn lent(&self, name: &str) -> Option<&Value> {
        if name == "key" {
            return Some(&self.key);
        }
        if let Some((_, value)) = self.inputs.iter().find(|(known, _)| &**known == name) {
            return Some(value);
        }
        self.said.as_ref().filter(|_| self.later.is_none()).and_then(|said| said.lent(name))
    }
}

impl Object for Names {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, name: &str) -> Option<Value> {
        if let Some(value) = self.lent(name) {
            return Some(value.clone());
        }
        let made = || self.said.as_ref().and_then(|said| said.get(name));
        self.later.as_ref().and_then(|later| later.get(name)).or_else(made)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }
}
