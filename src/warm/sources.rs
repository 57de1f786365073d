//! The keys of a policy's own job: from its journal, its file, its database, one after the other.
//!
//! They are gathered in a temporary file first. So their number is known, by which a job is spread over its time; a
//! database's connection is not held for as long as the job lasts; and none of it is held in memory.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use crate::deadline::Deadline;
use crate::policy::warm::WarmSource;
use crate::policy::{Policy, Secret};
use crate::upstream::sql::{Settings, SqlUpstream};
use crate::upstream::{Failure, FailureKind};
use crate::warm::keys::{Key, Keys, LONGEST_LINE, Lines, NoMore};

/// How long a database may take to give all rows.
const QUERY: Duration = Duration::from_secs(30 * 60);
const CONNECT: Duration = Duration::from_secs(10);

/// How much is read at once, and how many pieces wait.
const PIECE: usize = 16 * 1024;
const AHEAD: usize = 2;

/// What gzip begins with (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The column that holds the key, where there are several.
const KEY: &str = "key";

/// Keys that are gathered.
pub(super) struct Gathered {
    file: File,
    /// How many lines there are.
    pub count: u64,
}

/// Gathers the keys of a policy's job. `hot` are those that were asked for most.
///
/// # Errors
/// Why a source does not give its keys, in words.
pub(super) async fn gather(policy: &Policy, hot: Vec<String>) -> Result<Gathered, String> {
    let file = tempfile::tempfile().map_err(|error| format!("there is no place for the keys: {error}"))?;
    let mut out = Counting { out: BufWriter::new(file), lines: 0 };
    for source in &policy.warm.sources {
        out = match source {
            WarmSource::Journal => {
                let hot = hot.clone();
                apart(move || hot.iter().try_for_each(|key| out.line(key.as_bytes())).map(|()| out)).await
            }
            WarmSource::File(path) => {
                let (path, shown) = (path.clone(), path.display().to_string());
                apart(move || copy(&path, &mut out).map(|()| out))
                    .await
                    .map_err(|why| format!("`{shown}` does not read: {why}"))
            }
            WarmSource::Sql { database, query } => rows(database, query, out).await,
        }?;
    }
    let count = out.lines;
    let mut file = out.out.into_inner().map_err(|error| format!("the keys cannot be kept: {error}"))?;
    file.seek(SeekFrom::Start(0)).map_err(|error| format!("the keys cannot be kept: {error}"))?;
    Ok(Gathered { file, count })
}

/// Lines, counted as they are written.
struct Counting {
    out: BufWriter<File>,
    lines: u64,
}

impl Counting {
    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        self.out.write_all(line)?;
        self.lines += 1;
        self.out.write_all(b"\n")
    }
}

async fn apart<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

fn copy(path: &Path, out: &mut Counting) -> io::Result<()> {
    let mut raw = BufReader::with_capacity(PIECE, File::open(path)?);
    let packed = raw.fill_buf()?.starts_with(&GZIP);
    let text: Box<dyn Read> = if packed { Box::new(MultiGzDecoder::new(raw)) } else { Box::new(raw) };
    let mut text = BufReader::with_capacity(PIECE, text);
    let mut line = Vec::new();
    loop {
        line.clear();
        // A line that is longer than any key is cut where it is too long by any measure, and told as a bad one.
        let most = LONGEST_LINE as u64 + 2;
        if text.by_ref().take(most).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let whole = line.ends_with(b"\n");
        out.line(line.strip_suffix(b"\n").unwrap_or(&line))?;
        if !whole {
            text.skip_until(b'\n')?;
        }
    }
}

/// The rows of a statement, over a connection that is closed behind it.
async fn rows(database: &Secret, query: &str, mut out: Counting) -> Result<Counting, String> {
    let settings = Settings {
        url: database.current().to_string(),
        query: query.to_owned(),
        parameters: Vec::new(),
        pool: 1,
        max_rows: usize::MAX,
        connect_timeout: CONNECT,
        total_timeout: Some(QUERY),
    };
    let no_keys = |failure: Failure| format!("the database gave no keys: {failure}");
    let database = SqlUpstream::new(settings).map_err(no_keys)?;
    let each = |row: Map<String, Value>| {
        let refused = |why: String| Failure::new(FailureKind::Policy, why);
        let line = line_of(&row).map_err(refused)?;
        out.line(line.as_bytes()).map_err(|error| refused(error.to_string()))
    };
    database.each(Deadline::after(QUERY), Box::new(each)).await.map_err(no_keys)?;
    Ok(out)
}

/// A row as a line: the column `key`, or the only one; the other columns are inputs by their names.
fn line_of(row: &Map<String, Value>) -> Result<String, String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    if row.len() == 1 {
        return Ok(row.values().next().map(text).unwrap_or_default());
    }
    let key =
        row.get(KEY).ok_or("of several columns one must be called `key`; the others are inputs by their names")?;
    let mut line = text(key);
    for (name, value) in row.iter().filter(|(name, value)| *name != KEY && !value.is_null()) {
        line.push_str(&format!(";{name}={}", text(value)));
    }
    Ok(line)
}

/// Gathered keys on their way, read by a thread of its own, a little ahead.
pub(super) struct Reading {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    lines: Lines,
    ready: VecDeque<Key>,
    skip: u64,
    over: bool,
}

impl Gathered {
    /// The keys behind line `skip`.
    pub(super) fn read(mut self, skip: u64) -> Reading {
        let (sender, pieces) = mpsc::channel(AHEAD);
        std::thread::spawn(move || {
            loop {
                let mut piece = vec![0; PIECE];
                let read = self.file.read(&mut piece).map(|count| {
                    piece.truncate(count);
                    Bytes::from(piece)
                });
                let last = read.as_ref().map_or(true, Bytes::is_empty);
                // Nobody takes it any more: the job has ended.
                if sender.blocking_send(read).is_err() || last {
                    return;
                }
            }
        });
        Reading { pieces, lines: Lines::new(LONGEST_LINE), ready: VecDeque::new(), skip, over: false }
    }
}

impl Keys for Reading {
    async fn next(&mut self) -> Result<Option<Key>, NoMore> {
        loop {
            while let Some(key) = self.ready.pop_front() {
                if key.line > self.skip {
                    return Ok(Some(key));
                }
            }
            if self.over {
                return Ok(None);
            }
            match self.pieces.recv().await {
                Some(Ok(piece)) if !piece.is_empty() => self.ready.extend(self.lines.push(piece)),
                Some(Err(error)) => return Err(NoMore(error.to_string())),
                _ => {
                    self.over = true;
                    self.ready.extend(self.lines.last());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(row: Value) -> Result<String, String> {
        line_of(row.as_object().unwrap())
    }

    #[test]
    fn a_row_is_a_key_and_its_inputs() {
        assert_eq!(line(json!({"number": "303"})).unwrap(), "303");
        assert_eq!(line(json!({"n": 303})).unwrap(), "303");
        assert_eq!(line(json!({"key": "303", "ani": "1", "zone": null})).unwrap(), "303;ani=1");
        assert!(line(json!({"a": "303", "b": "1"})).unwrap_err().contains("called `key`"));
    }
}
