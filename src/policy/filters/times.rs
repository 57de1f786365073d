//! Times as vendors write them: epoch seconds or milliseconds, ISO 8601, dates of many kinds.
//!
//! A time without a zone is taken as UTC. What cannot be read becomes null.

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use minijinja::value::ValueKind;
use minijinja::{Environment, Value};

use super::text_of;
use super::types::as_float;

/// The filters of this module.
pub(super) const NAMES: [&str; 3] = ["epoch", "iso", "date"];

/// From here on a number is milliseconds: as seconds it would lie in the year 5138.
const MILLISECONDS: f64 = 1e11;

const DATE_TIMES: [&str; 4] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y%m%d%H%M%S"];
const DATES: [&str; 3] = ["%Y-%m-%d", "%Y%m%d", "%Y/%m/%d"];

pub(super) fn register(environment: &mut Environment<'static>) {
    environment
        .add_filter("epoch", |value: &Value, pattern: Option<&str>| time(value, pattern).map(|time| time.timestamp()));
    environment.add_filter("iso", |value: &Value, pattern: Option<&str>| {
        time(value, pattern).map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
    });
    environment.add_filter("date", |value: &Value, pattern: Option<&str>| {
        time(value, pattern).map(|time| time.date_naive().to_string())
    });
}

/// The time that a value means: by its pattern (as `strptime` has them), else by what it looks like.
pub fn time(value: &Value, pattern: Option<&str>) -> Option<DateTime<Utc>> {
    if let Some(pattern) = pattern {
        return by_pattern(text_of(value)?.trim(), pattern);
    }
    if value.kind() == ValueKind::Number {
        return of_number(as_float(value)?);
    }
    let text = text_of(value)?;
    let text = text.trim();
    // Eight digits are a date rather than a spring day of 1970, fourteen a date and time.
    if !matches!(text.len(), 8 | 14)
        && let Ok(number) = text.parse::<f64>()
    {
        return of_number(number);
    }
    let utc = |time: DateTime<chrono::FixedOffset>| time.with_timezone(&Utc);
    DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_rfc2822(text))
        .map(utc)
        .ok()
        .or_else(|| DATE_TIMES.iter().chain(&DATES).find_map(|pattern| by_pattern(text, pattern)))
        .or_else(|| of_number(text.parse().ok()?))
}

fn of_number(number: f64) -> Option<DateTime<Utc>> {
    let seconds = if number.abs() >= MILLISECONDS { number / 1000.0 } else { number };
    // The cast saturates, and chrono refuses what no calendar holds.
    seconds.is_finite().then(|| DateTime::from_timestamp(seconds.floor() as i64, 0))?
}

fn by_pattern(text: &str, pattern: &str) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_str(text, pattern) {
        return Some(time.with_timezone(&Utc));
    }
    let naive = NaiveDateTime::parse_from_str(text, pattern).ok();
    let naive = naive.or_else(|| NaiveDate::parse_from_str(text, pattern).ok()?.and_hms_opt(0, 0, 0))?;
    Some(naive.and_utc())
}

/// True for a pattern that says something.
pub fn is_pattern(pattern: &str) -> bool {
    !pattern.is_empty() && !StrftimeItems::new(pattern).any(|item| matches!(item, Item::Error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_the_same_second() {
        let forms: [Value; 9] = [
            1_763_719_200.into(),
            1_763_719_200_000_i64.into(),
            "1763719200".into(),
            "2025-11-21T10:00:00Z".into(),
            "2025-11-21T12:00:00.123+02:00".into(),
            "2025-11-21 10:00:00".into(),
            "20251121100000".into(),
            "Fri, 21 Nov 2025 10:00:00 GMT".into(),
            1_763_719_200.9.into(),
        ];
        for form in forms {
            assert_eq!(time(&form, None).map(|time| time.timestamp()), Some(1_763_719_200), "{form:?}");
        }
    }

    #[test]
    fn dates_and_patterns() {
        let date =
            |text: &str, pattern: Option<&str>| time(&text.into(), pattern).map(|time| time.date_naive().to_string());
        for (text, pattern) in [
            ("2025-11-21", None),
            ("20251121", None),
            ("11/21/2025", Some("%m/%d/%Y")),
            ("21.11.2025 08:30", Some("%d.%m.%Y %H:%M")),
        ] {
            assert_eq!(date(text, pattern).as_deref(), Some("2025-11-21"), "{text}");
        }
        for text in ["", "soon", "2025-13-41", "1e400", "99999999999999999999"] {
            assert_eq!(date(text, None), None, "{text}");
        }
        assert!(is_pattern("%Y-%m") && !is_pattern("%Q") && !is_pattern(""));
    }
}
