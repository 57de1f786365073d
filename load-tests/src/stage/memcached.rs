//! memcached, as the cache that proxies share.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::bail;

use super::needed::{Unavailable, program};
use super::program::{Program, free_port};

/// How long it may take until it listens.
const START: Duration = Duration::from_secs(5);

/// A memcached that can be stopped and started again on its port.
#[derive(Debug)]
pub struct Memcached {
    file: PathBuf,
    folder: PathBuf,
    port: u16,
    running: Option<Program>,
}

impl Memcached {
    /// Starts one.
    ///
    /// # Errors
    /// [`Unavailable`] where it is not installed.
    pub fn start(folder: &Path) -> anyhow::Result<Self> {
        let missing = Unavailable { what: "memcached", remedy: "apt-get install memcached" };
        let file = program("memcached").ok_or(missing)?;
        let mut memcached = Self { file, folder: folder.to_owned(), port: free_port()?, running: None };
        memcached.resume()?;
        Ok(memcached)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Ends it: its connections are reset and its port refuses.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Stops it in its tracks: it takes connections and says nothing.
    pub fn pause(&self) {
        if let Some(running) = &self.running {
            running.pause();
        }
    }

    /// Has it run again, empty if it was ended.
    ///
    /// # Errors
    /// When it does not start.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        if let Some(running) = &self.running {
            running.resume();
            return Ok(());
        }
        let port = self.port.to_string();
        let mut command = Command::new(&self.file);
        // `-u` counts where we are root, which memcached refuses to be.
        command.args(["-l", "127.0.0.1", "-p", &port, "-U", "0", "-m", "256", "-u", "nobody"]);
        let mut running = Program::start("memcached", &mut command, &self.folder)?;
        let give_up = Instant::now() + START;
        while TcpStream::connect(self.address()).is_err() {
            running.still_runs()?;
            if Instant::now() > give_up {
                bail!("memcached does not listen on {} after {START:?}", self.address());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.running = Some(running);
        Ok(())
    }
}
