//! The log itself: numbers, bounds, and the pen that writes.
//!
//! One thread appends and writes; any number of readers look on. The lock is held to look and to note,
//! never while the disk works.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::events::spool::folder::{self, CannotOpen};
use crate::events::spool::frame::{Record, encode};
use crate::events::spool::ledger::Ledger;
use crate::events::spool::reader::Reader;
use crate::events::spool::segment::{self, Keys, Segment};
use crate::events::spool::shelf::Shelf;

pub use crate::config::WhenFull;

/// A segment grows to this.
const SEGMENT: u64 = 16 * 1024 * 1024;
/// The most events in one write.
const BATCH: usize = 4096;
/// No event is longer.
const LONGEST: usize = 256 * 1024;

/// How much the spool holds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most bytes on disk.
    pub bytes: u64,
    /// Events older than this go.
    pub age: Duration,
    /// What goes when there is no room.
    pub when_full: WhenFull,
}

/// An event that wants to be spooled.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What keeps its order.
    pub key: Arc<str>,
    /// The finished event.
    pub text: Arc<str>,
    /// True for a sum over many calls.
    pub summary: bool,
}

/// The spool.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    limits: Limits,
    shelf: Mutex<Shelf>,
    ledgers: Mutex<Vec<Arc<Ledger>>>,
    pen: Mutex<Pen>,
    /// Events that got no number, for want of room.
    refused: AtomicU64,
    /// Why nothing can be written. Not the pen's: whoever asks must not wait for a disk that hangs.
    trouble: Mutex<Option<String>>,
    /// `refuse`: closed until there is room for a whole segment.
    closed: AtomicBool,
    _lock: Option<File>,
}

/// Writes the newest segment.
#[derive(Debug, Default)]
struct Pen {
    file: Option<File>,
    bytes: u64,
    /// When its first event was spooled, in milliseconds of the wall clock.
    began_ms: u64,
    ink: Vec<u8>,
}

impl Journal {
    /// Opens the spool in this folder. A folder that cannot be written is told by [`trouble`](Self::trouble),
    /// and tried again with each [`write`](Self::write).
    ///
    /// # Errors
    /// When another process has it open.
    pub fn open(folder: &Path, limits: Limits) -> Result<Self, CannotOpen> {
        let found = folder::open(folder)?;
        // A torn tail may have held what a sink has settled: those numbers stay used.
        let next = found.next.max(Ledger::highest(folder));
        let shelf = Shelf::new(found.segments, next);
        Ok(Self {
            folder: folder.to_owned(),
            limits,
            shelf: Mutex::new(shelf),
            ledgers: Mutex::default(),
            pen: Mutex::default(),
            refused: AtomicU64::new(0),
            trouble: Mutex::new(found.trouble.map(|error| error.to_string())),
            closed: AtomicBool::new(false),
            _lock: found.lock,
        })
    }

    /// A reader of this name, and how far it is. A new one begins with the oldest event there is.
    pub fn reader(self: &Arc<Self>, name: &str) -> (Reader, Arc<Ledger>) {
        let (ledger, floor) = Ledger::read(&self.folder, name);
        let shelf = self.shelf.lock();
        ledger.begin_at(floor.unwrap_or(0).clamp(shelf.first(), shelf.next));
        drop(shelf);
        let ledger = Arc::new(ledger);
        self.ledgers.lock().push(Arc::clone(&ledger));
        (Reader::new(Arc::clone(self)), ledger)
    }

