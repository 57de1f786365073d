//! dipcache itself: the binary, a config and policies of its own, all four listeners on free ports.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use indexmap::IndexMap;
use toml::{Table, Value};

use super::program::{Program, Spent, free_port};

/// How long it may take until it is ready.
const START: Duration = Duration::from_secs(15);

/// How often it is asked whether it is ready.
const LOOK: Duration = Duration::from_millis(1);

/// How long it may take to answer its admin listener.
const ADMIN: Duration = Duration::from_secs(5);

/// What a proxy is started with.
#[derive(Debug)]
pub struct Site {
    /// The main config, without addresses to listen on.
    pub config: Table,
    /// Policies by lookup.
    pub policies: IndexMap<String, Table>,
    /// What stands for an address in them, and the address.
    pub addresses: Vec<(String, SocketAddr)>,
}

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    /// Where HTTP lookups are answered.
    pub http: SocketAddr,
    /// Where memcached's protocol is spoken.
    pub memcached: SocketAddr,
    /// Where DNS is spoken.
    pub dns: SocketAddr,
    /// The admin listener.
    pub admin: SocketAddr,
    /// From its start until it said that it is ready.
    pub ready: Duration,
    program: Program,
}

impl Proxy {
    /// Writes the site into this folder, starts the binary on it, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not get ready; with what it said.
    pub fn start(binary: &Path, site: &Site, folder: &Path) -> anyhow::Result<Self> {
        let [http, memcached, dns, admin] = [port()?, port()?, port()?, port()?];
        let config = site.write(folder, [http, memcached, dns, admin])?;
        let begun = Instant::now();
        let mut command = Command::new(binary);
        command.args(["serve", "-c"]).arg(&config).current_dir(folder);
        let mut program = Program::start("dipcache", &mut command, folder)?;
        while !matches!(admin_says(admin, "GET", "/readyz"), Ok((200, _))) {
            program.still_runs()?;
            if begun.elapsed() > START {
                bail!("dipcache is not ready after {START:?}:\n{}", program.last_words());
            }
            std::thread::sleep(LOOK);
        }
        Ok(Self { http, memcached, dns, admin, ready: begun.elapsed(), program })
    }

    /// What it has used so far.
    pub fn spent(&self) -> Spent {
        self.program.spent()
    }

    /// Fails when it has ended.
    ///
    /// # Errors
    /// With the last of what it said.
    pub fn still_runs(&mut self) -> anyhow::Result<()> {
        self.program.still_runs()
    }

    /// Has it forget all entries of a lookup.
    ///
    /// # Errors
    /// When it does not.
    pub fn flush(&self, lookup: &str) -> anyhow::Result<()> {
        match admin_says(self.admin, "DELETE", &format!("/v1/cache/{lookup}"))? {
            (200..=299, _) => Ok(()),
            (status, said) => bail!("flushing {lookup}: {status} {}", said.trim()),
        }
    }
}

fn port() -> anyhow::Result<SocketAddr> {
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)))
}

/// One request to the admin listener: status and body.
fn admin_says(admin: SocketAddr, method: &str, path: &str) -> anyhow::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&admin, ADMIN)?;
    stream.set_read_timeout(Some(ADMIN))?;
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n")?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    let status = said.split_ascii_whitespace().nth(1).and_then(|word| word.parse().ok()).context("no HTTP answer")?;
    Ok((status, said.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()))
}

impl Site {
    /// Writes config and policies; the config's path.
    fn write(&self, folder: &Path, [http, memcached, dns, admin]: [SocketAddr; 4]) -> anyhow::Result<PathBuf> {
        let policies = folder.join("policies");
        fs::create_dir_all(&policies)?;
        for (lookup, policy) in &self.policies {
            fs::write(policies.join(format!("{lookup}.toml")), self.addressed(policy)?)?;
        }
        let listen = [("http", http), ("memcached", memcached), ("dns", dns), ("admin", admin)];
        let listen: Table =
            listen.into_iter().map(|(name, address)| (name.to_owned(), Value::String(address.to_string()))).collect();
        let mut config = self.config.clone();
        config.insert("listen".to_owned(), Value::Table(listen));
        merge(&mut config, toml::from_str("[policies]\ndir = \"policies\"\n[admin]\ntoken = \"off\"\n")?);
        let path = folder.join("dipcache.toml");
        fs::write(&path, self.addressed(&config)?)?;
        Ok(path)
    }

    fn addressed(&self, table: &Table) -> anyhow::Result<String> {
        let text = toml::to_string(table)?;
        Ok(self.addresses.iter().fold(text, |text, (name, address)| text.replace(name, &address.to_string())))
    }
}

/// Lays `over` on `under`: tables key by key, everything else as a whole.
pub(crate) fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => merge(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_laid_over_changes_what_it_names() {
        let mut under: Table = toml::from_str("a = 1\n[b]\nc = 2\nd = 3").unwrap();
        merge(&mut under, toml::from_str("[b]\nd = 4\n[e]\nf = 5").unwrap());
        assert_eq!(under, toml::from_str::<Table>("a = 1\n[b]\nc = 2\nd = 4\n[e]\nf = 5").unwrap());
    }
}
