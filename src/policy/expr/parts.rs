//! `https://…/{{ key | nanp10 }}`: what most templates are, and what needs no interpreter.

use super::path::Path;
use super::{ExprError, Place, Scope};

/// Text, and names in it, with or without number filters.
#[derive(Debug)]
pub(super) struct Parts(Box<[Part]>);

#[derive(Debug)]
enum Part {
    Text(Box<str>),
    Value(Path),
}

impl Parts {
    /// The parts that a template's source has, if there is nothing in it but text and names. `is_name` says whether a
    /// word is one, and not the language's.
    pub(super) fn of(source: &str, is_name: impl Fn(&str) -> bool) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = source;
        while let Some((text, behind)) = rest.split_once("{{") {
            let (value, behind) = behind.split_once("}}")?;
            let path = Path::of(value).filter(|path| is_name(path.head()))?;
            parts.extend([Part::Text(text.into()), Part::Value(path)]);
            rest = behind;
        }
        parts.push(Part::Text(rest.into()));
        // Blocks and comments, and a brace too many that would be part of one.
        let is_text = |part: &Part| matches!(part, Part::Text(text) if text.contains("{%") || text.contains("{#") || text.ends_with('{'));
        if parts.iter().any(is_text) {
            return None;
        }
        parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        Some(Self(parts.into()))
    }

    /// The text, before its place has looked at the whole of it.
    pub(super) fn render(&self, scope: &Scope, place: Place) -> Result<String, ExprError> {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value(path) => place.write(&mut out, &path.walk(scope)?)?,
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use minijinja::Value;
    use minijinja::value::Serde;
    use serde_json::json;

    use super::*;
    use crate::policy::Question;
    use crate::policy::expr::Template;

    #[test]
    fn it_is_text_and_names_and_nothing_else() {
        let parts = |source: &str| Parts::of(source, |name| matches!(name, "key" | "ruri")).is_some();
        for simple in [
            "",
            "a",
            "{{ key }}",
            "a/{{key}}/b?c={{  ruri }}",
            "{{ key | nanp10 }}",
            "{{ key.a }}",
            "}} { a {{ key }} %} #}",
        ] {
            assert!(parts(simple), "{simple}");
        }
        for other in [
            "{{ key|upper }}",
            "{{ key | }}",
            "{{ other | nanp10 }}",
            "{{ vars.api }}",
            "{{ 'key' }}",
            "{{ true }}",
            "{{- key }}",
            "{{ key -}}",
            "{% if key %}a{% endif %}",
            "{# {{ key }} #}",
            "{{ key",
            "{{ '}}' }}",
            "{{{ key }}",
            "{{\nkey }}",
            "{",
        ] {
            assert!(!parts(other), "{other}");
        }
    }

    #[test]
    fn it_says_what_the_interpreter_would() {
        let values =
            [json!("a b/ü&\"<"), json!(""), json!(7), json!(true), json!(null), json!(["x", 1]), json!({"a": "b"})];
        let places = [Place::Url, Place::Header, Place::Json, Place::Xml, Place::Form, Place::DnsName, Place::Plain];
        for (value, place) in values.iter().flat_map(|value| places.map(|place| (value, place))) {
            let scope =
                Scope::of_question_and(&Question::of_key("1303"), [("body", Value::from(Serde(value.clone())))]);
            for source in
                ["\"x\": \"{{ key }}-{{ body }}\"", "{{ body }}", "x{{ nobody }}{{ body }}\n", "{{ body | e164_plus }}"]
            {
                let names = ["key", "body", "nobody"];
                let quick = Template::compile(source, &names, place).unwrap();
                // The same, in brackets that nobody but the interpreter reads.
                let source = source.replace("{{ ", "{{ (").replace(" }}", ") }}");
                let slow = Template::compile(&source, &names, place).unwrap();
                assert!(quick.parts.is_some() && slow.parts.is_none());
                let told = [&quick, &slow].map(|template| template.render(&scope).map_err(|error| error.to_string()));
                assert_eq!(told[0], told[1], "{source} {place:?} {value}");
            }
        }
    }
}