    /// Takes events into memory, where readers see them at once; [`write`](Self::write) brings them to disk.
    pub fn append(&self, drafts: impl IntoIterator<Item = Draft>, at_ms: u64) {
        let floor = self.floor();
        for draft in drafts {
            let wanted = (draft.text.len() + draft.key.len() + 64) as u64;
            let fits = draft.text.len() <= LONGEST && draft.key.len() <= 1024 && !draft.text.is_empty();
            let taken = fits
                && self.has_room(wanted)
                && self.shelf.lock().push(draft.key, draft.text, draft.summary, at_ms, floor);
            if !taken {
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Makes room on disk by the operator's choice; false where there is none.
    fn has_room(&self, wanted: u64) -> bool {
        let segment = self.segment_bytes();
        loop {
            let held = self.shelf.lock().held();
            if self.closed.load(Ordering::Relaxed) && held + segment + wanted <= self.limits.bytes {
                self.closed.store(false, Ordering::Relaxed);
            }
            if held + wanted <= self.limits.bytes && !self.closed.load(Ordering::Relaxed) {
                return true;
            }
            match self.limits.when_full {
                WhenFull::Newest => return false,
                WhenFull::Refuse => {
                    self.closed.store(true, Ordering::Relaxed);
                    return false;
                }
                // The oldest may be those that are not even written.
                WhenFull::Oldest => {
                    let has_changed = self.drop_oldest() || (self.durable() < self.next() && self.write().is_ok());
                    if !has_changed {
                        return false;
                    }
                }
            }
        }
    }

    /// Readers who are not past it see a gap, and count it.
    fn drop_oldest(&self) -> bool {
        let mut shelf = self.shelf.lock();
        if shelf.segments.len() < 2 {
            return false;
        }
        let Some(oldest) = shelf.segments.pop_front() else { return false };
        drop(shelf);
        self.forget(oldest.first);
        true
    }

    fn forget(&self, first: u64) {
        if let Err(error) = segment::remove(&self.folder, first) {
            tracing::warn!(folder = %self.folder.display(), first, %error, "a finished part of the spool cannot be removed");
        }
    }

    /// Writes what is not on disk yet, and syncs it: one sync for all that came together.
    ///
    /// # Errors
    /// When the disk refuses. Nothing is lost by that as long as the tail in memory has room.
    pub fn write(&self) -> io::Result<()> {
        let mut pen = self.pen.lock();
        loop {
            let records = self.shelf.lock().unwritten(BATCH, self.segment_bytes());
            if records.is_empty() {
                *self.trouble.lock() = None;
                return Ok(());
            }
            if let Err(error) = self.write_batch(&mut pen, &records) {
                // What the file holds now nobody knows: the next try begins a new one.
                pen.file = None;
                *self.trouble.lock() = Some(error.to_string());
                return Err(error);
            }
        }
    }

    fn write_batch(&self, pen: &mut Pen, records: &[Arc<Record>]) -> io::Result<()> {
        if pen.file.is_some() && pen.bytes >= self.segment_bytes() {
            self.finish(pen);
        }
        if pen.file.is_none() {
            self.begin(pen, &records[0])?;
        }
        pen.ink.clear();
        records.iter().for_each(|record| encode(record, &mut pen.ink));
        let file = pen.file.as_mut().ok_or(io::ErrorKind::NotFound)?;
        file.write_all(&pen.ink)?;
        file.sync_data()?;
        pen.bytes += pen.ink.len() as u64;
        self.shelf.lock().note_written(records, pen.ink.len() as u64);
        Ok(())
    }

    fn begin(&self, pen: &mut Pen, record: &Record) -> io::Result<()> {
        let first = record.offset;
        std::fs::create_dir_all(&self.folder)?;
        // A file of this name can only be what a failed try has left: none of it was ever noted as written.
        let path = segment::path(&self.folder, first);
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(path)?;
        // The name too must survive a power cut.
        File::open(&self.folder)?.sync_all()?;
        (pen.file, pen.bytes, pen.began_ms) = (Some(file), 0, record.at_ms);
        let mut shelf = self.shelf.lock();
        shelf.segments.retain(|segment| segment.end > segment.first);
        shelf.segments.push_back(Segment { first, end: first, bytes: 0, newest_ms: 0, keys: Keys::default() });
        Ok(())
    }

    fn finish(&self, pen: &mut Pen) {
        pen.file = None;
        let Some(done) = self.shelf.lock().segments.back().cloned() else { return };
        if let Err(error) = segment::write_keys(&self.folder, done.first, &done.keys) {
            tracing::debug!(%error, "the keys of a part of the spool could not be noted");
        }
    }

    /// Takes away what every reader has settled, and what is too old. By the thread that writes.
    pub fn tidy(&self, now_ms: u64) {
        let floor = self.floor();
        let age = u64::try_from(self.limits.age.as_millis()).unwrap_or(u64::MAX);
        let oldest = now_ms.saturating_sub(age);
        let is_written = {
            let mut pen = self.pen.lock();
            // Where few events come a segment is never full: without an end by age it would never be too old either.
            if pen.file.is_some() && now_ms.saturating_sub(pen.began_ms) >= age / 8 {
                self.finish(&mut pen);
            }
            pen.file.is_some()
        };
        loop {
            let mut shelf = self.shelf.lock();
            let is_last = shelf.segments.len() == 1;
            let Some(front) = shelf.segments.front() else { return };
            if (is_last && is_written) || (front.end > floor && front.newest_ms >= oldest) {
                return;
            }
            let first = front.first;
            shelf.segments.pop_front();
            drop(shelf);
            self.forget(first);
        }
    }

    /// At the end of the run: what every reader has settled need not be on disk any more.
    pub fn close(&self) {
        let mut pen = self.pen.lock();
        self.finish(&mut pen);
        let (floor, next) = (self.floor(), self.next());
        if floor == next {
            let gone: Vec<u64> = self.shelf.lock().segments.drain(..).map(|segment| segment.first).collect();
            gone.into_iter().for_each(|first| self.forget(first));
        }
    }

    /// What every reader has settled. Without a reader nothing is.
    fn floor(&self) -> u64 {
        self.ledgers.lock().iter().map(|ledger| ledger.floor()).min().unwrap_or(0)
    }

    /// Small spools have small segments, so that dropping the oldest does not drop half of them.
    fn segment_bytes(&self) -> u64 {
        SEGMENT.min(self.limits.bytes / 8).max(1)
    }

    /// The number of the next event.
    pub fn next(&self) -> u64 {
        self.shelf.lock().next
    }

    /// Everything below this number is on disk, or every reader is done with it.
    pub fn durable(&self) -> u64 {
        self.shelf.lock().written
    }

    /// Events that got no number, for want of room.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// The oldest number that disk or memory holds.
    pub fn first(&self) -> u64 {
        self.shelf.lock().first()
    }

    /// What is on disk, in bytes.
    pub fn bytes(&self) -> u64 {
        self.shelf.lock().bytes()
    }

    /// Why nothing can be written, if so.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    /// The first number that is still in memory.
    pub fn tail_start(&self) -> u64 {
        self.shelf.lock().tail_start()
    }

    /// Up to `most` events from this number on, from memory; `None` where it does not reach back so far.
    pub fn tail_from(&self, from: u64, most: usize) -> Option<Vec<Arc<Record>>> {
        self.shelf.lock().tail_from(from, most)
    }

    /// The keys of the events from `from` up to but not including `to`, and perhaps some more.
    pub fn keys_between(&self, from: u64, to: u64) -> Keys {
        self.shelf.lock().keys_between(from, to)
    }

    pub(super) fn segment_of(&self, from: u64) -> Option<(u64, u64)> {
        self.shelf.lock().segment_of(from)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}
