//! From sqlx's errors to failures: whose fault it was, and whether the connection is still worth something.

use sqlx::error::DatabaseError;
use sqlx::mysql::MySqlDatabaseError;
use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;

use crate::upstream::{Failure, FailureKind};

/// A statement that did not run to its end.
#[derive(Debug)]
pub(super) struct Trouble {
    /// What to tell.
    pub(super) failure: Failure,
    /// The connection is in step and may be used again.
    pub(super) usable: bool,
    /// The connection was dead, or so old that it knows the tables no more: a new one may do better.
    pub(super) broken: bool,
}

impl Trouble {
    /// Something in the result that we will not read on for.
    pub(super) fn in_result(failure: Failure) -> Self {
        Self { failure, usable: false, broken: false }
    }
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(refusal) => of_refusal(&**refusal),
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed | sqlx::Error::Tls(_) => {
                let detail = format!("the connection broke: {error}");
                Self { failure: Failure::new(FailureKind::Protocol, detail), usable: false, broken: true }
            }
            _ => Self {
                failure: Failure::new(FailureKind::Protocol, format!("the result does not read: {error}")),
                usable: false,
                broken: false,
            },
        }
    }
}

/// Why no connection could be made.
pub(super) fn connecting(error: &sqlx::Error) -> Failure {
    Failure::new(FailureKind::Connect, format!("no connection to the database: {error}"))
}

/// What a database refused, by its own code.
fn of_refusal(refusal: &dyn DatabaseError) -> Trouble {
    let (kind, broken) = if let Some(error) = refusal.try_downcast_ref::<PgDatabaseError>() {
        postgres(error.code(), error.message())
    } else if let Some(error) = refusal.try_downcast_ref::<MySqlDatabaseError>() {
        (mysql(error.number()), matches!(error.number(), 1053 | 1077 | 1079 | 1927))
    } else if refusal.try_downcast_ref::<SqliteError>().is_some() {
        (sqlite(refusal.code().and_then(|code| code.parse().ok()).unwrap_or(1)), false)
    } else {
        (FailureKind::Protocol, false)
    };
    let code = refusal.code().unwrap_or_default();
    // A refused value is told without the database's words, which repeat it: it may be a caller's number.
    let detail = if code.starts_with("22") {
        format!("the database refuses a parameter's value (SQLSTATE {code}): does it fit the column's type?")
    } else {
        format!("the database says: {} ({code})", refusal.message())
    };
    let usable = !broken && !matches!(kind, FailureKind::Connect | FailureKind::Protocol);
    Trouble { failure: Failure::new(kind, detail), usable, broken }
}

/// SQLSTATE classes of PostgreSQL, and whether the connection is of no more use.
fn postgres(code: &str, message: &str) -> (FailureKind, bool) {
    match code {
        "57014" | "55P03" => (FailureKind::Timeout, false),
        _ if code.starts_with("57P") || code.starts_with("08") => (FailureKind::Connect, true),
        _ if code.starts_with("53") => (FailureKind::Connect, false),
        // A column changed its type under a prepared statement; a new connection prepares it anew.
        "0A000" if message.contains("cached plan") => (FailureKind::Protocol, true),
        _ if matches!(code.get(..2), Some("22" | "25" | "26" | "42" | "0A" | "3D" | "3F")) => {
            (FailureKind::Policy, false)
        }
        _ => (FailureKind::Protocol, false),
    }
}

/// Error numbers of MySQL and MariaDB.
const fn mysql(number: u16) -> FailureKind {
    match number {
        // max_statement_time, max_execution_time, lock wait timeout, query interrupted
        1969 | 3024 | 1205 | 1317 => FailureKind::Timeout,
        // too many connections, user limits, shutdown and killed connections
        1040 | 1203 | 1226 | 1053 | 1077 | 1079 | 1927 => FailureKind::Connect,
        // syntax, unknown tables and columns, rights, writes in a read-only session, values that do not fit
        1044..=1065 | 1142..=1146 | 1267 | 1271 | 1290 | 1305 | 1366 | 1370 | 1792 => FailureKind::Policy,
        _ => FailureKind::Protocol,
    }
}

/// Result codes of SQLite; the lowest byte is the primary one.
const fn sqlite(code: i32) -> FailureKind {
    match code & 0xff {
        // busy, locked, interrupted
        5 | 6 | 9 => FailureKind::Timeout,
        // error in the statement, read-only, authorisation, range and mismatch
        1 | 8 | 20 | 23 | 25 => FailureKind::Policy,
        // cannot open
        14 => FailureKind::Connect,
        _ => FailureKind::Protocol,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blame_falls_where_it_belongs() {
        assert_eq!(postgres("57014", ""), (FailureKind::Timeout, false));
        assert_eq!(postgres("57P01", "terminating connection"), (FailureKind::Connect, true));
        assert_eq!(postgres("42P01", "no such table"), (FailureKind::Policy, false));
        assert_eq!(postgres("0A000", "cached plan must not change result type"), (FailureKind::Protocol, true));
        assert_eq!(
            (mysql(1969), mysql(1146), mysql(1040)),
            (FailureKind::Timeout, FailureKind::Policy, FailureKind::Connect)
        );
        assert_eq!(
            (sqlite(9), sqlite(1), sqlite(261), sqlite(11)),
            (FailureKind::Timeout, FailureKind::Policy, FailureKind::Timeout, FailureKind::Protocol)
        );
    }

    #[test]
    fn a_broken_pipe_asks_for_a_new_connection() {
        let trouble = Trouble::from(sqlx::Error::Io(std::io::ErrorKind::BrokenPipe.into()));
        assert!(trouble.broken && !trouble.usable && trouble.failure.kind == FailureKind::Protocol);
    }
}
