//! A database, asked with sqlx: PostgreSQL, MySQL and MariaDB, SQLite.
//!
//! The life of one dip: the policy's expressions give each parameter a value ([`Bound`]); a connection is taken
//! from the pool, or made; the prepared statement runs with the values bound; rows come one by one until all are
//! there, too many, or too late. One policy works on all three kinds but for its URL: `:name` parameters are put into
//! each one's own form ([`statement`]), and PostgreSQL, which wants to know types, is asked for them first ([`postgres`]).
//!
//! What holds: taking a connection, making one and reading rows all end at the deadline. A connection whose query was
//! given up is closed, never used again, and the server stops such a query by itself (SQLite: it is interrupted).
//! Sessions are read-only. A kept connection that turns out to be dead costs the dip one new connection, not its
//! answer. However many dips meet a hanging server, only a few connections are being made at a time.
//!
//! One bound is not ours: sqlx reads a row into memory before it shows it, so a row is measured when it is there.

mod bound;
mod connection;
mod fault;
mod mysql;
mod pool;
mod postgres;
mod rows;
mod sqlite;
mod statement;

pub use bound::{Bound, Param, render};
pub use rows::EachRow;

use std::time::Duration;

use minijinja::Value;
use minijinja::value::Serde;

use crate::deadline::{Deadline, now};
use crate::policy::{Question, Reading, SqlPolicy, UpstreamPolicy};
use crate::upstream::{Failure, FailureKind};
use connection::{Connector, Dialect};
use pool::Pool;
use rows::Rows;

/// The statement timeout on the server's side where the policy sets no limit for a try.
const NO_LIMIT: Duration = Duration::from_secs(10);

/// A database.
#[derive(Debug)]
pub struct SqlUpstream {
    pool: Pool,
    dialect: Dialect,
    query: String,
    total_timeout: Option<Duration>,
    max_rows: usize,
}

/// What a database upstream is made of, with the URL in the clear.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the database is.
    pub url: String,
    /// The statement, with `:name` parameters.
    pub query: String,
    /// The parameters' names, in the order in which a [`Bound`] holds their values.
    pub parameters: Vec<String>,
    /// Connections at most.
    pub pool: u32,
    /// Rows at most; one more is a failure.
    pub max_rows: usize,
    /// At most this long for a connection, with everything that makes it usable.
    pub connect_timeout: Duration,
    /// At most this long for a whole try; also the server's own limit for the statement, rounded up to a millisecond.
    pub total_timeout: Option<Duration>,
}

impl SqlUpstream {
    /// Makes the client of a policy. Opens no connection yet.
    ///
    /// # Errors
    /// As [`SqlUpstream::new`].
    pub fn build(policy: &UpstreamPolicy, sql: &SqlPolicy) -> Result<Self, Failure> {
        Self::new(Settings {
            url: sql.database.expose().to_owned(),
            query: sql.query.clone(),
            parameters: sql.parameters.iter().map(|(name, _)| name.clone()).collect(),
            pool: sql.pool,
            max_rows: sql.max_rows,
            connect_timeout: policy.connect_timeout,
            total_timeout: policy.total_timeout,
        })
    }

    /// Makes the client. Opens no connection yet.
    ///
    /// # Errors
    /// [`FailureKind::Policy`] for a URL that names no known database, and for a statement that is not one reading
    /// statement or uses an unknown parameter.
    pub fn new(settings: Settings) -> Result<Self, Failure> {
        let limit = settings.total_timeout.unwrap_or(NO_LIMIT);
        let dialect = Dialect::of_url(&settings.url)?;
        let statement = statement::Statement::parse(&settings.query, dialect, &settings.parameters)?;
        let connector = Connector::new(&settings.url, dialect, statement, limit)?;
        Ok(Self {
            pool: Pool::new(connector, settings.pool, settings.connect_timeout),
            dialect,
            query: settings.query,
            total_timeout: settings.total_timeout,
            max_rows: settings.max_rows,
        })
    }

    /// Evaluates the parameters and asks.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn ask(&self, sql: &SqlPolicy, question: &Question, deadline: Deadline) -> Result<Reading, Failure> {
        self.fetch(&render(sql, question)?, deadline).await
    }

    /// Runs the statement with these values.
    ///
    /// # Errors
    /// `Busy` when our own pool has no connection free in time, `Connect` or `Timeout` when the database gives none or
    /// no answer, `Policy` when it refuses the statement or a value, `TooLarge` past a bound, `Protocol` for the rest.
    pub async fn fetch(&self, bound: &Bound, deadline: Deadline) -> Result<Reading, Failure> {
        let deadline = match self.total_timeout {
            Some(limit) => deadline.earlier(Deadline::at(now() + limit)),
            None => deadline,
        };
        let mut seat = self.pool.seat(deadline).await?;
        loop {
            let mut rows = Rows::at_most(self.max_rows);
            let trouble = match deadline.limit(seat.connection().run(bound, &mut rows)).await {
                Some(Ok(())) => {
                    seat.put_back();
                    return Ok(reading(rows));
                }
                Some(Err(trouble)) => trouble,
                // The seat goes with its connection: whatever the database still sends meets nobody.
                None => return Err(Failure::new(FailureKind::Timeout, "no whole result by the deadline")),
            };
            if trouble.usable {
                seat.put_back();
                return Err(trouble.failure);
            }
            if !(seat.is_reused() && rows.is_empty() && trouble.broken) {
                return Err(trouble.failure);
            }
            seat.renew(deadline).await?;
        }
    }

    /// Runs the statement, which has no parameters, and passes its rows on one by one.
    ///
    /// # Errors
    /// As [`SqlUpstream::fetch`], and what `each` refuses. Rows before the failure have been passed on.
    pub async fn each(&self, deadline: Deadline, each: EachRow<'_>) -> Result<(), Failure> {
        let mut seat = self.pool.seat(deadline).await?;
        let mut rows = Rows::passed_on(each);
        match deadline.limit(seat.connection().run(&Bound(Vec::new()), &mut rows)).await {
            Some(ended) => ended.map_err(|trouble| trouble.failure),
            None => Err(Failure::new(FailureKind::Timeout, "no whole result by the deadline")),
        }
    }

    /// The statement and its values in words. The URL stays out of it: it holds the password.
    pub fn describe(&self, bound: &Bound) -> String {
        format!("{} on {}\n{}", self.query.trim(), self.dialect.as_str(), bound.describe())
    }
}

fn reading(rows: Rows<'_>) -> Reading {
    Reading { rows: Value::from(Serde(rows.into_list())), ..Reading::default() }
}
