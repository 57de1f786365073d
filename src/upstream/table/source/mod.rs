//! Where a table's rows come from: a file of lines, or the whole result of a statement.

mod delimited;
mod fixed;
mod result;

use std::borrow::Cow;
use std::os::unix::fs::MetadataExt;
use std::time::SystemTime;

use minijinja::Value;
use minijinja::value::Serde;
use serde_json::{Map, Value as Json};

use crate::policy::{TablePolicy, TableSource};
use crate::upstream::table::loader::NotLoaded;

/// One row of a source.
#[derive(Debug)]
pub(super) enum Cells<'a> {
    /// Of a file: every cell is text.
    Text {
        /// The columns' names.
        columns: &'a [String],
        /// The cells.
        record: &'a csv::ByteRecord,
    },
    /// Of a database: cells with types.
    Typed(&'a Map<String, Json>),
}

impl Cells<'_> {
    /// The columns' names, in order.
    pub(super) fn columns(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Self::Text { columns, .. } => Box::new(columns.iter().map(String::as_str)),
            Self::Typed(map) => Box::new(map.keys().map(String::as_str)),
        }
    }

    /// A cell as text; `None` where there is none, or a null.
    pub(super) fn text(&self, column: &str) -> Option<Cow<'_, str>> {
        match self {
            Self::Text { .. } => self.cell(column).map(String::from_utf8_lossy),
            Self::Typed(map) => match map.get(column)? {
                Json::Null => None,
                Json::String(text) => Some(text.into()),
                other => Some(other.to_string().into()),
            },
        }
    }

    /// A cell as it is. Text of a file is trimmed: spaces around a cell are layout.
    pub(super) fn value(&self, column: &str) -> Option<Json> {
        match self {
            Self::Text { .. } => self.text(column).map(|text| Json::from(text.trim())),
            Self::Typed(map) => map.get(column).cloned(),
        }
    }

    /// The whole row, for expressions.
    pub(super) fn tree(&self) -> Value {
        match self {
            Self::Text { columns, record } => {
                let cell = |bytes: &[u8]| Value::from(String::from_utf8_lossy(bytes).trim());
                Value::from_pairs(columns.iter().map(String::as_str).zip(record.iter().map(cell)))
            }
            Self::Typed(map) => Value::from(Serde((*map).clone())),
        }
    }

    fn cell(&self, column: &str) -> Option<&[u8]> {
        let Self::Text { columns, record } = self else { return None };
        record.get(columns.iter().position(|name| name == column)?)
    }
}

/// Reads all rows, one after the other.
///
/// # Errors
/// When the source does not read, or when `take` refuses a row.
pub(super) fn read(
    policy: &TablePolicy,
    take: &mut (dyn FnMut(&Cells<'_>) -> Result<(), NotLoaded> + Send),
) -> Result<(), NotLoaded> {
    match &policy.source {
        TableSource::Sql { database, query } => result::read(policy, database, query, take),
        TableSource::File { path, form, header, columns } => delimited::read(path, form, *header, columns, take),
    }
}

/// Where the rows are, in words; never a URL, which may hold a password.
pub(super) fn describe(source: &TableSource) -> String {
    match source {
        TableSource::Sql { query, .. } => format!("the result of {}", query.trim()),
        TableSource::File { path, .. } => path.display().to_string(),
    }
}

/// What tells one state of a file from another without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    inode: u64,
    length: u64,
    changed: Option<SystemTime>,
}

impl Mark {
    /// The mark of a source; `None` for a database, and while there is no file.
    pub fn of(source: &TableSource) -> Option<Self> {
        let TableSource::File { path, .. } = source else { return None };
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self { inode: metadata.ino(), length: metadata.len(), changed: metadata.modified().ok() })
    }
}
