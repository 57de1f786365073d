//! The spool against a model of it: whatever is done in whatever order, a reader sees what the model says.
//!
//! The model is a list of texts and, for each reader, how far it is. Crashes take what was not written; a torn write
//! takes the last record; nothing else ever goes.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { bytes: 4 << 20, age: Duration::from_secs(3600), when_full: WhenFull::Oldest };

#[derive(Clone, Debug)]
enum Step {
    /// So many events, so long each.
    Append(usize, usize),
    Write,
    /// A reader reads so many and settles them.
    Read(usize, usize),
    Tidy,
    /// The process dies and begins again.
    Crash,
    /// So many bytes of the newest segment did not reach the disk.
    Tear(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..40_usize, 1..3000_usize).prop_map(|(count, length)| Step::Append(count, length)),
        4 => Just(Step::Write),
        4 => (0..2_usize, 1..60_usize).prop_map(|(reader, most)| Step::Read(reader, most)),
        1 => Just(Step::Tidy),
        1 => Just(Step::Crash),
        1 => (1..2000_u64).prop_map(Step::Tear),
    ]
}

struct World<'a> {
    folder: &'a Path,
    journal: Arc<Journal>,
    readers: Vec<(Reader, Arc<Ledger>)>,
    /// The model: every event by its number, `None` for one that a crash took.
    texts: Vec<Option<String>>,
    written: usize,
    named: usize,
}

impl<'a> World<'a> {
    fn new(folder: &'a Path) -> Self {
        let journal = Arc::new(Journal::open(folder, LIMITS).unwrap());
        let readers = ["a", "b"].map(|name| journal.reader(name)).into();
        Self { folder, journal, readers, texts: Vec::new(), written: 0, named: 0 }
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Append(count, length) => {
                for _ in 0..count {
                    self.named += 1;
                    let text = format!("{}{}", self.named, "x".repeat(length));
                    self.journal.append([Draft { key: "k".into(), text: text.as_str().into(), summary: false }], 1);
                    self.texts.push(Some(text));
                }
            }
            Step::Write => {
                self.journal.write().unwrap();
                self.written = self.texts.len();
            }
            Step::Read(reader, most) => self.read(reader, most),
            Step::Tidy => self.journal.tidy(1),
            Step::Crash => self.restart(None),
            Step::Tear(bytes) => self.restart(Some(bytes)),
        }
        assert_eq!(self.journal.next(), self.texts.len() as u64);
    }

    fn read(&mut self, reader: usize, most: usize) {
        let (reader, ledger) = &mut self.readers[reader];
        let floor = ledger.floor() as usize;
        let seen = reader.read(floor as u64, most);
        let expected = self.texts.iter().enumerate().skip(floor).filter_map(|(at, text)| Some((at, text.as_ref()?)));
        for (record, (at, text)) in seen.iter().zip(expected) {
            assert_eq!((record.offset as usize, &*record.text), (at, text.as_str()));
        }
        let is_more = self.texts.iter().skip(floor).any(Option::is_some);
        assert_eq!(!seen.is_empty(), is_more, "a reader at {floor} of {}", self.texts.len());
        if let Some(last) = seen.last() {
            ledger.note(last.offset + 1).unwrap();
        }
    }

    fn restart(&mut self, torn: Option<u64>) {
        let settled = self.readers.iter().map(|(_, ledger)| ledger.floor() as usize).max().unwrap();
        self.readers.clear();
        // A lock is the process's: this one must let go before it takes it again.
        self.journal = Arc::new(Journal::open(&self.folder.join("elsewhere"), LIMITS).unwrap());
        let mut left = self.written;
        if let Some(bytes) = torn {
            left = left.min(self.tear(bytes));
        }
        self.texts.truncate(left.max(settled));
        // What was read from memory and never written is gone, and its number stays used.
        self.texts.iter_mut().skip(left).for_each(|text| *text = None);
        self.texts.resize(left.max(settled), None);
        self.written = self.texts.len();
        self.journal = Arc::new(Journal::open(self.folder, LIMITS).unwrap());
        self.readers = ["a", "b"].map(|name| self.journal.reader(name)).into();
    }

    /// Cuts the newest segment; the number behind its last whole record.
    fn tear(&self, bytes: u64) -> usize {
        let files = std::fs::read_dir(self.folder).unwrap();
        let firsts = files.filter_map(|file| segment::first_of(file.unwrap().file_name().to_str()?));
        let Some(newest) = firsts.max() else { return usize::MAX };
        let path = segment::path(self.folder, newest);
        let length = std::fs::metadata(&path).unwrap().len();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(length.saturating_sub(bytes)).unwrap();
        let mut frames = frames::Frames::open(&path).unwrap();
        let mut end = newest;
        while let Some(record) = frames.next().unwrap() {
            end = record.offset + 1;
        }
        end as usize
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_reader_sees_what_the_model_says(steps in prop::collection::vec(step(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::new(folder.path());
        for step in &steps {
            world.run(step);
        }
        for reader in 0..2 {
            while world.readers[reader].1.floor() < world.journal.next()
                && world.texts.iter().skip(world.readers[reader].1.floor() as usize).any(Option::is_some) {
                world.read(reader, 100);
            }
        }
    }
}
