//! A value and where it stands.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};

use serde::de::{Deserialize, Deserializer};

use super::faults::Span;

/// A value and its place in the text. That of the parser, in a type of our own, so that a schema can look through it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spanned<T>(serde_spanned::Spanned<T>);

impl<T> Spanned<T> {
    /// A value at a place.
    pub(crate) fn new(span: Span, value: T) -> Self {
        Self(serde_spanned::Spanned::new(span, value))
    }

    /// Where it stands, in bytes.
    pub(crate) fn span(&self) -> Span {
        self.0.span()
    }

    /// The value.
    pub(crate) fn get_ref(&self) -> &T {
        self.0.get_ref()
    }

    /// The value alone.
    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

impl<T> AsRef<T> for Spanned<T> {
    fn as_ref(&self) -> &T {
        self.0.get_ref()
    }
}

/// As a table's key: its place decides nothing.
impl Hash for Spanned<String> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.get_ref().hash(state);
    }
}

impl Borrow<str> for Spanned<String> {
    fn borrow(&self) -> &str {
        self.get_ref()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_spanned::Spanned::deserialize(deserializer).map(Self)
    }
}
