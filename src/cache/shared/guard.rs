//! A watchman below memcache-async: it sees every byte before the library does.
//!
//! The library takes the length in a `VALUE` line at its word and allocates it, reads a line without bound, never
//! looks at the key of an answer, and takes what the last question left behind as the next one's answer. Here
//! each question says what may come back; a byte that does not fit ends the connection. It also gathers what
//! is written until it is flushed, since the library writes a multi-get word by word.

use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The longest value that is taken or written, in bytes. Records are small; memcached itself takes 1 MB.
pub(super) const LONGEST_VALUE: usize = 256 * 1024;

/// The longest line: `VALUE`, a key of 250 bytes, three numbers, or an error in words.
const LONGEST_LINE: usize = 512;

/// What may come back.
#[derive(Debug)]
pub(super) enum Expected {
    /// Values of some of these keys, then `END`.
    Values(Vec<String>),
    /// One line that starts with one of these words.
    Word(&'static [&'static str]),
}

#[derive(Debug)]
enum At {
    /// Nothing is due: no byte may come.
    Rest,
    /// Within a line.
    Line,
    /// The server refused. What else comes belongs to nobody, and the connection is not used again.
    Refused,
    /// Within a value and the line end behind it.
    Value { left: usize },
}

/// A stream that lets only the expected through.
#[derive(Debug)]
pub(super) struct Guarded<S> {
    stream: S,
    expected: Expected,
    at: At,
    line: Vec<u8>,
    out: Vec<u8>,
    /// While true, a flush only gathers.
    corked: bool,
}

impl<S> Guarded<S> {
    pub(super) fn new(stream: S) -> Self {
        let (line, out) = (Vec::new(), Vec::new());
        Self { stream, expected: Expected::Word(&[]), at: At::Rest, line, out, corked: false }
    }

    /// The stream below.
    pub(super) fn stream(&self) -> &S {
        &self.stream
    }

    /// Announces a question. What was asked before must have been answered to its last byte.
    pub(super) fn expect(&mut self, expected: Expected) -> Result<()> {
        if !self.is_at_rest() {
            return Err(wrong("the answer before this one was never finished"));
        }
        self.expected = expected;
        self.at = At::Line;
        Ok(())
    }

    /// True when every answer has come to its end.
    pub(super) fn is_at_rest(&self) -> bool {
        matches!(self.at, At::Rest) && self.out.is_empty()
    }

    /// Holds flushes back, or lets them through again.
    pub(super) fn cork(&mut self, corked: bool) {
        self.corked = corked;
    }

    /// Looks at what came.
    fn watch(&mut self, mut bytes: &[u8]) -> Result<()> {
        while let Some((&first, rest)) = bytes.split_first() {
            match &mut self.at {
                At::Rest => return Err(wrong("more came than was asked for")),
                At::Refused => return Ok(()),
                At::Value { left } => {
                    let taken = (*left).min(bytes.len());
                    *left -= taken;
                    bytes = &bytes[taken..];
                    if *left == 0 {
                        self.at = At::Line;
                    }
                }
                At::Line => {
                    self.line.push(first);
                    bytes = rest;
                    if first == b'\n' {
                        let line = std::mem::take(&mut self.line);
                        self.at = self.read_line(&line)?;
                    } else if self.line.len() >= LONGEST_LINE {
                        return Err(wrong("a line without an end"));
                    }
                }
            }
        }
        Ok(())
    }

    /// What follows this line.
    fn read_line(&self, line: &[u8]) -> Result<At> {
        let line = std::str::from_utf8(line).ok().and_then(|line| line.strip_suffix("\r\n"));
        let line = line.ok_or_else(|| wrong("a line that is no text"))?;
        if line.starts_with("SERVER_ERROR") || line.starts_with("CLIENT_ERROR") || line == "ERROR" {
            return Ok(At::Refused);
        }
        match &self.expected {
            Expected::Word(words) => {
                let word = line.split(' ').next().unwrap_or_default();
                if words.contains(&word) { Ok(At::Rest) } else { Err(wrong("an answer to another question")) }
            }
            Expected::Values(_) if line == "END" => Ok(At::Rest),
            Expected::Values(keys) => {
                let parts: Vec<&str> = line.split(' ').collect();
                let (["VALUE", key, _flags, length] | ["VALUE", key, _flags, length, _]) = parts[..] else {
                    return Err(wrong("an answer to another question"));
                };
                if !keys.iter().any(|asked| asked == key) {
                    return Err(wrong("a key that was not asked for"));
                }
                match length.parse::<usize>() {
                    Ok(length) if length <= LONGEST_VALUE => Ok(At::Value { left: length + 2 }),
                    _ => Err(wrong("a length beyond reason")),
                }
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        Poll::Ready(self.watch(&buf.filled()[before..]))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        self.out.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        if this.corked {
            return Poll::Ready(Ok(()));
        }
        while !this.out.is_empty() {
            let written = ready!(Pin::new(&mut this.stream).poll_write(cx, &this.out))?;
            if written == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
            this.out.drain(..written);
        }
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

fn wrong(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(keys: &[&str], answer: &[u8]) -> Result<bool> {
        let mut guard = Guarded::new(());
        guard.expect(Expected::Values(keys.iter().map(ToString::to_string).collect()))?;
        // Byte by byte is the hardest way for it to come.
        for byte in answer {
            guard.watch(&[*byte])?;
        }
        Ok(guard.is_at_rest())
    }

    #[test]
    fn a_whole_answer_passes_and_half_of_one_is_not_at_rest() {
        assert!(values(&["a", "b"], b"VALUE a 0 3\r\nEND\r\nVALUE b 1 2 99\r\n\r\n\r\nEND\r\n").unwrap());
        assert!(!values(&["a"], b"SERVER_ERROR out of memory\r\nVERSION 1\r\n").unwrap(), "not used again");
        assert!(!values(&["a"], b"VALUE a 0 3\r\nab").unwrap());
    }

    #[test]
    fn what_was_not_asked_for_is_refused() {
        let huge = format!("VALUE a 0 {}\r\n", LONGEST_VALUE + 1);
        let endless = "x".repeat(LONGEST_LINE + 1);
        for answer in [
            "VALUE b 0 1\r\n",
            "VALUE a 0 99999999999999999999999\r\n",
            "VALUE a 0 -1\r\n",
            "END\r\nEND\r\n",
            "STORED\r\n",
            "END\n",
            &huge,
            &endless,
        ] {
            assert!(values(&["a"], answer.as_bytes()).is_err(), "{answer}");
        }
    }

    #[test]
    fn a_second_question_waits_for_the_first_ones_end() {
        let mut guard = Guarded::new(());
        assert!(guard.watch(b"VERSION 1\r\n").is_err(), "nothing was asked");
        guard.expect(Expected::Word(&["VERSION"])).unwrap();
        assert!(guard.expect(Expected::Word(&["VERSION"])).is_err());
        guard.watch(b"VERSION 1.6.18\r\n").unwrap();
        assert!(guard.expect(Expected::Word(&["STORED"])).is_ok());
        assert!(guard.watch(b"VERSION 1.6.18\r\n").is_err());
    }
}
