//! `body.data.lrn`: what most fields are, and what needs no interpreter.

use minijinja::Value;

use super::Scope;
use super::scope::attribute;

/// Names with dots between them, at least two.
#[derive(Debug)]
pub(super) struct Path(Box<[Box<str>]>);

impl Path {
    /// The path that a source is, if it is nothing else.
    pub(super) fn of(source: &str) -> Option<Self> {
        let is_name = |name: &str| {
            !name.starts_with(|c: char| c.is_ascii_digit())
                && !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        let names: Box<[Box<str>]> = source.trim_ascii().split('.').map(Box::from).collect();
        // One name alone may be a word of the language.
        (names.len() > 1 && names.iter().all(|name| is_name(name))).then_some(Self(names))
    }

    /// What is at its end; undefined where it leads through something that is not there.
    pub(super) fn walk(&self, scope: &Scope) -> Value {
        self.0.iter().fold(scope.0.clone(), |value, name| attribute(&value, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Question;
    use crate::policy::expr::Expr;

    #[test]
    fn a_path_is_names_and_dots_and_nothing_else() {
        for path in ["body.lrn", "body.data.lrn", " row._2 ", "headers.x"] {
            assert!(Path::of(path).is_some(), "{path}");
        }
        for other in
            ["key", "none", "body.lrn or ''", "body.0", "body['a']", "body.a|upper", "1.5", "body.", "'a.b'", ".a"]
        {
            assert!(Path::of(other).is_none(), "{other}");
        }
    }

    #[test]
    fn it_leads_where_the_interpreter_would() {
        let further = || {
            let tree = serde_json::json!({"text": "abc", "no": null, "list": [{"a": 1}], "map": {"items": 7, "a": {"b": false}}});
            [("body", Value::from(minijinja::value::Serde(tree)))]
        };
        let scope = Scope::of_question_and(&Question::of_key("1"), further());
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
        ] {
            let interpreted = Expr::compile(&format!("({path})"), &["body"]).unwrap().eval(&scope);
            let walked = Expr::compile(path, &["body"]).unwrap().eval(&scope);
            assert_eq!(walked.unwrap(), interpreted.unwrap(), "{path}");
        }
    }
}
