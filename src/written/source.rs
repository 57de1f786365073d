//! The text, and where each byte of it came from.

use std::path::{Path, PathBuf};

/// A file's text, with the values of environment variables laid behind it, so that one offset names
/// one place in either.
#[derive(Debug)]
pub(crate) struct Source {
    file: PathBuf,
    text: String,
    file_end: usize,
    variables: Vec<Variable>,
}

/// One environment variable's part of the text.
#[derive(Debug)]
struct Variable {
    name: String,
    /// Where its value starts in the text.
    start: usize,
}

/// A place as a person names it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Location<'a> {
    /// The file, or `environment`.
    pub(crate) file: &'a Path,
    /// From 1.
    pub(crate) line: usize,
    /// From 1, in characters.
    pub(crate) column: usize,
    /// The environment variable that it lies in.
    pub(crate) variable: Option<&'a str>,
}

impl Source {
    /// A file's text.
    pub(crate) fn new(file: &Path, text: &str) -> Self {
        Self { file: file.to_owned(), text: text.to_owned(), file_end: text.len(), variables: Vec::new() }
    }

    /// The whole text: the file first.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Adds an environment variable's value; gives back the offset at which it starts.
    pub(crate) fn add_variable(&mut self, name: &str, value: &str) -> usize {
        // Two bytes, so that a key of one letter and its `=` fit in front of the value (see `Overlay`).
        self.text.push_str("\n\n");
        let start = self.text.len();
        self.text.push_str(value);
        self.variables.push(Variable { name: name.to_owned(), start });
        start
    }

    /// Where an offset lies. One past the end is the end.
    pub(crate) fn locate(&self, offset: usize) -> Location<'_> {
        if offset <= self.file_end {
            let (line, column) = line_and_column(&self.text[..self.file_end], offset);
            return Location { file: &self.file, line, column, variable: None };
        }
        // Variables lie in order of their starts; the last that starts at or before the offset holds it.
        let found = self.variables.iter().rev().find(|variable| variable.start <= offset);
        let start = found.map_or(self.file_end, |variable| variable.start);
        let (line, column) = line_and_column(&self.text[start..], offset - start);
        Location { file: Path::new("environment"), line, column, variable: found.map(|variable| &*variable.name) }
    }
}

/// Line and column, from 1, the column in characters.
pub(crate) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let mut end = offset.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = &text[..end];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
