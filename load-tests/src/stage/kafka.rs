//! Apache Kafka, one node: broker and controller in one.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::needed::{Unavailable, program};
use super::program::{Program, free_port};

/// How long it may take until it listens.
const START: Duration = Duration::from_secs(90);

/// A Kafka that can be stopped and started again with what it has on disk.
#[derive(Debug)]
pub struct Kafka {
    java: PathBuf,
    jars: PathBuf,
    folder: PathBuf,
    port: u16,
    running: Option<Program>,
}

impl Kafka {
    /// Starts one in this folder.
    ///
    /// # Errors
    /// [`Unavailable`] where Java or Kafka's jars cannot be had.
    pub fn start(folder: &Path) -> anyhow::Result<Self> {
        let java = program("java").ok_or(Unavailable {
            what: "Java, which Kafka needs,",
            remedy: "apt-get install openjdk-17-jre-headless",
        })?;
        let folder = folder.join("kafka");
        fs::create_dir_all(&folder)?;
        let (port, controller) = (free_port()?, free_port()?);
        let settings = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAIN://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAIN://127.0.0.1:{port}\ncontroller.listener.names=CONTROLLER\n\
             inter.broker.listener.name=PLAIN\nlistener.security.protocol.map=PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
             log.dirs={}\noffsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\n",
            folder.join("data").display()
        );
        fs::write(folder.join("server.properties"), settings)?;
        let mut kafka = Self { java, jars: jars()?, folder, port, running: None };
        let formatted = kafka
            .class("kafka.tools.StorageTool")
            .args(["format", "-t", "bG9hZC10ZXN0cy1kaXBjYQ", "-c", "server.properties"])
            .output()
            .context("cannot start Java")?;
        if !formatted.status.success() {
            bail!("Kafka's folder cannot be formatted: {}", String::from_utf8_lossy(&formatted.stdout).trim());
        }
        kafka.resume()?;
        Ok(kafka)
    }

    fn class(&self, class: &str) -> Command {
        let mut command = Command::new(&self.java);
        command.current_dir(&self.folder).args(["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"]);
        command.arg(format!("{}/*", self.jars.display())).arg(class);
        command
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Ends it at once.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Stops it in its tracks.
    pub fn pause(&self) {
        if let Some(running) = &self.running {
            running.pause();
        }
    }

    /// Has it run again, with what it has on disk.
    ///
    /// # Errors
    /// When it does not start.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        if let Some(running) = &self.running {
            running.resume();
            return Ok(());
        }
        let mut running = Program::start("broker", self.class("kafka.Kafka").arg("server.properties"), &self.folder)?;
        let give_up = Instant::now() + START;
        while TcpStream::connect(self.address()).is_err() {
            running.still_runs()?;
            if Instant::now() > give_up {
                bail!("Kafka does not listen after {START:?}:\n{}", running.last_words());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        self.running = Some(running);
        Ok(())
    }
}

/// The folder of its jars, which the tests' own script fetches once.
fn jars() -> anyhow::Result<PathBuf> {
    let missing = Unavailable { what: "Kafka", remedy: "tests/kafka-jars fetches it, and says what it needs" };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/kafka-jars");
    let folder = Command::new(script).output().ok().filter(|fetched| fetched.status.success());
    let folder = folder.map(|fetched| PathBuf::from(String::from_utf8_lossy(&fetched.stdout).trim()));
    Ok(folder.filter(|folder| folder.is_dir()).ok_or(missing)?)
}
