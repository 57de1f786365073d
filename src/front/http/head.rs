//! Is this a plain request? The plain lane's eye on the bytes that came in.
//!
//! A request is plain when it is `GET /v1/… HTTP/1.1` with one `Host`, no body and nothing that
//! changes what a connection is: so nearly all that come. Everything else, and everything that is
//! not quite right, is the full lane's, which knows all of HTTP; nothing is refused here.
//!
//! A client on a kept connection sends the same header block each time. The last one that was found
//! plain is remembered byte for byte, and a request with the same block is plain without another look.

use memchr::memchr;

use crate::front::http::problem;

/// A head longer than this is none (and [`MAX_FIELDS`] likewise); the full lane says so to the client.
pub const MAX_HEAD: usize = 16 * 1024;

/// The most header fields in a head.
pub const MAX_FIELDS: usize = 64;

/// What an HTTP/2 client with prior knowledge sends first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const METHOD: &[u8] = b"GET ";
const VERSION: &[u8] = b" HTTP/1.1";

/// What the bytes at hand are.
#[derive(Debug, PartialEq, Eq)]
pub enum Head<'a> {
    /// A plain request.
    Plain {
        /// Its path.
        path: &'a str,
        /// Its query, without the `?`.
        query: &'a str,
        /// The head's length in bytes.
        length: usize,
    },
    /// Too few to tell.
    Incomplete,
    /// Something for the full lane.
    Full,
    /// HTTP/2 with prior knowledge.
    Http2,
}

/// Reads heads of one connection.
#[derive(Debug, Default)]
pub struct HeadReader {
    /// The header block, blank line included, of the last plain request.
    block: Vec<u8>,
}

impl HeadReader {
    /// What these bytes, from the start of a request on, are.
    pub fn read<'a>(&mut self, bytes: &'a [u8]) -> Head<'a> {
        if !bytes.starts_with(METHOD) {
            return if METHOD.starts_with(bytes) { Head::Incomplete } else { other(bytes) };
        }
        let Some(end) = memchr(b'\n', bytes) else { return incomplete(bytes) };
        let Some((path, query)) = target(&bytes[METHOD.len()..end]) else { return Head::Full };
        let fields = &bytes[end + 1..];
        if !self.block.is_empty() && fields.starts_with(&self.block) {
            return plain(path, query, end + 1 + self.block.len());
        }
        match is_plain(fields) {
            Verdict::Plain(length) => {
                self.block.clear();
                self.block.extend_from_slice(&fields[..length]);
                plain(path, query, end + 1 + length)
            }
            Verdict::Incomplete => incomplete(bytes),
            Verdict::Full => Head::Full,
        }
    }
}

fn plain<'a>(path: &'a str, query: &'a str, length: usize) -> Head<'a> {
    if length > MAX_HEAD { Head::Full } else { Head::Plain { path, query, length } }
}

fn incomplete(bytes: &[u8]) -> Head<'_> {
    if bytes.len() > MAX_HEAD { Head::Full } else { Head::Incomplete }
}

fn other(bytes: &[u8]) -> Head<'_> {
    if bytes.starts_with(PREFACE) {
        Head::Http2
    } else if PREFACE.starts_with(bytes) {
        Head::Incomplete
    } else {
        Head::Full
    }
}

/// Path and query of a request line (without `GET ` and line feed), if it is one that needs no second thought.
fn target(line: &[u8]) -> Option<(&str, &str)> {
    let target = line.strip_suffix(b"\r")?.strip_suffix(VERSION)?;
    if !target.starts_with(b"/v1/") || !target.iter().all(|&byte| TARGET[usize::from(byte)]) {
        return None;
    }
    let target = std::str::from_utf8(target).ok()?;
    Some(target.split_once('?').unwrap_or((target, "")))
}

/// The bytes of RFC 3986 that a path or query is made of. There is no space among them, so one target
/// between two spaces is all that a line can hold; and no `#`, whose rest would be cut off.
const TARGET: [bool; 256] = {
    let allowed = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/?%";
    let mut table = [false; 256];
    let mut at = 0;
    while at < allowed.len() {
        table[allowed[at] as usize] = true;
        at += 1;
    }
    table
};

enum Verdict {
    /// A whole block, this many bytes long, and plain.
    Plain(usize),
    Incomplete,
    Full,
}

fn is_plain(fields: &[u8]) -> Verdict {
    let mut parsed = [httparse::EMPTY_HEADER; MAX_FIELDS];
    match httparse::parse_headers(fields, &mut parsed) {
        Ok(httparse::Status::Complete((length, fields))) => {
            let mut hosts = 0;
            let plain = fields.iter().all(|field| leaves_it_plain(field, &mut hosts));
            if plain && hosts == 1 { Verdict::Plain(length) } else { Verdict::Full }
        }
        Ok(httparse::Status::Partial) => Verdict::Incomplete,
        Err(_) => Verdict::Full,
    }
}

