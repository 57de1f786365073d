//! How far a job has come, in a small file that survives whatever ends the job.
//!
//! Two lines: what was settled, as JSON, and its checksum. It is written beside itself and renamed, so that there is
//! always a whole one. One that does not read, is of another version, or belongs to other keys is as good as none:
//! the job begins anew, and keys that are fresh cost nothing.

use std::fs;
use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

/// What this release writes.
const VERSION: u32 = 1;

/// The longest file that is read: a real one is a few hundred bytes.
const LONGEST: u64 = 64 * 1024;

/// How far a job has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    version: u32,
    /// The lookup.
    pub lookup: String,
    /// Which keys: the input's mark.
    pub keys: Mark,
    /// Up to this line all are settled.
    pub through: u64,
}

/// What tells one state of a file from another without reading it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    length: u64,
    changed_ms: u64,
    /// What else makes other keys of the same file: a column.
    detail: String,
}

impl Mark {
    /// The mark of a file. `detail` is what else makes other keys of it.
    ///
    /// # Errors
    /// When the file cannot be looked at.
    pub fn of(path: &Path, detail: &str) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        // A file from before 1970 is as old as one of 1970.
        let changed = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let changed_ms = u64::try_from(changed.as_millis()).unwrap_or(u64::MAX);
        Ok(Self { length: metadata.len(), changed_ms, detail: detail.to_owned() })
    }
}

impl Progress {
    /// This far.
    pub fn new(lookup: &str, keys: Mark, through: u64) -> Self {
        Self { version: VERSION, lookup: lookup.to_owned(), keys, through }
    }

    /// Writes it down; whoever reads finds the old one or this one, whole.
    ///
    /// # Errors
    /// When the folder does not take it.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let json = serde_json::to_string(self)?;
        let beside = path.with_added_extension("new");
        fs::write(&beside, format!("{json}\n{:08x}\n", crc32fast::hash(json.as_bytes())))?;
        fs::rename(&beside, path)
    }

    /// How far this lookup's job with these keys has come; zero where nothing that may be believed says so.
    pub fn load(path: &Path, lookup: &str, keys: &Mark) -> u64 {
        let known = Self::read(path).filter(|known| known.lookup == lookup && known.keys == *keys);
        known.map_or(0, |known| known.through)
    }

    fn read(path: &Path) -> Option<Self> {
        if fs::metadata(path).ok()?.len() > LONGEST {
            return None;
        }
        let text = fs::read_to_string(path).ok()?;
        let (json, sum) = text.strip_suffix('\n')?.split_once('\n')?;
        let right = sum == format!("{:08x}", crc32fast::hash(json.as_bytes()));
        let known: Self = right.then(|| serde_json::from_str(json).ok()).flatten()?;
        (known.version == VERSION).then_some(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_settled_is_believed_only_as_it_was_written_and_for_these_keys() {
        let dir = tempfile::tempdir().unwrap();
        let input = dir.path().join("keys.txt");
        fs::write(&input, "1\n2\n").unwrap();
        let path = dir.path().join("keys.txt.warm");
        let mark = Mark::of(&input, "").unwrap();
        assert_eq!(Progress::load(&path, "lrn", &mark), 0);
        Progress::new("lrn", mark.clone(), 1234).save(&path).unwrap();
        assert_eq!(Progress::load(&path, "lrn", &mark), 1234);
        assert_eq!(Progress::load(&path, "cnam", &mark), 0);
        assert_eq!(Progress::load(&path, "lrn", &Mark::of(&input, "callee").unwrap()), 0);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bent = whole.clone();
            bent[at] ^= 1;
            fs::write(&path, &bent).unwrap();
            assert_eq!(Progress::load(&path, "lrn", &mark), 0, "byte {at}");
            fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(Progress::load(&path, "lrn", &mark), 0, "cut at {at}");
        }
    }
}
