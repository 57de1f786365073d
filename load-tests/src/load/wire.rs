//! The three protocols, as a caller speaks them: one question out, one whole answer in.

use std::io::Write;

use crate::load::sample::Kind;

/// How and what is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wire {
    /// `GET` of this path and the key behind it.
    Http {
        /// Up to the key.
        path: String,
    },
    /// memcached's `get` of this prefix and the key behind it.
    Memcached {
        /// Up to the key: `lrn:`.
        prefix: String,
    },
    /// The address of `c<key>.carrier.test`, over UDP.
    Dns,
}

/// The longest head of an HTTP answer that is read, in header fields.
const MOST_HEADERS: usize = 32;

impl Wire {
    /// True when it goes in datagrams.
    pub fn is_datagrams(&self) -> bool {
        *self == Self::Dns
    }

    /// Appends the question. `id` is only for datagrams.
    pub fn ask(&self, out: &mut Vec<u8>, key: u64, budget_ms: u16, id: u16) {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(key).as_bytes();
        match self {
            Self::Http { path } => {
                out.extend_from_slice(b"GET ");
                out.extend_from_slice(path.as_bytes());
                out.extend_from_slice(digits);
                if budget_ms > 0 {
                    // Writing to a vector cannot fail.
                    let _ = write!(out, "?budget_ms={budget_ms}");
                }
                out.extend_from_slice(b" HTTP/1.1\r\nHost: dipcache\r\n\r\n");
            }
            Self::Memcached { prefix } => {
                out.extend_from_slice(b"get ");
                out.extend_from_slice(prefix.as_bytes());
                out.extend_from_slice(digits);
                if budget_ms > 0 {
                    let _ = write!(out, ";budget_ms={budget_ms}");
                }
                out.extend_from_slice(b"\r\n");
            }
            Self::Dns => {
                out.extend_from_slice(&id.to_be_bytes());
                // Recursion desired, one question.
                out.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
                out.push(digits.len() as u8 + 1);
                out.push(b'c');
                out.extend_from_slice(digits);
                out.extend_from_slice(b"\x07carrier\x04test\x00\x00\x01\x00\x01");
            }
        }
    }

    /// Reads an answer off the front of `read`: its length and what it says. `None` while it is not whole.
    pub fn answer(&self, read: &[u8], key: u64) -> Option<(usize, Kind)> {
        match self {
            Self::Http { .. } => http(read, key),
            Self::Memcached { .. } => memcached(read, key),
            Self::Dns => Some((read.len(), dns(read))),
        }
    }
}

/// What is not HTTP is taken whole: the connection is not used again.
fn http(read: &[u8], key: u64) -> Option<(usize, Kind)> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(read) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return None,
        Err(_) => return Some((read.len(), Kind::Wrong)),
    };
    let (mut length, mut source, mut outcome) = (0, None, None);
    for header in response.headers.iter() {
        match header.name {
            "Content-Length" => length = std::str::from_utf8(header.value).ok()?.parse().ok()?,
            "X-Dip-Source" => source = Some(header.value),
            "X-Dip-Outcome" => outcome = Some(header.value),
            _ => {}
        }
    }
    let end = head + length;
    let body = read.get(head..end)?;
    let kind = match (response.code, source, outcome) {
        (Some(200), Some(b"local" | b"shared"), _) => Kind::Hit,
        (Some(200), Some(b"stale"), _) => Kind::Stale,
        (Some(200), Some(b"fallback"), _) => Kind::Fallback,
        (Some(200), _, _) => Kind::Fresh,
        (Some(503), _, Some(b"overload")) => Kind::Shed,
        (Some(404 | 502..=504), _, _) => Kind::Empty,
        _ => Kind::Wrong,
    };
    Some((end, if kind.has_record() && !names(body, key) { Kind::Wrong } else { kind }))
}

fn memcached(read: &[u8], key: u64) -> Option<(usize, Kind)> {
    let line = memchr::memchr(b'\n', read)? + 1;
    match read.get(..line)? {
        b"END\r\n" => Some((line, Kind::Empty)),
        value if value.starts_with(b"VALUE ") => {
            let length = value.trim_ascii_end().rsplit(|byte| *byte == b' ').next()?;
            let length: usize = std::str::from_utf8(length).ok()?.parse().ok()?;
            let end = line + length + b"\r\nEND\r\n".len();
            let right = read.get(line..end)?.ends_with(b"\r\nEND\r\n") && names(&read[line..line + length], key);
            Some((end, if right { Kind::Fresh } else { Kind::Wrong }))
        }
        _ => Some((line, Kind::Wrong)),
    }
}

fn dns(read: &[u8]) -> Kind {
    let (Some(flags), Some(answers)) = (read.get(3), read.get(6..8)) else { return Kind::Wrong };
    match flags & 0x0f {
        0 if answers != [0, 0] => Kind::Fresh,
        0 | 2 | 3 => Kind::Empty,
        _ => Kind::Wrong,
    }
}

/// Every record of ours names its key: an answer to another caller's question does not pass.
fn names(body: &[u8], key: u64) -> bool {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(key).as_bytes();
    memchr::memmem::find(body, &digits[1..]).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http_wire() -> Wire {
        Wire::Http { path: "/v1/lookup/lrn/".into() }
    }

    #[test]
    fn questions_are_as_the_protocols_have_them() {
        let asked = |wire: Wire, budget| {
            let mut out = Vec::new();
            wire.ask(&mut out, 13_030_000_001, budget, 7);
            out
        };
        assert!(asked(http_wire(), 20).starts_with(b"GET /v1/lookup/lrn/13030000001?budget_ms=20 HTTP/1.1\r\n"));
        assert_eq!(asked(Wire::Memcached { prefix: "lrn:".into() }, 0), b"get lrn:13030000001\r\n");
        assert_eq!(asked(Wire::Dns, 0).len(), 12 + 13 + 8 + 6 + 4);
    }

    #[test]
    fn an_answer_counts_when_it_is_whole_and_names_its_key() {
        let body = r#"{"lrn":"+13030000001"}"#;
        let answer = format!("HTTP/1.1 200 OK\r\nX-Dip-Source: local\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let (wire, whole) = (http_wire(), answer.as_bytes());
        assert_eq!(wire.answer(&whole[..whole.len() - 1], 13_030_000_001), None);
        assert_eq!(wire.answer(whole, 13_030_000_001), Some((whole.len(), Kind::Hit)));
        assert_eq!(wire.answer(whole, 13_030_000_002), Some((whole.len(), Kind::Wrong)));
        let shed = b"HTTP/1.1 503 Service Unavailable\r\nX-Dip-Outcome: overload\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(wire.answer(shed, 1), Some((shed.len(), Kind::Shed)));

        let wire = Wire::Memcached { prefix: "lrn:".into() };
        let value = b"VALUE lrn:13030000001 1 13\r\n+13030000001.\r\nEND\r\n";
        assert_eq!(wire.answer(value, 13_030_000_001), Some((value.len(), Kind::Fresh)));
        assert_eq!(wire.answer(&value[..30], 13_030_000_001), None);
        assert_eq!(wire.answer(b"END\r\n", 1), Some((5, Kind::Empty)));
        assert_eq!(wire.answer(b"SERVER_ERROR x\r\n", 1), Some((16, Kind::Wrong)));

        assert_eq!(Wire::Dns.answer(&[0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0], 1), Some((12, Kind::Fresh)));
        assert_eq!(Wire::Dns.answer(&[0, 7, 0x81, 0x82, 0, 1, 0, 0, 0, 0, 0, 0], 1), Some((12, Kind::Empty)));
    }
}
