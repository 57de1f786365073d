//! The real program, started as an operator starts it, with its files in a folder of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::caller;
use super::process::{Server, directory_for, until};

/// A running `dipcache serve`; gone when dropped.
pub struct Proxy {
    pub server: Server,
    /// Where it answers lookups.
    pub http: SocketAddr,
    /// Its admin listener.
    pub admin: SocketAddr,
    /// Where it speaks memcached, when it does.
    pub memcached: Option<SocketAddr>,
}

/// How a command ended.
#[derive(Debug)]
pub struct Done {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Its main config, with these further lines.
pub fn config(lines: &str) -> String {
    config_with("off", lines)
}

fn config_with(memcached: &str, lines: &str) -> String {
    format!(
        "[listen]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nmemcached = \"{memcached}\"\ndns = \"off\"\n\
         [policies]\ndir = \"policies\"\n{lines}\n"
    )
}

impl Proxy {
    /// Starts it with these lines in its config and these policies, and waits until it listens.
    pub async fn start(lines: &str, policies: &[(&str, &str)]) -> Self {
        Self::start_from(&config(lines), policies).await
    }

    /// As [`Proxy::start`], and speaks memcached too.
    pub async fn start_with_memcached(lines: &str, policies: &[(&str, &str)]) -> Self {
        Self::start_from(&config_with("127.0.0.1:0", lines), policies).await
    }

    async fn start_from(config: &str, policies: &[(&str, &str)]) -> Self {
        let dir = directory_for("");
        std::fs::create_dir(dir.path().join("policies")).expect("the folder is ours");
        std::fs::write(dir.path().join("dipcache.toml"), config).expect("the folder is ours");
        for (name, text) in policies {
            write_policy(dir.path(), name, text);
        }
        let server = Server::start(dir, "", program(), &["serve", "-c", "dipcache.toml"]);
        let listens = until(Duration::from_secs(20), || async {
            let log = server.whole_log();
            Some((address(&log, "http")?, address(&log, "admin")?))
        });
        let Some((http, admin)) = listens.await else { panic!("it does not listen:\n{}", server.log()) };
        let memcached = address(&server.whole_log(), "memcached");
        Self { server, http, admin, memcached }
    }

    /// The main config's path.
    pub fn config_file(&self) -> PathBuf {
        self.server.dir().join("dipcache.toml")
    }

    /// Writes a policy anew.
    pub fn write_policy(&self, name: &str, text: &str) {
        write_policy(self.server.dir(), name, text);
    }

    /// Sends SIGHUP and waits until the reload is told; true when the new files were taken.
    pub async fn reload(&self) -> bool {
        let told =
            |log: &str| (log.matches("dipcache.config.reloaded").count(), log.matches("config.rejected").count());
        let before = told(&self.server.whole_log());
        self.server.tell("HUP");
        let changed = until(Duration::from_secs(20), || async {
            let now = told(&self.server.whole_log());
            (now != before).then_some(now.0 > before.0)
        });
        changed.await.unwrap_or_else(|| panic!("no word of the reload:\n{}", self.server.log()))
    }

    /// `GET /v1/status`.
    pub async fn status(&self) -> serde_json::Value {
        serde_json::from_str(&caller::get(self.admin, "/v1/status").await.body).expect("a status is JSON")
    }

    /// Runs a command of the program against this proxy.
    pub async fn command(&self, arguments: &[&str]) -> Done {
        let mut command = Command::new(program());
        command.args(arguments).env("DIPCACHE_CONFIG", self.config_file());
        command.env("DIPCACHE_LISTEN__HTTP", self.http.to_string());
        command.env("DIPCACHE_LISTEN__ADMIN", self.admin.to_string());
        run(command).await
    }
}

/// The program under test.
pub fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_dipcache"))
}

/// Runs a command to its end.
pub async fn run(mut command: Command) -> Done {
    let output = tokio::task::spawn_blocking(move || command.stdin(std::process::Stdio::null()).output());
    let output = output.await.expect("no panic").expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Done { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn write_policy(dir: &Path, name: &str, text: &str) {
    std::fs::write(dir.join("policies").join(format!("{name}.toml")), text).expect("the folder is ours");
}

/// The address of a listener, as the log tells it.
fn address(log: &str, listener: &str) -> Option<SocketAddr> {
    let line =
        log.lines().find(|line| line.contains("listening") && line.contains(&format!("listener=\"{listener}\"")))?;
    line.split("address=").nth(1)?.split_whitespace().next()?.parse().ok()
}
