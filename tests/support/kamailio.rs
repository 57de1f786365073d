//! A real Kamailio over a script, and the requests that it is sent.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::net::UdpSocket;

use super::process::{self, Server};

/// Where each module comes from that a script may load.
const MODULES: [(&str, &str); 2] =
    [("memcached.so", "kamailio-memcached-modules"), ("http_client.so", "kamailio-utils-modules")];

/// A running Kamailio.
pub struct Kamailio {
    /// The program.
    pub server: Server,
    /// Where it takes calls.
    pub address: SocketAddr,
}

impl Kamailio {
    /// Starts one with this script, which listens on 127.0.0.1:5060 in its own words; `None` where it or a module is
    /// not installed.
    pub async fn start(script: &str, more: &[&str]) -> Option<Self> {
        let Some(program) = process::find("kamailio", &[]) else {
            process::skipped("kamailio", "kamailio");
            return None;
        };
        for (module, package) in MODULES {
            let has = |cpu: &&str| Path::new(&format!("/usr/lib/{cpu}-linux-gnu/kamailio/modules/{module}")).exists();
            if script.contains(module) && !["x86_64", "aarch64"].iter().any(has) {
                process::skipped(&format!("Kamailio module {module}"), package);
                return None;
            }
        }
        let port = process::free_port();
        let dir = process::directory_for("");
        let script = script.replace("127.0.0.1:5060", &format!("127.0.0.1:{port}"));
        std::fs::write(dir.path().join("kamailio.cfg"), script).unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let (config, own) = (path("kamailio.cfg"), path(""));
        let mut args = vec!["-f", &config, "-DD", "-E", "-m", "64", "-w", &own, "-Y", &own];
        args.extend(more);
        let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
        let server = Server::start(dir, "", &program, &args);
        let kamailio = Self { server, address: SocketAddr::from(([127, 0, 0, 1], port)) };
        let up = process::until(Duration::from_secs(15), || async {
            tokio::time::timeout(Duration::from_millis(300), kamailio.call("OPTIONS", "0", "probe")).await.ok()
        });
        assert!(up.await.is_some(), "Kamailio did not start:\n{}", kamailio.server.log());
        Some(kamailio)
    }

    /// Sends one request and answers the reply.
    pub async fn call(&self, method: &str, from: &str, id: &str) -> String {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let local = socket.local_addr().unwrap();
        socket.send_to(request(method, from, id, local, self.address).as_bytes(), self.address).await.unwrap();
        let mut buffer = vec![0; 8192];
        let received = tokio::time::timeout(Duration::from_secs(5), socket.recv(&mut buffer)).await;
        let length = received.unwrap_or_else(|_| panic!("no reply:\n{}", self.server.log())).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }
}

/// A request to +13035550123.
pub fn request(method: &str, from: &str, id: &str, local: SocketAddr, to: SocketAddr) -> String {
    format!(
        "{method} sip:+13035550123@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{id}\r\nMax-Forwards: 70\r\n\
         From: <sip:{from}@test>;tag={id}\r\nTo: <sip:+13035550123@test>\r\nCall-ID: {id}\r\nCSeq: 1 {method}\r\n\
         Content-Length: 0\r\n\r\n"
    )
}
