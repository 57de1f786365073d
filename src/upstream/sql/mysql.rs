//! MySQL and MariaDB.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use serde_json::{Map, Value as Json};
use sqlx::decode::Decode;
use sqlx::error::BoxDynError;
use sqlx::mysql::types::MySqlTime;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow, MySqlValueRef};
use sqlx::types::chrono::{NaiveDate, NaiveDateTime};
use sqlx::{AssertSqlSafe, Column, ConnectOptions, Row, TypeInfo, ValueRef};

use crate::upstream::Failure;
use crate::upstream::sql::bound::{Bound, Param};
use crate::upstream::sql::connection::milliseconds;
use crate::upstream::sql::fault::{self, Trouble};
use crate::upstream::sql::rows::{self, Rows};
use crate::upstream::sql::statement::Statement;

/// Connects to a server.
#[derive(Debug)]
pub(super) struct MySqlSource {
    options: MySqlConnectOptions,
    sql: Arc<str>,
    occurrences: Arc<[usize]>,
    limit: Duration,
}

impl MySqlSource {
    pub(super) fn new(url: &str, statement: &Statement, limit: Duration) -> Result<Self, sqlx::Error> {
        let options = MySqlConnectOptions::from_str(url)?;
        let sql = statement.text(|_| "?".to_owned()).into();
        Ok(Self { options, sql, occurrences: statement.occurrences().into(), limit })
    }

    pub(super) async fn open(&self) -> Result<MySql, Failure> {
        self.prepare_session().await.map_err(|error| fault::connecting(&error))
    }

    async fn prepare_session(&self) -> Result<MySql, sqlx::Error> {
        let mut connection = self.options.connect().await?;
        let version: String = sqlx::query_scalar("SELECT VERSION()").fetch_one(&mut connection).await?;
        let limit = milliseconds(self.limit);
        // The two parted here: seconds with a fraction there, milliseconds here, each its own name.
        let timeout = if version.contains("MariaDB") {
            format!("max_statement_time={}.{:03}", limit / 1000, limit % 1000)
        } else {
            format!("max_execution_time={limit}")
        };
        let session = format!("SET SESSION {timeout}; SET SESSION TRANSACTION READ ONLY");
        sqlx::raw_sql(AssertSqlSafe(session)).execute(&mut connection).await?;
        Ok(MySql { connection, sql: Arc::clone(&self.sql), occurrences: Arc::clone(&self.occurrences) })
    }
}

/// A connection to a server.
#[derive(Debug)]
pub(super) struct MySql {
    connection: MySqlConnection,
    sql: Arc<str>,
    occurrences: Arc<[usize]>,
}

impl MySql {
    pub(super) async fn run(&mut self, bound: &Bound, rows: &mut Rows<'_>) -> Result<(), Trouble> {
        let mut query = sqlx::query(AssertSqlSafe(Arc::clone(&self.sql)));
        for place in self.occurrences.iter() {
            query = match bound.at(*place) {
                Param::Null => query.bind(None::<String>),
                Param::Bool(value) => query.bind(*value),
                Param::Int(value) => query.bind(*value),
                Param::Float(value) => query.bind(*value),
                Param::Text(value) => query.bind(value.clone()),
            };
        }
        let mut stream = query.fetch(&mut self.connection);
        while let Some(row) = stream.try_next().await? {
            map(&row).and_then(|row| rows.push(row)).map_err(Trouble::in_result)?;
        }
        Ok(())
    }
}

fn map(row: &MySqlRow) -> Result<Map<String, Json>, Failure> {
    let mut map = Map::with_capacity(row.len());
    for column in row.columns() {
        let kind = column.type_info().name();
        let read = |why: &dyn std::fmt::Display| rows::column_fault(column.name(), kind, why);
        let raw = row.try_get_raw(column.ordinal()).map_err(|error| read(&error))?;
        let value = value(raw, kind).map_err(|error| read(&error))?;
        map.insert(column.name().to_owned(), value);
    }
    Ok(map)
}

fn value(raw: MySqlValueRef<'_>, kind: &str) -> Result<Json, BoxDynError> {
    // Also a zero date, which is how the two write "none" where a column may not be null.
    if raw.is_null() {
        return Ok(Json::Null);
    }
    Ok(match kind {
        "BOOLEAN" => match <i64 as Decode<sqlx::MySql>>::decode(raw)? {
            number @ (0 | 1) => Json::Bool(number == 1),
            number => Json::from(number),
        },
        "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" => {
            Json::from(<i64 as Decode<sqlx::MySql>>::decode(raw)?)
        }
        "TINYINT UNSIGNED" | "SMALLINT UNSIGNED" | "MEDIUMINT UNSIGNED" | "INT UNSIGNED" | "BIGINT UNSIGNED"
        | "YEAR" | "BIT" => Json::from(<u64 as Decode<sqlx::MySql>>::decode(raw)?),
        "FLOAT" => rows::short_float(<f32 as Decode<sqlx::MySql>>::decode(raw)?),
        "DOUBLE" => rows::float(<f64 as Decode<sqlx::MySql>>::decode(raw)?),
        "DECIMAL" => rows::decimal(<&str as Decode<sqlx::MySql>>::decode(raw)?),
        "DATE" => <NaiveDate as Decode<sqlx::MySql>>::decode(raw)?.to_string().into(),
        "DATETIME" => {
            <NaiveDateTime as Decode<sqlx::MySql>>::decode(raw)?.format("%Y-%m-%dT%H:%M:%S%.f").to_string().into()
        }
        // sqlx sets the session's time zone to UTC.
        "TIMESTAMP" => {
            <NaiveDateTime as Decode<sqlx::MySql>>::decode(raw)?.format("%Y-%m-%dT%H:%M:%S%.fZ").to_string().into()
        }
        "TIME" => time(<MySqlTime as Decode<sqlx::MySql>>::decode(raw)?).into(),
        "JSON" => rows::tree(<&[u8] as Decode<sqlx::MySql>>::decode(raw)?),
        _ => rows::text(<&[u8] as Decode<sqlx::MySql>>::decode(raw)?),
    })
}

/// Two digits for the hours, as in ISO 8601; a span of time may have more, and a sign.
fn time(time: MySqlTime) -> String {
    let text = time.to_string();
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
    let pad = if digits.find(':') == Some(1) { "0" } else { "" };
    format!("{sign}{pad}{digits}")
}
