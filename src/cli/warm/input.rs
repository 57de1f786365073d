//! The keys' way from a file into a request's body: read by a thread of its own, a few pieces ahead.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::Shared;

/// How much is read at once, and how many pieces wait.
const PIECE: usize = 16 * 1024;
const AHEAD: usize = 4;

/// What gzip begins with (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];

type Reader = Box<dyn BufRead + Send>;

/// Keys on their way.
pub(super) struct Input {
    reader: Mutex<Option<Reader>>,
    read: Arc<AtomicU64>,
    /// Bytes of the whole, where that is known.
    length: Option<u64>,
    failure: Shared<Option<String>>,
}

impl Input {
    /// A file of keys without its first lines; `-` is standard input. What begins as gzip does is unpacked.
    ///
    /// # Errors
    /// When it does not read.
    pub(super) fn open(path: &Path, skip: u64) -> anyhow::Result<Self> {
        let does_not_read = || format!("`{}` does not read", path.display());
        let read = Arc::<AtomicU64>::default();
        let (raw, length): (Box<dyn Read + Send>, _) = if path == Path::new("-") {
            (Box::new(std::io::stdin()), None)
        } else {
            let file = File::open(path).with_context(does_not_read)?;
            let metadata = file.metadata().with_context(does_not_read)?;
            if metadata.is_dir() {
                bail!("`{}` is a folder: name a file of keys", path.display());
            }
            (Box::new(file), Some(metadata.len()).filter(|length| *length > 0))
        };
        let mut raw = BufReader::with_capacity(PIECE, Counted { raw, read: Arc::clone(&read) });
        let packed = raw.fill_buf().with_context(does_not_read)?.starts_with(&GZIP);
        let mut reader: Reader =
            if packed { Box::new(BufReader::with_capacity(PIECE, MultiGzDecoder::new(raw))) } else { Box::new(raw) };
        let mut line = Vec::new();
        for _ in 0..skip {
            line.clear();
            if reader.read_until(b'\n', &mut line).with_context(does_not_read)? == 0 {
                break;
            }
        }
        Ok(Self { reader: Mutex::new(Some(reader)), read, length, failure: Arc::default() })
    }

    /// Keys that are there already.
    pub(super) fn of_text(text: String) -> Self {
        let length = Some(text.len() as u64).filter(|length| *length > 0);
        let read = Arc::<AtomicU64>::default();
        let raw = Counted { raw: Box::new(std::io::Cursor::new(text)), read: Arc::clone(&read) };
        let reader: Reader = Box::new(BufReader::with_capacity(PIECE, raw));
        Self { reader: Mutex::new(Some(reader)), read, length, failure: Arc::default() }
    }

    /// The body of the one request that takes them.
    pub(super) fn body(&self) -> reqwest::Body {
        let (pieces, taken) = mpsc::channel::<Bytes>(AHEAD);
        if let Some(reader) = self.reader.lock().take() {
            let failure = Arc::clone(&self.failure);
            std::thread::spawn(move || {
                if let Err(error) = pass_on(reader, &pieces) {
                    *failure.lock() = Some(format!("the keys do not read to their end: {error}"));
                }
            });
        }
        let frames = stream::unfold(taken, async |mut taken| {
            let piece = taken.recv().await?;
            Some((Ok::<_, std::convert::Infallible>(Frame::data(piece)), taken))
        });
        reqwest::Body::wrap(StreamBody::new(Box::pin(frames)))
    }

    /// Why the keys ended before their end.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.lock().clone()
    }

    /// The part of the file that was read; `None` where its length is not known.
    pub(super) fn share(&self) -> Option<f64> {
        Some(self.read.load(Ordering::Relaxed) as f64 / self.length? as f64)
    }
}

fn pass_on(mut reader: Reader, pieces: &mpsc::Sender<Bytes>) -> std::io::Result<()> {
    loop {
        let piece = Bytes::copy_from_slice(reader.fill_buf()?);
        if piece.is_empty() {
            return Ok(());
        }
        reader.consume(piece.len());
        // Nobody takes it any more: the request has ended.
        if pieces.blocking_send(piece).is_err() {
            return Ok(());
        }
    }
}

/// Counts what is read.
struct Counted {
    raw: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.raw.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
