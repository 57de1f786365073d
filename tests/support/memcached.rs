//! A real memcached of our own.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;

use super::process::{self, Server};

/// A running memcached.
pub struct Memcached {
    /// The server.
    pub server: Server,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Memcached {
    /// Starts one; `None` where it is not installed.
    pub async fn start() -> Option<Self> {
        let Some(program) = process::find("memcached", &[]) else {
            process::skipped("memcached", "memcached");
            return None;
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, process::free_port()));
        let port = address.port().to_string();
        // Run by root it wants to be told so; run by anybody else it does not listen to `-u`.
        let args = ["-u", "root", "-l", "127.0.0.1", "-p", &port, "-U", "0"];
        let server = Server::start(process::directory_for(""), "", &program, &args);
        let up = process::until(Duration::from_secs(10), || async { TcpStream::connect(address).await.ok() }).await;
        assert!(up.is_some(), "memcached did not start:\n{}", server.log());
        Some(Self { server, address })
    }
}
