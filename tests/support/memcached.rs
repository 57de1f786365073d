//! A real memcached on a free port.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::process::{Server, directory_for, find, free_port, skipped, until};

/// A running memcached; killed when dropped.
pub struct Memcached {
    server: Server,
    port: u16,
}

impl Memcached {
    /// Starts one; `None` when it is not installed.
    pub async fn start() -> Option<Self> {
        Self::start_at(free_port(), &[]).await
    }

    /// Starts one with these further options; the last of a kind counts.
    pub async fn start_with(options: &[&str]) -> Option<Self> {
        Self::start_at(free_port(), options).await
    }

    /// Starts one, empty, on this port.
    async fn start_at(port: u16, options: &[&str]) -> Option<Self> {
        let Some(program) = find("memcached", &[]) else {
            skipped("memcached", "memcached");
            return None;
        };
        let port_text = port.to_string();
        // Run by root it wants to be told so; run by anybody else it does not listen to `-u`.
        let args = ["-l", "127.0.0.1", "-p", &port_text, "-U", "0", "-u", "root", "-m", "64", "-c", "4096"];
        let args: Vec<&str> = args.iter().chain(options).copied().collect();
        let server = Server::start(directory_for(""), "", &program, &args);
        let answers = || async move { TcpStream::connect(("127.0.0.1", port)).await.ok() };
        let up = until(Duration::from_secs(10), answers).await;
        assert!(up.is_some(), "memcached does not answer:\n{}", server.log());
        Some(Self { server, port })
    }

    /// `host:port`, as a config names it.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The same, to connect to.
    pub fn socket(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// SIGSTOP: connections stay, nothing answers.
    pub fn pause(&self) {
        self.server.pause();
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.server.resume();
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts it again on its port, empty.
    pub async fn restart(&mut self) {
        self.kill();
        *self = Self::start_at(self.port, &[]).await.expect("it was there before");
    }

    /// What a client of another make reads here.
    pub async fn value(&self, key: &str) -> Option<Vec<u8>> {
        self.value_and_flags(key).await.map(|(value, _)| value)
    }

    /// The same, with the flags.
    pub async fn value_and_flags(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        let mut stream = BufReader::new(TcpStream::connect(self.address()).await.ok()?);
        stream.write_all(format!("get {key}\r\n").as_bytes()).await.ok()?;
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let mut words = line.split_whitespace().skip(2);
        let flags = words.next()?.parse().ok()?;
        let mut value = vec![0; words.next()?.parse().ok()?];
        stream.read_exact(&mut value).await.ok()?;
        Some((value, flags))
    }

    /// Sends one line, such as `flush_all`, and reads one line.
    pub async fn say(&self, line: &str) -> String {
        let mut stream = BufReader::new(TcpStream::connect(self.address()).await.expect("it listens"));
        stream.write_all(format!("{line}\r\n").as_bytes()).await.expect("it takes a line");
        let mut answer = String::new();
        stream.read_line(&mut answer).await.expect("it answers");
        answer.trim().to_owned()
    }
}
