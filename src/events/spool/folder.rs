//! Opening the spool: what an earlier run has left.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::events::spool::frames::Frames;
use crate::events::spool::segment::{self, Keys, Segment};

/// Why the spool cannot be opened. A disk that is full or read-only is no reason.
#[derive(Debug, thiserror::Error)]
pub enum CannotOpen {
    /// Two processes would give out the same numbers.
    #[error("the spool {0} is in use by another process; give each its own `[events] spool`")]
    InUse(PathBuf),
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Finished segments, oldest first.
    pub segments: Vec<Segment>,
    /// The number behind the last event.
    pub next: u64,
    /// Held for as long as the spool is open; `None` where no lock could be had.
    pub lock: Option<File>,
    /// What stands in the way of writing.
    pub trouble: Option<io::Error>,
}

/// Takes stock of a folder, makes it where it is missing, and cuts a half-written tail.
pub(super) fn open(folder: &Path) -> Result<Found, CannotOpen> {
    let mut found = Found::default();
    if let Err(error) = fs::create_dir_all(folder) {
        found.trouble = Some(error);
    }
    match OpenOptions::new().create(true).truncate(false).write(true).open(folder.join("lock")) {
        Ok(file) => match file.try_lock() {
            Ok(()) => found.lock = Some(file),
            Err(TryLockError::WouldBlock) => return Err(CannotOpen::InUse(folder.to_owned())),
            // A file system without locks: the operator's word must do.
            Err(TryLockError::Error(_)) => {}
        },
        Err(error) => found.trouble = Some(error),
    }
    match firsts(folder) {
        Ok(firsts) => take_stock(folder, &firsts, &mut found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            // What is in there cannot be seen. Numbers from the clock are above all that it can hold.
            let clock = crate::deadline::wall_clock().duration_since(UNIX_EPOCH).unwrap_or_default();
            found.next = clock.as_micros() as u64;
            found.trouble = Some(error);
        }
    }
    Ok(found)
}

fn firsts(folder: &Path) -> io::Result<Vec<u64>> {
    let mut firsts = Vec::new();
    for entry in fs::read_dir(folder)? {
        firsts.extend(entry?.file_name().to_str().and_then(segment::first_of));
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// Each segment ends where the next one begins, so only the last must be read.
fn take_stock(folder: &Path, firsts: &[u64], found: &mut Found) {
    for (index, &first) in firsts.iter().enumerate() {
        let path = segment::path(folder, first);
        let Ok(about) = fs::metadata(&path) else { continue };
        let modified = about.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        let mut segment = Segment {
            first,
            end: first,
            bytes: about.len(),
            newest_ms: modified.as_millis() as u64,
            keys: Keys::default(),
        };
        match firsts.get(index + 1) {
            Some(&next) => {
                segment.end = next;
                segment.keys = segment::read_keys(folder, first);
            }
            None => last(&path, &mut segment, &mut found.trouble),
        }
        found.next = found.next.max(segment.end);
        if segment.end > segment.first {
            found.segments.push(segment);
        } else {
            // Nothing whole is in it.
            let _ = segment::remove(folder, first);
        }
    }
}

fn last(path: &Path, segment: &mut Segment, trouble: &mut Option<io::Error>) {
    let read = || -> io::Result<(u64, u64, Keys)> {
        let mut frames = Frames::open(path)?;
        let (mut end, mut keys) = (segment.first, Keys::default());
        while let Some(record) = frames.next()? {
            end = end.max(record.offset + 1);
            keys.add(&record.key);
        }
        Ok((end, frames.position(), keys))
    };
    match read() {
        Ok((end, whole, keys)) => {
            (segment.end, segment.keys) = (end, keys);
            if whole < segment.bytes {
                tracing::warn!(
                    file = %path.display(), bytes = segment.bytes - whole,
                    "the spool ended in the middle of a record, as after a crash; the torn tail is cut off"
                );
                if let Err(error) = OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(whole)) {
                    *trouble = Some(error);
                }
                segment.bytes = whole;
            }
        }
        Err(error) => {
            segment.keys = Keys::Any;
            *trouble = Some(error);
        }
    }
}
