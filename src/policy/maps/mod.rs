//! Value maps: a vendor's words for a thing, turned into ours.
//!
//! `body.type | map('line_type')` makes `mobile` of `MOBILE`, `Wireless` and `cell phone`. Maps for what many vendors say
//! ship with dipcache (`shipped`); a policy adds its own as `[maps.NAME]`. An own map is asked first, and what it
//! does not know a shipped one of the same name may: to teach `line_type` one vendor's word takes one line.
//!
//! Words are compared without regard to case, and with a letter in them without regard to spaces, `_` and `-` either.

mod shipped;

use std::sync::Arc;

use ahash::AHashMap;
use indexmap::IndexMap;
use minijinja::Value;
use minijinja::value::Object;
use regex::Regex;

pub use shipped::names as shipped_names;

/// One value map.
#[derive(Debug, Default)]
pub struct ValueMap {
    words: AHashMap<Box<str>, Value>,
    patterns: Vec<(Regex, Value)>,
    default: Option<Value>,
}

/// A policy's own maps, by name.
#[derive(Debug, Default)]
pub struct Maps(IndexMap<String, ValueMap>);

impl ValueMap {
    /// Adds a word.
    pub fn add_word(&mut self, word: &str, value: Value) {
        self.words.insert(folded(word).into(), value);
    }

    /// Adds a pattern, which is tried behind all words and behind the patterns before it.
    pub fn add_pattern(&mut self, pattern: Regex, value: Value) {
        self.patterns.push((pattern, value));
    }

    /// Sets the value of every other word.
    pub fn set_default(&mut self, value: Value) {
        self.default = Some(value);
    }

    fn known(&self, word: &str) -> Option<&Value> {
        let by_word = self.words.get(&*folded(word));
        by_word.or_else(|| self.patterns.iter().find(|(pattern, _)| pattern.is_match(word)).map(|(_, value)| value))
    }
}

impl Maps {
    /// Adds a map.
    pub fn add(&mut self, name: String, map: ValueMap) {
        self.0.insert(name, map);
    }

    /// True when it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// True for a map of this name, own or shipped.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name) || shipped::find(name).is_some()
    }

    /// What a word means; `None` where no map of this name knows it.
    pub fn value(&self, name: &str, word: &str) -> Option<Value> {
        let own = self.0.get(name);
        let known = own.and_then(|map| map.known(word)).or_else(|| shipped::find(name).and_then(|map| map.known(word)));
        known.or_else(|| own.and_then(|map| map.default.as_ref())).cloned()
    }
}

/// Expressions carry their policy's maps along as a value.
impl Object for Maps {
    fn get_value(self: &Arc<Self>, _: &Value) -> Option<Value> {
        None
    }
}

/// The form in which words are compared. A word of signs and digits alone keeps all of them: `-1` is not `1`.
fn folded(word: &str) -> String {
    let word = word.trim().to_lowercase();
    if word.chars().any(char::is_alphabetic) {
        word.chars().filter(|c| !c.is_whitespace() && !matches!(c, '_' | '-')).collect()
    } else {
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_known_in_every_spelling() {
        let maps = Maps::default();
        for word in ["fixed line", "LANDLINE", "Fixed-Line", " fixed_line "] {
            assert_eq!(maps.value("line_type", word).unwrap().as_str(), Some("landline"), "{word}");
        }
        assert!(maps.value("line_type", "banana").is_none());
        assert!(!maps.has("lien_type") && maps.has("line_type"));
    }

    #[test]
    fn an_own_map_comes_first_then_the_shipped_then_its_default() {
        let mut map = ValueMap::default();
        map.add_word("M", "mobile".into());
        map.add_word("-1", "none".into());
        map.add_pattern(Regex::new("(?i)^voip").unwrap(), "voip".into());
        map.set_default("other".into());
        let mut maps = Maps::default();
        maps.add("line_type".to_owned(), map);
        let value = |word: &str| maps.value("line_type", word).unwrap().to_string();
        assert_eq!(
            ["m", "VoIP of some kind", "Freephone", "banana", "-1", "1"].map(value),
            ["mobile", "voip", "toll_free", "other", "none", "other"]
        );
    }
}
