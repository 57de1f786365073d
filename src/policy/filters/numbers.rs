//! Filters over telephone numbers: the forms that vendors want.
//!
//! A value from the question is canonical already. One from a vendor may have any form that the North
//! American plan writes (`3035550100`, `13035550100`, a JSON number); it is read by the rules of `US`.

use compact_str::CompactString;
use minijinja::{Environment, Error, ErrorKind, Value};

use super::text_of;
use crate::policy::number::{self, Country};

/// The filters of this module.
pub(super) const NAMES: [&str; 11] =
    ["e164", "e164_plus", "nanp10", "nanp11", "national", "npa", "nxx", "line", "block", "dashed", "cc"];

pub(super) fn register(environment: &mut Environment<'static>) {
    environment.add_filter("e164", |value: &Value| number(value, |number| Some(Value::from(&number[1..]))));
    environment.add_filter("e164_plus", |value: &Value| number(value, |number| Some(Value::from(number))));
    environment.add_filter("national", |value: &Value| {
        number(value, |number| number::national(number).map(|national| Value::from(national.as_str())))
    });
    environment.add_filter("cc", |value: &Value| {
        number(value, |number| Some(number::calling_code(number).map_or(Value::UNDEFINED, Value::from)))
    });
    environment.add_filter("nanp10", |value: &Value| whole_nanp(value, |ten| Value::from(ten)));
    environment.add_filter("nanp11", |value: &Value| whole_nanp(value, |ten| Value::from(format!("1{ten}"))));
    environment.add_filter("dashed", |value: &Value| {
        whole_nanp(value, |ten| Value::from(format!("{}-{}-{}", &ten[..3], &ten[3..6], &ten[6..])))
    });
    environment.add_filter("npa", |value: &Value| nanp_part(value, 0..3));
    environment.add_filter("nxx", |value: &Value| nanp_part(value, 3..6));
    environment.add_filter("line", |value: &Value| nanp_part(value, 6..10));
    environment.add_filter("block", |value: &Value| nanp_part(value, 6..7));
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
