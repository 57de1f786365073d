//! A routing script's side of the wire: one kept HTTP/1.1 connection, one question at a time.
//!
//! By hand over httparse, so that what is measured is the proxy and not a client's pool, and so that the
//! demo asks exactly as an outside caller does.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::deadline::Deadline;

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 256 * 1024;

/// A kept connection.
#[derive(Debug)]
pub struct Lane {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// `X-Dip-Source`, if it was there.
    pub source: String,
    /// The body.
    pub body: String,
}

impl Lane {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens, or the deadline passes.
    pub async fn open(address: SocketAddr, deadline: Deadline) -> io::Result<Self> {
        let stream = deadline.limit(TcpStream::connect(address)).await.ok_or(io::ErrorKind::TimedOut)??;
        stream.set_nodelay(true)?;
        Ok(Self { stream, unread: Vec::new() })
    }

    /// Asks, and gives the connection back for the next question; after an error it is gone, because a
    /// late answer would be taken for the next one's.
    ///
    /// # Errors
    /// When the connection breaks, the answer is no HTTP or too large, or the deadline passes.
    pub async fn get(mut self, path: &str, deadline: Deadline) -> io::Result<(Reply, Self)> {
        let exchange = async {
            let request = format!("GET {path} HTTP/1.1\r\nHost: dipcache\r\nAccept: */*\r\n\r\n");
            self.stream.write_all(request.as_bytes()).await?;
            self.reply().await
        };
        let reply = deadline.limit(exchange).await.ok_or(io::ErrorKind::TimedOut)??;
        Ok((reply, self))
    }

    async fn reply(&mut self) -> io::Result<Reply> {
        loop {
            if let Some((reply, used)) = parse(&self.unread)? {
                self.unread.drain(..used);
                return Ok(reply);
            }
            if self.unread.len() >= MAX_ANSWER {
                return Err(malformed("the answer is too large"));
            }
            if self.stream.read_buf(&mut self.unread).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// The first answer in the buffer and its length; `None` where it is not whole yet.
fn parse(buffer: &[u8]) -> io::Result<Option<(Reply, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(buffer) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    };
    let header = |name: &str| {
        let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| str::from_utf8(header.value).ok()).map(str::trim)
    };
    let length: usize =
        header("content-length").and_then(|text| text.parse().ok()).ok_or(malformed("no Content-Length"))?;
    if length > MAX_ANSWER {
        return Err(malformed("the answer is too large"));
    }
    let Some(body) = buffer.get(head..head + length) else { return Ok(None) };
    let reply = Reply {
        status: response.code.unwrap_or_default(),
        source: header("x-dip-source").unwrap_or_default().to_owned(),
        body: String::from_utf8_lossy(body).into_owned(),
    };
    Ok(Some((reply, head + length)))
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nX-Dip-Source: stale\r\nContent-Length: 2\r\n\r\n{}";

    #[test]
    fn an_answer_is_whole_or_not_yet() {
        for cut in 0..ANSWER.len() {
            assert_eq!(parse(&ANSWER[..cut]).unwrap(), None, "{cut}");
        }
        let next = [ANSWER, b"HTTP/1.1 404"].concat();
        let (reply, used) = parse(&next).unwrap().unwrap();
        assert_eq!(reply, Reply { status: 200, source: "stale".into(), body: "{}".into() });
        assert_eq!(used, ANSWER.len());
    }

    #[test]
    fn what_cannot_be_an_answer_is_an_error() {
        assert!(parse(b"<html>\r\n\r\n").is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n").is_err());
    }
}
