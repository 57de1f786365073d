//! `[maps.NAME]`: value maps of the policy's own.

use indexmap::IndexMap;
use minijinja::Value;

use super::Check;
use crate::policy::expr::filter_names;
use crate::policy::file::MapFile;
use crate::policy::filters;
use crate::policy::maps::{Maps, ValueMap};
use crate::written::{Node, Spanned};

/// Stands for every word that the map does not know.
const OTHERWISE: &str = "*";

const NAME_MEND: &str = "write small letters, digits and `_`, as in [maps.operator]";

impl Check<'_> {
    /// All of them; what is wrong in one is left out.
    pub(super) fn maps(&mut self, files: IndexMap<Spanned<String>, MapFile>) -> Maps {
        let mut maps = Maps::default();
        for (name, file) in files {
            self.map_name(&name);
            if file.is_empty() {
                let mend = "add a line a word, as in `\"Cellular\" = \"mobile\"`";
                self.faults.at(&name.span(), format!("the value map `{}` has no words", name.get_ref()), mend);
            }
            let mut map = ValueMap::default();
            for (word, value) in file {
                self.map_word(&mut map, &word, value);
            }
            maps.add(name.into_inner(), map);
        }
        maps
    }

    fn map_name(&mut self, name: &Spanned<String>) {
        let text = name.get_ref();
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if text.is_empty() || !text.bytes().all(fits) {
            self.faults.at(&name.span(), format!("`{text}` cannot be a value map's name"), NAME_MEND);
        } else if filter_names().any(|filter| filter == text) {
            // `map('upper')` is Jinja's way to run a filter over a list.
            self.faults.at(&name.span(), format!("`{text}` is a filter already"), "give the map another name");
        }
    }

    fn map_word(&mut self, map: &mut ValueMap, word: &Spanned<String>, value: Spanned<Node>) {
        let place = value.span();
        let value = match value.into_inner() {
            Node::Text(text) => Value::from(text),
            Node::Fixed(fixed) => Value::from(minijinja::value::Serde(fixed)),
            Node::List(_) | Node::Table(_) => {
                self.faults.at(&place, "a word means one value", "write a text, a number, true or false");
                return;
            }
        };
        let text = word.get_ref();
        let pattern = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')).filter(|rest| !rest.is_empty());
        match pattern {
            _ if text == OTHERWISE => map.set_default(value),
            None => map.add_word(text, value),
            // Words are compared without regard to case, and so are patterns.
            Some(pattern) => match filters::pattern(&format!("(?i){pattern}")) {
                Ok(pattern) => map.add_pattern(pattern, value),
                Err(why) => self.faults.at(
                    &word.span(),
                    format!("the regular expression does not compile: {why}"),
                    "write it in the syntax of the Rust regex crate, or take the slashes out for a plain word",
                ),
            },
        }
    }
}
