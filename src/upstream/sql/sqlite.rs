//! SQLite: a file, read on a thread of its own, interrupted when nobody waits any more.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt;
use serde_json::{Map, Value as Json};
use sqlx::decode::Decode;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow, SqliteValueRef};
use sqlx::{AssertSqlSafe, Column, ConnectOptions, Row, TypeInfo, ValueRef};

use crate::upstream::Failure;
use crate::upstream::sql::bound::{Bound, Param};
use crate::upstream::sql::fault::{self, Trouble};
use crate::upstream::sql::rows::{self, Rows};
use crate::upstream::sql::statement::Statement;

/// How many steps of SQLite's machine are done between two looks at whether anybody still waits: some tens of microseconds.
const STEPS: i32 = 1000;

/// Opens a file.
#[derive(Debug)]
pub(super) struct SqliteSource {
    options: SqliteConnectOptions,
    sql: Arc<str>,
    occurrences: Arc<[usize]>,
}

impl SqliteSource {
    pub(super) fn new(url: &str, statement: &Statement, limit: Duration) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(false)
            .read_only(true)
            .busy_timeout(limit)
            .pragma("query_only", "on");
        let sql = statement.text(|_| "?".to_owned()).into();
        Ok(Self { options, sql, occurrences: statement.occurrences().into() })
    }

    pub(super) async fn open(&self) -> Result<Sqlite, Failure> {
        let mut connection = self.options.connect().await.map_err(|error| fault::connecting(&error))?;
        let left = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&left);
        let mut handle = connection.lock_handle().await.map_err(|error| fault::connecting(&error))?;
        handle.set_progress_handler(STEPS, move || !seen.load(Ordering::Relaxed));
        drop(handle);
        Ok(Sqlite {
            left: Interrupt(left),
            connection,
            sql: Arc::clone(&self.sql),
            occurrences: Arc::clone(&self.occurrences),
        })
    }
}

/// An open file.
#[derive(Debug)]
pub(super) struct Sqlite {
    // Before the connection: what still runs on its thread stops first.
    left: Interrupt,
    connection: SqliteConnection,
    sql: Arc<str>,
    occurrences: Arc<[usize]>,
}

/// Tells the thread, when dropped, that nobody waits any more.
#[derive(Debug)]
struct Interrupt(Arc<AtomicBool>);

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Sqlite {
    pub(super) async fn run(&mut self, bound: &Bound, rows: &mut Rows<'_>) -> Result<(), Trouble> {
        debug_assert!(!self.left.0.load(Ordering::Relaxed), "a connection that was left is never used again");
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

fn map(row: &SqliteRow) -> Result<Map<String, Json>, Failure> {
    let mut map = Map::with_capacity(row.len());
    for column in row.columns() {
        let declared = column.type_info().name();
        let read = |why: &dyn std::fmt::Display| rows::column_fault(column.name(), declared, why);
        let raw = row.try_get_raw(column.ordinal()).map_err(|error| read(&error))?;
        let value = value(raw, declared).map_err(|error| read(&error))?;
        map.insert(column.name().to_owned(), value);
    }
    Ok(map)
}

/// SQLite's values have types, its columns only wishes; a column that wishes for BOOLEAN holds 0 and 1.
fn value(raw: SqliteValueRef<'_>, declared: &str) -> Result<Json, sqlx::error::BoxDynError> {
    if raw.is_null() {
        return Ok(Json::Null);
    }
    let stored = raw.type_info().name().to_owned();
    Ok(match stored.as_str() {
        "INTEGER" => match (<i64 as Decode<sqlx::Sqlite>>::decode(raw)?, declared) {
            (number @ (0 | 1), "BOOLEAN") => Json::Bool(number == 1),
            (number, _) => Json::from(number),
        },
        "REAL" => rows::float(<f64 as Decode<sqlx::Sqlite>>::decode(raw)?),
        _ => rows::text(<&[u8] as Decode<sqlx::Sqlite>>::decode(raw)?),
    })
}
