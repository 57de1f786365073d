//! The head of an answer: its status, what is kept of its fields, and how its body ends.

use std::mem::MaybeUninit;

use compact_str::CompactString;
use httparse::{Header, ParserConfig, Status};
use memchr::memchr_iter;

use crate::upstream::http::answer::{kept, text};
use crate::upstream::{Failure, FailureKind};

/// The most bytes of a head, interim answers not counted.
pub(super) const LONGEST: usize = 64 * 1024;

/// The most fields of a head.
const FIELDS: usize = 100;

/// A head, read.
#[derive(Debug)]
pub(super) struct Head {
    pub status: u16,
    /// As in [`Answer`](crate::upstream::http::Answer).
    pub headers: Vec<(CompactString, CompactString)>,
    /// How the body is packed.
    pub coding: Option<String>,
    pub framing: Framing,
    /// Whether the connection stays open for another request.
    pub stays: bool,
    /// Its own length in bytes.
    pub length: usize,
}

/// How a body ends (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// With a last chunk.
    Chunked,
    /// With the connection.
    ToTheEnd,
}

/// True once a blank line is among these bytes, of which those before `seen` were looked at already.
pub(super) fn is_whole(bytes: &[u8], seen: usize) -> bool {
    let from = seen.saturating_sub(2);
    memchr_iter(b'\n', &bytes[from..]).any(|end| matches!(bytes[from + end + 1..], [b'\n', ..] | [b'\r', b'\n', ..]))
}

impl Head {
    /// Reads the head that these bytes begin with; `None` while it is not whole.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>, Failure> {
        let mut room = [const { MaybeUninit::<Header<'_>>::uninit() }; FIELDS];
        let mut response = httparse::Response::new(&mut []);
        let read =
            ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, &mut room).map_err(bad)?;
        let Status::Complete(length) = read else { return Ok(None) };
        // Both are there in a head that is whole.
        let (status, version) = (response.code.unwrap_or_default(), response.version.unwrap_or_default());
        let said = Said::by(response.headers);
        let framing = said.framing(status)?;
        Ok(Some(Self {
            status,
            coding: said.coding.map(|value| text(value).trim().to_owned()),
            framing,
            stays: framing != Framing::ToTheEnd
                && !said.contradicts_itself(status, version)
                && !said.closes
                && (version == 1 || said.keeps_alive),
            headers: kept(response.headers.len(), response.headers.iter().map(|field| (field.name, field.value))),
            length,
        }))
    }
}

/// What the fields say of the message itself.
#[derive(Default)]
struct Said<'a> {
    /// The first `Content-Encoding`.
    coding: Option<&'a [u8]>,
    /// The last word of `Transfer-Encoding`.
    transfer: Option<&'a [u8]>,
    length: Length,
    closes: bool,
    keeps_alive: bool,
}

/// What `Content-Length` says.
#[derive(Default)]
enum Length {
    #[default]
    Nothing,
    Bytes(u64),
    /// What is no length, or not the only one.
    Bad(Failure),
}

