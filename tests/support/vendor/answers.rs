//! The vendor's answers, one a mode.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use flate2::{Compress, Compression, FlushCompress};
use tokio::net::TcpStream;

use super::{Mode, until_gone, write};

/// Gives the answer of the mode; false when the connection is over.
pub(super) async fn give(stream: &mut TcpStream, mode: &Mode, good: &str, written: &AtomicU64) -> bool {
    match mode {
        Mode::Ok(latency) => {
            tokio::select! {
                () = tokio::time::sleep(*latency) => {}
                () = until_gone(stream) => return false,
            }
            write(stream, &whole(200, "application/json", "", good.as_bytes()), written).await
        }
        Mode::Answer(status, kind, body) => write(stream, &whole(*status, kind, "", body), written).await,
        Mode::DeepJson => write(stream, &whole(200, "application/json", "", deep().as_bytes()), written).await,
        Mode::InvalidUtf8 => write(stream, &whole(200, "text/plain", "", b"caf\xe9 \xff\xfe"), written).await,
        Mode::HtmlPage => {
            let page = b"<!doctype html><html><body><h1>Down for maintenance</h1></body></html>";
            write(stream, &whole(200, "text/html; charset=utf-8", "", page), written).await
        }
        Mode::Redirect => write(stream, &whole(302, "text/plain", "Location: /elsewhere\r\n", b""), written).await,
        Mode::RedirectTo(to) => {
            write(stream, &whole(302, "text/plain", &format!("Location: {to}\r\n"), b""), written).await
        }
        Mode::TooManyRequests(after) => {
            let header = after.map(|seconds| format!("Retry-After: {seconds}\r\n")).unwrap_or_default();
            write(stream, &whole(429, "application/json", &header, b"{\"error\":\"slow down\"}"), written).await
        }
        Mode::GzipBomb => {
            write(stream, &whole(200, "application/json", "Content-Encoding: gzip\r\n", bomb()), written).await
        }
        Mode::Garbage => write(stream, b"HTTP/9.9 \0 maybe\r\n\r\n", written).await,
        Mode::BadChunk => {
            write(stream, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n", written).await
        }
        Mode::HugeHeader => {
            let head = format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(1 << 20));
            write(stream, head.as_bytes(), written).await
        }
        Mode::HugeBody => endless(stream, "Content-Length: 1073741824\r\n", &[b' '; 64 * 1024], written).await,
        Mode::EndlessChunks => {
            let mut chunk = b"4000\r\n".to_vec();
            chunk.extend_from_slice(&[b' '; 0x4000]);
            chunk.extend_from_slice(b"\r\n");
            endless(stream, "Transfer-Encoding: chunked\r\n", &chunk, written).await
        }
        Mode::Trickle => trickle(stream, written).await,
        Mode::HalfThenSilence => {
            half(stream, written).await;
            until_gone(stream).await;
            false
        }
        Mode::HalfThenClose => {
            half(stream, written).await;
            false
        }
        Mode::Hang | Mode::Reset | Mode::ResetAfterRequest | Mode::Refuse | Mode::Wants(_) | Mode::Echo => {
            until_gone(stream).await;
            false
        }
    }
}

fn whole(status: u16, kind: &str, more: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 {status} Some Reason\r\nContent-Type: {kind}\r\n{more}Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(body);
    answer
}

async fn half(stream: &mut TcpStream, written: &AtomicU64) {
    write(stream, b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{\"ok\":", written)
        .await;
}

async fn endless(stream: &mut TcpStream, length: &str, piece: &[u8], written: &AtomicU64) -> bool {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{length}\r\n");
    let mut there = write(stream, head.as_bytes(), written).await;
    let mut pieces = (1 << 30) / piece.len();
    while there && pieces > 0 {
        there = write(stream, piece, written).await;
        pieces -= 1;
    }
    false
}

async fn trickle(stream: &mut TcpStream, written: &AtomicU64) -> bool {
    let mut there = write(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", written).await;
    while there {
        tokio::time::sleep(Duration::from_secs(1)).await;
        there = write(stream, b" ", written).await;
    }
    false
}

fn deep() -> String {
    format!("{}{}", "[".repeat(10_000), "]".repeat(10_000))
}

/// A gzip stream of 64 MB of blanks, put together from one compressed megabyte: after a full flush the same bytes
/// mean the same megabyte again. It has no end, but nobody reads that far.
fn bomb() -> &'static [u8] {
    static BOMB: OnceLock<Vec<u8>> = OnceLock::new();
    BOMB.get_or_init(|| {
        let mut piece = Vec::with_capacity(64 * 1024);
        let mut deflate = Compress::new(Compression::fast(), false);
        deflate.compress_vec(&vec![b' '; 1 << 20], &mut piece, FlushCompress::Full).expect("memory");
        let mut stream = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        (0..64).for_each(|_| stream.extend_from_slice(&piece));
        stream
    })
}
