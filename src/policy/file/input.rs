//! `[input]`: the key, the gate, and further inputs under names of the operator's own.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::words::{CountryCode, InputWord, Port};
use crate::written::{Field, Lines, Spanned};

/// `[input]`: the key, the gate, and every other key declares a further input of that name.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct InputFile {
    /// What is asked about.
    #[cfg_attr(test, schemars(required))]
    pub key: Option<Spanned<DeclaredFile>>,
    /// An expression over key and inputs; where it is false nothing is asked and the outcome is `not_applicable`.
    pub applies_when: Field<String>,
    /// The parts of an answer that a caller may ask for, for `want` in templates.
    pub want: Lines<String>,
    /// Every other key declares an input of that name, in order.
    #[cfg_attr(test, schemars(flatten, with = "std::collections::BTreeMap<String, DeclaredFile>"))]
    pub further: Vec<(Spanned<String>, Spanned<DeclaredFile>)>,
}

/// One declared input, such as `{ type = "tn", country = "US" }`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table such as { type = \"tn\" }")]
pub(crate) struct DeclaredFile {
    /// `tn` is a telephone number; `ani` and `dnis` are other words for it, `account` for `text`;
    /// `url` is one that is asked, `identity` a SIP Identity header.
    #[serde(rename = "type")]
    #[cfg_attr(test, schemars(required))]
    pub input_type: Field<InputWord>,
    /// The country whose numbers may come without their country code, such as `US`.
    pub country: Field<CountryCode>,
    /// Whether it may be left out. Default: false.
    pub optional: Field<bool>,
    /// What stands in where it is left out.
    pub default: Field<String>,
    /// Whether it differs from call to call and changes no answer, as a call's id does: it goes into requests, and
    /// callers share answers all the same. Default: false.
    pub volatile: Field<bool>,
    /// What an input of type `word` may be.
    pub words: Lines<String>,
    /// url: the hosts it may lead to, each a regular expression of the whole host.
    pub hosts: Lines<String>,
    /// url: the ports it may lead to. Default: 443.
    pub ports: Lines<Port>,
    /// url: whether it may lead to addresses of your own network, loopback included. Default: false.
    pub allow_private: Field<bool>,
}

impl<'de> Deserialize<'de> for InputFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InputVisitor)
    }
}

struct InputVisitor;

impl<'de> Visitor<'de> for InputVisitor {
    type Value = InputFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<InputFile, A::Error> {
        let mut input = InputFile::default();
        while let Some(name) = table.next_key::<Spanned<String>>()? {
            match name.get_ref().as_str() {
                "key" => input.key = Some(table.next_value()?),
                "want" => input.want = Some(table.next_value()?),
                "applies_when" => input.applies_when = Some(table.next_value()?),
                _ => input.further.push((name, table.next_value()?)),
            }
        }
        Ok(input)
    }
}
