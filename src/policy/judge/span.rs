//! Times that an answer brings along: how long it may be kept, and how long its vendor wants to be left alone.
//!
//! Both come as seconds, as epoch time, as a date of HTTP or ISO 8601, or as a word (RFC 5222 has `NO-CACHE` and
//! `NO-EXPIRATION`). A date is held against the vendor's own `Date` where it sent one: its clock need not be ours.

use std::time::{Duration, SystemTime};

use minijinja::Value;

use crate::policy::filters;
use crate::policy::{Reading, TtlRules};

use super::Scope;

/// From here on a number is a moment and no span: as a span it would last for 31 years.
const EPOCH: f64 = 1e9;

/// How long an answer says that it may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// This long; the policy's bounds still hold.
    For(Duration),
    /// Not at all.
    NotKept,
}

/// The life that the policy lets the answer bring: its expression, else the HTTP headers, else the records' TTL.
pub(super) fn life(rules: &TtlRules, scope: &Scope, reading: &Reading, wall: SystemTime) -> Option<Life> {
    let told = || {
        let value = rules.from.as_ref()?.eval(scope);
        let value = value.inspect_err(|error| tracing::debug!(%error, "`ttl.from` does not run")).ok()?;
        of_value(&value, vendors_now(reading, wall))
    };
    let by_headers = || rules.cache_control.then(|| of_headers(reading, wall)).flatten();
    told().or_else(by_headers).or_else(|| reading.ttl.map(Life::For))
}

/// How long a value asks to wait; `None` for one that says no such thing, or a moment that is over.
pub(super) fn wait(value: &Value, reading: &Reading, wall: SystemTime) -> Option<Duration> {
    match of_value(value, vendors_now(reading, wall))? {
        Life::For(wait) if !wait.is_zero() => Some(wait),
        _ => None,
    }
}

fn of_value(value: &Value, now: SystemTime) -> Option<Life> {
    if value.is_undefined() || value.is_none() {
        return None;
    }
    let text = value.to_string();
    let word: String = text.chars().filter(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect();
    match word.as_str() {
        "nocache" | "nostore" => return Some(Life::NotKept),
        "noexpiration" | "never" => return Some(Life::For(Duration::MAX)),
        _ => {}
    }
    match text.trim().parse::<f64>() {
        Ok(number) if number < EPOCH => {
            Some(Life::For(Duration::try_from_secs_f64(number.max(0.0)).unwrap_or(Duration::ZERO)))
        }
        _ => filters::time(value, None).map(|moment| Life::For(until(SystemTime::from(moment), now))),
    }
}

/// `Cache-Control` and `Expires` (RFC 9111 section 5.2.2 and 5.3), less the `Age` that the answer has already.
fn of_headers(reading: &Reading, wall: SystemTime) -> Option<Life> {
    let control = reading.headers.iter().filter(|(name, _)| name == "cache-control");
    let directives: Vec<(String, Option<u64>)> =
        control.flat_map(|(_, value)| value.split(',')).map(directive).collect();
    let has = |name: &str| directives.iter().any(|(known, _)| known == name);
    // There is no asking again whether it still holds, so `no-cache` is as good as `no-store`.
    if has("no-store") || has("no-cache") {
        return Some(Life::NotKept);
    }
    let seconds = |name: &str| directives.iter().find(|(known, _)| known == name).and_then(|(_, seconds)| *seconds);
    if let Some(seconds) = seconds("s-maxage").or_else(|| seconds("max-age")) {
        let age = reading.header("age").and_then(|age| age.trim().parse().ok()).unwrap_or(0);
        return Some(Life::For(Duration::from_secs(seconds.saturating_sub(age))));
    }
    let expires = reading.header("expires")?;
    // What is no date (`0`, most often) is over already.
    let moment = httpdate::parse_http_date(expires.trim());
    Some(Life::For(moment.map_or(Duration::ZERO, |moment| until(moment, vendors_now(reading, wall)))))
}

/// `max-age=60`, name in small letters.
fn directive(text: &str) -> (String, Option<u64>) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (name.trim().to_ascii_lowercase(), value.trim().trim_matches('"').parse().ok())
}

fn vendors_now(reading: &Reading, wall: SystemTime) -> SystemTime {
    reading.header("date").and_then(|date| httpdate::parse_http_date(date.trim()).ok()).unwrap_or(wall)
}

fn until(moment: SystemTime, now: SystemTime) -> Duration {
    moment.duration_since(now).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_763_719_200)
    }

    fn of(value: impl Into<Value>) -> Option<Life> {
        of_value(&value.into(), now())
    }

    fn seconds(seconds: u64) -> Option<Life> {
        Some(Life::For(Duration::from_secs(seconds)))
    }

    #[test]
    fn every_form_of_a_life() {
        assert_eq!(of(90), seconds(90));
        assert_eq!(of(" 90 "), seconds(90));
        assert_eq!(of(-5), seconds(0));
        assert_eq!(of(1_763_719_260), seconds(60));
        assert_eq!(of(1_763_719_260_000_i64), seconds(60));
        assert_eq!(of("2025-11-21T10:01:00Z"), seconds(60));
        assert_eq!(of("Fri, 21 Nov 2025 10:01:00 GMT"), seconds(60));
        assert_eq!(of("2001-01-01T00:00:00Z"), seconds(0));
        assert_eq!(of("NO-CACHE"), Some(Life::NotKept));
        assert_eq!(of("NO-EXPIRATION"), Some(Life::For(Duration::MAX)));
        assert_eq!([of("soon"), of(()), of(""), of("NaN")], [None; 4]);
    }

    #[test]
    fn headers_say_how_long() {
        let of = |headers: &[(&str, &str)]| {
            let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            of_headers(&Reading { headers, ..Reading::default() }, now())
        };
        assert_eq!(of(&[("cache-control", "private, Max-Age=600"), ("age", "100")]), seconds(500));
        assert_eq!(of(&[("cache-control", "max-age=600, s-maxage=\"60\"")]), seconds(60));
        assert_eq!(of(&[("cache-control", "max-age=600"), ("cache-control", "no-store")]), Some(Life::NotKept));
        assert_eq!(of(&[("expires", "Fri, 21 Nov 2025 10:01:00 GMT")]), seconds(60));
        let date = ("date", "Fri, 21 Nov 2025 10:00:30 GMT");
        assert_eq!(of(&[("expires", "Fri, 21 Nov 2025 10:01:00 GMT"), date]), seconds(30));
        assert_eq!(of(&[("expires", "0")]), seconds(0));
        assert_eq!(of(&[("cache-control", "public")]), None);
    }
}
