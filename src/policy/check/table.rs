//! `type = "table"`: a whole result or file, held in memory.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::Check;
use super::upstream::Around;
use crate::policy::expr::Place;
use crate::policy::file::UpstreamFile;
use crate::policy::{Expr, LineForm, TableMatch, TablePolicy, TableSource, Template, TransportPolicy};
use crate::written::{Field, Lines, Ratio, Span, Spanned, nearest};

/// How often a table is loaded from a database, where the policy does not say.
const EVERY: Duration = Duration::from_secs(15 * 60);

/// How long a load may take, where the policy does not say.
const LOAD_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// The most rows, where the policy does not say.
const MAX_ROWS: u32 = 20_000_000;

/// The most keys that one question is looked up by.
const MOST_KEYS: usize = 16;

impl Check<'_> {
    /// The transport's part of an upstream.
    pub(super) fn table(
        &mut self,
        mut file: UpstreamFile,
        around: &Around<'_>,
        fields: &[(String, Expr)],
        required: &[String],
    ) -> Option<TransportPolicy> {
        let matching = self.faults.or(file.matching.take(), TableMatch::Exact);
        let key_columns = self.key_columns(file.key_column.take(), matching, around);
        let keys = self.keys(file.keys.take(), around);
        let load_timeout = self.faults.value(file.load_timeout.take()).map_or(LOAD_TIMEOUT, |timeout| {
            if timeout.get_ref().is_zero() {
                self.faults.at(&timeout.span(), "a load needs some time", "write how long, such as \"10m\"");
            }
            timeout.into_inner()
        });
        let max_change = self.faults.or(file.max_change.take(), Ratio(0.2)).0;
        let min_rows = self.faults.or(file.min_rows.take(), 1);
        let max_rows = self.at_least_one(file.max_rows.take(), MAX_ROWS);
        let every = self.every(file.every.take(), file.file.is_some());
        let source = self.source(file, around)?;
        if let TableSource::File { columns, .. } = &source {
            self.known_columns(&key_columns, columns);
        }
        let key_columns: Vec<String> = key_columns.into_iter().map(Spanned::into_inner).collect();
        if key_columns.is_empty() {
            return None;
        }
        let mut digest = DefaultHasher::new();
        (format!("{source:?}"), secret_of(&source), &key_columns, format!("{matching:?}")).hash(&mut digest);
        let origin = digest.finish();
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, expr)| (name.as_str(), expr.source())).collect();
        (around.kind, fields, required).hash(&mut digest);
        let rows = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        Some(TransportPolicy::Table(TablePolicy {
            source,
            matching,
            key_columns,
            keys,
            every,
            load_timeout,
            max_change,
            min_rows: rows(min_rows),
            max_rows: rows(max_rows),
            origin,
            content: digest.finish(),
        }))
    }

    fn source(&mut self, file: UpstreamFile, around: &Around<'_>) -> Option<TableSource> {
        let from_file = file.file.as_ref().map(Spanned::span);
        let from_database = file.database.as_ref().map(Spanned::span).or(file.query.as_ref().map(Spanned::span));
        match (from_file, from_database) {
            (Some(span), Some(_)) => {
                let what = "the table has two sources: a file and a database";
                self.faults.at(&span, what, "take out `file`, or `database` and `query`");
                None
            }
            (None, None) => {
                let mend = "add `file = \"rates.csv\"`, or `database = \"env:NAME\"` and `query = \"select …\"`";
                self.faults.missing(&around.table, "file", "nothing says where the table's rows are", mend);
                None
            }
            (Some(_), None) => self.delimited(file),
            (None, Some(_)) => self.whole_result(file, around),
        }
    }

    fn whole_result(&mut self, file: UpstreamFile, around: &Around<'_>) -> Option<TableSource> {
        for (key, span) in [
            ("separator", file.separator.as_ref().map(Spanned::span)),
            ("header", file.header.as_ref().map(Spanned::span)),
            ("columns", file.columns.as_ref().map(Spanned::span)),
            ("widths", file.widths.as_ref().map(Spanned::span)),
        ] {
            if let Some(span) = span {
                let what = format!("`{key}` means nothing for a table from a database");
                self.faults.at(&span, what, "take it out: the query names the columns");
            }
        }
        let (has_database, has_query) = (file.database.is_some(), file.query.is_some());
        let database = self.faults.value(file.database);
        let mend = "add `database = \"env:NAME\"`, and set NAME to a URL such as postgres://user:password@host/db";
        let database = self.required(database, &around.table, "database", has_database, mend);
        let database = database.and_then(|database| self.database(&database));
        let query = file.query.and_then(|query| self.statement_text(query));
        let mend = "add the statement, such as `query = \"select prefix, rate from rates\"`";
        let query = self.required(query, &around.table, "query", has_query, mend)?;
        self.whole_statement(&query);
        Some(TableSource::Sql { database: database?, query: query.into_inner() })
    }

    fn delimited(&mut self, file: UpstreamFile) -> Option<TableSource> {
        let path = self.faults.value(file.file)?;
        let name = path.get_ref().to_ascii_lowercase();
        let tabs = name.trim_end_matches(".gz").ends_with(".tsv");
        let separator_span = file.separator.as_ref().map(Spanned::span);
        let separator = self.faults.value(file.separator).map_or(if tabs { b'\t' } else { b',' }, |separator| {
            match u8::try_from(separator.get_ref().0) {
                Ok(byte) if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => byte,
                _ => {
                    let what = format!("`{}` cannot stand between columns", separator.get_ref().0.escape_debug());
                    let mend = "write one ASCII character, such as \",\", \";\", \"|\" or \"\\t\"";
                    self.faults.at(&separator.span(), what, mend);
                    b','
                }
            }
        });
        let header = self.faults.value(file.header);
        let columns_span = file.columns.as_ref().map(Spanned::span);
        let columns: Vec<String> =
            self.faults.list(file.columns).unwrap_or_default().into_iter().map(Spanned::into_inner).collect();
        if let Some(span) = columns_span.filter(|_| columns.is_empty()) {
            self.faults.at(&span, "there is no column in the list", "name the columns in the order of the file");
        }
        if let Some(header) = header.as_ref().filter(|header| !header.get_ref() && columns.is_empty()) {
            let mend = "add `columns = [\"prefix\", \"rate\"]`, in the order of the file";
            self.faults.at(&header.span(), "a file without a header needs the names of its columns", mend);
        }
        let form = match self.widths(file.widths, separator_span, columns.len()) {
            Some(widths) => LineForm::Widths(widths),
            None => LineForm::Separator(separator),
        };
        // Columns that are named here are most likely not named in the file.
        let header = header.map_or(columns.is_empty(), Spanned::into_inner);
        Some(TableSource::File { path: self.folder.join(path.get_ref()), form, header, columns })
    }

    /// `widths`: one for each of `columns`.
    fn widths(&mut self, widths: Lines<u32>, separator: Option<Span>, columns: usize) -> Option<Vec<usize>> {
        let span = widths.as_ref().map(Spanned::span)?;
        let widths: Vec<u32> = self.faults.list(widths)?.into_iter().map(Spanned::into_inner).collect();
        if let Some(separator) = separator {
            let what = "columns of fixed `widths` have no `separator` between them";
            self.faults.at(&separator, what, "take one of the two out");
        }
        if widths.len() != columns || widths.iter().any(|width| !(1..=10_000).contains(width)) {
            let what = format!("{} widths do not go together with {columns} `columns`", widths.len());
            let mend =
                "write one width from 1 to 10000 for each, as in `columns = [\"npa\", \"nxx\"]` and `widths = [3, 3]`";
            self.faults.at(&span, what, mend);
        }
        widths.into_iter().map(|width| usize::try_from(width).ok()).collect()
    }

    fn key_columns(&mut self, list: Lines<String>, matching: TableMatch, around: &Around<'_>) -> Vec<Spanned<String>> {
        let Some(span) = list.as_ref().map(Spanned::span) else {
            let mend = match matching {
                TableMatch::Range => "add `key_column = [\"first\", \"last\"]`: the columns of a range's two ends",
                _ => "add `key_column = \"prefix\"`: the column that a row is found by",
            };
            self.faults.missing(&around.table, "key_column", "`key_column` is missing", mend);
            return Vec::new();
        };
        let columns = self.faults.list(list).unwrap_or_default();
        let (fits, mend) = match matching {
            TableMatch::Exact => (!columns.is_empty(), "name at least one column"),
            TableMatch::LongestPrefix => (columns.len() == 1, "name the one column that holds the prefix"),
            TableMatch::Range => (columns.len() == 2, "name two columns: the first and the last number of a range"),
        };
        if !fits {
            self.faults.at(&span, format!("{} columns cannot be the key of this table", columns.len()), mend);
        }
        columns
    }

    fn known_columns(&mut self, key_columns: &[Spanned<String>], columns: &[String]) {
        for column in key_columns.iter().filter(|column| !columns.is_empty() && !columns.contains(column.get_ref())) {
            let near = nearest(column.get_ref(), columns.iter().map(String::as_str))
                .map_or(String::new(), |near| format!("did you mean `{near}`? "));
            let mend = format!("{near}the columns are {}", columns.join(", "));
            self.faults.at(&column.span(), format!("there is no column `{}`", column.get_ref()), mend);
        }
    }

    fn keys(&mut self, list: Lines<String>, around: &Around<'_>) -> Vec<Template> {
        let Some(span) = list.as_ref().map(Spanned::span) else { return Vec::new() };
        let keys = self.faults.list(list).unwrap_or_default();
        if keys.is_empty() || keys.len() > MOST_KEYS {
            let what = format!("a question is looked up by {} keys", keys.len());
            self.faults.at(&span, what, format!("write 1 to {MOST_KEYS} of them; for the key itself leave `keys` out"));
        }
        let mut templates = Vec::new();
        for key in keys {
            if super::parts::is_plain(key.get_ref()) {
                let mend = format!("write `{{{{ {} }}}}` if it is an expression", key.get_ref());
                self.faults.at(&key.span(), "this key is the same for every question", mend);
            }
            templates.extend(self.template(&key, around.names.question(), Place::Plain));
        }
        templates
    }

    fn every(&mut self, field: Field<Duration>, from_file: bool) -> Option<Duration> {
        let Some(every) = self.faults.value(field) else { return (!from_file).then_some(EVERY) };
        if *every.get_ref() < Duration::from_secs(1) {
            self.faults.at(
                &every.span(),
                "a table cannot be loaded more often than every second",
                "write \"1s\" or more",
            );
        }
        Some(every.into_inner())
    }
}

/// The value of a source's secret, which its `Debug` form does not show.
fn secret_of(source: &TableSource) -> &str {
    match source {
        TableSource::Sql { database, .. } => database.expose(),
        TableSource::File { .. } => "",
    }
}
