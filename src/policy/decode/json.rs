//! JSON as a tree.
//!
//! What minijinja makes of an object hashes every name of it, with a hash that is made to withstand strangers, which is half of all
//! that decoding takes. A vendor's objects have a handful of names, of which the policy asks for some: they are a row of pairs,
//! looked through from the front. Larger ones are minijinja's.

use std::fmt;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectExt};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The most names of an object that is looked through.
const FEW: usize = 12;

/// A JSON text as a tree, at most 128 deep; integers of 64 bits are kept exactly.
pub(super) fn tree(text: &str) -> Result<Value, String> {
    // serde_json refuses what is deeper than 128.
    serde_json::from_str(text).map(|Tree(value)| value).map_err(|error| format!("the body is no JSON: {error}"))
}

struct Tree(Value);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything).map(Self)
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(().into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut row = Vec::new();
        while let Some(Tree(item)) = items.next_element()? {
            row.push(item);
        }
        Ok(row.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut fields = Vec::new();
        while let Some((Tree(name), Tree(value))) = entries.next_entry()? {
            fields.push((name, value));
        }
        Ok(if fields.len() > FEW { Value::from_pairs(fields) } else { Value::from_object(Fields::of(fields)) })
    }
}

/// A small object: its names, which are texts, and their values.
#[derive(Debug)]
pub(crate) struct Fields(Vec<(Value, Value)>);

impl Fields {
    /// Of names that come twice the last value counts (RFC 8259 section 4 leaves it open), in the place of the first.
    fn of(mut fields: Vec<(Value, Value)>) -> Self {
        let mut place = 1;
        while place < fields.len() {
            match fields[..place].iter().position(|(name, _)| name.as_str() == fields[place].0.as_str()) {
                Some(first) => fields[first].1 = fields.remove(place).1,
                None => place += 1,
            }
        }
        Self(fields)
    }

    /// The value of this name where it lies.
    pub(crate) fn lent(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known.as_str() == Some(name)).map(|(_, value)| value)
    }
}

impl Object for Fields {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.lent(key).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.mapped_rev_key_value_enumerator(|this| Box::new(this.0.iter().cloned()))
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Question;
    use crate::policy::expr::{Expr, Scope};

    #[test]
    fn it_is_to_expressions_what_minijinjas_own_tree_is() {
        let many = (0..40).map(|n| format!(r#""n{n}":{n}"#)).collect::<Vec<_>>().join(",");
        let texts = [
            r#"{"a":1,"b":{"c":[1,2.5,-3,null,true,"x\u00e9\n"]},"d":"","e":18446744073709551615,"f":{}}"#.to_owned(),
            r#"{"a":1,"b":2,"a":3,"":4,"b":5}"#.to_owned(),
            format!(r#"{{"b":{{{many},"n3":"again"}},"a":[{{"c":1}},{{"c":2}}]}}"#),
            "[]".to_owned(),
            "7".to_owned(),
        ];
        let sources = [
            "body",
            "body.a",
            "body.b.c",
            "body.b.n3",
            "body['b']",
            "body.b['n39']",
            "body[1]",
            "body.b|length",
            "body|length",
            "body|list",
            "body|items|list",
            "body|dictsort",
            "'a' in body",
            "1 in body",
            "body == body",
            "body.f == {}",
            "body|string",
            "body.b|first",
            "body.b|last",
            "body.b|reverse|list",
            "body is mapping",
            "body.f or 'none'",
            "body.a|map(attribute='c')|list",
            "body.keys",
            "body.nothing.at.all",
            "body|join(',')",
            "dict(body)",
            "body is iterable",
            "body.b|max",
            "body|sort",
            "body|unique|list",
            "body < body",
        ];
        for (text, source) in texts.iter().flat_map(|text| sources.map(|source| (text, source))) {
            let expr = Expr::compile(source, &["body"]).unwrap();
            let told = [tree(text).unwrap(), serde_json::from_str::<Value>(text).unwrap()].map(|body| {
                let scope = Scope::of_question_and(&Question::of_key("1"), [("body", body)]);
                expr.eval(&scope)
                    .map(|value| (value.to_string(), serde_json::to_string(&value).ok(), value.is_true()))
                    .map_err(|error| error.to_string())
            });
            assert_eq!(told[0], told[1], "{source} of {text}");
        }
        for text in &texts {
            assert_eq!(tree(text).unwrap(), serde_json::from_str::<Value>(text).unwrap());
            assert_eq!(serde_json::from_str::<Value>(text).unwrap(), tree(text).unwrap());
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in ["", "{", r#"{"a":}"#, r#"{1:2}"#, "nul", "[1,]", &"[".repeat(200)] {
            assert!(tree(text).is_err(), "{text}");
        }
    }
}
