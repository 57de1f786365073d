//! A body in chunks (RFC 9112 section 7.1).

use bytes::{Buf, BytesMut};
use httparse::{Status, parse_chunk_size};
use memchr::memchr;

use crate::upstream::http::whole::Whole;
use crate::upstream::{Failure, FailureKind};

/// The longest line that says how long a chunk is, with all that may stand behind the number.
const LONGEST_LINE: usize = 4 * 1024;

/// The most bytes of fields behind the last chunk. Nobody looks at them.
const TRAILER: usize = 16 * 1024;

/// Where in such a body we are.
#[derive(Debug)]
pub(super) enum Chunks {
    /// Before the line that says how long the next one is.
    Size,
    /// So many bytes before a chunk's end.
    Data(u64),
    /// Before the line end behind a chunk.
    End,
    /// Behind the last, with so many bytes of fields read.
    Trailer(usize),
}

impl Chunks {
    /// Takes what is there of the body out of `read`; true once that was its end.
    pub(super) fn take(&mut self, read: &mut BytesMut, whole: &mut Whole) -> Result<bool, Failure> {
        loop {
            match self {
                // No digit at all is a zero to the parser, and would be the last chunk.
                Self::Size if read.first().is_some_and(|byte| !byte.is_ascii_hexdigit()) => return Err(sizeless()),
                Self::Size => match parse_chunk_size(read).map_err(|_| sizeless())? {
                    Status::Partial if read.len() > LONGEST_LINE => return Err(bad("a chunk's size goes on and on")),
                    Status::Partial => return Ok(false),
                    Status::Complete((length, size)) => {
                        read.advance(length);
                        *self = if size == 0 { Self::Trailer(0) } else { Self::Data(size) };
                    }
                },
                Self::Data(left) => {
                    let there = read.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    if there == 0 {
                        return Ok(false);
                    }
                    whole.add(read.split_to(there).freeze())?;
                    *left -= there as u64;
                    if *left == 0 {
                        *self = Self::End;
                    }
                }
                Self::End => match read[..] {
                    [b'\r', b'\n', ..] => {
                        read.advance(2);
                        *self = Self::Size;
                    }
                    [] | [b'\r'] => return Ok(false),
                    _ => return Err(bad("a chunk is longer than it said")),
                },
                Self::Trailer(seen) => {
                    let end = memchr(b'\n', read);
                    if *seen + end.unwrap_or(read.len()) > TRAILER {
                        return Err(bad("what follows the last chunk goes on and on"));
                    }
                    let Some(end) = end else { return Ok(false) };
                    let is_blank = matches!(read[..end], [] | [b'\r']);
                    *seen += end + 1;
                    read.advance(end + 1);
                    if is_blank {
                        return Ok(true);
                    }
                }
            }
        }
    }
}

fn sizeless() -> Failure {
    bad("a chunk without a size")
}

fn bad(why: &str) -> Failure {
    Failure::new(FailureKind::Protocol, why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body, and what is left behind it.
    type Read = (Vec<u8>, Vec<u8>);

    /// The body of these bytes, which come in pieces of this length.
    fn body(bytes: &[u8], piece: usize) -> Result<Option<Read>, FailureKind> {
        let (mut chunks, mut read) = (Chunks::Size, BytesMut::new());
        let mut whole = Whole::begin(0, 100_000).expect("nothing is no more than that");
        for piece in bytes.chunks(piece) {
            read.extend_from_slice(piece);
            if chunks.take(&mut read, &mut whole).map_err(|failure| failure.kind)? {
                return Ok(Some((whole.done().to_vec(), read.to_vec())));
            }
        }
        Ok(None)
    }

    #[test]
    fn chunks_are_joined_however_they_come() {
        let text = b"5\r\nwhole\r\n0b ; x=\"y\"\r\n and more..\r\n0\r\nX-Sum: 1\r\n\r\n";
        for piece in 1..=text.len() {
            let read = body(text, piece).expect("chunks").expect("it is whole");
            assert_eq!(read, (b"whole and more..".to_vec(), Vec::new()), "{piece}");
        }
        let (_, rest) = body(b"0\r\n\r\nHTTP/1.1", 99).expect("chunks").expect("it is whole");
        assert_eq!(rest, b"HTTP/1.1", "what is behind it is not ours");
        assert_eq!(body(b"5\r\nwhole\r\n0\r\n", 99), Ok(None));
    }

    #[test]
    fn what_are_no_chunks_is_no_body() {
        let long = [b"5;".to_vec(), vec![b'x'; 5000]].concat();
        let endless = [b"0\r\n".to_vec(), b"A: b\r\n".repeat(3000)].concat();
        let broken: [&[u8]; 7] =
            [b"\r\n", b"x\r\nwhole", b"5\r\nwhole!\r\n", b"5\r\nwhole\n0", b"11112222333344445\r\n", &long, &endless];
        for bytes in broken {
            for piece in [1, 7, bytes.len()] {
                assert_eq!(body(bytes, piece), Err(FailureKind::Protocol), "{:?}", &bytes[..bytes.len().min(30)]);
            }
        }
    }
}
