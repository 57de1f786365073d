//! What the spool holds, as far as memory knows: the segments' names and the tail of events.
//!
//! The tail is two things in one: what is not on disk yet, and the newest of what is, so that a sink that
//! keeps up never reads the disk.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::events::spool::frame::Record;
use crate::events::spool::segment::{Keys, Segment};

/// The most that the tail may weigh.
pub(super) const TAIL: usize = 4 * 1024 * 1024;

/// The state behind the journal's lock. Nothing here touches the disk.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// On disk, oldest first; the last one may still grow.
    pub segments: VecDeque<Segment>,
    /// Without a hole, up to `next`.
    tail: VecDeque<Arc<Record>>,
    weight: usize,
    /// What of it is to be written weighs so much.
    unwritten: usize,
    /// The number of the next event.
    pub next: u64,
    /// Everything below is on disk, or need not be.
    pub written: u64,
}

impl Shelf {
    /// What an earlier run has left.
    pub fn new(segments: Vec<Segment>, next: u64) -> Self {
        Self { segments: segments.into(), next, written: next, ..Self::default() }
    }

    /// The first number that memory holds.
    pub fn tail_start(&self) -> u64 {
        self.tail.front().map_or(self.next, |record| record.offset)
    }

    /// The oldest number there is.
    pub fn first(&self) -> u64 {
        self.segments.front().map_or(self.tail_start(), |segment| segment.first.min(self.tail_start()))
    }

    /// What is on disk, in bytes.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// What will be on disk once all is written, in bytes, more or less.
    pub fn held(&self) -> u64 {
        self.bytes() + self.unwritten as u64
    }

    /// Gives the event its number; false where the tail has no room for it.
    pub fn push(&mut self, key: Arc<str>, text: Arc<str>, summary: bool, at_ms: u64, floor: u64) -> bool {
        let record = Record { offset: self.next, at_ms, key, text, summary };
        if !self.make_room(record.weight(), floor) {
            return false;
        }
        self.next += 1;
        self.weight += record.weight();
        self.unwritten += record.weight();
        self.tail.push_back(Arc::new(record));
        true
    }

    /// Lets go of what the disk has, then of what every sink has, then of the words of sums.
    fn make_room(&mut self, wanted: usize, floor: u64) -> bool {
        while self.weight + wanted > TAIL {
            let Some(front) = self.tail.front() else { return wanted <= TAIL };
            if front.offset >= self.written && front.offset >= floor {
                break;
            }
            if front.offset >= self.written {
                self.unwritten -= front.weight();
                self.written = front.offset + 1;
            }
            self.weight -= front.weight();
            self.tail.pop_front();
        }
        for record in &mut self.tail {
            if self.weight + wanted <= TAIL {
                return true;
            }
            if record.summary && !record.is_dropped() {
                self.weight -= record.text.len();
                if record.offset >= self.written {
                    self.unwritten -= record.text.len();
                }
                *record = Arc::new(Record { text: "".into(), ..Record::clone(record) });
            }
        }
        self.weight + wanted <= TAIL
    }

    /// Up to `most` events from this number on; `None` where memory does not reach back so far.
    pub fn tail_from(&self, from: u64, most: usize) -> Option<Vec<Arc<Record>>> {
        let behind = usize::try_from(from.checked_sub(self.tail_start())?).unwrap_or(usize::MAX);
        Some(self.tail.iter().skip(behind).take(most).cloned().collect())
    }

    /// Events that are not on disk yet: up to `most`, and one more than weigh this much.
    pub fn unwritten(&self, most: usize, weight: u64) -> Vec<Arc<Record>> {
        let mut records = self.tail_from(self.written.max(self.tail_start()), most).unwrap_or_default();
        let mut sum = 0;
        let light = records.iter().take_while(|record| {
            let fits = sum < weight;
            sum += record.weight() as u64;
            fits
        });
        let light = light.count();
        records.truncate(light);
        records
    }

    /// The disk has these now, in the last segment.
    pub fn note_written(&mut self, records: &[Arc<Record>], bytes: u64) {
        let Some(segment) = self.segments.back_mut() else { return };
        for record in records {
            self.unwritten -= record.weight();
            segment.end = record.offset + 1;
            segment.newest_ms = segment.newest_ms.max(record.at_ms);
            segment.keys.add(&record.key);
        }
        segment.bytes += bytes;
        self.written = self.written.max(segment.end);
    }

    /// The first segment with something from this number on.
    pub fn segment_of(&self, from: u64) -> Option<(u64, u64)> {
        let index = self.segments.partition_point(|segment| segment.end <= from);
        self.segments.get(index).map(|segment| (segment.first, segment.end))
    }

    /// The keys of the events from `from` up to but not including `to`, and perhaps some more.
    pub fn keys_between(&self, from: u64, to: u64) -> Keys {
        let mut keys = Keys::default();
        for segment in self.segments.iter().filter(|segment| segment.first < to && segment.end > from) {
            keys.join(&segment.keys);
        }
        for record in self.tail.iter().filter(|record| record.offset >= self.written) {
            if (from..to).contains(&record.offset) {
                keys.add(&record.key);
            }
        }
        keys
    }
}
