//! A list of single values, which may be written as one value without brackets.

use std::fmt;
use std::marker::PhantomData;

use super::spanned::Spanned;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};

use super::leaf::{Leaf, LeafVisitor, Written};

/// A list that may be left out, and its place.
pub(crate) type Lines<T> = Option<Spanned<List<T>>>;

/// One value, or several in brackets.
#[derive(Clone, Debug)]
pub(crate) enum List<T> {
    /// Written without brackets.
    One(Written<T>),
    /// Written in brackets.
    Many(Vec<Spanned<Written<T>>>),
}

impl<T> List<T> {
    /// True for brackets with nothing in them.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Many(many) if many.is_empty())
    }
}

impl<'de, T: Leaf> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Leaf> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, or a list of such", T::EXPECTED)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        LeafVisitor(PhantomData).visit_str(text).map(List::One)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Self::Value, E> {
        LeafVisitor(PhantomData).visit_i64(number).map(List::One)
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Self::Value, E> {
        LeafVisitor(PhantomData).visit_f64(number).map(List::One)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Self::Value, E> {
        LeafVisitor(PhantomData).visit_bool(value).map(List::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(List::Many)
    }
}
