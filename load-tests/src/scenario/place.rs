//! Where in a file something is wrong.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What is wrong, where, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    file: PathBuf,
    /// Line and column, from 1; `None` where it is the whole file.
    place: Option<(usize, usize)>,
    what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((line, column)) => write!(f, "{}:{line}:{column}: {}", self.file.display(), self.what),
            None => write!(f, "{}: {}", self.file.display(), self.what),
        }
    }
}

/// A file's text, and the faults found in it.
#[derive(Debug)]
pub(super) struct Faults<'a> {
    pub(super) file: &'a Path,
    pub(super) text: &'a str,
    pub(super) found: Vec<Fault>,
}

impl Faults<'_> {
    /// Notes one at these bytes.
    pub(super) fn at(&mut self, span: Range<usize>, what: impl Into<String>) {
        let before = self.text.get(..span.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        self.found.push(Fault { file: self.file.to_owned(), place: Some((line, column)), what: what.into() });
    }

    /// Notes what the TOML parser says.
    pub(super) fn toml(&mut self, error: &toml::de::Error) {
        self.at(error.span().unwrap_or(0..0), error.message());
    }
}

/// One that is a whole file's.
pub(super) fn of_file(file: &Path, what: impl fmt::Display) -> Fault {
    Fault { file: file.to_owned(), place: None, what: what.to_string() }
}
