//! A bundle as it is typed.

use std::fmt;
use std::time::Duration;

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use crate::written::{Field, Lines, Spanned, Written};

/// `[bundle.NAME]`: lookups that one call asks together under one budget; every other key is a part.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct BundleFile {
    /// What the caller waits at most. Default: as long as the slowest of its lookups may take.
    pub budget: Field<Duration>,
    /// The names of what a caller gives. Default: `called` and `calling`.
    pub parameters: Lines<String>,
    /// Every other key is a part, in order.
    #[cfg_attr(test, schemars(flatten, with = "std::collections::BTreeMap<String, PartFile>"))]
    pub parts: Vec<(Spanned<String>, Spanned<PartFile>)>,
}

/// Names of inputs and their templates.
pub(crate) type InputsFile = IndexMap<Spanned<String>, Spanned<Written<String>>>;

/// One part, such as `lrn.key = "called"`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table such as { key = \"called\" }")]
pub(crate) struct PartFile {
    /// The lookup that is asked. Default: the part's own name.
    pub lookup: Field<String>,
    /// Its key: a template, or without braces an expression over the parameters and `parts`.
    #[cfg_attr(test, schemars(required))]
    pub key: Field<String>,
    /// Further inputs, each as `key`.
    pub inputs: Option<Spanned<InputsFile>>,
}

impl<'de> Deserialize<'de> for BundleFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(BundleVisitor)
    }
}

struct BundleVisitor;

impl<'de> Visitor<'de> for BundleVisitor {
    type Value = BundleFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<BundleFile, A::Error> {
        let mut bundle = BundleFile::default();
        while let Some(name) = table.next_key::<Spanned<String>>()? {
            match name.get_ref().as_str() {
                "budget" => bundle.budget = Some(table.next_value()?),
                "parameters" => bundle.parameters = Some(table.next_value()?),
                _ => bundle.parts.push((name, table.next_value()?)),
            }
        }
        Ok(bundle)
    }
}
