//! How an answer's body is read: `format` and the keys that go with it.

use super::Check;
use crate::policy::file::{FormatWord, TransportWord, UpstreamFile};
use crate::policy::{Decoding, Format};
use crate::written::{Lines, Span, Spanned};

const COLUMNS_MEND: &str = "name the values in their order, as in `columns = [\"lrn\", \"spid\"]`";

impl Check<'_> {
    /// The decoding of an upstream; a fault's part stands in as its default.
    pub(super) fn decoding(&mut self, file: &mut UpstreamFile, transport: Option<TransportWord>) -> Decoding {
        let usual = if transport == Some(TransportWord::Http) { Format::Json } else { Format::None };
        let place = file.format.as_ref().map(Spanned::span);
        let format = self.faults.or(file.format.take(), FormatWord(usual)).0;
        let error_format = self.faults.value(file.error_format.take()).map(|format| format.into_inner().0);
        let charset = self.faults.value(file.charset.take()).map(|charset| charset.into_inner().0);
        let formats = [Some(format), error_format];
        let has = |wanted: &[Format]| formats.iter().flatten().any(|format| wanted.contains(format));

        let separator = self.faults.value(file.separator.take());
        if let Some(separator) = &separator {
            if !has(&[Format::Delimited, Format::Kv, Format::Csv, Format::Tsv]) {
                let what = format!("`separator` means nothing for `format = \"{}\"`", format.as_str());
                self.faults.at(
                    &separator.span(),
                    what,
                    "take it out, or write `format = \"delimited\"`, kv, csv or tsv",
                );
            } else if has(&[Format::Csv, Format::Tsv]) && !separator.get_ref().0.is_ascii() {
                self.faults.at(
                    &separator.span(),
                    "rows are separated by an ASCII character",
                    "write one such as \";\"",
                );
            }
        }
        let columns = self.columns(file.columns.take(), has(&[Format::Delimited, Format::Csv, Format::Tsv]), format);
        if columns.is_none() && has(&[Format::Delimited]) {
            let place = place.unwrap_or_else(|| self.span.clone());
            self.faults.at(&place, "`delimited` needs the names of its values: `columns` is missing", COLUMNS_MEND);
        }
        Decoding {
            format,
            error_format,
            charset,
            separator: separator.map(|separator| separator.into_inner().0),
            columns: columns.unwrap_or_default(),
        }
    }

    /// The names of the columns; `None` where there is no such key.
    fn columns(&mut self, list: Lines<String>, used: bool, format: Format) -> Option<Vec<String>> {
        let place: Span = list.as_ref().map(Spanned::span)?;
        let written = self.faults.list(list).unwrap_or_default();
        if !used {
            let what = format!("`columns` means nothing for `format = \"{}\"`", format.as_str());
            self.faults.at(&place, what, "take it out, or write `format = \"delimited\"`, csv or tsv");
        } else if written.is_empty() {
            self.faults.at(&place, "there are no columns", COLUMNS_MEND);
        }
        let mut names: Vec<String> = Vec::new();
        for name in written {
            if name.get_ref().is_empty() || names.contains(name.get_ref()) {
                let what = format!("`{}` cannot be a column's name, or is one already", name.get_ref());
                self.faults.at(&name.span(), what, "give each column a name of its own");
            }
            names.push(name.into_inner());
        }
        Some(names)
    }
}
