//! The hot keys on disk, so that a process that begins knows what is asked for.
//!
//! A line that says what it is, then one line a key, `count<TAB>key`, best first, then a checksum over all of it. Text,
//! since an operator may want to look at it. Written beside itself and renamed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The first line.
const TITLE: &str = "dipcache hot keys 1";

/// The largest that is read, in bytes: a million keys are some twenty megabytes.
const LARGEST: u64 = 256 * 1024 * 1024;

/// Why a journal is not believed.
#[derive(Debug, thiserror::Error)]
pub enum Bad {
    /// The system does not give it.
    #[error("it does not read: {0}")]
    System(#[from] io::Error),
    /// It is another program's or another version's.
    #[error("it is not of this version")]
    Version,
    /// It is torn or bent.
    #[error("it is damaged")]
    Damaged,
}

/// Where the journal of a lookup is.
pub fn path(dir: &Path, lookup: &str) -> PathBuf {
    dir.join(format!("{lookup}.hot"))
}

/// Writes keys and their counts down, best first.
///
/// # Errors
/// When the folder does not take it.
pub fn save(path: &Path, keys: &[(String, u64)]) -> io::Result<()> {
    let mut text = format!("{TITLE}\n");
    for (key, count) in keys {
        text.push_str(&format!("{count}\t{key}\n"));
    }
    let sum = crc32fast::hash(text.as_bytes());
    text.push_str(&format!("{sum:08x}\n"));
    let beside = path.with_added_extension("new");
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
}

/// Reads them back; nothing where there is no journal.
///
/// # Errors
/// Why it is not believed.
pub fn load(path: &Path) -> Result<Vec<(String, u64)>, Bad> {
    let length = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        metadata => metadata?.len(),
    };
    if length > LARGEST {
        return Err(Bad::Damaged);
    }
    let text = String::from_utf8(fs::read(path)?).map_err(|_| Bad::Damaged)?;
    let first = text.lines().next().unwrap_or_default();
    if first != TITLE {
        return Err(if first.starts_with("dipcache hot keys ") { Bad::Version } else { Bad::Damaged });
    }
    let lines = text.strip_suffix('\n').ok_or(Bad::Damaged)?;
    let at = lines.rfind('\n').ok_or(Bad::Damaged)? + 1;
    if lines[at..] != format!("{:08x}", crc32fast::hash(&text.as_bytes()[..at])) {
        return Err(Bad::Damaged);
    }
    let key = |line: &str| {
        let (count, key) = line.split_once('\t')?;
        Some((key.to_owned(), count.parse().ok()?))
    };
    text[..at].lines().skip(1).map(key).collect::<Option<_>>().ok_or(Bad::Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_is_believed_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = path(dir.path(), "lrn");
        assert!(load(&path).unwrap().is_empty());
        let keys = vec![("+13035550123".to_owned(), 12), ("+13035550124;ani=1".to_owned(), 1)];
        save(&path, &keys).unwrap();
        assert_eq!(load(&path).unwrap(), keys);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bent = whole.clone();
            bent[at] ^= 4;
            fs::write(&path, &bent).unwrap();
            assert!(load(&path).is_err(), "byte {at}");
            fs::write(&path, &whole[..at]).unwrap();
            assert!(load(&path).is_err(), "cut at {at}");
        }
        fs::write(&path, "dipcache hot keys 2\n").unwrap();
        assert!(matches!(load(&path), Err(Bad::Version)));
    }
}
