//! The words that only a policy has, as JSON Schema says them; and the schema that ships, held against the types.

use schemars::{Schema, json_schema};

use serde_json::{Value as Json, json};

use super::words::{
    AuthWord, CharsetName, CountryCode, EnabledWord, HedgeAfter, KindWord, Port, RecordWord, Separator, ServiceName,
    TransportWord,
};
use super::{PolicyFile, UpstreamFile};
use crate::policy::check::{foreign_keys, further_keys, keys};
use crate::policy::number::Country;
use crate::policy::{DnsRecord, Kind};
use crate::written::{Shape, Word, assert_is_shipped, duration_or, one_of};

impl Shape for EnabledWord {
    fn shape() -> Schema {
        json_schema!({ "enum": [true, false, "secrets"] })
    }
}

impl Shape for KindWord {
    fn shape() -> Schema {
        one_of(Kind::ALL.iter().map(|kind| kind.as_str()))
    }
}

impl Shape for CountryCode {
    fn shape() -> Schema {
        one_of(Country::all_iso())
    }
}

impl Shape for HedgeAfter {
    fn shape() -> Schema {
        duration_or(&["p95"])
    }
}

impl Shape for RecordWord {
    fn shape() -> Schema {
        let template = json_schema!({ "type": "string", "pattern": r"\{\{" });
        json_schema!({ "anyOf": [one_of(DnsRecord::WORDS.iter().map(|(word, _)| *word)), template] })
    }
}

impl Shape for Port {
    fn shape() -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": 65535 })
    }
}

impl Shape for ServiceName {
    fn shape() -> Schema {
        json_schema!({ "type": "string", "pattern": r"^\s*([eE]2[uU]\+[^+]+|[^+]+\+[eE]2[uU])\s*$" })
    }
}

impl Shape for CharsetName {
    fn shape() -> Schema {
        json_schema!({ "type": "string", "examples": ["utf-8", "latin-1", "windows-1252"] })
    }
}

impl Shape for Separator {
    fn shape() -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": 1 })
    }
}

/// For each type of upstream: the keys that mean nothing for it.
pub(super) fn by_transport() -> Json {
    let none: UpstreamFile = toml::from_str("").unwrap();
    by_type(TransportWord::WORDS, |transport| (Vec::new(), foreign_keys(&none, transport)))
}

/// For each type of auth: the keys that must be there, and those that mean nothing for it.
pub(super) fn by_auth() -> Json {
    let all: Vec<&str> =
        AuthWord::WORDS.iter().flat_map(|(_, auth)| [keys(*auth), further_keys(*auth)].concat()).collect();
    by_type(AuthWord::WORDS, |auth| {
        let own = [keys(auth), further_keys(auth)].concat();
        let mut foreign: Vec<&str> = all.iter().copied().filter(|key| !own.contains(key)).collect();
        foreign.sort_unstable();
        foreign.dedup();
        (keys(auth).to_vec(), foreign)
    })
}

/// If `type` is this word, then some keys are required and others are not allowed.
fn by_type<W: Word>(words: &[(&str, W)], keys: impl Fn(W) -> (Vec<&'static str>, Vec<&'static str>)) -> Json {
    let rule = |(word, value): &(&str, W)| {
        let (required, foreign) = keys(*value);
        let foreign: serde_json::Map<String, Json> =
            foreign.into_iter().map(|key| (key.to_owned(), false.into())).collect();
        json!({
            "if": { "properties": { "type": { "const": word } }, "required": ["type"] },
            "then": { "required": required, "properties": foreign },
        })
    };
    words.iter().map(rule).collect()
}

#[test]
fn the_shipped_schema_is_what_the_types_say() {
    assert_is_shipped::<PolicyFile>("config/policy.schema.json");
}
