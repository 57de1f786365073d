//! A value laid over a file's from outside: from the environment.

use super::source::Source;

/// One value for one key, and which variable it came from.
#[derive(Debug)]
pub(crate) struct Overlay {
    /// The key, from the top of the file down.
    pub(super) path: Vec<String>,
    /// The value behind `v=`, pushed so far to the right that its offsets are those of the [`Source`].
    pub(super) padded: String,
    /// Where the value starts.
    pub(super) start: usize,
}

impl Overlay {
    /// Puts a variable's value behind the file's text.
    pub(crate) fn new(source: &mut Source, variable: &str, path: Vec<String>, value: &str) -> Self {
        let start = source.add_variable(variable, value);
        let padded = format!("{}v={value}", " ".repeat(start - 2));
        Self { path, padded, start }
    }
}
