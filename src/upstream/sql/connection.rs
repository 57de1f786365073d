//! A connection to one of the three kinds, and what is needed to make one.

use std::time::Duration;

use crate::upstream::sql::bound::Bound;
use crate::upstream::sql::fault::Trouble;
use crate::upstream::sql::mysql::{MySql, MySqlSource};
use crate::upstream::sql::postgres::{Postgres, PostgresSource};
use crate::upstream::sql::rows::Rows;
use crate::upstream::sql::sqlite::{Sqlite, SqliteSource};
use crate::upstream::sql::statement::Statement;
use crate::upstream::{Failure, FailureKind};

/// Which kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// PostgreSQL, and what speaks its protocol.
    Postgres,
    /// MySQL and MariaDB.
    MySql,
    /// SQLite, in this process.
    Sqlite,
}

impl Dialect {
    /// The kind that a URL's scheme names.
    ///
    /// # Errors
    /// [`FailureKind::Policy`] for another scheme. The URL is not repeated: it may hold a password.
    pub(super) fn of_url(url: &str) -> Result<Self, Failure> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("postgres" | "postgresql") => Ok(Self::Postgres),
            Some("mysql" | "mariadb") => Ok(Self::MySql),
            Some("sqlite") => Ok(Self::Sqlite),
            _ => Err(Failure::new(
                FailureKind::Policy,
                "the database's URL starts with none of `postgres:`, `mysql:`, `mariadb:`, `sqlite:`",
            )),
        }
    }

    /// Its name for people.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::MySql => "MySQL or MariaDB",
            Self::Sqlite => "SQLite",
        }
    }
}

/// Makes connections that are ready for one statement.
#[derive(Debug)]
pub(super) enum Connector {
    /// To PostgreSQL.
    Postgres(PostgresSource),
    /// To MySQL or MariaDB.
    MySql(MySqlSource),
    /// To a file.
    Sqlite(SqliteSource),
}

impl Connector {
    /// Reads the URL. `limit` is how long the server itself lets the statement run.
    ///
    /// # Errors
    /// [`FailureKind::Policy`] when the URL does not read.
    pub(super) fn new(url: &str, dialect: Dialect, statement: Statement, limit: Duration) -> Result<Self, Failure> {
        // The reason may repeat a part of the URL, and with it a password.
        let refused = |_| {
            Failure::new(
                FailureKind::Policy,
                format!("the database's URL does not read as one of {}", dialect.as_str()),
            )
        };
        Ok(match dialect {
            Dialect::Postgres => Self::Postgres(PostgresSource::new(url, statement, limit).map_err(refused)?),
            Dialect::MySql => Self::MySql(MySqlSource::new(url, &statement, limit).map_err(refused)?),
            Dialect::Sqlite => Self::Sqlite(SqliteSource::new(url, &statement, limit).map_err(refused)?),
        })
    }

    /// Makes one, read-only and with the server's own statement timeout set.
    ///
    /// # Errors
    /// [`FailureKind::Connect`] for whatever stands in the way.
    pub(super) async fn open(&self) -> Result<Connection, Failure> {
        match self {
            Self::Postgres(source) => source.open().await.map(Connection::Postgres),
            Self::MySql(source) => source.open().await.map(Connection::MySql),
            Self::Sqlite(source) => source.open().await.map(Connection::Sqlite),
        }
    }
}

/// A connection. Dropping it closes it at once, whatever it was doing.
#[derive(Debug)]
pub(super) enum Connection {
    /// To PostgreSQL.
    Postgres(Postgres),
    /// To MySQL or MariaDB.
    MySql(MySql),
    /// To a file.
    Sqlite(Sqlite),
}

impl Connection {
    /// Runs the statement and collects its rows.
    ///
    /// # Errors
    /// [`Trouble`] says whether the connection may be used again.
    pub(super) async fn run(&mut self, bound: &Bound, rows: &mut Rows<'_>) -> Result<(), Trouble> {
        match self {
            Self::Postgres(connection) => connection.run(bound, rows).await,
            Self::MySql(connection) => connection.run(bound, rows).await,
            Self::Sqlite(connection) => connection.run(bound, rows).await,
        }
    }
}

/// A limit in whole milliseconds, rounded up and never zero, which would mean "none".
pub(super) fn milliseconds(limit: Duration) -> u128 {
    limit.as_micros().div_ceil(1000).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_name_databases_and_no_error_repeats_the_url() {
        for (url, dialect) in [
            ("postgres://h/d", Dialect::Postgres),
            ("postgresql:///d", Dialect::Postgres),
            ("mariadb://h/d", Dialect::MySql),
            ("mysql://h/d", Dialect::MySql),
            ("sqlite:/var/lib/rates.db", Dialect::Sqlite),
        ] {
            assert_eq!(Dialect::of_url(url).expect(url), dialect);
        }
        let failure = Dialect::of_url("oracle://u:hush@h/d").expect_err("an unknown one");
        assert!(!failure.detail.contains("hush"));
    }

    #[test]
    fn limits_round_up_to_a_millisecond() {
        assert_eq!(milliseconds(Duration::from_micros(1500)), 2);
        assert_eq!(milliseconds(Duration::ZERO), 1);
        assert_eq!(milliseconds(Duration::from_millis(60)), 60);
    }
}
