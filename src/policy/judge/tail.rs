//! What a transport's own codes mean where no rule of the policy says otherwise.

use std::time::{Duration, SystemTime};

use compact_str::format_compact;
use minijinja::Value;

use super::Judgement;
use crate::answer::Outcome;
use crate::policy::Reading;

/// The longest that a vendor's `Retry-After` is obeyed: a mistyped year must not switch a vendor off.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// Judges by status, response code or rows, whichever the reading has.
pub(super) fn judge(reading: &Reading) -> Judgement {
    match (reading.status, reading.rcode.as_deref()) {
        (Some(status), _) => http(status, reading),
        (None, Some(rcode)) => dns(rcode, &reading.answers),
        (None, None) => sql(&reading.rows),
    }
}

fn http(status: u16, reading: &Reading) -> Judgement {
    let outcome = match status {
        200..=299 if reading.undecoded.is_some() => Outcome::VendorError,
        200..=299 => Outcome::Found,
        404 | 410 => Outcome::NotFound,
        429 => Outcome::RateLimited,
        402 => Outcome::QuotaExhausted,
        401 | 403 => Outcome::AuthError,
        _ => Outcome::VendorError,
    };
    let mut judgement = Judgement::new(outcome, format_compact!("built in: {status}"));
    judgement.detail = match outcome {
        Outcome::VendorError if (200..=299).contains(&status) => {
            judgement.rule = format_compact!("built in: {status}, undecoded");
            reading.undecoded.clone()
        }
        Outcome::VendorError => Some(format!("status {status}")),
        _ => None,
    };
    judgement
}

/// NXDOMAIN and an empty NOERROR both say that there is nothing (RFC 2308); all else is the server's fault.
fn dns(rcode: &str, answers: &Value) -> Judgement {
    let empty = answers.len().unwrap_or(0) == 0;
    let (outcome, rule) = match rcode {
        "NOERROR" if empty => (Outcome::NotFound, "built in: NOERROR, no answers".into()),
        "NOERROR" => (Outcome::Found, "built in: NOERROR".into()),
        "NXDOMAIN" => (Outcome::NotFound, "built in: NXDOMAIN".into()),
        _ => (Outcome::VendorError, format_compact!("built in: {rcode}")),
    };
    let detail = (outcome == Outcome::VendorError).then(|| format!("rcode {rcode}"));
    Judgement { detail, ..Judgement::new(outcome, rule) }
}

fn sql(rows: &Value) -> Judgement {
    match rows.len().unwrap_or(0) {
        0 => Judgement::new(Outcome::NotFound, "built in: no rows"),
        _ => Judgement::new(Outcome::Found, "built in: rows"),
    }
}

/// A table's row, or none.
pub(super) fn table(reading: &Reading) -> Judgement {
    match &reading.kept {
        Some(record) => Judgement { record: Some(record.clone()), ..Judgement::new(Outcome::Found, "built in: row") },
        None => Judgement::new(Outcome::NotFound, "built in: no row"),
    }
}

/// What `Retry-After` asks for, in seconds or until a date (RFC 9110 section 10.2.3). A date is held
/// against the vendor's own `Date` where it sent one, so that its clock need not be ours.
pub(super) fn retry_after(reading: &Reading, wall: SystemTime) -> Option<Duration> {
    let asked = reading.header("retry-after")?.trim();
    let wait = match asked.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        // More seconds than a u64 holds are still seconds.
        Err(_) if !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) => MAX_RETRY_AFTER,
        Err(_) => {
            let until = httpdate::parse_http_date(asked).ok()?;
            let now = reading.header("date").and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(wall);
            until.duration_since(now).ok()?
        }
    };
    (!wait.is_zero()).then(|| wait.min(MAX_RETRY_AFTER))
}
