//! Faults, gathered while a file is read and checked.

use std::ops::Range;

use super::spanned::Spanned;

use super::list::{Lines, List};
use super::quoting;
use super::source::Source;
use super::{Field, Wrong};
use crate::policy::Fault;

/// A place in a [`Source`], in bytes.
pub(crate) type Span = Range<usize>;

/// All that is wrong with one file.
#[derive(Debug)]
pub(crate) struct Faults {
    source: Source,
    found: Vec<Fault>,
    /// What is allowed, and should be on purpose.
    warnings: Vec<Fault>,
    /// Keys taken out of a table because they were wrong: they are not missing.
    removed: Vec<(Span, String)>,
    /// Lines that do not parse: whatever else seems wrong there comes of that.
    silent_lines: Vec<usize>,
}

impl Faults {
    /// Nothing wrong yet.
    pub(crate) fn new(source: Source) -> Self {
        Self { source, found: Vec::new(), warnings: Vec::new(), removed: Vec::new(), silent_lines: Vec::new() }
    }

    /// True while nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Something is wrong at a place.
    pub(crate) fn at(&mut self, span: &Span, what: impl Into<String>, mend: impl Into<String>) {
        let place = self.source.locate(span.start);
        if place.variable.is_none() && self.silent_lines.contains(&place.line) {
            return;
        }
        let what = what.into();
        let what = match place.variable {
            Some(name) => format!("`{name}`: {what}"),
            None => what,
        };
        let fault =
            Fault { file: place.file.to_owned(), line: place.line, column: place.column, what, mend: mend.into() };
        self.found.push(fault);
    }

    /// Something at a place is allowed and dangerous: whoever wrote it should know what it means.
    pub(crate) fn warn(&mut self, span: &Span, what: impl Into<String>, mend: impl Into<String>) {
        let place = self.place(span);
        self.warnings.push(Fault { what: what.into(), mend: mend.into(), ..place });
    }

    /// The warnings, in the order of the file.
    pub(crate) fn take_warnings(&mut self) -> Vec<Fault> {
        let mut warnings = std::mem::take(&mut self.warnings);
        warnings.sort_by_key(|warning| (warning.line, warning.column));
        warnings
    }

    /// A place, for a fault that only shows when this file is held against others.
    pub(crate) fn place(&self, span: &Span) -> Fault {
        let place = self.source.locate(span.start);
        Fault {
            file: place.file.to_owned(),
            line: place.line,
            column: place.column,
            what: String::new(),
            mend: String::new(),
        }
    }

    /// Something is wrong at a place, and nothing else is worth saying about its line.
    pub(crate) fn only_fault_of_line(&mut self, span: &Span, what: impl Into<String>, mend: impl Into<String>) {
        self.at(span, what, mend);
        self.silent_lines.push(self.source.locate(span.start).line);
    }

    /// Something is wrong inside a text value, `offset` bytes into the text that its quotes stand for.
    pub(crate) fn within(&mut self, span: &Span, offset: usize, what: impl Into<String>, mend: impl Into<String>) {
        let raw = self.source.text().get(span.clone()).unwrap_or_default();
        let start = span.start + quoting::raw_offset(raw, offset);
        self.at(&(start..start), what, mend);
    }

    /// Notes that a key was taken out of the table at `table`, so that it does not count as missing.
    pub(crate) fn removed(&mut self, table: &Span, key: &str) {
        self.removed.push((table.clone(), key.to_owned()));
    }

    /// Something that must be there is not, unless it was there and wrong.
    pub(crate) fn missing(&mut self, table: &Span, key: &str, what: impl Into<String>, mend: impl Into<String>) {
        if !self.removed.iter().any(|(span, removed)| span == table && removed == key) {
            self.at(table, what, mend);
        }
    }

    /// A value and its place; one that is wrong is noted and counts as left out.
    pub(crate) fn value<T>(&mut self, field: Field<T>) -> Option<Spanned<T>> {
        let field = field?;
        let span = field.span();
        match field.into_inner().0 {
            Ok(value) => Some(Spanned::new(span, value)),
            Err(Wrong { what, mend }) => {
                self.at(&span, what, mend);
                None
            }
        }
    }

    /// A value, or what stands in for it.
    pub(crate) fn or<T>(&mut self, field: Field<T>, default: T) -> T {
        self.value(field).map_or(default, Spanned::into_inner)
    }

    /// A list's values, each with its place; wrong ones are noted and left out.
    pub(crate) fn list<T>(&mut self, field: Lines<T>) -> Option<Vec<Spanned<T>>> {
        let field = field?;
        let span = field.span();
        Some(match field.into_inner() {
            List::One(one) => self.value(Some(Spanned::new(span, one))).into_iter().collect(),
            List::Many(many) => many.into_iter().filter_map(|one| self.value(Some(one))).collect(),
        })
    }

    /// All of them, in the order of the file.
    pub(crate) fn into_vec(self) -> Vec<Fault> {
        let mut found = self.found;
        found.sort_by(|a, b| (&a.file, a.line, a.column, &a.what).cmp(&(&b.file, b.line, b.column, &b.what)));
        found.dedup();
        found
    }
}
