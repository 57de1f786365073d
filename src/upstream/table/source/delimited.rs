//! A file of lines, delimited (RFC 4180, and what is called CSV elsewhere) or of fixed widths, packed with gzip or not.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder, Trim};
use flate2::read::MultiGzDecoder;

use crate::policy::LineForm;
use crate::upstream::table::loader::NotLoaded;
use crate::upstream::table::source::{Cells, fixed};

/// The most bytes that are read of a file, unpacked: a packed file of a few megabytes can hold any amount.
const LARGEST: u64 = 16 * 1024 * 1024 * 1024;

/// How much is read at once.
const BUFFER: usize = 256 * 1024;

/// Fills in the next line's cells; false at the end.
type NextLine<'a> = Box<dyn FnMut(&mut ByteRecord) -> Result<bool, NotLoaded> + 'a>;

/// Reads all lines. A line with more or fewer cells than there are columns is read as far as it goes.
///
/// # Errors
/// When the file does not read, or when `take` refuses a row.
pub(super) fn read(
    path: &Path,
    form: &LineForm,
    header: bool,
    columns: &[String],
    take: &mut (dyn FnMut(&Cells<'_>) -> Result<(), NotLoaded> + Send),
) -> Result<(), NotLoaded> {
    let bad = |why: String| NotLoaded::File { path: path.display().to_string(), why };
    let file = File::open(path).map_err(|error| bad(error.to_string()))?;
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err(bad("it is no file".to_owned()));
    }
    let file = BufReader::with_capacity(BUFFER, file);
    let packed = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gz"));
    let text: Box<dyn Read> = if packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let text = text.take(LARGEST);
    let mut next: NextLine<'_> = match form {
        LineForm::Separator(separator) => {
            let mut reader = ReaderBuilder::new()
                .delimiter(*separator)
                .has_headers(false)
                .flexible(true)
                .trim(Trim::None)
                .buffer_capacity(BUFFER)
                .from_reader(text);
            Box::new(move |record| reader.read_byte_record(record).map_err(|error| bad(error.to_string())))
        }
        LineForm::Widths(widths) => {
            let mut lines = fixed::Lines::new(BufReader::with_capacity(BUFFER, text), widths);
            Box::new(move |record| lines.next(record).map_err(bad))
        }
    };
    let mut record = ByteRecord::new();
    let mut names = columns.to_vec();
    if header {
        if !next(&mut record)? {
            return Err(bad("it is empty: not even a header is there".to_owned()));
        }
        if names.is_empty() {
            names = record.iter().map(name).collect();
        }
    }
    while next(&mut record)? {
        take(&Cells::Text { columns: &names, record: &record })?;
    }
    Ok(())
}

/// A column's name as a header has it: without the mark that some programs begin a file with.
fn name(cell: &[u8]) -> String {
    String::from_utf8_lossy(cell).trim_start_matches('\u{feff}').trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn rows(name: &str, bytes: &[u8], header: bool, columns: &[&str]) -> Result<Vec<serde_json::Value>, NotLoaded> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
        let form = LineForm::Separator(if name.contains("tsv") { b'\t' } else { b',' });
        let mut rows = Vec::new();
        read(&path, &form, header, &columns, &mut |cells| {
            rows.push(serde_json::to_value(cells.tree()).unwrap());
            Ok(())
        })?;
        Ok(rows)
    }

    #[test]
    fn a_header_names_the_columns_unless_the_policy_does() {
        let text = "\u{feff}prefix, rate\r\n1303, 0.5 \r\n44,\"1,5\"\r\n".as_bytes();
        let expected =
            [serde_json::json!({"prefix": "1303", "rate": "0.5"}), serde_json::json!({"prefix": "44", "rate": "1,5"})];
        assert_eq!(rows("a.csv", text, true, &[]).unwrap(), expected);
        let renamed = rows("a.csv", text, true, &["p"]).unwrap();
        assert_eq!(renamed[0], serde_json::json!({"p": "1303"}));
        let bare = rows("a.tsv", b"1\t2\n3\n", false, &["a", "b"]).unwrap();
        assert_eq!(bare, [serde_json::json!({"a": "1", "b": "2"}), serde_json::json!({"a": "3"})]);
    }

    #[test]
    fn a_packed_file_is_unpacked_and_a_torn_one_refused() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(b"a\n1\n2\n").unwrap();
        let packed = packer.finish().unwrap();
        assert_eq!(rows("a.csv.gz", &packed, true, &[]).unwrap().len(), 2);
        assert!(rows("a.csv.gz", &packed[..packed.len() - 9], true, &[]).is_err());
    }

    #[test]
    fn what_is_no_file_is_refused() {
        assert!(matches!(
            read(Path::new("/dev/null"), &LineForm::Separator(b','), true, &[], &mut |_| Ok(())),
            Err(NotLoaded::File { .. })
        ));
        assert!(rows("a.csv", b"", true, &[]).is_err());
    }
}
