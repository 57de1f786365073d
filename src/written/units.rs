//! Durations and sizes: numbers that mean nothing without their unit.

use std::time::Duration;

use super::leaf::{Leaf, Wrong};

const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);
const DURATION_MEND: &str =
    "write it in quotes with its unit, such as \"80ms\", \"3s\", \"5m\", \"1h\", \"7d\"; none at all is \"0\"";
const SIZE_MEND: &str = "write bytes as a whole number, or text with a unit, such as \"64KiB\", \"256MiB\", \"2GiB\"";

impl Leaf for Duration {
    const EXPECTED: &'static str = "a duration with its unit";
    const EXAMPLE: &'static str = "\"80ms\"";

    fn from_text(text: &str) -> Result<Self, Wrong> {
        if text.trim() == "0" {
            return Ok(Self::ZERO);
        }
        let length = parts(text, duration_unit)
            .and_then(|seconds| Self::try_from_secs_f64(seconds).ok())
            .ok_or_else(|| Wrong::new(format!("`{text}` is no duration"), DURATION_MEND))?;
        if length > LONGEST {
            return Err(Wrong::new(format!("`{text}` is longer than ten years"), "write a shorter one"));
        }
        Ok(length)
    }

    fn from_integer(number: i64) -> Result<Self, Wrong> {
        Err(Wrong::new(format!("`{number}` is a duration without its unit"), DURATION_MEND))
    }

    fn from_float(number: f64) -> Result<Self, Wrong> {
        Err(Wrong::new(format!("`{number}` is a duration without its unit"), DURATION_MEND))
    }
}

/// A duration as an operator would write it, in the largest unit that leaves no rest.
pub(crate) fn in_units(duration: Duration) -> String {
    let millis = duration.as_millis();
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)]
        .into_iter()
        .find(|(_, unit)| millis > 0 && millis.is_multiple_of(*unit))
        .map_or_else(|| format!("{millis}ms"), |(name, unit)| format!("{}{name}", millis / unit))
}

/// A size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) u64);

impl Leaf for Bytes {
    const EXPECTED: &'static str = "a size";
    const EXAMPLE: &'static str = "\"64MiB\"";

    fn from_text(text: &str) -> Result<Self, Wrong> {
        parts(text, size_unit)
            .filter(|bytes| *bytes < 1e18)
            .map(|bytes| Self(bytes as u64))
            .ok_or_else(|| Wrong::new(format!("`{text}` is no size"), SIZE_MEND))
    }

    fn from_integer(number: i64) -> Result<Self, Wrong> {
        u64::try_from(number).map(Self).map_err(|_| Wrong::new(format!("`{number}` is no size"), SIZE_MEND))
    }
}

fn duration_unit(unit: &str) -> Option<f64> {
    Some(match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        "w" => 604_800.0,
        _ => return None,
    })
}

fn size_unit(unit: &str) -> Option<f64> {
    Some(match unit {
        "" | "B" => 1.0,
        "KB" | "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    })
}

/// The sum of parts such as `1h30m`, each a number and its unit.
fn parts(text: &str, unit_of: fn(&str) -> Option<f64>) -> Option<f64> {
    let mut rest = text.trim();
    let mut sum = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (digits, behind) = rest.split_at(number);
        let behind = behind.trim_start();
        let unit_end = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit_end);
        sum += digits.parse::<f64>().ok()? * unit_of(unit)?;
        rest = behind.trim_start();
    }
    Some(sum)
}
