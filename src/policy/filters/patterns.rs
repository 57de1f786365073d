//! Regular expressions: linear time, bounded size, compiled once.

use std::sync::LazyLock;

use ahash::AHashMap;
use minijinja::{Environment, Error, ErrorKind, Value};
use parking_lot::RwLock;
use regex::{Regex, RegexBuilder};

use super::text_of;

/// The filters of this module.
pub(super) const NAMES: [&str; 3] = ["regex_search", "regex_replace", "regex_groups"];

/// How many compiled expressions are kept. They stand in policies, so there are few; one made of a
/// vendor's answer at run time must not fill the memory.
const KEPT: usize = 512;

/// The longest regular expression, in bytes.
const MAX_PATTERN: usize = 4096;

/// The most memory that one compiled expression takes, in bytes.
const MAX_COMPILED: usize = 1 << 20;

static COMPILED: LazyLock<RwLock<AHashMap<Box<str>, Regex>>> = LazyLock::new(RwLock::default);

pub(super) fn register(environment: &mut Environment<'static>) {
    environment.add_filter("regex_search", search);
    environment.add_filter("regex_replace", |value: &Value, wanted: &str, with: &str| {
        let Some(text) = text_of(value) else { return Ok(Value::UNDEFINED) };
        Ok::<_, Error>(Value::from(compiled(wanted)?.replace_all(&text, with).into_owned()))
    });
    environment.add_filter("regex_groups", groups);
    environment.add_test("matching", |value: &Value, wanted: &str| {
        let Some(text) = text_of(value) else { return Ok(false) };
        Ok::<_, Error>(compiled(wanted)?.is_match(&text))
    });
}

/// The first match, or one of its groups by number or name; null where there is none.
fn search(value: &Value, wanted: &str, group: Option<Value>) -> Result<Value, Error> {
    let Some(text) = text_of(value) else { return Ok(Value::UNDEFINED) };
    let regex = compiled(wanted)?;
    let Some(found) = regex.captures(&text) else { return Ok(Value::from(())) };
    let part = match &group {
        None => found.get(0),
        Some(group) => match group.as_str() {
            Some(name) => found.name(name),
            None => group.as_usize().and_then(|index| found.get(index)),
        },
    };
    Ok(part.map_or(Value::from(()), |part| Value::from(part.as_str())))
}

/// The named groups of the first match as a map: of one expression, or of the first of a list that matches; null
/// where none does.
fn groups(value: &Value, wanted: &Value) -> Result<Value, Error> {
    let Some(text) = text_of(value) else { return Ok(Value::UNDEFINED) };
    let patterns = if wanted.as_str().is_some() { vec![wanted.clone()] } else { wanted.try_iter()?.collect() };
    for wanted in &patterns {
        let regex = compiled(wanted.as_str().unwrap_or_default())?;
        if let Some(found) = regex.captures(&text) {
            let named = regex.capture_names().flatten();
            let parts = named.filter_map(|name| Some((name, Value::from(found.name(name)?.as_str()))));
            return Ok(Value::from_pairs(parts));
        }
    }
    Ok(Value::from(()))
}

fn compiled(wanted: &str) -> Result<Regex, Error> {
    pattern(wanted).map_err(|why| {
        Error::new(ErrorKind::InvalidOperation, format!("the regular expression does not compile: {why}"))
    })
}

/// The compiled form of a regular expression.
///
/// # Errors
/// What is wrong with it, on one line.
pub fn pattern(wanted: &str) -> Result<Regex, String> {
    if let Some(regex) = COMPILED.read().get(wanted) {
        return Ok(regex.clone());
    }
    if wanted.len() > MAX_PATTERN {
        return Err(format!("it is longer than {MAX_PATTERN} bytes"));
    }
    let regex = RegexBuilder::new(wanted).size_limit(MAX_COMPILED).dfa_size_limit(MAX_COMPILED).build().map_err(why)?;
    let mut kept = COMPILED.write();
    if kept.len() >= KEPT {
        kept.clear();
    }
    kept.insert(wanted.into(), regex.clone());
    Ok(regex)
}

/// The crate draws a picture over several lines; its last line says it in words.
fn why(error: regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_by_number_and_by_name() {
        let text = Value::from("LRN:3035550100;SPID:1234");
        let found = |pattern: &str, group: Option<Value>| search(&text, pattern, group).unwrap();
        assert_eq!(found(r"LRN:(\d{10})", Some(1.into())).as_str(), Some("3035550100"));
        assert_eq!(found(r"SPID:(?P<spid>\d+)", Some("spid".into())).as_str(), Some("1234"));
        assert_eq!(found(r"\d{4}$", None).as_str(), Some("1234"));
        assert!(found("OCN", None).is_none());
        assert!(found(r"\d", Some(7.into())).is_none());
    }

    #[test]
    fn the_first_expression_that_matches_gives_its_groups() {
        let wanted = Value::from(vec![r"^LRN=(?P<lrn>\d+)$", r"^(?P<lrn>\d{10});(?P<spid>\w+)$"]);
        let found = groups(&"3035550100;1234".into(), &wanted).unwrap();
        assert_eq!(serde_json::to_string(&found).unwrap(), r#"{"lrn":"3035550100","spid":"1234"}"#);
        assert!(groups(&"ERROR".into(), &wanted).unwrap().is_none());
        assert!(groups(&"x".into(), &"(".into()).is_err());
    }

    #[test]
    fn a_bad_pattern_says_what_is_wrong_on_one_line() {
        let why = pattern("(").unwrap_err();
        assert!(why.contains("unclosed group") && !why.contains('\n'), "{why}");
        assert!(pattern("(a{1000}){1000}").is_err());
    }

    #[test]
    fn the_kept_patterns_are_bounded() {
        for n in 0..KEPT + 10 {
            pattern(&format!("x{n}")).unwrap();
        }
        assert!(COMPILED.read().len() <= KEPT);
    }
}
