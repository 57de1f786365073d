//! A file, one event a line, begun anew when it is large or old or somebody asks.
//!
//! Delivered means written and synced. A line that a crash has left half-written is cut when the file is
//! opened: its event was not delivered, and comes again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};

use crate::deadline::wall_clock;
use crate::events::sink::{Note, Verdict};
use crate::events::spool::Record;

/// When a new file is begun, and how many old ones are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub size: u64,
    pub age: Duration,
    pub keep: usize,
}

/// The sink.
#[derive(Debug)]
pub(in crate::events) struct FileSink {
    path: PathBuf,
    bounds: Bounds,
    index: usize,
    notes: Sender<Note>,
    open: Option<Open>,
    lines: Vec<u8>,
    waiting: Vec<u64>,
    trouble: Option<String>,
    generation: u64,
}

#[derive(Debug)]
struct Open {
    file: File,
    inode: u64,
    bytes: u64,
    began: SystemTime,
}

impl FileSink {
    pub(super) fn new(path: PathBuf, bounds: Bounds, index: usize, notes: Sender<Note>) -> Self {
        Self {
            path,
            bounds,
            index,
            notes,
            open: None,
            lines: Vec::new(),
            waiting: Vec::new(),
            trouble: None,
            generation: 0,
        }
    }

    pub(super) fn send(&mut self, record: &Arc<Record>) -> Result<(), Verdict> {
        self.lines.extend_from_slice(record.text.as_bytes());
        self.lines.push(b'\n');
        self.waiting.push(record.offset);
        Ok(())
    }

    /// Writes and syncs what came, and reports.
    pub(super) fn flush(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let written = self.write();
        self.lines.clear();
        self.trouble = written.as_ref().err().map(|error| format!("{}: {error}", self.path.display()));
        if self.trouble.is_some() {
            self.open = None;
        }
        let verdict = self.trouble.clone().map_or(Verdict::Delivered, Verdict::Failed);
        for offset in std::mem::take(&mut self.waiting) {
            // The courier holds the other end for as long as it holds us.
            let _ = self.notes.send(Note::Report {
                sink: self.index,
                generation: self.generation,
                offset,
                verdict: verdict.clone(),
            });
        }
    }

    fn write(&mut self) -> io::Result<()> {
        let now = wall_clock();
        if self.open.as_ref().is_some_and(|open| self.is_due(open, now)) {
            self.put_aside(now)?;
        }
        // Somebody else may have moved or removed it, as logrotate does.
        let there = fs::metadata(&self.path).map(|about| about.ino()).ok();
        if self.open.as_ref().is_none_or(|open| Some(open.inode) != there) {
            self.open = Some(Open::at(&self.path)?);
            if self.open.as_ref().is_some_and(|open| self.is_due(open, now)) {
                self.put_aside(now)?;
                self.open = Some(Open::at(&self.path)?);
            }
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        open.file.write_all(&self.lines)?;
        open.bytes += self.lines.len() as u64;
        open.file.sync_data()
    }

    fn is_due(&self, open: &Open, now: SystemTime) -> bool {
        let age = now.duration_since(open.began).unwrap_or_default();
        open.bytes > 0 && (open.bytes >= self.bounds.size || age >= self.bounds.age)
    }

    fn put_aside(&mut self, now: SystemTime) -> io::Result<()> {
        self.open = None;
        let stamp = DateTime::<Utc>::from(now).format("%Y%m%dT%H%M%S%.6fZ");
        let mut aside = self.path.clone().into_os_string();
        aside.push(format!(".{stamp}"));
        fs::rename(&self.path, aside)?;
        self.thin_out()
    }

    /// Removes the oldest of the files put aside. Their names sort by time.
    fn thin_out(&self) -> io::Result<()> {
        let (Some(folder), Some(name)) = (self.path.parent(), self.path.file_name().and_then(|name| name.to_str()))
        else {
            return Ok(());
        };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let mut aside = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?.file_name();
            let stamp = entry.to_str().and_then(|entry| entry.strip_prefix(name)?.strip_prefix('.'));
            if stamp.is_some_and(|stamp| stamp.ends_with('Z') && stamp.as_bytes().get(8) == Some(&b'T')) {
                aside.push(entry);
            }
        }
        aside.sort_unstable();
        let surplus = aside.len().saturating_sub(self.bounds.keep);
        aside.iter().take(surplus).try_for_each(|old| fs::remove_file(folder.join(old)))
    }

