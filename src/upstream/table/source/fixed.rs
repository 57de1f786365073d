//! Lines whose columns have fixed widths, as numbering authorities still hand them out.

use std::io::BufRead;

use csv::ByteRecord;

/// The longest line, in bytes: a file of another kind has no line ends for a long while.
const LONGEST_LINE: u64 = 64 * 1024;

/// Reads the lines one after the other.
pub(super) struct Lines<R> {
    reader: R,
    widths: Vec<usize>,
    line: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R, widths: &[usize]) -> Self {
        Self { reader, widths: widths.to_vec(), line: Vec::new() }
    }

    /// The next line's cells; false at the end. A line that is too short has fewer, empty ones are left out by nobody, and
    /// what stands behind the last column is not looked at. Empty lines are passed over.
    pub(super) fn next(&mut self, record: &mut ByteRecord) -> Result<bool, String> {
        loop {
            self.line.clear();
            let mut limited = std::io::Read::take(&mut self.reader, LONGEST_LINE);
            let read = limited.read_until(b'\n', &mut self.line).map_err(|error| error.to_string())?;
            if read == 0 {
                return Ok(false);
            }
            if read as u64 == LONGEST_LINE && !self.line.ends_with(b"\n") {
                return Err(format!("a line is longer than {LONGEST_LINE} bytes"));
            }
            let line = self.line.trim_ascii_end();
            if line.is_empty() {
                continue;
            }
            record.clear();
            let mut rest = line;
            for width in &self.widths {
                let (cell, behind) = rest.split_at((*width).min(rest.len()));
                record.push_field(cell.trim_ascii());
                rest = behind;
            }
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, widths: &[usize]) -> Result<Vec<Vec<String>>, String> {
        let (mut lines, mut record, mut rows) = (Lines::new(text.as_bytes(), widths), ByteRecord::new(), Vec::new());
        while lines.next(&mut record)? {
            rows.push(record.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect());
        }
        Ok(rows)
    }

    #[test]
    fn cells_are_cut_by_their_widths() {
        let text = "303555A 9999 DENVER    CO and more\r\n\r\n7205551 8888\nx\n";
        assert_eq!(
            rows(text, &[3, 3, 2, 5, 10, 2]).unwrap(),
            [
                ["303", "555", "A", "9999", "DENVER", "CO"],
                ["720", "555", "1", "8888", "", ""],
                ["x", "", "", "", "", ""],
            ]
        );
        assert_eq!(rows("", &[1]).unwrap(), Vec::<Vec<String>>::new());
    }

    #[test]
    fn a_file_without_lines_is_refused() {
        assert!(rows(&"x".repeat(100_000), &[3]).unwrap_err().contains("longer than"));
        assert_eq!(rows(&format!("{}\n", "x".repeat(60_000)), &[3]).unwrap(), [["xxx"]]);
    }
}
