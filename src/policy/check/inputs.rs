//! `[input]`: which questions the policy takes.

use compact_str::CompactString;
use serde_spanned::Spanned;

use super::Check;
use crate::policy::Inputs;
use crate::policy::file::{DeclaredFile, InputFile, InputWord};
use crate::policy::input::{Declared, InputType};
use crate::policy::number::Country;
use crate::written::Span;

/// Names that mean something else already: in expressions, or in a request's query.
const TAKEN: &[&str] = &[
    "key",
    "status",
    "headers",
    "body",
    "text",
    "rcode",
    "answers",
    "rows",
    "budget_ms",
    "format",
    "field",
    "tollfree",
    "vars",
    "secrets",
    "record",
    "now_unix",
    "now_unix_ms",
    "now_iso",
    "uuid",
    "nonce",
    "method",
    "url",
    "host",
    "path",
    "query_string",
    "timestamp",
    "signature",
];

const KEY_MEND: &str = "say what the key is: `key = { type = \"tn\", country = \"US\" }` under [input]";

impl Check<'_> {
    /// The inputs, and the gate that is compiled once they are known.
    pub(super) fn inputs(&mut self, file: Option<Spanned<InputFile>>) -> (Option<Inputs>, Option<Spanned<String>>) {
        let Some(file) = file else {
            let top = self.span.clone();
            self.faults.missing(&top, "input", "[input] is missing", KEY_MEND);
            return (None, None);
        };
        let table = file.span();
        let file = file.into_inner();
        if file.key.is_none() {
            self.faults.missing(&table, "key", "`key` is missing", KEY_MEND);
        }
        let key = file.key.map(|key| self.key(key));
        let further = file.further.into_iter().filter_map(|(name, declared)| self.further(&name, declared)).collect();
        let gate = self.faults.value(file.applies_when);
        (key.map(|key| Inputs { key, further }), gate)
    }

    fn key(&mut self, declared: Spanned<DeclaredFile>) -> InputType {
        let span = declared.span();
        let declared = declared.into_inner();
        for (key, place) in [
            ("optional", declared.optional.as_ref().map(Spanned::span)),
            ("default", declared.default.as_ref().map(Spanned::span)),
        ] {
            if let Some(place) = place {
                self.faults.at(
                    &place,
                    format!("the key cannot have `{key}`: there is no question without a key"),
                    "take it out",
                );
            }
        }
        self.input_type(&span, declared).unwrap_or(InputType::Text)
    }

    fn further(&mut self, name: &Spanned<String>, declared: Spanned<DeclaredFile>) -> Option<Declared> {
        self.input_name(name);
        let span = declared.span();
        let mut declared = declared.into_inner();
        let default = self.faults.value(declared.default.take());
        let optional = self.faults.or(declared.optional.take(), default.is_some());
        let input = self.input_type(&span, declared)?;
        let default = default.map(|default| match input.canonical(default.get_ref()) {
            Some(canonical) => canonical,
            None => {
                let what = format!("`{}` is not {}", default.get_ref(), input.expected());
                self.faults.at(&default.span(), what, "write a default that fits the input's type");
                CompactString::default()
            }
        });
        Some(Declared { name: name.get_ref().as_str().into(), input, optional, default })
    }

    fn input_name(&mut self, name: &Spanned<String>) {
        let text = name.get_ref();
        if TAKEN.contains(&text.as_str()) {
            self.faults.at(
                &name.span(),
                format!("`{text}` means something else already"),
                "give the input another name",
            );
        } else if !is_name(text) {
            self.faults.at(
                &name.span(),
                format!("`{text}` cannot be an input's name"),
                "write small letters, digits and `_`, a letter first",
            );
        }
    }

    fn input_type(&mut self, span: &Span, declared: DeclaredFile) -> Option<InputType> {
        let given = declared.input_type.is_some();
        let word = self.faults.value(declared.input_type);
        let word =
            self.required(word, span, "type", given, "say what it is: `type = \"tn\"`, `dns`, `digits` or `text`")?;
        let country = self.faults.value(declared.country);
        if let Some(country) = country.as_ref().filter(|_| *word.get_ref() != InputWord::Tn) {
            self.faults.at(&country.span(), "`country` belongs to numbers", "take it out, or write `type = \"tn\"`");
        }
        Some(match word.get_ref() {
            InputWord::Tn => InputType::Tn { country: country.map_or(Country::US, |country| country.into_inner().0) },
            InputWord::Dns => InputType::DnsName,
            InputWord::Digits => InputType::Digits,
            InputWord::Text => InputType::Text,
        })
    }
}

/// True for a name that both Jinja and a query string take as it is.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.len() <= 64
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
