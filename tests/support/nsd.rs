//! An authoritative name server of our own: NSD.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;

use super::process::{self, Server};

/// A running NSD.
pub struct Nsd {
    /// The server.
    pub server: Server,
    /// Where clients find it, over UDP and TCP.
    pub address: SocketAddr,
}

impl Nsd {
    /// Starts one that serves `zones`, each a name and the text of a zone file; `None` where it is not installed.
    pub async fn start(zones: &[(&str, &str)]) -> Option<Self> {
        let Some(nsd) = process::find("nsd", &[]) else {
            process::skipped("nsd", "nsd");
            return None;
        };
        let dir = process::directory_for("");
        let port = process::free_port();
        let config = dir.path().join("nsd.conf");
        std::fs::write(&config, configuration(dir.path(), port, zones)).expect("the directory is ours");
        let args = ["-d".to_owned(), "-c".to_owned(), config.display().to_string()];
        let server = Server::start(dir, "", &nsd, &args);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let up = process::until(Duration::from_secs(20), || async { TcpStream::connect(address).await.ok() }).await;
        assert!(up.is_some(), "NSD does not start: {}", server.log());
        Some(Self { server, address })
    }
}

fn configuration(dir: &std::path::Path, port: u16, zones: &[(&str, &str)]) -> String {
    let at = |name: &str| dir.join(name).display().to_string();
    let mut text = format!(
        "server:\n ip-address: 127.0.0.1@{port}\n username: \"\"\n chroot: \"\"\n zonesdir: \"{}\"\n database: \"\"\n \
         pidfile: \"{}\"\n xfrdfile: \"{}\"\n zonelistfile: \"{}\"\n xfrdir: \"{}\"\n server-count: 1\n rrl-ratelimit: 0\n \
         minimal-responses: no\n\
         remote-control:\n control-enable: no\n",
        dir.display(),
        at("pid"),
        at("xfrd"),
        at("zonelist"),
        dir.display(),
    );
    for (name, zone) in zones {
        std::fs::write(dir.join(format!("{name}.zone")), zone).expect("the directory is ours");
        text.push_str(&format!("zone:\n name: \"{name}\"\n zonefile: \"{name}.zone\"\n"));
    }
    text
}
