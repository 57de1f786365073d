//! A tree without a form of its own: JSON bodies and fallback records, each text with its place.

use std::fmt;

use super::spanned::Spanned;
use indexmap::IndexMap;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// One value of a free tree.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// Text, which may be a template.
    Text(String),
    /// A number or a boolean.
    Fixed(serde_json::Value),
    /// A list.
    List(Vec<Spanned<Node>>),
    /// A table, in the order in which it was written.
    Table(IndexMap<String, Spanned<Node>>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number, true or false, a list or a table")
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Fixed(number.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Node, E> {
        match serde_json::Number::from_f64(number) {
            Some(number) => Ok(Node::Fixed(number.into())),
            None => Err(E::custom("JSON has no `inf` and no `nan`")),
        }
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Fixed(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element()? {
            nodes.push(node);
        }
        Ok(Node::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Node, A::Error> {
        let mut nodes = IndexMap::new();
        while let Some(key) = table.next_key::<String>()? {
            // The toml crate hands out a date as a map of one key with this name.
            if key.starts_with("$__toml_private") {
                return Err(A::Error::custom("JSON has no dates: write it as text in quotes"));
            }
            nodes.insert(key, table.next_value()?);
        }
        Ok(Node::Table(nodes))
    }
}
