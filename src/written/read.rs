//! From text to the types that mirror it, past one wrong key after the other.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::faults::{Faults, Span};
use super::overlay::Overlay;
use super::source::line_and_column;
use super::{explain, prune};
use crate::policy::Fault;

/// Nobody writes this much by hand; a log file named by mistake is refused before it is parsed.
const LARGEST_FILE: u64 = 4 * 1024 * 1024;

/// After so many faults in keys the rest can wait for the next run.
const MOST_FAULTS: usize = 100;

/// A parsed file: keys and values, each with its place.
#[derive(Clone, Debug)]
pub(crate) struct Document<'t> {
    root: Spanned<DeTable<'t>>,
}

/// Reads a file's text.
///
/// # Errors
/// One fault, at the first byte that is not UTF-8 or at the top of the file.
pub(crate) fn file_text(path: &Path) -> Result<String, Fault> {
    let fault = |what: String, mend: &str| Fault { file: path.to_owned(), line: 1, column: 1, what, mend: mend.into() };
    let unreadable = |error: std::io::Error| {
        fault(format!("the file does not read: {error}"), "check its name and that dipcache may read it")
    };
    let size = fs::metadata(path).map_err(unreadable)?.len();
    if size > LARGEST_FILE {
        return Err(fault(
            format!("the file has {size} bytes"),
            "a config or policy has at most 4 MiB: is this the right file?",
        ));
    }
    String::from_utf8(fs::read(path).map_err(unreadable)?).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(&error.as_bytes()[..good]);
        let (line, column) = line_and_column(&text, text.len());
        let what = "a byte here is not UTF-8".to_owned();
        Fault { line, column, ..fault(what, "save the file as UTF-8, or write the character anew") }
    })
}

impl<'t> Document<'t> {
    /// Parses TOML. Past a slip that leaves the lines around it readable it goes on, so that these are
    /// checked too; `None` where a bracket is open and nothing behind it can be trusted.
    pub(crate) fn parse(text: &'t str, faults: &mut Faults) -> Option<Self> {
        let (root, mut errors) = DeTable::parse_recoverable(text);
        errors.sort_by_key(|error| error.span().map_or(0, |span| span.start));
        let mut readable = true;
        for error in &errors {
            let span = error.span().unwrap_or(0..0);
            let slip = explain::syntax(error.message(), text, &span);
            readable &= slip.local;
            // One slip often makes several errors; the first on a line is the one to mend.
            faults.only_fault_of_line(&span, slip.what, slip.mend);
        }
        readable.then_some(Self { root })
    }

    /// The tree itself.
    pub(crate) fn root(&self) -> &DeTable<'t> {
        self.root.get_ref()
    }

    /// The place of the whole.
    pub(crate) fn span(&self) -> Span {
        self.root.span()
    }

    /// Lays a value over the one that the file has, or adds it.
    pub(crate) fn lay(&mut self, overlay: &'t Overlay) {
        let span = overlay.start..overlay.padded.len();
        let value = overlay_value(overlay, &span);
        let Some((key, tables)) = overlay.path.split_last() else { return };
        let mut table = self.root.get_mut();
        for name in tables {
            if !matches!(table.get(name.as_str()).map(Spanned::get_ref), Some(DeValue::Table(_))) {
                insert(table, name, Spanned::new(span.clone(), DeValue::Table(DeTable::new())));
            }
            // It was just made sure that a table is there.
            let Some(DeValue::Table(next)) = table.get_mut(name.as_str()).map(Spanned::get_mut) else { return };
            table = next;
        }
        insert(table, key, value);

        fn insert<'t>(table: &mut DeTable<'t>, key: &'t str, value: Spanned<DeValue<'t>>) {
            let span = value.span();
            table.remove(key);
            table.insert(Spanned::new(span, Cow::Borrowed(key)), value);
        }
    }

    /// The mirror type that this file fills. Keys that it does not know are noted and left out, so
    /// that the rest is still checked; `None` where that does not help.
    pub(crate) fn read<T: DeserializeOwned>(&self, faults: &mut Faults) -> Option<T> {
        let mut root = self.root.clone();
        for _ in 0..MOST_FAULTS {
            let error = match T::deserialize(Deserializer::from(root.clone())) {
                Ok(read) => return Some(read),
                Err(error) => error,
            };
            let span = error.span().unwrap_or(0..0);
            let removed = prune::remove(&mut root, &span);
            let table = removed.as_ref().map(|removed| removed.table_name.as_str()).unwrap_or_default();
            let stumble = explain::structure(error.message(), table);
            faults.at(&span, stumble.what, stumble.mend);
            let removed = removed?;
            faults.removed(&removed.table, stumble.meant.unwrap_or(&removed.key));
        }
        None
    }
}

/// The overlay's value as TOML where it is TOML, else as text.
fn overlay_value<'t>(overlay: &'t Overlay, span: &Span) -> Spanned<DeValue<'t>> {
    if let Ok(parsed) = DeTable::parse(&overlay.padded) {
        let mut entries = parsed.into_inner().into_iter();
        // More than one key: the value holds a newline and another key, which is text and not TOML.
        if let (Some((_, value)), None) = (entries.next(), entries.next()) {
            return value;
        }
    }
    Spanned::new(span.clone(), DeValue::String(Cow::Borrowed(&overlay.padded[overlay.start..])))
}
