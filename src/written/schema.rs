//! What the mirror types look like to JSON Schema. Only tests know of it: the schemas are made once, and shipped.

use std::borrow::Cow;
use std::time::Duration;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value as Json;

use super::{Bytes, List, Node, Plain, Ratio, Spanned, Word, Written};

/// How a single value is typed.
pub(crate) trait Shape {
    /// Its schema.
    fn shape() -> Schema;
}

impl<W: Word> Shape for W {
    fn shape() -> Schema {
        one_of(W::WORDS.iter().map(|(word, _)| *word))
    }
}

/// A word of a closed set.
pub(crate) fn one_of<'a>(words: impl Iterator<Item = &'a str>) -> Schema {
    json_schema!({ "type": "string", "enum": words.collect::<Vec<_>>() })
}

/// A duration's parts, each a number and its unit.
const DURATION: &str = r"(\s*[0-9.]+\s*(us|ms|s|m|min|h|d|w))+\s*";

/// A duration, or one of these words in its place.
pub(crate) fn duration_or(words: &[&str]) -> Schema {
    let all: Vec<&str> = words.iter().copied().chain(["0", DURATION]).collect();
    json_schema!({ "type": "string", "pattern": format!("^({})$", all.join("|")) })
}

impl Shape for Duration {
    fn shape() -> Schema {
        duration_or(&[])
    }
}

impl Shape for Bytes {
    fn shape() -> Schema {
        json_schema!({ "anyOf": [
            { "type": "integer", "minimum": 0 },
            { "type": "string", "pattern": r"^(\s*[0-9.]+\s*(B|[kK]B|MB|GB|KiB|MiB|GiB)?)+\s*$" },
        ] })
    }
}

impl Shape for String {
    fn shape() -> Schema {
        json_schema!({ "type": "string" })
    }
}

impl Shape for Plain {
    fn shape() -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

impl Shape for bool {
    fn shape() -> Schema {
        json_schema!({ "type": "boolean" })
    }
}

impl Shape for u32 {
    fn shape() -> Schema {
        json_schema!({ "type": "integer", "minimum": 0, "maximum": Self::MAX })
    }
}

impl Shape for u64 {
    fn shape() -> Schema {
        json_schema!({ "type": "integer", "minimum": 0 })
    }
}

impl Shape for f64 {
    fn shape() -> Schema {
        json_schema!({ "type": "number", "minimum": 0 })
    }
}

impl Shape for Ratio {
    fn shape() -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "maximum": 1 })
    }
}

impl<T: Shape> JsonSchema for Written<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Value".into()
    }

    fn schema_id() -> Cow<'static, str> {
        std::any::type_name::<T>().into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        T::shape()
    }
}

impl<T: Shape> JsonSchema for List<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "List".into()
    }

    fn schema_id() -> Cow<'static, str> {
        std::any::type_name::<Self>().into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [T::shape(), { "type": "array", "items": T::shape() }] })
    }
}

impl JsonSchema for Node {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Tree".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean", "array", "object"] })
    }
}

impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// The schema of a whole file, as text. Draft 7 is what editors know.
pub(crate) fn text_of<T: JsonSchema>() -> String {
    let settings = SchemaSettings::draft07().with_transform(RecursiveTransform(as_toml));
    let schema = settings.into_generator().into_root_schema_for::<T>();
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// TOML has no null: what may be left out is left out. A comment's line breaks are Rust's.
fn as_toml(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(Json::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            object.insert("type".to_owned(), one);
        }
    }
    if let Some(Json::Array(words)) = object.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    if let Some(Json::Array(forms)) = object.get_mut("anyOf") {
        forms.retain(|form| form.get("type").is_none_or(|name| name != "null"));
        if let [Json::Object(one)] = forms.as_slice() {
            let one = one.clone();
            object.remove("anyOf");
            for (key, value) in one {
                object.entry(key).or_insert(value);
            }
        }
    }
    if let Some(Json::String(text)) = object.get_mut("description") {
        *text = text.replace('\n', " ");
    }
}

/// Holds a shipped schema against the types. With `UPDATE=1` it is written anew.
pub(crate) fn assert_is_shipped<T: JsonSchema>(file: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let made = text_of::<T>();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let shipped = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(made == shipped, "{file} is not what the types say; write it anew: UPDATE=1 cargo test --lib schema");
    let bare = undescribed("", &serde_json::from_str(&made).unwrap());
    assert!(bare.is_empty(), "an editor has nothing to say about {bare:?}: write a comment above the field");
}

/// The keys without a description.
fn undescribed(place: &str, schema: &Json) -> Vec<String> {
    let keys = |name: &str| schema.get(name).and_then(Json::as_object).into_iter().flatten();
    let of_keys = keys("properties").filter(|(_, key)| key.get("description").is_none());
    let own = of_keys.map(|(name, _)| format!("{place}.{name}"));
    let below = keys("definitions").flat_map(|(name, table)| undescribed(name, table));
    own.chain(below).collect()
}
