//! A program that we started: what it spends, how it is paused, and that it ends with us.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

/// A running program.
#[derive(Debug)]
pub struct Program {
    child: Child,
    name: String,
    log: PathBuf,
}

/// What a program has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    /// Processor time of all its threads that still run.
    pub cpu: Duration,
    /// Memory that it holds in RAM, in bytes.
    pub resident: u64,
}

impl Program {
    /// Starts it; what it says goes to `<name>.log` in this folder.
    ///
    /// # Errors
    /// When there is no such program, or the system refuses.
    pub fn start(name: &str, command: &mut Command, folder: &Path) -> anyhow::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let out = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
        Ok(Self { child, name: name.to_owned(), log })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Fails with the last of what it said if it has ended.
    ///
    /// # Errors
    /// When it has.
    pub fn still_runs(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}:\n{}", self.name, self.last_words()),
        }
    }

    /// The last lines that it wrote.
    pub fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// What it has used so far; nothing once it is gone.
    pub fn spent(&self) -> Spent {
        spent(self.pid())
    }

    /// Stops it in its tracks: its connections stay, and nothing answers.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        // It is our child and not yet waited for, so the number cannot be another's.
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A master that is killed leaves its workers behind.
        let family = descendants(self.child.id());
        let _ = self.child.kill();
        let _ = self.child.wait();
        for pid in family.into_iter().filter_map(|pid| Pid::from_raw(pid as i32)) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// A process's children, theirs, and so on.
fn descendants(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let children = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let children = children
        .flat_map(|line| line.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()).collect::<Vec<_>>());
    children.flat_map(|child| std::iter::once(child).chain(descendants(child))).collect()
}

/// What a process has used so far.
pub(crate) fn spent(pid: u32) -> Spent {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    // The scheduler's own account, in nanoseconds; `stat` counts in hundredths of a second.
    let nanos = threads
        .filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok())
        .filter_map(|account| account.split_ascii_whitespace().next()?.parse::<u64>().ok());
    Spent { cpu: Duration::from_nanos(nanos.sum()), resident: resident(pid) }
}

/// What a process and all its descendants have used so far.
pub fn spent_by_family(pid: u32) -> Spent {
    descendants(pid)
        .into_iter()
        .map(spent)
        .fold(spent(pid), |sum, child| Spent { cpu: sum.cpu + child.cpu, resident: sum.resident + child.resident })
}

/// What a process holds in RAM, in bytes; 0 once it is gone.
pub fn resident(pid: u32) -> u64 {
    let pages = fs::read_to_string(format!("/proc/{pid}/statm"))
        .ok()
        .and_then(|sizes| sizes.split_ascii_whitespace().nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}

/// A port on loopback that is free at this moment.
///
/// # Errors
/// When the system has none.
pub fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
