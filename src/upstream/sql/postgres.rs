//! PostgreSQL.
//!
//! It is strict about types: a parameter that is said to be text does not compare with a number's column, and
//! a policy says no types. So the server is asked what each place of the statement takes, once, with `PREPARE`; the
//! statement that runs then takes text everywhere and casts it there, by the type's own input function. That works for each
//! type there is, those of extensions (`prefix_range`, `ltree`, `citext`) included, keeps indexes in use, because
//! the column itself is never cast, and makes the same policy work here and on databases that take anything.
//!
//! Results come in binary form. Dates are reckoned here from their raw counts, checked: the far ends of PostgreSQL's
//! calendar, and its `infinity`, lie beyond what a date type of ours can hold.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use parking_lot::Mutex;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Row};

use crate::upstream::sql::bound::Bound;
use crate::upstream::sql::connection::milliseconds;
use crate::upstream::sql::fault::{self, Trouble};
use crate::upstream::sql::rows::Rows;
use crate::upstream::sql::statement::Statement;
use crate::upstream::{Failure, FailureKind};

mod values;

/// The name under which the statement is prepared for its types alone.
const PROBE: &str = "dipcache_types";

/// Connects to a server.
#[derive(Debug)]
pub(super) struct PostgresSource {
    options: PgConnectOptions,
    limit: Duration,
    plan: Arc<Plan>,
}

/// The statement, and the form with casts once the server has told the types. The form is forgotten when the server
/// refuses it, so that a column that changed its type is learned anew.
#[derive(Debug)]
struct Plan {
    statement: Statement,
    typed: Mutex<Option<Arc<str>>>,
}

impl PostgresSource {
    pub(super) fn new(url: &str, statement: Statement, limit: Duration) -> Result<Self, sqlx::Error> {
        let options = PgConnectOptions::from_str(url)?.application_name("dipcache");
        Ok(Self { options, limit, plan: Arc::new(Plan { statement, typed: Mutex::new(None) }) })
    }

    pub(super) async fn open(&self) -> Result<Postgres, Failure> {
        let connecting = |error: sqlx::Error| fault::connecting(&error);
        let mut connection = self.options.connect().await.map_err(connecting)?;
        let session =
            format!("SET statement_timeout = {}; SET default_transaction_read_only = on", milliseconds(self.limit));
        sqlx::raw_sql(AssertSqlSafe(session)).execute(&mut connection).await.map_err(connecting)?;
        Ok(Postgres { connection, plan: Arc::clone(&self.plan) })
    }
}

/// A connection to a server.
#[derive(Debug)]
pub(super) struct Postgres {
    connection: PgConnection,
    plan: Arc<Plan>,
}

impl Postgres {
    pub(super) async fn run(&mut self, bound: &Bound, rows: &mut Rows<'_>) -> Result<(), Trouble> {
        let known = self.plan.typed.lock().clone();
        let sql = match known {
            Some(sql) => sql,
            None => self.learn().await?,
        };
        let result = self.run_typed(sql, bound, rows).await;
        if result.as_ref().is_err_and(|trouble| trouble.broken || trouble.failure.kind == FailureKind::Policy) {
            *self.plan.typed.lock() = None;
        }
        result
    }

    async fn run_typed(&mut self, sql: Arc<str>, bound: &Bound, rows: &mut Rows<'_>) -> Result<(), Trouble> {
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for place in self.plan.statement.occurrences() {
            query = query.bind(bound.at(*place).to_text());
        }
        let mut stream = query.fetch(&mut self.connection);
        while let Some(row) = stream.try_next().await? {
            values::map(&row).and_then(|row| rows.push(row)).map_err(Trouble::in_result)?;
        }
        Ok(())
    }

    /// Asks the server for the types and keeps the statement with its casts.
    async fn learn(&mut self) -> Result<Arc<str>, Trouble> {
        let types = self.types().await?;
        let cast = |place: usize| match types.get(place - 1) {
            Some(name) if name != "pg_catalog.text" => format!("CAST(CAST(${place} AS text) AS {name})"),
            _ => format!("CAST(${place} AS text)"),
        };
        let sql: Arc<str> = self.plan.statement.text(cast).into();
        *self.plan.typed.lock() = Some(Arc::clone(&sql));
        Ok(sql)
    }

    /// The type of each place, qualified and quoted. A place that gives the server nothing to go by, such as
    /// `:ani is null`, is text: the server names such a place in its refusal, and is asked again.
    async fn types(&mut self) -> Result<Vec<String>, Trouble> {
        let mut texts: Vec<usize> = Vec::new();
        loop {
            let place = |place: usize| {
                if texts.contains(&place) { format!("CAST(${place} AS text)") } else { format!("${place}") }
            };
            let prepare = format!("PREPARE {PROBE} AS {}", self.plan.statement.text(place));
            match sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut self.connection).await {
                Ok(_) => break,
                Err(error) => match untyped_place(&error).filter(|place| !texts.contains(place)) {
                    Some(place) => texts.push(place),
                    None => return Err(error.into()),
                },
            }
        }
        let query = "SELECT format('%I.%I', n.nspname, t.typname) \
             FROM pg_prepared_statements p, unnest(p.parameter_types) WITH ORDINALITY AS u(type, place) \
             JOIN pg_type t ON t.oid = u.type JOIN pg_namespace n ON n.oid = t.typnamespace \
             WHERE p.name = $1 ORDER BY u.place";
        let rows = sqlx::query(query).bind(PROBE).fetch_all(&mut self.connection).await?;
        sqlx::raw_sql(AssertSqlSafe(format!("DEALLOCATE {PROBE}"))).execute(&mut self.connection).await?;
        rows.iter().map(|row| row.try_get(0).map_err(Trouble::from)).collect()
    }
}

/// The place that the server could give no type to: `could not determine data type of parameter $2`.
fn untyped_place(error: &sqlx::Error) -> Option<usize> {
    let refusal = error.as_database_error()?;
    // Indeterminate datatype and ambiguous parameter; the words around the number may be in any language.
    if !matches!(refusal.code()?.as_ref(), "42P18" | "42P08") {
        return None;
    }
    let digits = refusal.message().split_once('$')?.1;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}
