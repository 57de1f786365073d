//! A server that is a program: started, paused, resumed, and killed when dropped.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// A running program with its children and its directory.
pub struct Server {
    child: Child,
    dir: TempDir,
}

impl Server {
    /// Starts `program` as `user` (where we are root; else as ourselves). Its output goes to `log` in its directory.
    pub fn start<S: AsRef<OsStr>>(dir: TempDir, user: &str, program: &Path, args: &[S]) -> Self {
        let log = std::fs::File::create(dir.path().join("log")).expect("the directory is ours");
        let child = as_user(user, program)
            .args(args)
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn()
            .expect("the program starts");
        Self { child, dir }
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The last lines it has written, for a failed start's message.
    pub fn log(&self) -> String {
        let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// All that it has written.
    pub fn whole_log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// True until it has ended.
    pub fn is_running(&self) -> bool {
        std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))
            .is_ok_and(|stat| !stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z')))
    }

    /// Sends it a signal, and its children none.
    pub fn tell(&self, signal: &str) {
        let status = Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success(), "SIG{signal} was not taken");
    }

    /// How it ended, once it has; `None` when it goes on for longer than this.
    pub async fn ended(&mut self, within: Duration) -> Option<std::process::ExitStatus> {
        let end = tokio::time::Instant::now() + within;
        loop {
            match self.child.try_wait().expect("it is our child") {
                None if tokio::time::Instant::now() < end => tokio::time::sleep(Duration::from_millis(5)).await,
                ended => return ended,
            }
        }
    }

    /// Stops it and all its children in their tracks: connections stay, nothing answers.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets them go on.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Kills it and all its children at once.
    pub fn kill(&mut self) {
        self.signal("KILL");
        let _ = self.child.wait();
    }

    /// The parent first, so that no child is born behind our back. Servers like PostgreSQL give each child a
    /// process group of its own, so the tree is walked.
    fn signal(&self, name: &str) {
        for _ in 0..3 {
            for pid in family(self.child.id()) {
                let _ = Command::new("kill").args(["-s", name, &pid.to_string()]).stderr(Stdio::null()).status();
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A process and its descendants, parents before children.
fn family(root: u32) -> Vec<u32> {
    let pairs: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .expect("/proc is mounted")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| Some((pid, parent(pid)?)))
        .collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        found.extend(pairs.iter().filter(|(_, parent)| *parent == pid).map(|(child, _)| *child));
        next += 1;
    }
    found
}

fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name stands in parentheses and may hold anything; the parent is the second word behind it.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// A command that runs as `user` where we are root and there is such a user, else as ourselves.
pub fn as_user(user: &str, program: &Path) -> Command {
    if !is_root() || user.is_empty() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={user}")).arg(format!("--regid={user}")).arg("--clear-groups").arg(program);
    command
}

/// A directory that `user` may write to.
pub fn directory_for(user: &str) -> TempDir {
    let dir = tempfile::Builder::new().prefix("dipcache-test-").tempdir().expect("a temporary directory");
    if is_root() && !user.is_empty() {
        let done = Command::new("chown").arg(user).arg(dir.path()).status().expect("chown runs");
        assert!(done.success(), "chown {user} {}", dir.path().display());
    }
    dir
}

/// Runs a command to its end and shows what it said when it failed.
pub fn run(mut command: Command) {
    let output = command.stdin(Stdio::null()).output().expect("the program starts");
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Where a program is: on the path, in `/usr/sbin`, or in one of `folders`.
pub fn find(program: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut all: Vec<PathBuf> = folders.to_vec();
    all.extend(std::env::split_paths(&path));
    all.extend(["/usr/sbin", "/usr/local/sbin", "/usr/local/bin"].map(PathBuf::from));
    all.into_iter().map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Says that a test did not run, in the one form that is counted.
pub fn skipped(program: &str, package: &str) {
    println!("SKIPPED: no {program} on this machine (apt-get install {package})");
}

/// A port that is free for both TCP and UDP.
pub fn free_port() -> u16 {
    for _ in 0..100 {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = tcp.local_addr().expect("an address").port();
        if UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free for both TCP and UDP");
}

/// Tries until it works, at most `for_long`.
pub async fn until<T, F>(for_long: Duration, mut attempt: impl FnMut() -> F) -> Option<T>
where
    F: Future<Output = Option<T>>,
{
    let end = tokio::time::Instant::now() + for_long;
    while tokio::time::Instant::now() < end {
        if let Ok(Some(value)) = tokio::time::timeout(Duration::from_secs(2), attempt()).await {
            return Some(value);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    None
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(1) == Some("0"))
}
