//! The whole result of a statement, row by row, never held as a whole.

use crate::deadline::Deadline;
use crate::policy::{Secret, TablePolicy};
use crate::upstream::sql::{Settings, SqlUpstream};
use crate::upstream::table::loader::NotLoaded;
use crate::upstream::table::source::Cells;
use crate::upstream::{Failure, FailureKind};

/// Reads all rows over a connection that is made for this load and closed behind it. It runs on the loader's
/// thread, in a runtime of its own, so that reading rows never takes a worker's time.
///
/// # Errors
/// When the database does not give them all, or when `take` refuses a row.
pub(super) fn read(
    policy: &TablePolicy,
    database: &Secret,
    query: &str,
    take: &mut (dyn FnMut(&Cells<'_>) -> Result<(), NotLoaded> + Send),
) -> Result<(), NotLoaded> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| NotLoaded::Database(Failure::new(FailureKind::Bug, error)))?;
    let settings = Settings {
        url: database.expose().to_owned(),
        query: query.to_owned(),
        parameters: Vec::new(),
        pool: 1,
        max_rows: usize::MAX,
        connect_timeout: policy.load_timeout.min(CONNECT),
        total_timeout: Some(policy.load_timeout),
    };
    let mut refused = None;
    let read = runtime.block_on(async {
        let database = SqlUpstream::new(settings)?;
        let each = |row| {
            take(&Cells::Typed(&row)).map_err(|why| {
                let failure = Failure::new(FailureKind::Policy, &why);
                refused = Some(why);
                failure
            })
        };
        database.each(Deadline::after(policy.load_timeout), Box::new(each)).await
    });
    match (refused, read) {
        (Some(refused), _) => Err(refused),
        (None, read) => read.map_err(NotLoaded::Database),
    }
}

/// At most this long for a connection.
const CONNECT: std::time::Duration = std::time::Duration::from_secs(10);
