//! One file of the spool, and what is known of it without reading it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// More keys than this in one segment, and it counts as holding every key.
const MAX_KEYS: usize = 4096;

/// Which keys a stretch of the spool holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// These and no other.
    These(BTreeSet<Arc<str>>),
    /// Perhaps every key: nobody knows.
    Any,
}

impl Default for Keys {
    fn default() -> Self {
        Self::These(BTreeSet::new())
    }
}

impl Keys {
    /// True where an event of this key may be among them.
    pub fn may_hold(&self, key: &str) -> bool {
        match self {
            Self::These(keys) => keys.contains(key),
            Self::Any => true,
        }
    }

    /// Adds a key.
    pub fn add(&mut self, key: &Arc<str>) {
        if let Self::These(keys) = self {
            if !keys.contains(key) {
                keys.insert(Arc::clone(key));
            }
            if keys.len() > MAX_KEYS {
                *self = Self::Any;
            }
        }
    }

    /// Adds all of another's.
    pub fn join(&mut self, other: &Self) {
        match other {
            Self::These(keys) => keys.iter().for_each(|key| self.add(key)),
            Self::Any => *self = Self::Any,
        }
    }
}

/// What is known of a segment.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// The number of its first event: its name.
    pub first: u64,
    /// The number behind its last event.
    pub end: u64,
    /// Its size on disk.
    pub bytes: u64,
    /// When its newest event was spooled, in milliseconds of the wall clock.
    pub newest_ms: u64,
    /// Its keys.
    pub keys: Keys,
}

/// Where the segment of this first number is.
pub(super) fn path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.seg"))
}

/// Where its keys are.
fn keys_path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.keys"))
}

/// The first number that a file's name tells; `None` for a file that is no segment.
pub(super) fn first_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    (digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// Notes which keys a finished segment holds. Losing the note costs live events their precedence, nothing more.
pub(super) fn write_keys(folder: &Path, first: u64, keys: &Keys) -> io::Result<()> {
    let Keys::These(keys) = keys else { return Ok(()) };
    let list: Vec<&str> = keys.iter().map(|key| &**key).collect();
    let text = serde_json::to_string(&list)?;
    fs::write(keys_path(folder, first), format!("{:08x} {text}\n", crc32fast::hash(text.as_bytes())))
}

/// The keys that were noted; any, where the note is gone or damaged.
pub(super) fn read_keys(folder: &Path, first: u64) -> Keys {
    let read = || {
        let noted = fs::read_to_string(keys_path(folder, first)).ok()?;
        let (crc, text) = noted.trim_end().split_once(' ')?;
        if u32::from_str_radix(crc, 16).ok()? != crc32fast::hash(text.as_bytes()) {
            return None;
        }
        let list: Vec<String> = serde_json::from_str(text).ok()?;
        Some(Keys::These(list.into_iter().map(Arc::from).collect()))
    };
    read().unwrap_or(Keys::Any)
}

/// Takes a segment and its note away. One that is gone already is as good.
pub(super) fn remove(folder: &Path, first: u64) -> io::Result<()> {
    let gone = |removed: io::Result<()>| match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    gone(fs::remove_file(path(folder, first)))?;
    gone(fs::remove_file(keys_path(folder, first)))
}
