//! `[control]`: the Kafka topic from which other systems give orders.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::check::beside;
use super::events::{brokers, pairs, without_kafka};
use super::file::ControlFile;
use crate::written::{Faults, Spanned};

/// The longest that a start may wait for orders.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Where orders come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// `host:port` of some brokers.
    pub brokers: Vec<String>,
    /// The topic.
    pub topic: String,
    /// Where orders go that cannot be carried out.
    pub dead_letters: String,
    /// Handed to librdkafka as they are.
    pub properties: Vec<(String, String)>,
    /// How long a start waits for what was ordered meanwhile.
    pub wait: Duration,
    /// The file in which it is noted how far this node has read.
    pub state: PathBuf,
    /// True: topics that are missing are created, if the broker lets us.
    pub create_topic: bool,
}

/// Checks `[control]`; paths are looked up from `folder`.
pub(super) fn check(file: Spanned<ControlFile>, folder: &Path, faults: &mut Faults) -> Control {
    let table = file.span();
    let file = file.into_inner();
    without_kafka(&table, "", faults);
    let wait = faults.value(file.wait).map_or(Duration::from_secs(5), |wait| {
        if *wait.get_ref() > LONGEST_WAIT {
            faults.at(&wait.span(), "a start that waits for longer than a minute is an outage", "write 60s or less");
        }
        wait.into_inner()
    });
    Control {
        brokers: brokers(file.brokers, &table, faults),
        topic: faults.or(file.topic, "dipcache.control".to_owned()),
        dead_letters: faults.or(file.dead_letters, "dipcache.control.dead".to_owned()),
        properties: pairs(file.properties, "property", faults),
        wait,
        state: beside(folder, &faults.or(file.state, "control.json".to_owned())),
        create_topic: faults.or(file.create_topic, true),
    }
}
