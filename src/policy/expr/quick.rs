//! Expressions that need no interpreter: a path, or `'1' ~ body.tn`, paths and text behind one another.

use std::fmt::Write;

use minijinja::Value;

use super::path::Path;
use super::{ExprError, Scope};

/// What an expression is that needs no interpreter.
#[derive(Debug)]
pub(super) enum Quick {
    Path(Path),
    Joined(Box<[Piece]>),
}

#[derive(Debug)]
pub(super) enum Piece {
    Text(Box<str>),
    Path(Path),
}

impl Quick {
    /// The one that a source is, if it is one.
    pub(super) fn of(source: &str) -> Option<Self> {
        // One name alone may be a word of the language.
        let path = |source: &str| Path::of(source).filter(|path| !path.is_alone());
        if !source.contains('~') {
            return path(source).map(Self::Path);
        }
        let piece = |source: &str| match text(source.trim_matches(' ')) {
            Some(text) => Some(Piece::Text(text.into())),
            None => path(source).map(Piece::Path),
        };
        source.split('~').map(piece).collect::<Option<_>>().map(Self::Joined)
    }

    /// Its value.
    ///
    /// # Errors
    /// When a filter refuses its input.
    pub(super) fn eval(&self, scope: &Scope) -> Result<Value, ExprError> {
        let pieces = match self {
            Self::Path(path) => return path.walk(scope),
            Self::Joined(pieces) => pieces,
        };
        let mut joined = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => joined.push_str(text),
                // Writing to a string cannot fail.
                Piece::Path(path) => drop(write!(joined, "{}", path.walk(scope)?)),
            }
        }
        Ok(joined.into())
    }
}

/// The text between quotes, if nothing in it means anything else.
fn text(source: &str) -> Option<&str> {
    let quoted = |quote| source.strip_prefix(quote)?.strip_suffix(quote);
    let is_plain =
        |text: &&str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" +-_.,:;/@#".contains(&byte));
    quoted('\'').or_else(|| quoted('"')).filter(is_plain)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::policy::Question;
    use crate::policy::expr::Expr;

    #[test]
    fn it_is_paths_and_plain_text_and_nothing_else() {
        for simple in ["'1' ~ body.tn", "body.a~\"-\"~ body.b | npa", "'' ~ 'x'"] {
            assert!(matches!(Quick::of(simple), Some(Quick::Joined(_))), "{simple}");
        }
        for other in [
            "'1' ~ key",
            "'~' ~ body.a",
            "'a\\n' ~ body.a",
            "body.a ~",
            "'1 ~ body.a",
            "1 ~ body.a",
            "'a' 'b' ~ body.c",
        ] {
            assert!(Quick::of(other).is_none(), "{other}");
        }
    }

    #[test]
    fn it_says_what_the_interpreter_would() {
        let body =
            serde_json::json!({"tn": "3035550100", "no": null, "yes": true, "n": 1.0, "list": [1, "a"], "empty": ""});
        for source in [
            "'1' ~ body.tn",
            "body.tn | npa ~ '-' ~ body.tn | line",
            "'a' ~ body.no ~ body.nothing ~ body.empty",
            "body.yes ~ body.n ~ \" \" ~ body.list",
            "'a' ~ body.yes | npa",
        ] {
            is_as_interpreted(source, &body);
        }
    }

    /// Holds what an expression says of a body against what the interpreter says, which alone reads brackets.
    pub(in crate::policy::expr) fn is_as_interpreted(source: &str, body: &serde_json::Value) {
        let body = [("body", Value::from(minijinja::value::Serde(body.clone())))];
        let scope = Scope::of_question_and(&Question::of_key("1"), body);
        let [slow, quick] = [&format!("({source})"), source].map(|text| {
            let expr = Expr::compile(text, &["body"]).unwrap();
            assert_eq!(expr.quick.is_some(), text == source, "{text}");
            expr.eval(&scope).map_err(|error| error.to_string())
        });
        assert_eq!(quick, slow, "{source}");
    }
}
