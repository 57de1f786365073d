//! `[input]`: the key, the gate, and further inputs under names of the operator's own.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_spanned::Spanned;

use super::words::{CountryCode, InputWord};
use crate::written::{Field, Lines};

/// `[input]`
#[derive(Debug, Default)]
pub(crate) struct InputFile {
    /// The key.
    pub key: Option<Spanned<DeclaredFile>>,
    /// The gate: an expression over key and inputs.
    pub applies_when: Field<String>,
    /// The parts of an answer that a caller may ask for.
    pub want: Lines<String>,
    /// Every other key declares an input of that name, in order.
    pub further: Vec<(Spanned<String>, Spanned<DeclaredFile>)>,
}

/// One declared input: `{ type = "tn", country = "US" }`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { type = \"tn\" }")]
pub(crate) struct DeclaredFile {
    #[serde(rename = "type")]
    pub input_type: Field<InputWord>,
    pub country: Field<CountryCode>,
    pub optional: Field<bool>,
    pub default: Field<String>,
    /// What a word may be.
    pub words: Lines<String>,
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
