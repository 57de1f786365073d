//! The records of one file, one after the other, past whatever is damaged.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::events::spool::frame::{Found, MAGIC, MAX_BODY, Record, decode};

/// How much is read at once.
const CHUNK: usize = 256 * 1024;

/// Reads a file's records. Memory: one chunk and one record, whatever the file's size.
#[derive(Debug)]
pub(super) struct Frames {
    file: File,
    buffer: Vec<u8>,
    /// Where the next record begins in `buffer`.
    start: usize,
    /// Where `buffer` begins in the file.
    base: u64,
}

impl Frames {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::open(path)?, buffer: Vec::new(), start: 0, base: 0 })
    }

    /// Where the next record begins. Behind the last record: where a torn tail would be cut.
    pub(super) fn position(&self) -> u64 {
        self.base + self.start as u64
    }

    /// The next record; `None` at the end, or before a record that is not whole yet. More may come
    /// where somebody still writes.
    pub(super) fn next(&mut self) -> io::Result<Option<Record>> {
        loop {
            match decode(&self.buffer[self.start..]) {
                Found::Record(record, used) => {
                    self.start += used;
                    return Ok(Some(record));
                }
                Found::Short => {
                    if self.more()? == 0 && !self.skip_to_whole() {
                        return Ok(None);
                    }
                }
                Found::Bad => self.skip(),
            }
        }
    }

    /// Reads on. A record is at most [`MAX_BODY`] long, so what is kept stays bounded.
    fn more(&mut self) -> io::Result<usize> {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.base += self.start as u64;
            self.start = 0;
        }
        debug_assert!(self.buffer.len() <= MAX_BODY + 2 * CHUNK, "a record is bounded");
        let kept = self.buffer.len();
        self.buffer.resize(kept + CHUNK, 0);
        let read = loop {
            match self.file.read(&mut self.buffer[kept..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer.truncate(kept + *read.as_ref().unwrap_or(&0));
        read
    }

    /// To the next place that could be a record's beginning.
    fn skip(&mut self) {
        let rest = &self.buffer[self.start + 1..];
        self.start += 1 + memchr::memmem::find(rest, &MAGIC).unwrap_or_else(|| {
            // The magic may begin in the last bytes and end in those that are not read yet.
            (0..rest.len()).find(|&at| MAGIC.starts_with(&rest[at..])).unwrap_or(rest.len())
        });
    }

    /// At the file's end, behind a record that claims to be longer than the file: its length may be what is
    /// damaged. False when no whole record follows; then nothing was skipped.
    fn skip_to_whole(&mut self) -> bool {
        let mut at = self.start + 1;
        while let Some(found) = self.buffer.get(at..).and_then(|rest| memchr::memmem::find(rest, &MAGIC)) {
            at += found;
            if matches!(decode(&self.buffer[at..]), Found::Record(..)) {
                self.start = at;
                return true;
            }
            at += 1;
        }
        false
    }
}