fn leaves_it_plain(field: &httparse::Header<'_>, hosts: &mut usize) -> bool {
    let is = |name: &str| field.name.eq_ignore_ascii_case(name);
    match field.name.len() {
        4 if is("host") => {
            *hosts += 1;
            true
        }
        6 if is("accept") => !problem::is_accepted(field.value),
        6 => !is("expect"),
        7 => !is("upgrade"),
        10 if is("connection") => field.value.trim_ascii().eq_ignore_ascii_case(b"keep-alive"),
        14 => !is("content-length"),
        17 => !is("transfer-encoding"),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "GET /v1/lookup/lrn/+1303?x=y HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n";

    fn read(text: &str) -> Head<'_> {
        HeadReader::default().read(text.as_bytes())
    }

    #[test]
    fn a_plain_request_is_seen_at_its_last_byte_and_not_before() {
        for cut in 0..PLAIN.len() {
            assert_eq!(read(&PLAIN[..cut]), Head::Incomplete, "{cut}");
        }
        assert_eq!(read(PLAIN), Head::Plain { path: "/v1/lookup/lrn/+1303", query: "x=y", length: PLAIN.len() });
    }

    #[test]
    fn the_same_block_again_needs_all_of_its_bytes_too() {
        let mut reader = HeadReader::default();
        assert!(matches!(reader.read(PLAIN.as_bytes()), Head::Plain { .. }));
        for cut in 0..PLAIN.len() {
            assert_eq!(reader.read(&PLAIN.as_bytes()[..cut]), Head::Incomplete, "{cut}");
        }
        let two = format!("{PLAIN}GET /");
        assert!(matches!(reader.read(two.as_bytes()), Head::Plain { length, .. } if length == PLAIN.len()));
        let other = "GET /v1/health HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nConnection: close\r\n\r\n";
        assert_eq!(reader.read(other.as_bytes()), Head::Full, "a block that only starts alike is another block");
    }

    #[test]
    fn what_is_not_plain_goes_to_the_full_lane() {
        let fields = [
            "Host: a\r\nConnection: close",
            "Host: a\r\nContent-Length: 0",
            "Host: a\r\nTransfer-Encoding: chunked",
            "Host: a\r\nExpect: 100-continue",
            "Host: a\r\nUPGRADE: h2c",
            "Host: a\r\nAccept: application/problem+json",
            "Host: a\r\nHost: b",
            "X: y",
            "Host: a\r\nBad Name: x",
            "Host : a",
            "Host: a\r\n folded",
        ];
        for fields in fields {
            let request = format!("GET /v1/health HTTP/1.1\r\n{fields}\r\n\r\n");
            assert_eq!(read(&request), Head::Full, "{fields}");
        }
        let lines = [
            "HEAD /v1/health HTTP/1.1",
            "GET /v1/health HTTP/1.0",
            "GET  /v1/health HTTP/1.1",
            "GET /v1/hea lth HTTP/1.1",
            "GET /v1/health  HTTP/1.1",
            "GET /v1/health",
            "GET http://a/v1/health HTTP/1.1",
            "GET /v1/h#x HTTP/1.1",
            "GET /v1/\"x\" HTTP/1.1",
            "get /v1/health HTTP/1.1",
            "GET /metrics HTTP/1.1",
            "\r\nGET /v1/health HTTP/1.1",
        ];
        for line in lines {
            assert_eq!(read(&format!("{line}\r\nHost: a\r\n\r\n")), Head::Full, "{line}");
        }
        assert_eq!(read("GET /v1/health HTTP/1.1\nHost: a\n\n"), Head::Full);
        assert_eq!(read("POST /v1/call HTTP/1.1\r\n"), Head::Full);
    }

    #[test]
    fn a_connection_that_says_keep_alive_stays_plain() {
        assert!(matches!(
            read("GET /v1/health HTTP/1.1\r\nConnection: Keep-Alive \r\nhOST: a\r\n\r\n"),
            Head::Plain { .. }
        ));
    }

    #[test]
    fn http2_is_seen_at_the_whole_preface() {
        let preface = std::str::from_utf8(PREFACE).unwrap();
        for cut in 0..preface.len() {
            assert_eq!(read(&preface[..cut]), Head::Incomplete, "{cut}");
        }
        assert_eq!(read(preface), Head::Http2);
        assert_eq!(read("PRI * HTTP/1.1\r\n"), Head::Full);
    }

    #[test]
    fn a_head_without_end_is_given_up_at_the_bound() {
        let mut long = format!("GET /v1/{}", "a".repeat(MAX_HEAD));
        assert_eq!(read(&long), Head::Full);
        long = format!("GET /v1/health HTTP/1.1\r\nHost: {}", "a".repeat(MAX_HEAD));
        assert_eq!(read(&long), Head::Full);
        long.push_str("\r\n\r\n");
        assert_eq!(read(&long), Head::Full);
        let many = format!("GET /v1/health HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(MAX_FIELDS));
        assert_eq!(read(&many), Head::Full);
    }
}
