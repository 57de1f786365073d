//! PostgreSQL's binary values.

use serde_json::{Map, Value as Json};
use sqlx::decode::Decode;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgRow, PgTypeKind, PgValueFormat, PgValueRef};
use sqlx::types::Decimal;
use sqlx::types::chrono::{DateTime, NaiveDate, NaiveDateTime};
use sqlx::{Column, Row, TypeInfo, ValueRef};

use crate::upstream::Failure;
use crate::upstream::sql::rows;

/// A row as a map of its columns.
pub(super) fn map(row: &PgRow) -> Result<Map<String, Json>, Failure> {
    let mut map = Map::with_capacity(row.len());
    for column in row.columns() {
        let info = column.type_info();
        let read = |why: &dyn std::fmt::Display| rows::column_fault(column.name(), info.name(), why);
        let raw = row.try_get_raw(column.ordinal()).map_err(|error| read(&error))?;
        let is_enum = matches!(info.kind(), PgTypeKind::Enum(_));
        let kind = if is_enum { "TEXT" } else { info.name() };
        let value = value(raw, kind).map_err(|error| read(&error))?;
        map.insert(column.name().to_owned(), value);
    }
    Ok(map)
}

fn value(raw: PgValueRef<'_>, kind: &str) -> Result<Json, BoxDynError> {
    if raw.is_null() {
        return Ok(Json::Null);
    }
    let bytes = raw.as_bytes()?;
    if raw.format() == PgValueFormat::Text {
        return Ok(rows::text(bytes));
    }
    Ok(match kind {
        "BOOL" => Json::Bool(bytes.first().is_some_and(|byte| *byte != 0)),
        "INT2" => Json::from(i16::from_be_bytes(bytes.try_into()?)),
        "INT4" => Json::from(i32::from_be_bytes(bytes.try_into()?)),
        "INT8" => Json::from(i64::from_be_bytes(bytes.try_into()?)),
        "OID" => Json::from(u32::from_be_bytes(bytes.try_into()?)),
        "FLOAT4" => rows::short_float(f32::from_be_bytes(bytes.try_into()?)),
        "FLOAT8" => rows::float(f64::from_be_bytes(bytes.try_into()?)),
        "NUMERIC" => rows::decimal(&<Decimal as Decode<sqlx::Postgres>>::decode(raw)?.to_string()),
        "DATE" => date(i32::from_be_bytes(bytes.try_into()?))?,
        "TIME" => time(i64::from_be_bytes(bytes.try_into()?))?,
        "TIMESTAMP" => timestamp(i64::from_be_bytes(bytes.try_into()?), "%Y-%m-%dT%H:%M:%S%.f")?,
        "TIMESTAMPTZ" => timestamp(i64::from_be_bytes(bytes.try_into()?), "%Y-%m-%dT%H:%M:%S%.fZ")?,
        // What functions give that give nothing.
        "VOID" => Json::Null,
        "UUID" => uuid(bytes).into(),
        "JSON" => rows::tree(bytes),
        // The first byte is the version of the form, which is 1.
        "JSONB" => rows::tree(bytes.get(1..).unwrap_or_default()),
        "TEXT" | "VARCHAR" | "CHAR" | "NAME" | "UNKNOWN" | "\"CHAR\"" | "BYTEA" => rows::text(bytes),
        other if other.eq_ignore_ascii_case("citext") => rows::text(bytes),
        _ => return Err("a type without a form of its own here".into()),
    })
}

/// Days since 2000-01-01.
fn date(days: i32) -> Result<Json, BoxDynError> {
    if let Some(word) = infinity(days == i32::MAX, days == i32::MIN) {
        return Ok(word);
    }
    /// 2000-01-01 in days since the first day of the year 1.
    const EPOCH: i32 = 730_120;
    let date = EPOCH.checked_add(days).and_then(NaiveDate::from_num_days_from_ce_opt);
    Ok(date.ok_or("a date beyond the calendar")?.to_string().into())
}

/// Microseconds since 2000-01-01 00:00, in UTC where there is a zone.
fn timestamp(micros: i64, form: &str) -> Result<Json, BoxDynError> {
    if let Some(word) = infinity(micros == i64::MAX, micros == i64::MIN) {
        return Ok(word);
    }
    Ok(moment(micros)?.format(form).to_string().into())
}

/// Microseconds since midnight; 24:00 is one of PostgreSQL's times.
fn time(micros: i64) -> Result<Json, BoxDynError> {
    if micros == 86_400_000_000 {
        return Ok("24:00:00".into());
    }
    Ok(moment(micros)?.format("%H:%M:%S%.f").to_string().into())
}

fn moment(micros: i64) -> Result<NaiveDateTime, BoxDynError> {
    /// Seconds from 1970, where the clock type starts, to 2000, where PostgreSQL does.
    const EPOCH: i64 = 946_684_800;
    let seconds = micros.div_euclid(1_000_000).checked_add(EPOCH).ok_or("a time beyond the calendar")?;
    let nanos = u32::try_from(micros.rem_euclid(1_000_000) * 1000)?;
    Ok(DateTime::from_timestamp(seconds, nanos).ok_or("a time beyond the calendar")?.naive_utc())
}

fn infinity(positive: bool, negative: bool) -> Option<Json> {
    match (positive, negative) {
        (true, _) => Some("infinity".into()),
        (_, true) => Some("-infinity".into()),
        _ => None,
    }
}

fn uuid(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (place, byte) in bytes.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_ends_of_the_calendar_do_not_panic() {
        assert_eq!(date(0).expect("a date"), json!("2000-01-01"));
        assert_eq!(date(i32::MAX).expect("a word"), json!("infinity"));
        assert_eq!(timestamp(i64::MIN, "").expect("a word"), json!("-infinity"));
        assert!(date(i32::MAX - 1).is_err() && timestamp(i64::MAX - 1, "%Y").is_err());
        assert_eq!(timestamp(-1_500_000, "%Y-%m-%dT%H:%M:%S%.fZ").expect("a time"), json!("1999-12-31T23:59:58.500Z"));
        assert_eq!(time(86_400_000_000).expect("a time"), json!("24:00:00"));
        assert_eq!(time(3_723_000_000).expect("a time"), json!("01:02:03"));
    }

    #[test]
    fn a_uuid_reads_as_usual() {
        let bytes: Vec<u8> = (0..16).collect();
        assert_eq!(uuid(&bytes), "00010203-0405-0607-0809-0a0b0c0d0e0f");
    }
}
