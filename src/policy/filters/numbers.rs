//! Filters over telephone numbers: the forms that vendors want.
//!
//! A value from the question is canonical already. One from a vendor may have any form that the North
//! American plan writes (`3035550100`, `13035550100`, a JSON number); it is read by the rules of `US`.

use compact_str::CompactString;
use minijinja::{Environment, Error, ErrorKind, Value};

use super::text_of;
use crate::policy::number::{self, Country};

/// What a filter makes of a value. It looks at nothing else.
pub(in crate::policy) type Filter = fn(&Value) -> Result<Value, Error>;

/// The filters of this module.
const FILTERS: [(&str, Filter); 11] = [
    ("e164", |value| number(value, |number| Some(Value::from(&number[1..])))),
    ("e164_plus", |value| number(value, |number| Some(Value::from(number)))),
    ("nanp10", |value| whole_nanp(value, |ten| Value::from(ten))),
    ("nanp11", |value| whole_nanp(value, |ten| Value::from(format!("1{ten}")))),
    ("national", |value| {
        number(value, |number| number::national(number).map(|national| Value::from(national.as_str())))
    }),
    ("npa", |value| nanp_part(value, 0..3)),
    ("nxx", |value| nanp_part(value, 3..6)),
    ("line", |value| nanp_part(value, 6..10)),
    ("block", |value| nanp_part(value, 6..7)),
    ("dashed", |value| whole_nanp(value, |ten| Value::from(format!("{}-{}-{}", &ten[..3], &ten[3..6], &ten[6..])))),
    ("cc", |value| number(value, |number| Some(number::calling_code(number).map_or(Value::UNDEFINED, Value::from)))),
];

/// Their names.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FILTERS.into_iter().map(|(name, _)| name)
}

/// The filter of this name, for who needs no interpreter.
pub(in crate::policy) fn named(name: &str) -> Option<Filter> {
    FILTERS.into_iter().find_map(|(known, filter)| (known == name).then_some(filter))
}

pub(super) fn register(environment: &mut Environment<'static>) {
    FILTERS.into_iter().for_each(|(name, filter)| environment.add_filter(name, move |value: &Value| filter(value)));
}

/// The canonical form of a value; `None` for what is not there.
fn canonical(value: &Value) -> Result<Option<CompactString>, Error> {
    let Some(text) = text_of(value) else { return Ok(None) };
    if text.trim().is_empty() {
        return Ok(None);
    }
    number::parse(&text, Country::US)
        .map(Some)
        .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "the value is not a telephone number"))
}

fn number(value: &Value, form: impl FnOnce(&str) -> Option<Value>) -> Result<Value, Error> {
    let Some(number) = canonical(value)? else { return Ok(Value::UNDEFINED) };
    form(&number).ok_or_else(|| {
        Error::new(ErrorKind::InvalidOperation, "the number's country has no national form that is known here")
    })
}

/// A form of the whole number, which only a North American number has: any other is an error, since
/// a request with a hole in it would be sent.
fn whole_nanp(value: &Value, form: impl FnOnce(&str) -> Value) -> Result<Value, Error> {
    let Some(number) = canonical(value)? else { return Ok(Value::UNDEFINED) };
    number::nanp(&number)
        .map(form)
        .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "the number is not in the North American plan"))
}

/// A part of a North American number; undefined for any other, so that `key | npa not in tollfree`
/// holds for a number from elsewhere.
fn nanp_part(value: &Value, part: std::ops::Range<usize>) -> Result<Value, Error> {
    let Some(number) = canonical(value)? else { return Ok(Value::UNDEFINED) };
    Ok(number::nanp(&number).map_or(Value::UNDEFINED, |ten| Value::from(&ten[part])))
}