    pub(super) fn rotate(&mut self) {
        let has_lines = fs::metadata(&self.path).is_ok_and(|about| about.len() > 0);
        if has_lines && let Err(error) = self.put_aside(wall_clock()) {
            tracing::warn!(file = %self.path.display(), %error, "the file of events cannot be put aside; it is written on");
        }
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.clone()
    }

    pub(super) fn renew(&mut self) {
        self.generation += 1;
        self.open = None;
        self.lines.clear();
        self.waiting.clear();
        self.trouble = None;
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn probe(&self) {
        let _ = self.notes.send(Note::Probed { sink: self.index, answers: Open::at(&self.path).is_ok() });
    }
}

impl Open {
    fn at(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        let about = file.metadata()?;
        let bytes = cut_torn_line(&mut file, about.len())?;
        let began = about.created().or_else(|_| about.modified())?;
        Ok(Self { file, inode: about.ino(), bytes, began })
    }
}

/// Cuts what stands behind the last line end; the length that is left.
fn cut_torn_line(file: &mut File, length: u64) -> io::Result<u64> {
    const STEP: u64 = 64 * 1024;
    let (mut end, mut chunk) = (length, Vec::new());
    while end > 0 {
        let from = end.saturating_sub(STEP);
        chunk.resize(usize::try_from(end - from).unwrap_or_default(), 0);
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(&mut chunk)?;
        if let Some(at) = memchr::memrchr(b'\n', &chunk) {
            end = from + at as u64 + 1;
            break;
        }
        end = from;
    }
    if end < length {
        file.set_len(end)?;
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, channel};

    fn sink(path: &Path, size: u64) -> (FileSink, Receiver<Note>) {
        let (notes, heard) = channel();
        let bounds = Bounds { size, age: Duration::from_secs(3600), keep: 2 };
        (FileSink::new(path.to_owned(), bounds, 0, notes), heard)
    }

    fn give(sink: &mut FileSink, offset: u64) {
        let text = format!("{{\"n\":{offset}}}").into();
        sink.send(&Arc::new(Record { offset, at_ms: 0, key: "k".into(), text, summary: false })).unwrap();
        sink.flush();
    }

    fn verdict(heard: &Receiver<Note>) -> Verdict {
        match heard.try_recv() {
            Ok(Note::Report { verdict, .. }) => verdict,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_torn_line_is_cut_before_the_next_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("e.jsonl");
        fs::write(&path, "{\"n\":1}\n{\"n\":").unwrap();
        let (mut sink, heard) = sink(&path, 1000);
        give(&mut sink, 2);
        assert_eq!(verdict(&heard), Verdict::Delivered);
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"n\":1}\n{\"n\":2}\n");
    }

    #[test]
    fn a_full_file_is_put_aside_and_few_old_ones_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (mut sink, _heard) = sink(&folder.path().join("e.jsonl"), 8);
        (1..=6).for_each(|offset| give(&mut sink, offset));
        let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names.len(), 3, "{names:?}");
        assert_eq!(fs::read_to_string(folder.path().join("e.jsonl")).unwrap(), "{\"n\":6}\n");
        assert_eq!(fs::read_to_string(folder.path().join(&names[2])).unwrap(), "{\"n\":5}\n");
    }

    #[test]
    fn an_old_file_is_put_aside_before_the_next_event() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("e.jsonl");
        let (notes, _heard) = channel();
        let bounds = Bounds { size: 1000, age: Duration::from_millis(300), keep: 2 };
        let mut sink = FileSink::new(path.clone(), bounds, 0, notes);
        give(&mut sink, 1);
        give(&mut sink, 2);
        std::thread::sleep(Duration::from_millis(400));
        give(&mut sink, 3);
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"n\":3}\n");
        // Its age is the file's, not the process's.
        std::thread::sleep(Duration::from_millis(400));
        let (notes, _heard) = channel();
        let mut sink = FileSink::new(path.clone(), bounds, 0, notes);
        give(&mut sink, 4);
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"n\":4}\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_file_moved_away_is_begun_anew_and_one_that_cannot_be_written_gives_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub").join("e.jsonl");
        let (mut sink, heard) = sink(&path, 1000);
        give(&mut sink, 1);
        fs::rename(&path, folder.path().join("moved")).unwrap();
        give(&mut sink, 2);
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"n\":2}\n");
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path.parent().unwrap(), "a file in the way").unwrap();
        give(&mut sink, 3);
        assert_eq!((verdict(&heard), verdict(&heard)), (Verdict::Delivered, Verdict::Delivered));
        assert!(matches!(verdict(&heard), Verdict::Failed(_)));
    }
}
