//! Keys out of call records: one column of a CSV file, each key once, the most frequent first.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, bail};
use csv::{ByteRecord, ReaderBuilder};
use flate2::read::MultiGzDecoder;

use super::input::Input;
use crate::written::nearest;

/// The most different keys that are counted: some hundred MB.
const MOST_KEYS: usize = 20_000_000;

/// The keys of a column without the first `skip` of them, most frequent first.
///
/// # Errors
/// When the file does not read, or has no such column.
pub(super) fn keys(path: &Path, column: &str, skip: u64) -> anyhow::Result<Input> {
    let file = File::open(path).with_context(|| format!("`{}` does not read", path.display()))?;
    let packed = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gz"));
    let file = BufReader::new(file);
    let text: Box<dyn Read> = if packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let counted = counted(text, column).with_context(|| format!("call records `{}`", path.display()))?;
    let skip = usize::try_from(skip).unwrap_or(usize::MAX);
    let mut lines = String::new();
    for (key, _) in counted.iter().skip(skip) {
        lines.push_str(key);
        lines.push('\n');
    }
    Ok(Input::of_text(lines))
}

/// Each key with its count, the most frequent first; of the same count in the order of the alphabet, so that every
/// run sees the same order.
fn counted(text: impl Read, column: &str) -> anyhow::Result<Vec<(String, u64)>> {
    let mut reader = ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text);
    let names: Vec<String> = reader
        .byte_headers()?
        .iter()
        .map(|name| String::from_utf8_lossy(name).trim_start_matches('\u{feff}').to_owned())
        .collect();
    let Some(place) = names.iter().position(|name| name == column) else {
        let near = nearest(column, names.iter().map(String::as_str));
        let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        bail!("there is no column `{column}`{near} The columns are {}", names.join(", "));
    };
    let mut counts: HashMap<String, u64, ahash::RandomState> = HashMap::default();
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record)? {
        let Some(key) = record.get(place).and_then(|key| std::str::from_utf8(key).ok()).filter(|key| is_key(key))
        else {
            continue;
        };
        if let Some(count) = counts.get_mut(key) {
            *count += 1;
        } else if counts.len() < MOST_KEYS {
            counts.insert(key.to_owned(), 1);
        } else {
            bail!("there are more than {MOST_KEYS} different keys");
        }
    }
    let mut counted: Vec<_> = counts.into_iter().collect();
    counted.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(counted)
}

/// One that can stand on a line of its own, without turning into inputs or a remark.
fn is_key(key: &str) -> bool {
    !key.is_empty() && !key.starts_with('#') && !key.contains([';', '\n', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_once_and_most_frequent_first() {
        let text = "\u{feff}caller, callee\n1,303\n2,\"404\"\n3,303\n4,\n5,202\n6\n7,a;b=c\n";
        let counted = counted(text.as_bytes(), "callee").unwrap();
        let keys: Vec<_> = counted.iter().map(|(key, count)| (key.as_str(), *count)).collect();
        assert_eq!(keys, [("303", 2), ("202", 1), ("404", 1)]);
    }

    #[test]
    fn a_column_that_is_not_there_is_told_with_those_that_are() {
        let error = counted("caller,callee\n".as_bytes(), "calle").unwrap_err().to_string();
        assert_eq!(error, "there is no column `calle`; did you mean `callee`? The columns are caller, callee");
    }
}
