//! What this node has carried out: each order once, though it is read more than once.
//!
//! The topic is read from its beginning at each start, since orders that make a state (a hand on a flag) live in
//! memory. How far an earlier run has come is on disk: below that, what was done is done. Orders are also known by
//! their `id`, of which the latest are remembered: a producer may have written one twice.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fs;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// So many of the latest orders are known by their `id`.
const REMEMBERED: usize = 65_536;

/// What is to be done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Carry it out: nobody has.
    New,
    /// An earlier run has carried it out: only a state must be made again.
    Again,
    /// This run knows its `id` already.
    Repeated,
}

/// The memory of one node.
#[derive(Debug)]
pub struct Applied {
    file: PathBuf,
    /// As it stands on disk.
    before: Noted,
    now: Noted,
    known: HashSet<String>,
    order: VecDeque<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Noted {
    topic: String,
    /// Behind the last message of each partition that is done with.
    next: BTreeMap<i32, i64>,
}

impl Applied {
    /// What an earlier run has noted about this topic. A file that cannot be read is as good as none: orders are
    /// such that carrying one out twice does no harm.
    pub fn open(file: PathBuf, topic: &str) -> Self {
        let noted = fs::read(&file).ok().and_then(|bytes| serde_json::from_slice::<Noted>(&bytes).ok());
        let before = noted
            .filter(|noted| noted.topic == topic)
            .unwrap_or_else(|| Noted { topic: topic.to_owned(), ..Noted::default() });
        Self { file, now: before.clone(), before, known: HashSet::new(), order: VecDeque::new() }
    }

    /// Whether the message at this place is to be carried out.
    pub fn is_due(&self, partition: i32, offset: i64, id: &str) -> Due {
        if self.known.contains(id) {
            Due::Repeated
        } else if self.was_done(partition, offset) {
            Due::Again
        } else {
            Due::New
        }
    }

    /// True where an earlier run was done with the message at this place.
    pub fn was_done(&self, partition: i32, offset: i64) -> bool {
        self.before.next.get(&partition).is_some_and(|next| offset < *next)
    }

    /// It is done with: carried out, or refused for good.
    pub fn done(&mut self, partition: i32, offset: i64, id: Option<&str>) {
        let next = self.now.next.entry(partition).or_default();
        *next = (*next).max(offset + 1);
        let Some(id) = id else { return };
        if self.known.insert(id.to_owned()) {
            self.order.push_back(id.to_owned());
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// The topic ends before where an earlier run has been: it was made anew, and nothing of it was done.
    pub fn begin_anew(&mut self, partition: i32, end: i64) {
        if self.before.next.get(&partition).is_some_and(|next| *next > end) {
            self.before.next.remove(&partition);
            self.now.next.remove(&partition);
        }
    }

    /// Notes it on disk, if there is news.
    ///
    /// # Errors
    /// When the disk refuses; after a restart the latest orders would be carried out again.
    pub fn note(&mut self) -> io::Result<()> {
        // `before` stays what the earlier run had done: this run's own orders are known by their id.
        let fresh = self.file.with_extension("new");
        let text = serde_json::to_vec(&self.now)?;
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&fresh, text)?;
        fs::rename(&fresh, &self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_due_once_whatever_is_restarted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sub").join("control.json");
        let mut applied = Applied::open(file.clone(), "t");
        assert_eq!(applied.is_due(0, 5, "a"), Due::New);
        applied.done(0, 5, Some("a"));
        assert_eq!(applied.is_due(0, 6, "a"), Due::Repeated);
        applied.note().unwrap();

        let mut again = Applied::open(file.clone(), "t");
        assert_eq!((again.is_due(0, 5, "a"), again.is_due(0, 6, "b")), (Due::Again, Due::New));
        assert_eq!(again.is_due(1, 0, "c"), Due::New, "another partition");
        assert_eq!(Applied::open(file.clone(), "other").is_due(0, 5, "a"), Due::New, "another topic");
        again.begin_anew(0, 3);
        assert_eq!(again.is_due(0, 2, "d"), Due::New, "the topic was made anew");
        fs::write(&file, "{").unwrap();
        assert_eq!(Applied::open(file, "t").is_due(0, 5, "a"), Due::New);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        // A file stands where a folder is wanted.
        let in_the_way = folder.path().join("file");
        fs::write(&in_the_way, "").unwrap();
        let mut applied = Applied::open(in_the_way.join("control.json"), "t");
        (0..REMEMBERED as i64 + 10).for_each(|n| applied.done(0, n, Some(&n.to_string())));
        assert_eq!((applied.known.len(), applied.order.len()), (REMEMBERED, REMEMBERED));
        assert!(applied.note().is_err());
    }
}
