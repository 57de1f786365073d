//! A caller over HTTP as a SIP server is one: a kept connection, one request at a time, nothing sent again.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A kept connection.
#[derive(Debug)]
pub struct Caller {
    stream: TcpStream,
    got: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// True when it is the last one on its connection.
    pub fn is_last(&self) -> bool {
        self.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// `X-Dip-Source`.
    pub fn source(&self) -> &str {
        self.header("X-Dip-Source").unwrap_or_default()
    }
}

impl Caller {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, got: Vec::new() })
    }

    /// Asks, and waits for the whole reply.
    pub async fn get(&mut self, path: &str) -> io::Result<Reply> {
        self.send("GET", path, "", "").await
    }

    /// As [`Caller::get`], with any method, header lines (each with its CRLF) and a body.
    pub async fn send(&mut self, method: &str, path: &str, headers: &str, body: &str) -> io::Result<Reply> {
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let request = format!("{method} {path} HTTP/1.1\r\nHost: dipcache\r\n{headers}{length}\r\n{body}");
        self.stream.write_all(request.as_bytes()).await?;
        let end = loop {
            if let Some(at) = self.got.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let head = String::from_utf8_lossy(&self.got[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        let mut reply = Reply { status, head, body: String::new() };
        let length: usize = reply.header("Content-Length").and_then(|length| length.parse().ok()).unwrap_or(0);
        while self.got.len() < end + length {
            self.more().await?;
        }
        reply.body = String::from_utf8_lossy(&self.got[end..end + length]).into_owned();
        self.got.drain(..end + length);
        Ok(reply)
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.got).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// One request on a connection of its own.
pub async fn get(address: SocketAddr, path: &str) -> Reply {
    let mut caller = Caller::connect(address).await.expect("a listener");
    caller.get(path).await.expect("a whole reply")
}