impl<'a> Said<'a> {
    /// All fields looked at once: each list may stand in several of them.
    fn by(fields: &[Header<'a>]) -> Self {
        let mut said = Self::default();
        for Header { name, value } in fields {
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            // Told apart by their lengths first, which is all that most need.
            match name.len() {
                10 if is("connection") => {
                    for word in words(value) {
                        said.closes |= word.eq_ignore_ascii_case(b"close");
                        said.keeps_alive |= word.eq_ignore_ascii_case(b"keep-alive");
                    }
                }
                14 if is("content-length") => words(value).for_each(|word| said.length.further(word)),
                16 if is("content-encoding") => said.coding = said.coding.or(Some(*value)),
                17 if is("transfer-encoding") => said.transfer = words(value).last(),
                _ => {}
            }
        }
        said
    }

    /// True where another reader may see the body's end elsewhere: what follows could then be taken for the next answer.
    fn contradicts_itself(&self, status: u16, version: u8) -> bool {
        let has_transfer = self.transfer.is_some();
        match status {
            204 => has_transfer || !matches!(self.length, Length::Nothing | Length::Bytes(0)),
            304 => has_transfer,
            _ => has_transfer && (version == 0 || !matches!(self.length, Length::Nothing)),
        }
    }

    fn framing(&self, status: u16) -> Result<Framing, Failure> {
        if matches!(status, 100..200 | 204 | 304) {
            return Ok(Framing::Length(0));
        }
        // Whatever else is said of its length, chunks have the last word; packed any other way it has no end of its own.
        match (self.transfer, &self.length) {
            (Some(last), _) if last.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
            (Some(_), _) | (None, Length::Nothing) => Ok(Framing::ToTheEnd),
            (None, Length::Bytes(length)) => Ok(Framing::Length(*length)),
            (None, Length::Bad(failure)) => Err(failure.clone()),
        }
    }
}

impl Length {
    fn further(&mut self, word: &[u8]) {
        // `+5` is a number to Rust and none to HTTP.
        let digits = str::from_utf8(word).ok().filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
        *self = match (digits.and_then(|digits| digits.parse().ok()), &self) {
            (_, Self::Bad(_)) => return,
            (Some(length), Self::Nothing) => Self::Bytes(length),
            (Some(length), Self::Bytes(other)) if length == *other => return,
            _ => Self::Bad(no_length(word)),
        };
    }
}

/// The words of a list.
fn words(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

fn no_length(word: &[u8]) -> Failure {
    let word = String::from_utf8_lossy(&word[..word.len().min(20)]).into_owned();
    Failure::new(FailureKind::Protocol, format!("`{word}` is no length of a body, or one of several"))
}

fn bad(error: httparse::Error) -> Failure {
    match error {
        httparse::Error::TooManyHeaders => {
            Failure::new(FailureKind::TooLarge, format!("a head of more than {FIELDS} fields"))
        }
        other => Failure::new(FailureKind::Protocol, format!("no HTTP/1.1 came: {other}")),
    }
}

/// A head goes on past what is read of one.
pub(super) fn too_long() -> Failure {
    Failure::new(FailureKind::TooLarge, format!("the head goes on past {LONGEST} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Result<Head, FailureKind> {
        let read = Head::read(text.as_bytes()).map_err(|failure| failure.kind)?;
        Ok(read.expect("it is whole"))
    }

    #[test]
    fn the_end_of_a_body_is_where_rfc_9112_says() {
        for (fields, framing, stays) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", Framing::Length(5), true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n", Framing::Length(5), true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n", Framing::Length(5), true),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\nContent-Length: 5\r\n", Framing::Chunked, false),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", Framing::Chunked, true),
            ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n", Framing::Chunked, false),
            ("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n", Framing::Length(0), true),
            ("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n", Framing::Length(0), false),
            ("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n", Framing::Length(0), false),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 5\r\n", Framing::ToTheEnd, false),
            ("HTTP/1.1 200 OK\r\n", Framing::ToTheEnd, false),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", Framing::Chunked, true),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked,\r\n", Framing::ToTheEnd, false),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: x\r\n", Framing::Chunked, false),
            ("HTTP/1.1 204 No Content\r\nContent-Length: x\r\n", Framing::Length(0), false),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: x\r\n", Framing::Length(0), true),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x\r\nConnection: close\r\n",
                Framing::Length(0),
                false,
            ),
            ("HTTP/1.1 204 No Content\r\n", Framing::Length(0), true),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n", Framing::Length(0), true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x, Close\r\n", Framing::Length(0), false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n", Framing::Length(0), false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n", Framing::Length(0), true),
        ] {
            let head = head(&format!("{fields}\r\n")).expect(fields);
            assert_eq!((head.framing, head.stays), (framing, stays), "{fields}");
        }
    }

    #[test]
    fn lengths_that_contradict_each_other_or_are_none_are_no_answer() {
        for value in ["5, 6", "-1", "+5", "5x", "", "18446744073709551616", "5\r\nContent-Length: 6"] {
            let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {value}\r\n\r\n");
            assert_eq!(head(&text).err(), Some(FailureKind::Protocol), "{value}");
        }
    }

    #[test]
    fn a_blank_line_is_found_however_it_comes() {
        let text = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody";
        for length in 0..text.len() {
            for seen in 0..=length {
                // What has been seen was no whole head, or nobody would look again.
                if !is_whole(&text[..seen], 0) {
                    assert_eq!(is_whole(&text[..length], seen), length >= 25, "{length} {seen}");
                }
            }
        }
        assert!(is_whole(b"HTTP/1.1 200 OK\n\n", 0));
    }

    #[test]
    fn what_is_kept_has_names_in_lower_case() {
        let head =
            head("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nX-Two: 1\r\nx-two: 2\r\nContent-Encoding: GZIP \r\n\r\n")
                .expect("a head");
        assert_eq!(head.coding.as_deref(), Some("GZIP"));
        let names: Vec<_> = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(names[..3], [("content-type", "a/b"), ("x-two", "1"), ("x-two", "2")]);
    }
}
