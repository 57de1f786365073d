//! Filters between types: vendors write the same thing as `true`, `"Y"` and `1`.
//!
//! What cannot be read becomes null: not known is an answer of its own, and never the same as false.

use std::borrow::Cow;

use minijinja::value::ValueKind;
use minijinja::{Environment, Value};

use super::text_of;

/// The filters of this module.
pub(super) const NAMES: [&str; 4] = ["as_bool", "as_int", "as_float", "as_string"];

pub(super) fn register(environment: &mut Environment<'static>) {
    environment.add_filter("as_bool", |value: &Value| as_bool(value));
    environment.add_filter("as_int", |value: &Value| as_int(value));
    environment.add_filter("as_float", |value: &Value| as_float(value));
    environment.add_filter("as_string", |value: &Value| as_string(value).map(Cow::into_owned));
}

pub(in crate::policy) fn as_bool(value: &Value) -> Option<bool> {
    if value.kind() == ValueKind::Bool {
        return Some(value.is_true());
    }
    let text = text_of(value)?;
    let text = text.trim();
    let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(&["true", "t", "yes", "y", "on", "1", "1.0"]) {
        Some(true)
    } else if is(&["false", "f", "no", "n", "off", "0", "0.0"]) {
        Some(false)
    } else {
        None
    }
}

pub(in crate::policy) fn as_int(value: &Value) -> Option<i64> {
    if value.kind() == ValueKind::Bool {
        return Some(i64::from(value.is_true()));
    }
    let text = text_of(value)?;
    text.trim().parse().ok().or_else(|| whole(as_float(value)?))
}

/// A float that is a whole number, as an integer.
pub(in crate::policy) fn whole(float: f64) -> Option<i64> {
    // 2^53: every whole float up to here is exact.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (float.fract() == 0.0 && float.abs() <= EXACT).then_some(float as i64)
}

pub(in crate::policy) fn as_float(value: &Value) -> Option<f64> {
    let text = text_of(value)?;
    text.trim().parse().ok().filter(|float: &f64| float.is_finite())
}

/// Codes stay what they are: `"007"` keeps its zeros, 7 becomes `7`, and 7.0 too.
pub(in crate::policy) fn as_string(value: &Value) -> Option<Cow<'_, str>> {
    if let (ValueKind::Number, false) = (value.kind(), value.is_integer())
        && let Some(whole) = as_float(value).and_then(whole)
    {
        return Some(whole.to_string().into());
    }
    text_of(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_three_valued() {
        for yes in [Value::from(true), "Y".into(), "yes".into(), 1.into(), "1".into(), "TRUE".into()] {
            assert_eq!(as_bool(&yes), Some(true), "{yes:?}");
        }
        for no in [Value::from(false), "N".into(), "no".into(), 0.into(), "0".into(), "False".into()] {
            assert_eq!(as_bool(&no), Some(false), "{no:?}");
        }
        for unknown in [Value::from(()), Value::UNDEFINED, "".into(), "U".into(), 2.into()] {
            assert_eq!(as_bool(&unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn numbers_are_read_from_text() {
        assert_eq!(as_int(&"00123".into()), Some(123));
        assert_eq!(as_int(&"12.0".into()), Some(12));
        assert_eq!(as_int(&"12.5".into()), None);
        assert_eq!(as_int(&9_007_199_254_740_993_i64.into()), Some(9_007_199_254_740_993));
        assert_eq!(as_float(&" 0.0065 ".into()), Some(0.0065));
        assert_eq!(as_float(&"NaN".into()), None);
    }

    #[test]
    fn codes_keep_their_zeros() {
        assert_eq!(as_string(&"007".into()).as_deref(), Some("007"));
        assert_eq!(as_string(&7.into()).as_deref(), Some("7"));
        assert_eq!(as_string(&7.0.into()).as_deref(), Some("7"));
        assert_eq!(as_string(&Value::from(())), None);
    }
}
