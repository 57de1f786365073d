//! Filters and tests over lists, and over what is a list only sometimes.

use minijinja::value::{Rest, ValueKind};
use minijinja::{Environment, Error, Value, filters};

use super::text_of;

/// The filters of this module.
pub(super) const NAMES: [&str; 2] = ["as_list", "pick"];

pub(super) fn register(environment: &mut Environment<'static>) {
    environment.add_filter("as_list", as_list);
    environment.add_filter("pick", pick);
    // Jinja's own take a text for a list of letters, which no policy ever means.
    environment
        .add_filter("first", |value: &Value| if is_list(value) { filters::first(value) } else { Ok(value.clone()) });
    environment.add_filter("last", |value: &Value| match is_list(value) {
        true => filters::last(value.clone()),
        false => Ok(value.clone()),
    });
    environment.add_test("containing", containing);
    environment.add_test("empty", is_empty);
}

fn is_list(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable)
}

/// A list as it is, nothing as an empty one, anything else as a list of one.
fn as_list(value: &Value) -> Value {
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => value.clone(),
        ValueKind::Undefined | ValueKind::None => Value::from(Vec::<Value>::new()),
        _ => Value::from(vec![value.clone()]),
    }
}

/// Only these parts of a map, or of each map of a list; a part that is not there is left out.
fn pick(value: &Value, names: Rest<String>) -> Result<Value, Error> {
    if is_list(value) {
        return value.try_iter()?.map(|item| parts(&item, &names)).collect();
    }
    if text_of(value).is_none() {
        return Ok(Value::UNDEFINED);
    }
    parts(value, &names)
}

fn parts(map: &Value, names: &[String]) -> Result<Value, Error> {
    let mut kept = Vec::new();
    for name in names {
        let part = map.get_attr(name)?;
        if !part.is_undefined() {
            kept.push((name.as_str(), part));
        }
    }
    Ok(Value::from_pairs(kept))
}

/// Whether a list has an item like this one (`5` and `"5"` are alike), a map such a key, or a text such a part.
fn containing(value: &Value, wanted: &Value) -> Result<bool, Error> {
    let Some(wanted_text) = text_of(wanted) else { return Ok(false) };
    if let Some(text) = value.as_str() {
        return Ok(text.contains(&*wanted_text));
    }
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => {
            Ok(value.try_iter()?.any(|item| item == *wanted || text_of(&item).is_some_and(|text| text == wanted_text)))
        }
        _ => Ok(false),
    }
}

/// Nothing, a text without a letter in it, or a list or a map without parts. Zero and false are something.
fn is_empty(value: &Value) -> bool {
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => true,
        ValueKind::String => value.as_str().is_some_and(|text| text.trim().is_empty()),
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => value.len() == Some(0),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::value::Serde;
    use serde_json::json;

    fn value(json: serde_json::Value) -> Value {
        Value::from(Serde(json))
    }

    #[test]
    fn a_list_of_whatever_there_is() {
        assert_eq!(as_list(&value(json!(["a", "b"]))).len(), Some(2));
        assert_eq!(as_list(&value(json!("ab"))).len(), Some(1));
        assert_eq!(as_list(&Value::UNDEFINED).len(), Some(0));
    }

    #[test]
    fn containing_takes_numbers_and_texts_for_alike() {
        let has =
            |list: serde_json::Value, wanted: serde_json::Value| containing(&value(list), &value(wanted)).unwrap();
        assert!(has(json!([1, "2"]), json!("1")) && has(json!([1, "2"]), json!(2)));
        assert!(has(json!("NO DATA HERE"), json!("DATA")) && has(json!({"a": 1}), json!("a")));
        assert!(!has(json!([]), json!("a")) && !has(json!(["a"]), json!(null)) && !has(json!(null), json!("a")));
    }

    #[test]
    fn empty_is_nothing_and_not_zero() {
        for nothing in [json!(null), json!(""), json!(" \n"), json!([]), json!({})] {
            assert!(is_empty(&value(nothing.clone())), "{nothing}");
        }
        assert!(!is_empty(&value(json!(0))) && !is_empty(&value(json!(false))) && !is_empty(&value(json!("0"))));
    }

    #[test]
    fn only_the_picked_parts_remain() {
        let names = || Rest(vec!["b".to_owned(), "x".to_owned()]);
        let picked = pick(&value(json!([{"a": 1, "b": 2}, {"b": 3}])), names()).unwrap();
        assert_eq!(serde_json::to_value(&picked).unwrap(), json!([{"b": 2}, {"b": 3}]));
        assert!(pick(&Value::UNDEFINED, names()).unwrap().is_undefined());
    }
}
