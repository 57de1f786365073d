//! `[input]`: which questions the policy takes.

use std::sync::Arc;

use compact_str::CompactString;

use super::Check;
use crate::policy::Inputs;
use crate::policy::file::{DeclaredFile, InputFile, InputWord};
use crate::policy::input::{Declared, InputType, WANT};
use crate::policy::number::Country;
use crate::written::{Lines, Span, Spanned};

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
    "enum",
    "nullnames",
    "nullwords",
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
        let further = file.further.into_iter().filter_map(|(name, declared)| self.further(&name, declared));
        let mut further: Vec<Declared> = further.collect();
        further.extend(self.want(file.want));
        let gate = self.faults.value(file.applies_when);
        (key.map(|key| Inputs { key, further }), gate)
    }

    fn key(&mut self, declared: Spanned<DeclaredFile>) -> InputType {
        let span = declared.span();
        let declared = declared.into_inner();
        for (key, place) in [
            ("optional", declared.optional.as_ref().map(Spanned::span)),
            ("default", declared.default.as_ref().map(Spanned::span)),
            ("volatile", declared.volatile.as_ref().map(Spanned::span)),
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
        let volatile = self.faults.or(declared.volatile.take(), false);
        let input = self.input_type(&span, declared)?;
        let default = default.map(|default| match input.canonical(default.get_ref()) {
            Some(canonical) => canonical,
            None => {
                let what = format!("`{}` is not {}", default.get_ref(), input.expected());
                self.faults.at(&default.span(), what, "write a default that fits the input's type");
                CompactString::default()
            }
        });
        Some(Declared { name: name.get_ref().as_str().into(), input, optional, default, volatile })
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

    fn input_type(&mut self, span: &Span, mut declared: DeclaredFile) -> Option<InputType> {
        let given = declared.input_type.is_some();
        let word = self.faults.value(declared.input_type.take());
        let word = self.required(
            word,
            span,
            "type",
            given,
            "say what it is: `type = \"tn\"`, `dns`, `sip`, `digits`, `text`, `word`, `url` or `identity`",
        )?;
        if *word.get_ref() != InputWord::Url {
            self.no_keys_of_urls(&declared);
        }
        let country = self.faults.value(declared.country.take());
        if let Some(words) = declared.words.as_ref().filter(|_| *word.get_ref() != InputWord::Word) {
            self.faults.at(&words.span(), "`words` belongs to words", "take it out, or write `type = \"word\"`");
        }
        if let Some(country) = country.as_ref().filter(|_| *word.get_ref() != InputWord::Tn) {
            self.faults.at(&country.span(), "`country` belongs to numbers", "take it out, or write `type = \"tn\"`");
        }
        Some(match word.get_ref() {
            InputWord::Tn => InputType::Tn { country: country.map_or(Country::US, |country| country.into_inner().0) },
            InputWord::Dns => InputType::DnsName,
            InputWord::Sip => InputType::Sip,
            InputWord::Digits => InputType::Digits,
            InputWord::Text => InputType::Text,
            InputWord::Word => InputType::Word(self.words(declared.words, span, "words")?),
            InputWord::Url => InputType::Url(self.caller_urls(span, declared)),
            InputWord::Identity => InputType::Identity,
        })
    }

    /// `want`: the parts that a caller may ask for; without a word on it, all of them.
    fn want(&mut self, list: Lines<String>) -> Option<Declared> {
        let span = list.as_ref().map(Spanned::span)?;
        let words = self.words(list, &span, WANT)?;
        let all = words.join(",").into();
        let input = InputType::Words(words);
        Some(Declared { name: WANT.into(), input, optional: true, default: Some(all), volatile: false })
    }

    /// The words that an input may be, each once.
    fn words(&mut self, list: Lines<String>, table: &Span, key: &str) -> Option<Arc<[CompactString]>> {
        let mend = format!("write them out, as in `{key} = [\"lrn\", \"cnam\"]`");
        let Some(span) = list.as_ref().map(Spanned::span) else {
            self.faults.missing(table, key, format!("`{key}` is missing"), mend);
            return None;
        };
        let mut words: Vec<CompactString> = Vec::new();
        let written = self.faults.list(list)?;
        if written.is_empty() {
            self.faults.at(&span, "there is no word to choose from", mend);
        }
        for word in written {
            let text = word.get_ref();
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            if text.is_empty() || text.len() > 64 || !text.bytes().all(fits) {
                let mend = "write letters, digits, `-`, `_` and `.`, at most 64: it stands in URLs and cache keys";
                self.faults.at(&word.span(), format!("`{text}` cannot be a word to choose"), mend);
            } else if words.iter().any(|known| known.eq_ignore_ascii_case(text)) {
                self.faults.at(&word.span(), format!("`{text}` stands here twice"), "take one of the two out");
            }
            words.push(text.as_str().into());
        }
        Some(words.into())
    }
}

/// True for a name that both Jinja and a query string take as it is.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.len() <= 64
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
