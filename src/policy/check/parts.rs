//! What a template is made of: its own text, and code in braces.

/// A piece of a template's source.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// Text that is put out as it stands.
    Text(&'a str),
    /// `{{ … }}`, `{% … %}` or `{# … #}`, braces and all.
    Code(&'a str),
}

/// Splits a template's source. Code that never ends reaches to the end.
pub(super) fn parts(source: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = source;
    while !rest.is_empty() {
        match next_code(rest) {
            None => {
                parts.push(Part::Text(rest));
                break;
            }
            Some((0, closing)) => {
                let (code, behind) = rest.split_at(code_length(rest, closing));
                parts.push(Part::Code(code));
                rest = behind;
            }
            Some((start, _)) => {
                let (text, behind) = rest.split_at(start);
                parts.push(Part::Text(text));
                rest = behind;
            }
        }
    }
    parts
}

/// True when the source holds no code at all.
pub(super) fn is_plain(source: &str) -> bool {
    next_code(source).is_none()
}

/// Where code starts, and what ends it.
fn next_code(text: &str) -> Option<(usize, &'static str)> {
    [("{{", "}}"), ("{%", "%}"), ("{#", "#}")]
        .into_iter()
        .filter_map(|(open, close)| text.find(open).map(|at| (at, close)))
        .min_by_key(|(at, _)| *at)
}

/// The length of the code at the front; a closing mark within quotes does not close it.
fn code_length(code: &str, closing: &str) -> usize {
    let mut quote = None;
    for (at, c) in code.char_indices().skip(2) {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if code[at..].starts_with(closing) => return at + closing.len(),
            None if closing != "#}" && (c == '"' || c == '\'') => quote = Some(c),
            None => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::{Part, parts};

    #[test]
    fn code_ends_behind_its_quotes() {
        let split = parts("a{{ key | default('}}') }}b{# it's #}");
        assert_eq!(
            split,
            [Part::Text("a"), Part::Code("{{ key | default('}}') }}"), Part::Text("b"), Part::Code("{# it's #}")]
        );
    }

    #[test]
    fn code_that_never_ends_reaches_to_the_end() {
        assert_eq!(parts("{{ key"), [Part::Code("{{ key")]);
    }
}
