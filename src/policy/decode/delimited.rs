//! Bodies that are values with something between them: one line, pairs, or rows.
//!
//! A body that begins like markup is none of these: vendors' error pages come as HTML with a 200.

use std::io::Read;

use indexmap::IndexMap;
use minijinja::Value;

use super::Format;

/// The most rows that are read.
const MAX_ROWS: usize = 10_000;

/// The most columns of a row, and pairs of a body.
const MAX_PARTS: usize = 1_000;

/// `LRN;SPID` with the policy's names. Columns missing at the end are not there, those without a name are passed
/// over, and so is an empty one.
pub(super) fn line(text: &str, separator: Option<char>, columns: &[String]) -> Result<Value, String> {
    not_markup(text, "delimited text")?;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let values = line.split(separator.unwrap_or(';')).map(str::trim);
    let named = columns.iter().zip(values).filter(|(_, value)| !value.is_empty());
    Ok(Value::from_pairs(named.map(|(name, value)| (name.as_str(), value))))
}

/// `name=value&name=value`. With a separator other than `&` values stand as they are; with it they are
/// percent-decoded, as in a form.
pub(super) fn pairs(text: &str, separator: Option<char>) -> Result<Value, String> {
    not_markup(text, "key=value text")?;
    let mut map: IndexMap<String, Vec<String>> = IndexMap::new();
    let mut add = |name: &str, value: &str| match map.len() < MAX_PARTS {
        true => {
            map.entry(name.trim().to_owned()).or_default().push(value.trim().to_owned());
            Ok(())
        }
        false => Err(format!("the body has more than {MAX_PARTS} names")),
    };
    match separator.unwrap_or('&') {
        '&' => {
            // `form_urlencoded` takes any text for a form, so what is none is told by its lack of `=`.
            has_pairs(text.split('&'))?;
            for (name, value) in form_urlencoded::parse(text.trim().as_bytes()) {
                add(&name, &value)?;
            }
        }
        other => {
            has_pairs(text.split(other))?;
            for pair in text.split(other) {
                if let Some((name, value)) = pair.split_once('=') {
                    add(name, value)?;
                }
            }
        }
    }
    Ok(Value::from_pairs(map.into_iter().map(|(name, mut values)| {
        let value = if values.len() == 1 { Value::from(values.remove(0)) } else { Value::from(values) };
        (name, value)
    })))
}

fn has_pairs<'a>(mut parts: impl Iterator<Item = &'a str>) -> Result<(), String> {
    match parts.find(|part| !part.trim().is_empty() && !part.contains('=')) {
        Some(_) => Err("the body is no key=value text: a part of it has no `=`".to_owned()),
        None => Ok(()),
    }
}

/// RFC 4180, rows of any length. Names come from the policy, else from the first row.
pub(super) fn rows(text: &str, format: Format, separator: Option<char>, columns: &[String]) -> Result<Value, String> {
    not_markup(text, "table")?;
    let usual = if format == Format::Tsv { b'\t' } else { b',' };
    // The check takes only separators of one byte here.
    let separator = separator.and_then(|separator| u8::try_from(separator).ok()).unwrap_or(usual);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator)
        .flexible(true)
        .has_headers(columns.is_empty())
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let names = match columns {
        [] => reader.headers().map_err(|error| no_table(&error))?.iter().map(ToOwned::to_owned).collect(),
        columns => columns.to_vec(),
    };
    if names.len() > MAX_PARTS {
        return Err(format!("the body has more than {MAX_PARTS} columns"));
    }
    read_rows(reader, &names)
}

fn read_rows(mut reader: csv::Reader<impl Read>, names: &[String]) -> Result<Value, String> {
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| no_table(&error))?;
        if rows.len() == MAX_ROWS {
            return Err(format!("the body has more than {MAX_ROWS} rows"));
        }
        let named = names.iter().zip(&record).filter(|(_, value)| !value.is_empty());
        rows.push(Value::from_pairs(named.map(|(name, value)| (name.as_str(), value))));
    }
    Ok(Value::from(rows))
}

fn no_table(error: &csv::Error) -> String {
    format!("the body is no table: {error}")
}

fn not_markup(text: &str, what: &str) -> Result<(), String> {
    let mut start = text.trim_start().chars();
    let is_tag =
        start.next() == Some('<') && start.next().is_some_and(|c| c.is_ascii_alphabetic() || "!?/".contains(c));
    if is_tag { Err(format!("the body is markup and no {what}")) } else { Ok(()) }
}
