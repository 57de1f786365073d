//! Keys to be warmed, one a line: `13035550123`, or with further inputs `13035550123;ani=12025550123`.
//!
//! Empty lines and those that begin with `#` are passed over, and counted as lines. A line is bounded: what is longer
//! than any key is told as a bad one, and no memory is held for it.

use std::collections::VecDeque;
use std::future::Future;

use bytes::{Buf, Bytes, BytesMut};

use crate::policy::{BadInput, Policy, Question};

/// The longest line, in bytes: a key, and the inputs that a policy may declare.
pub const LONGEST_LINE: usize = 4096;

/// More inputs than any policy declares are refused.
const MAX_INPUTS: usize = 16;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Which line it is, from 1.
    pub line: u64,
    /// What stands there; `None` for one that is longer than [`LONGEST_LINE`] or no text.
    pub text: Option<String>,
}

/// The keys end before their end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the keys end early: {0}")]
pub struct NoMore(pub String);

/// Where keys come from.
pub trait Keys: Send + 'static {
    /// The next one; `None` at the end. May be dropped while it waits, and asked again.
    fn next(&mut self) -> impl Future<Output = Result<Option<Key>, NoMore>> + Send;
}

/// Keys that are there already.
impl Keys for VecDeque<Key> {
    async fn next(&mut self) -> Result<Option<Key>, NoMore> {
        Ok(self.pop_front())
    }
}

impl Key {
    /// The question that it poses.
    ///
    /// # Errors
    /// What is wrong with it, in words that do not repeat it.
    pub fn question(&self, policy: &Policy) -> Result<Question, String> {
        let text = self.text.as_deref().ok_or_else(|| format!("no text of at most {LONGEST_LINE} bytes"))?;
        let mut parts = text.split(';');
        let key = parts.next().unwrap_or_default().trim();
        let mut inputs = Vec::new();
        for part in parts {
            let input = part.split_once('=').ok_or("behind a `;` stands `name=value`")?;
            inputs.push((input.0.trim(), input.1.trim()));
        }
        if inputs.len() > MAX_INPUTS {
            return Err(format!("more than {MAX_INPUTS} inputs"));
        }
        policy.question(key, &inputs).map_err(|bad: BadInput| bad.to_string())
    }

    /// True for a line without a key.
    fn is_empty(&self) -> bool {
        self.text.as_deref().is_some_and(|text| text.trim().is_empty() || text.starts_with('#'))
    }
}

/// Cuts what comes in pieces into lines.
#[derive(Debug)]
pub struct Lines {
    longest: usize,
    rest: BytesMut,
    /// The line is too long, and its end has not come yet.
    over: bool,
    line: u64,
}

impl Lines {
    /// Lines of at most so many bytes.
    pub fn new(longest: usize) -> Self {
        Self { longest, rest: BytesMut::new(), over: false, line: 0 }
    }

    /// The lines that are whole with this piece.
    pub fn push(&mut self, mut piece: Bytes) -> Vec<Key> {
        let mut keys = Vec::new();
        while let Some(end) = memchr::memchr(b'\n', &piece) {
            self.grow(&piece[..end]);
            piece.advance(end + 1);
            keys.extend(self.end_of_line());
        }
        self.grow(&piece);
        keys
    }

    /// What stands behind the last line's end.
    pub fn last(&mut self) -> Option<Key> {
        if self.rest.is_empty() && !self.over { None } else { self.end_of_line() }
    }

    fn grow(&mut self, part: &[u8]) {
        self.over |= self.rest.len() + part.len() > self.longest;
        if !self.over {
            self.rest.extend_from_slice(part);
        }
    }

    fn end_of_line(&mut self) -> Option<Key> {
        self.line += 1;
        let bytes = self.rest.strip_suffix(b"\r").unwrap_or(&self.rest);
        let text = std::str::from_utf8(bytes).ok().filter(|_| !self.over).map(str::to_owned);
        self.over = false;
        self.rest.clear();
        Some(Key { line: self.line, text }).filter(|key| !key.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pieces: &[&[u8]]) -> Vec<(u64, Option<String>)> {
        let mut lines = Lines::new(LONGEST_LINE);
        let mut keys: Vec<Key> = pieces.iter().flat_map(|piece| lines.push(Bytes::copy_from_slice(piece))).collect();
        keys.extend(lines.last());
        keys.into_iter().map(|key| (key.line, key.text)).collect()
    }

    #[test]
    fn lines_are_cut_wherever_the_pieces_end() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(cut(&[b"1\r\n2", b"2\n\n# no\n", b"", b"3"]), [(1, text("1")), (2, text("22")), (5, text("3"))]);
        assert_eq!(cut(&[b"1\n"]), [(1, text("1"))]);
        assert!(cut(&[]).is_empty());
    }

    #[test]
    fn a_line_without_end_takes_no_memory_and_the_next_one_is_whole() {
        let mut lines = Lines::new(LONGEST_LINE);
        for _ in 0..1000 {
            assert!(lines.push(Bytes::from(vec![b'7'; 64 * 1024])).is_empty());
            assert!(lines.rest.len() <= LONGEST_LINE);
        }
        let keys = lines.push(Bytes::from_static(b"\n8\n\xff\n"));
        let texts: Vec<_> = keys.iter().map(|key| (key.line, key.text.as_deref())).collect();
        assert_eq!(texts, [(1, None), (2, Some("8")), (3, None)]);
    }
}
