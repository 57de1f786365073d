//! How far one sink is: everything below its floor is settled.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// One reader's floor, in memory and on disk.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    /// The spool may forget what is below.
    kept: AtomicU64,
}

impl Ledger {
    /// Reads the floor of `name`; `None` where there was none, or it is damaged.
    pub(super) fn read(folder: &Path, name: &str) -> (Self, Option<u64>) {
        let path = folder.join("floors").join(file_name(name));
        let floor = fs::read_to_string(&path).ok().and_then(|text| parse(&text));
        (Self { path, kept: AtomicU64::new(floor.unwrap_or(0)) }, floor)
    }

    /// The highest floor that any reader has noted: no number below may be given out again.
    pub(super) fn highest(folder: &Path) -> u64 {
        let files = fs::read_dir(folder.join("floors")).into_iter().flatten().flatten();
        files.filter_map(|file| parse(&fs::read_to_string(file.path()).ok()?)).max().unwrap_or(0)
    }

    /// The floor.
    pub fn floor(&self) -> u64 {
        self.kept.load(Ordering::Acquire)
    }

    pub(super) fn begin_at(&self, floor: u64) {
        self.kept.store(floor, Ordering::Release);
    }

    /// Notes the floor, in memory in any case. On disk it is not synced: what a power cut takes back is sent again,
    /// which a consumer sees by the `id`.
    ///
    /// # Errors
    /// When the disk refuses; what is above its older floor would be sent again after a restart.
    pub fn note(&self, floor: u64) -> io::Result<()> {
        if self.kept.swap(floor, Ordering::AcqRel) == floor {
            return Ok(());
        }
        let fresh = self.path.with_extension("new");
        let text = floor.to_string();
        let line = format!("{text} {:08x}\n", crc32fast::hash(text.as_bytes()));
        let write = || fs::write(&fresh, &line).and_then(|()| fs::rename(&fresh, &self.path));
        write().or_else(|_| {
            fs::create_dir_all(self.path.parent().unwrap_or(Path::new(".")))?;
            write()
        })
    }
}

fn parse(text: &str) -> Option<u64> {
    let (floor, crc) = text.trim_end().split_once(' ')?;
    (u32::from_str_radix(crc, 16).ok()? == crc32fast::hash(floor.as_bytes())).then(|| floor.parse().ok())?
}

/// A sink's name as a file's name: no path can be made of it.
fn file_name(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_comes_back_and_a_damaged_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, floor) = Ledger::read(folder.path(), "../k1");
        assert_eq!(floor, None);
        ledger.note(42).unwrap();
        assert_eq!(Ledger::read(folder.path(), "../k1").1, Some(42));
        assert_eq!(Ledger::highest(folder.path()), 42);
        let file = folder.path().join("floors").join(file_name("../k1"));
        fs::write(file, "43 00000000\n").unwrap();
        assert_eq!(Ledger::read(folder.path(), "../k1").1, None);
    }
}
