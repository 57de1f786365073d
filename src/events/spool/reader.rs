//! Reads the spool in order, from memory where it can, else from disk.

use std::sync::Arc;

use crate::events::spool::frame::Record;
use crate::events::spool::frames::Frames;
use crate::events::spool::journal::Journal;
use crate::events::spool::segment;

/// One look at the disk ends when what it has found weighs this much.
const HEAVY: usize = 1024 * 1024;

/// One reader's place. It holds one open file and one chunk of it.
#[derive(Debug)]
pub struct Reader {
    journal: Arc<Journal>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    first: u64,
    /// The number behind the last event that was read.
    next: u64,
    frames: Frames,
}

impl Reader {
    pub(super) fn new(journal: Arc<Journal>) -> Self {
        Self { journal, open: None }
    }

    /// Up to `most` events, the first of them the first at or above `from`. None: there is no more yet.
    ///
    /// A damaged or missing event is passed over: the numbers have a hole then.
    pub fn read(&mut self, mut from: u64, most: usize) -> Vec<Arc<Record>> {
        loop {
            if let Some(records) = self.journal.tail_from(from, most) {
                self.open = None;
                return records;
            }
            let Some((first, end)) = self.journal.segment_of(from) else {
                // Gone from disk and before the tail: the tail is all that is left.
                from = self.journal.tail_start();
                continue;
            };
            let records = self.read_segment(first, end, from, most);
            if !records.is_empty() {
                return records;
            }
            from = end;
        }
    }

    fn read_segment(&mut self, first: u64, end: u64, from: u64, most: usize) -> Vec<Arc<Record>> {
        let (mut records, mut weight) = (Vec::new(), 0);
        if self.open.as_ref().is_none_or(|open| open.first != first || open.next > from) {
            let path = segment::path(self.journal.folder(), first);
            match Frames::open(&path) {
                Ok(frames) => self.open = Some(Open { first, next: first, frames }),
                Err(error) => {
                    tracing::error!(file = %path.display(), %error, "a part of the spool cannot be read; its events are lost");
                    self.open = None;
                    return records;
                }
            }
        }
        let Some(open) = &mut self.open else { return records };
        while records.len() < most && weight < HEAVY && open.next < end {
            match open.frames.next() {
                Ok(Some(record)) => {
                    // Behind the end there may be what a failed write has left: it stands again in the next segment.
                    if record.offset >= end {
                        open.next = end;
                        break;
                    }
                    open.next = record.offset + 1;
                    if record.offset >= from {
                        weight += record.weight();
                        records.push(Arc::new(record));
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::error!(first, %error, "a part of the spool cannot be read; the rest of it is lost");
                    break;
                }
            }
        }
        records
    }
}
