//! `body.data.lrn | e164_plus`: what most fields are, and what needs no interpreter.

use minijinja::Value;

use super::scope::{attribute, lent};
use super::{ExprError, Scope};
use crate::policy::filters::{NumberFilter, number_filter};

/// Names with dots between them, and what is made of the number at their end.
#[derive(Debug)]
pub(super) struct Path {
    names: Box<[Box<str>]>,
    filters: Box<[NumberFilter]>,
}

impl Path {
    /// The path that a source is, if it is nothing else. Whether its first name is one, and no word of the language, is for
    /// others to say.
    pub(super) fn of(source: &str) -> Option<Self> {
        let mut parts = source.split('|').map(|part| part.trim_matches(' '));
        let names: Box<[Box<str>]> = parts.next()?.split('.').map(Box::from).collect();
        let filters = parts.map(number_filter).collect::<Option<_>>()?;
        names.iter().all(|name| may_be_one(name)).then_some(Self { names, filters })
    }

    /// Its first name.
    pub(super) fn head(&self) -> &str {
        self.names.first().map_or("", |name| name)
    }

    /// True for one name without another behind it.
    pub(super) fn is_alone(&self) -> bool {
        self.names.len() == 1
    }

    /// What is at its end; undefined where it leads through something that is not there.
    ///
    /// # Errors
    /// When a filter refuses it.
    pub(super) fn walk(&self, scope: &Scope) -> Result<Value, ExprError> {
        let end = follow(&scope.0, &self.names);
        Ok(self.filters.iter().try_fold(end, |value, filter| filter(&value))?)
    }
}

/// What is at the end of these names. What a tree of ours has is only looked at on the way, and not copied.
fn follow(value: &Value, names: &[Box<str>]) -> Value {
    let Some((name, rest)) = names.split_first() else { return value.clone() };
    match lent(value, name) {
        Some(inner) => follow(inner, rest),
        None => follow(&attribute(value, name), rest),
    }
}

fn may_be_one(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::expr::quick::tests::is_as_interpreted;

    #[test]
    fn a_path_is_names_and_dots_and_number_filters_and_nothing_else() {
        let path = |source: &str| Path::of(source).is_some();
        for simple in ["body.lrn", "body.data.lrn", " row._2 ", "headers.x", "key", "body.a|npa", "key | e164 | nxx"] {
            assert!(path(simple), "{simple}");
        }
        for other in [
            "body.lrn or ''",
            "body.0",
            "body['a']",
            "body.a|upper",
            "body.a | npa ~ 'x'",
            "body.a || npa",
            "| npa",
            "1.5",
            "body.",
            "'a.b'",
            ".a",
        ] {
            assert!(!path(other), "{other}");
        }
    }

    #[test]
    fn it_leads_where_the_interpreter_would() {
        let body = serde_json::json!({"text": "abc", "no": null, "list": [{"a": 1}], "tn": "(303) 555-0100", "far": "+4930123456",
            "map": {"items": 7, "a": {"b": false}}, "number": 3_035_550_100_u64});
        for path in [
            "body.text",
            "body.no",
            "body.map",
            "body.map.items",
            "body.map.a.b",
            "body.map.a.b.c",
            "body.nothing",
            "body.nothing.more.still",
            "body.text.length",
            "body.list.a",
            "body.no.a",
            "body.map.keys",
            "body.tn | e164_plus",
            "body.tn|nanp10|dashed",
            "body.number | npa",
            "body.far | national",
            "body.far | nanp10",
            "body.far | nxx",
            "body.text | e164",
            "body.no | cc",
            "body.nothing | line",
        ] {
            is_as_interpreted(path, &body);
        }
    }
}
