//! What the parser and serde say, in words for a person who is tired.

use super::faults::Span;
use super::near::{nearest, suggest};

/// A syntax error, explained.
#[derive(Debug)]
pub(super) struct Slip {
    pub(super) what: String,
    pub(super) mend: String,
    /// True when the lines behind it are still read rightly.
    pub(super) local: bool,
}

/// What the TOML parser says about a place in a text.
pub(super) fn syntax(message: &str, text: &str, span: &Span) -> Slip {
    let slip = |what: &str, mend: &str, local| Slip { what: what.to_owned(), mend: mend.to_owned(), local };
    let found = text.get(span.clone()).unwrap_or_default();
    let line = text.get(..span.start).unwrap_or_default().lines().next_back().unwrap_or_default();
    if found.is_empty() && line.trim_end().ends_with('=') {
        return slip("a value is missing here", "write one behind the `=`, or take the line out", true);
    }
    if message.starts_with("string values must be quoted") {
        if found.starts_with(['“', '”', '„', '‘', '’', '«']) {
            return slip("these quotes are typographic", "write straight ones: `\"` or `'`", true);
        }
        return slip(
            &format!("`{found}` is no value"),
            &format!("text needs quotes: write {}", quoted(text, span)),
            true,
        );
    }
    match message.split(',').next().unwrap_or_default() {
        "invalid basic string" => slip("the text has no closing quote", "close it with `\"`", true),
        "invalid literal string" => slip("the text has no closing quote", "close it with `'`", true),
        "invalid multi-line basic string" => slip("the text has no closing quotes", "close it with `\"\"\"`", false),
        "invalid multi-line literal string" => slip("the text has no closing quotes", "close it with `'''`", false),
        "invalid float" | "invalid boolean" | "invalid integer" | "invalid datetime" => slip(
            &format!("`{found}` is no value"),
            "text needs quotes; numbers, true and false are written as they are",
            true,
        ),
        "duplicate key" => slip(&format!("`{found}` is already there"), "keep one of the two", true),
        "key with no value" => {
            slip("a key without a value", "write `key = value`; a key with spaces in it needs quotes", true)
        }
        "unclosed table" => slip("the header has no closing bracket", "close it with `]`", false),
        "unclosed array table" => slip("the header has no closing brackets", "close it with `]]`", false),
        "unclosed array" => slip("the list has no closing bracket", "close it with `]`", false),
        "missing comma between array elements" => {
            slip("a comma is missing, or the list's closing bracket", "write `,` or `]` here", false)
        }
        "unclosed inline table" => slip("the table has no closing brace", "close it with `}`", false),
        "missing comma between key-value pairs" => {
            slip("a comma is missing, or the table's closing brace", "write `,` or `}` here", false)
        }
        _ => slip(&format!("no valid TOML: {message}"), habit(message, text, span.start), false),
    }
}

/// What to write instead of what is no TOML, where it looks like something else.
fn habit(message: &str, text: &str, at: usize) -> &'static str {
    let before = text.get(..at).unwrap_or_default();
    let line = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text.get(line..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let key = line.split('=').next().unwrap_or_default();
    if text.trim_start().starts_with('{') {
        "this is JSON: write a line a key, as in `kind = \"lrn\"`, and tables as `[input]`"
    } else if message.starts_with("missing escaped value") || message.starts_with("invalid escape") {
        "a backslash means something within \"…\": write the text in single quotes, or two backslashes"
    } else if line.matches('"').count() > 2 && !key.contains('"') {
        "a text ends at its next quote: write one with `\"` in it in single quotes, or `\\\"` for each"
    } else if key.contains(':') {
        "write `=` between a key and its value: `type = \"http\"`"
    } else {
        "correct the line: TOML is `key = value`, text in quotes, tables as `[input]`"
    }
}

/// The value that starts here, to the end of its line, in quotes that it does not hold itself.
fn quoted(text: &str, span: &Span) -> String {
    let line = text.get(span.start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let value = line.split(" #").next().unwrap_or_default().trim();
    let quote = if value.contains('"') { '\'' } else { '"' };
    format!("{quote}{value}{quote}")
}

/// What serde stumbled over, explained.
#[derive(Debug)]
pub(super) struct Stumble<'a> {
    pub(super) what: String,
    pub(super) mend: String,
    /// The known key that an unknown one was probably meant to be.
    pub(super) meant: Option<&'a str>,
}

/// An error that serde found in the table of this name.
pub(super) fn structure<'a>(message: &'a str, table: &str) -> Stumble<'a> {
    let (message, _) = message.split_once('\n').unwrap_or((message, ""));
    if let Some(rest) = message.strip_prefix("unknown field ") {
        return unknown_key(rest, table);
    }
    if let Some((found, expected)) =
        message.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected "))
    {
        let mend = match (found, expected) {
            ("map", "a sequence") => {
                "there may be more than one: write its header in two brackets, as in `[[upstream]]`".to_owned()
            }
            _ => format!("write {} here", in_words(expected)),
        };
        // Where a secret belongs, what stands there instead may be one.
        let found = if expected.contains("env:") { "something else".to_owned() } else { in_words(found) };
        return Stumble { what: format!("expected {}, found {found}", in_words(expected)), mend, meant: None };
    }
    Stumble { what: message.to_owned(), mend: "correct it or take it out".to_owned(), meant: None }
}

/// serde names the key and all that it would take, each in backticks.
fn unknown_key<'a>(rest: &'a str, table: &str) -> Stumble<'a> {
    let words: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    let (key, known) = words.split_first().map_or(("", &[][..]), |(key, known)| (*key, known));
    let (place, these_are) = if table.is_empty() {
        ("at the top of the file".to_owned(), "known there are".to_owned())
    } else {
        (format!("in {table}"), format!("{table} takes"))
    };
    Stumble {
        what: format!("unknown key `{key}` {place}"),
        mend: match known.contains(&"when") {
            true => format!("a test is an expression: `when = \"status == 404\"`; {}", suggest(key, known, &these_are)),
            false => suggest(key, known, &these_are),
        },
        meant: nearest(key, known.iter().copied()),
    }
}

/// serde's names for types, as an operator would call them.
fn in_words(serde: &str) -> String {
    match serde {
        "a sequence" | "sequence" => "a list in brackets".to_owned(),
        "a map" | "map" => "a table".to_owned(),
        _ => serde
            .strip_prefix("string ")
            .map(|text| format!("the text {text}"))
            .or_else(|| serde.strip_prefix("integer ").map(|number| format!("the number {number}")))
            .or_else(|| serde.strip_prefix("floating point ").map(|number| format!("the number {number}")))
            .or_else(|| serde.strip_prefix("boolean ").map(str::to_owned))
            .unwrap_or_else(|| serde.to_owned()),
    }
}
