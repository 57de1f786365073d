//! Filters over numbers: vendors' scales brought to ours (a score is 0 to 100, and higher is worse).
//!
//! Each takes a number or a number as text, and gives null for what is neither.

use minijinja::{Environment, Error, ErrorKind, Value};

use super::types::{as_float, whole};

/// The filters of this module.
pub(super) const NAMES: [&str; 5] = ["scale", "clamp", "invert", "bucket", "level"];

/// Below which scores a caller is clean, of low, medium and high risk; above all of them he is blocked.
const LEVELS: [(f64, &str); 4] = [(20.0, "clean"), (40.0, "low"), (70.0, "medium"), (90.0, "high")];

pub(super) fn register(environment: &mut Environment<'static>) {
    environment.add_filter("scale", |value: &Value, by: f64, offset: Option<f64>| {
        over(value, |number| number * by + offset.unwrap_or(0.0))
    });
    environment
        .add_filter("clamp", |value: &Value, low: f64, high: f64| over(value, |number| number.max(low).min(high)));
    environment
        .add_filter("invert", |value: &Value, top: Option<f64>| over(value, |number| top.unwrap_or(100.0) - number));
    environment.add_filter("bucket", bucket);
    environment.add_filter("level", |value: &Value| {
        let score = as_float(value)?;
        Some(LEVELS.iter().find(|(limit, _)| score < *limit).map_or("block", |(_, level)| *level))
    });
}

fn over(value: &Value, change: impl FnOnce(f64) -> f64) -> Value {
    let changed = as_float(value).map(change).filter(|number| number.is_finite());
    // Sums of tenths end in a row of nines, which nobody wants to see.
    let rounded = changed.map(|number| (number * 1e6).round() / 1e6).filter(|number| number.is_finite());
    rounded.map_or(Value::from(()), |number| whole(number).map_or(Value::from(number), Value::from))
}

/// `score | bucket([20, 50], ['low', 'medium', 'high'])`: the word of the first limit that the number is below.
fn bucket(value: &Value, limits: Vec<f64>, words: Vec<Value>) -> Result<Value, Error> {
    if words.len() != limits.len() + 1 {
        return Err(Error::new(ErrorKind::InvalidOperation, "`bucket` needs one word more than limits"));
    }
    let Some(number) = as_float(value) else { return Ok(Value::from(())) };
    let index = limits.iter().position(|limit| number < *limit).unwrap_or(limits.len());
    Ok(words[index].clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_in_clean_numbers() {
        assert_eq!(over(&"0.29".into(), |n| n * 100.0).as_i64(), Some(29));
        assert_eq!(over(&0.1.into(), |n| n + 0.2).to_string(), "0.3");
        assert!(over(&"high".into(), |n| n).is_none());
        assert!(over(&1e308.into(), |n| n * 1e10).is_none());
    }

    #[test]
    fn buckets_have_one_word_more_than_limits() {
        let words = || vec!["low".into(), "medium".into(), "high".into()];
        let of = |score: f64| bucket(&score.into(), vec![20.0, 50.0], words()).unwrap().to_string();
        assert_eq!([0.0, 20.0, 49.9, 50.0].map(of), ["low", "medium", "medium", "high"]);
        assert!(bucket(&1.into(), vec![1.0], words()).is_err());
    }
}
