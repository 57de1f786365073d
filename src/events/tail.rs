//! Follows what a sink has taken, from now on: for people who look on.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use crate::config::Sink;

/// How often a file is looked into.
const LOOK: Duration = Duration::from_millis(200);

/// Why a sink cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum CannotFollow {
    /// The file.
    #[error("cannot read {0}; is the proxy running, and has it raised an event?")]
    File(std::path::PathBuf, #[source] io::Error),
    /// Kafka.
    #[error("Kafka: {0}")]
    Kafka(String),
}

/// Gives every new event to `show`, until that answers false.
///
/// # Errors
/// When the sink cannot be read, or this dipcache was built without what it needs.
pub fn follow(sink: &Sink, show: impl FnMut(&str) -> bool) -> Result<(), CannotFollow> {
    match sink {
        Sink::File { path, .. } => file(path, show).map_err(|error| CannotFollow::File(path.clone(), error)),
        #[cfg(feature = "kafka")]
        Sink::Kafka { name, brokers, topic, properties, .. } => {
            let settings = crate::events::sink::kafka::Settings {
                name: name.clone(),
                brokers: brokers.clone(),
                topic: topic.clone(),
                properties: properties.clone(),
                headers: Vec::new(),
                create_topic: false,
            };
            crate::events::sink::kafka::follow::follow(&settings, show).map_err(CannotFollow::Kafka)
        }
        #[cfg(not(feature = "kafka"))]
        Sink::Kafka { .. } => Err(CannotFollow::Kafka("this dipcache was built without it".to_owned())),
    }
}

fn file(path: &Path, mut show: impl FnMut(&str) -> bool) -> io::Result<()> {
    let mut lines = BufReader::new(File::open(path)?);
    lines.seek(SeekFrom::End(0))?;
    let mut line = String::new();
    loop {
        if lines.read_line(&mut line)? > 0 {
            // A line that is not whole yet is read on.
            if line.ends_with('\n') {
                if !show(line.trim_end()) {
                    return Ok(());
                }
                line.clear();
            }
            continue;
        }
        std::thread::sleep(LOOK);
        let own = lines.get_ref().metadata()?.ino();
        if let Ok(fresh) = File::open(path)
            && fresh.metadata()?.ino() != own
        {
            lines = BufReader::new(fresh);
            line.clear();
        }
    }
}
