//! Single values: what was typed, or what is wrong with it.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What is wrong with a value, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// What is wrong.
    pub(crate) what: String,
    /// How to mend it.
    pub(crate) mend: String,
}

impl Wrong {
    /// A fault in two sentences.
    pub(crate) fn new(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what: what.into(), mend: mend.into() }
    }
}

/// A value that is read from one TOML scalar.
pub(crate) trait Leaf: Sized {
    /// What it is, in words: `a duration with its unit`.
    const EXPECTED: &'static str;
    /// What one looks like in the file, quotes included.
    const EXAMPLE: &'static str;

    /// From a string.
    fn from_text(text: &str) -> Result<Self, Wrong> {
        Err(Self::unexpected(&format!("the text {text:?}")))
    }

    /// From an integer.
    fn from_integer(number: i64) -> Result<Self, Wrong> {
        Err(Self::unexpected(&format!("the number `{number}`")))
    }

    /// From a number with a fraction.
    fn from_float(number: f64) -> Result<Self, Wrong> {
        Err(Self::unexpected(&format!("the number `{number}`")))
    }

    /// From a boolean.
    fn from_bool(value: bool) -> Result<Self, Wrong> {
        Err(Self::unexpected(&format!("`{value}`")))
    }

    /// The fault of another type.
    fn unexpected(found: &str) -> Wrong {
        Wrong::new(format!("expected {}, found {found}", Self::EXPECTED), format!("write it as in `{}`", Self::EXAMPLE))
    }
}

/// A single value as it was typed: read, or wrong. Never stops serde, so that the next fault is seen too.
#[derive(Clone, Debug)]
pub(crate) struct Written<T>(pub(crate) Result<T, Wrong>);

impl<'de, T: Leaf> Deserialize<'de> for Written<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LeafVisitor(PhantomData))
    }
}

pub(super) struct LeafVisitor<T>(pub(super) PhantomData<T>);

impl<'de, T: Leaf> Visitor<'de> for LeafVisitor<T> {
    type Value = Written<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Written(T::from_text(text)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Written(T::from_integer(number)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Written(T::from_float(number)))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Written(T::from_bool(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Written(Err(T::unexpected("a list"))))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Self::Value, A::Error> {
        // A date comes as a map of one private key; both are read to their end and refused.
        while table.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Written(Err(T::unexpected("a table or a date"))))
    }
}

impl Leaf for String {
    const EXPECTED: &'static str = "text in quotes";
    const EXAMPLE: &'static str = "\"text\"";

    fn from_text(text: &str) -> Result<Self, Wrong> {
        Ok(text.to_owned())
    }
}

/// Text, or a number or a boolean as text: what an environment variable's value may have turned into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plain(pub(crate) String);

impl Leaf for Plain {
    const EXPECTED: &'static str = "text in quotes, or a number";
    const EXAMPLE: &'static str = "\"text\"";

    fn from_text(text: &str) -> Result<Self, Wrong> {
        Ok(Self(text.to_owned()))
    }

    fn from_integer(number: i64) -> Result<Self, Wrong> {
        Ok(Self(number.to_string()))
    }

    fn from_float(number: f64) -> Result<Self, Wrong> {
        Ok(Self(number.to_string()))
    }

    fn from_bool(value: bool) -> Result<Self, Wrong> {
        Ok(Self(value.to_string()))
    }
}

impl Leaf for bool {
    const EXPECTED: &'static str = "true or false, without quotes";
    const EXAMPLE: &'static str = "true";

    fn from_bool(value: bool) -> Result<Self, Wrong> {
        Ok(value)
    }
}

impl Leaf for u64 {
    const EXPECTED: &'static str = "a whole number, without quotes";
    const EXAMPLE: &'static str = "200";

    fn from_integer(number: i64) -> Result<Self, Wrong> {
        Self::try_from(number)
            .map_err(|_| Wrong::new(format!("`{number}` is negative"), "write a whole number of 0 or more"))
    }
}

impl Leaf for u32 {
    const EXPECTED: &'static str = "a whole number, without quotes";
    const EXAMPLE: &'static str = "20";

    fn from_integer(number: i64) -> Result<Self, Wrong> {
        Self::try_from(number).map_err(|_| {
            Wrong::new(format!("`{number}` is out of range"), format!("write a whole number from 0 to {}", Self::MAX))
        })
    }
}

impl Leaf for f64 {
    const EXPECTED: &'static str = "a number, without quotes";
    const EXAMPLE: &'static str = "0.8";

    fn from_integer(number: i64) -> Result<Self, Wrong> {
        Self::from_float(number as Self)
    }

    fn from_float(number: f64) -> Result<Self, Wrong> {
        if number.is_finite() && number >= 0.0 {
            Ok(number)
        } else {
            Err(Wrong::new(format!("`{number}` is out of range"), "write a number of 0 or more"))
        }
    }
}

/// A share, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratio(pub(crate) f64);

impl Leaf for Ratio {
    const EXPECTED: &'static str = "a share from 0 to 1, without quotes";
    const EXAMPLE: &'static str = "0.5";

    fn from_integer(number: i64) -> Result<Self, Wrong> {
        Self::from_float(number as f64)
    }

    fn from_float(number: f64) -> Result<Self, Wrong> {
        if (0.0..=1.0).contains(&number) {
            return Ok(Self(number));
        }
        let mend = if (1.0..=100.0).contains(&number) {
            format!("write {} for {number} %", number / 100.0)
        } else {
            "write 0.5 for one half".to_owned()
        };
        Err(Wrong::new(format!("`{number}` is no share: it must lie between 0 and 1"), mend))
    }
}
