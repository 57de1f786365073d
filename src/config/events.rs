//! `[events]`: where events go, in which order of preference, and where they wait.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;

use super::check::{beside, is_host_and_port};
use super::file::{EventsFile, SinkFile};
use crate::policy::Secret;
use crate::policy::check::secret_mend;
use crate::policy::secret::SecretError;
use crate::written::{Bytes, Faults, Node, Span, Spanned, Word};

/// Where events go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Events {
    /// Which sinks an event goes to.
    pub mode: EventsMode,
    /// The form of an event.
    pub form: EventsForm,
    /// The folder in which events wait that no sink has taken.
    pub spool: PathBuf,
    /// The most bytes that the spool holds.
    pub spool_max: u64,
    /// What is older goes.
    pub spool_age: Duration,
    /// What goes when the spool is full.
    pub when_full: WhenFull,
    /// Stale and fallback answers are summed up over this time.
    pub summary: Duration,
    /// In order of preference; with none, events stay in the spool.
    pub sinks: Vec<Sink>,
}

/// Which sinks an event goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventsMode {
    /// The first that works.
    Failover,
    /// Every one.
    All,
}

impl Word for EventsMode {
    const WHAT: &'static str = "a mode";
    const WORDS: &'static [(&'static str, Self)] = &[("failover", Self::Failover), ("all", Self::All)];
}

/// What goes when the spool is full. Each is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The oldest part of it.
    Oldest,
    /// Each event that finds no room.
    Newest,
    /// Every event until there is room for many: what is there has one gap, not a thousand.
    Refuse,
}

impl Word for WhenFull {
    const WHAT: &'static str = "a choice";
    const WORDS: &'static [(&'static str, Self)] =
        &[("oldest", Self::Oldest), ("newest", Self::Newest), ("refuse", Self::Refuse)];
}

/// The form of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventsForm {
    /// CloudEvents 1.0, JSON, structured mode.
    CloudEvents,
    /// A JSON-RPC notification, as OpenSIPS publishes.
    JsonRpc,
}

impl Word for EventsForm {
    const WHAT: &'static str = "a form of event";
    const WORDS: &'static [(&'static str, Self)] = &[("cloudevents", Self::CloudEvents), ("jsonrpc", Self::JsonRpc)];
}

/// One place that takes events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// A Kafka cluster.
    Kafka {
        /// The sink's name.
        name: String,
        /// `host:port` of some of its brokers.
        brokers: Vec<String>,
        /// The topic.
        topic: String,
        /// Handed to librdkafka as they are.
        properties: Vec<(String, String)>,
        /// Sent along with every event.
        headers: Vec<(String, String)>,
        /// True: a topic that is missing is created, if the broker lets us.
        create_topic: bool,
    },
    /// A file, one event a line.
    File {
        /// The sink's name.
        name: String,
        /// The file.
        path: PathBuf,
        /// A new file is begun when this one is so large.
        rotate_size: u64,
        /// A new file is begun when this one is so old.
        rotate_age: Duration,
        /// So many old files are kept.
        keep: usize,
    },
}

impl Sink {
    /// The sink's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Kafka { name, .. } | Self::File { name, .. } => name,
        }
    }
}

/// `type` of a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkType {
    /// See [`Sink::Kafka`].
    Kafka,
    /// See [`Sink::File`].
    File,
}

impl Word for SinkType {
    const WHAT: &'static str = "a type of sink";
    const WORDS: &'static [(&'static str, Self)] = &[("kafka", Self::Kafka), ("file", Self::File)];
}

/// Checks `[events]`; paths are looked up from `folder`.
pub(super) fn check(file: EventsFile, folder: &Path, faults: &mut Faults) -> Events {
    let mode = faults.or(file.mode, EventsMode::Failover);
    let form = faults.or(file.form, EventsForm::CloudEvents);
    let spool = faults.or(file.spool, "spool".to_owned());
    let spool_max = faults.or(file.spool_max, Bytes(1024 * 1024 * 1024)).0;
    let spool_age = faults.or(file.spool_age, Duration::from_secs(7 * 24 * 3600));
    let when_full = faults.or(file.when_full, WhenFull::Oldest);
    let summary = faults.or(file.summary, Duration::from_secs(10)).max(Duration::from_secs(1));
    let mut names = Vec::new();
    let sinks = file.sink.into_iter().filter_map(|sink| self::sink(sink, folder, faults, &mut names)).collect();
    Events { mode, form, spool: beside(folder, &spool), spool_max, spool_age, when_full, summary, sinks }
}

fn sink(file: Spanned<SinkFile>, folder: &Path, faults: &mut Faults, names: &mut Vec<String>) -> Option<Sink> {
    let table = file.span();
    let file = file.into_inner();
    if file.sink_type.is_none() {
        faults.missing(&table, "type", "`type` is missing", "add `type = \"kafka\"` or `type = \"file\"`");
    }
    let sink_type = faults.value(file.sink_type);
    if file.name.is_none() {
        faults.missing(&table, "name", "`name` is missing", "name the sink: metrics and events call it so");
    }
    let name = faults.value(file.name).map(|name| {
        if names.contains(name.get_ref()) {
            faults.at(&name.span(), format!("two sinks are called `{}`", name.get_ref()), "rename one of them");
        }
        names.push(name.get_ref().clone());
        name.into_inner()
    });
    let foreign: [(&str, SinkType, Option<Span>); 9] = [
        ("brokers", SinkType::Kafka, file.brokers.as_ref().map(Spanned::span)),
        ("topic", SinkType::Kafka, file.topic.as_ref().map(Spanned::span)),
        ("properties", SinkType::Kafka, file.properties.as_ref().map(Spanned::span)),
        ("headers", SinkType::Kafka, file.headers.as_ref().map(Spanned::span)),
        ("create_topic", SinkType::Kafka, file.create_topic.as_ref().map(Spanned::span)),
        ("path", SinkType::File, file.path.as_ref().map(Spanned::span)),
        ("rotate_size", SinkType::File, file.rotate_size.as_ref().map(Spanned::span)),
        ("rotate_age", SinkType::File, file.rotate_age.as_ref().map(Spanned::span)),
        ("keep", SinkType::File, file.keep.as_ref().map(Spanned::span)),
    ];
    let sink_type = sink_type?.into_inner();
    for (key, owner, span) in foreign {
        if let (true, Some(span)) = (owner != sink_type, span) {
            faults.at(&span, format!("`{key}` means nothing for this type of sink"), "take it out");
        }
    }
    match sink_type {
        SinkType::File => {
            if file.path.is_none() {
                faults.missing(&table, "path", "`path` is missing", "add `path = \"events.jsonl\"`");
            }
            let path = faults.value(file.path)?;
            Some(Sink::File {
                name: name?,
                path: beside(folder, path.get_ref()),
                rotate_size: faults.or(file.rotate_size, Bytes(100 * 1024 * 1024)).0,
                rotate_age: faults.or(file.rotate_age, Duration::from_secs(24 * 3600)),
                keep: usize::try_from(faults.or(file.keep, 30)).unwrap_or(usize::MAX),
            })
        }
        SinkType::Kafka => {
            let brokers = brokers(file.brokers, &table, faults);
            let topic = faults.or(file.topic, "dipcache.events".to_owned());
            let properties = pairs(file.properties, "property", faults);
            let headers = pairs(file.headers, "header", faults);
            let create_topic = faults.or(file.create_topic, true);
            without_kafka(&table, ", or use a sink of type \"file\"", faults);
            Some(Sink::Kafka { name: name?, brokers, topic, properties, headers, create_topic })
        }
    }
}

/// Says so where a table needs Kafka and this program has none.
pub(super) fn without_kafka(table: &Span, else_: &str, faults: &mut Faults) {
    if !cfg!(feature = "kafka") {
        let mend = format!("build it with `cargo build --release` (the feature `kafka` is on then){else_}");
        faults.at(table, "this dipcache was built without Kafka", mend);
    }
}

/// Why librdkafka does not take a property; the value is not repeated, since it may be a password.
#[cfg(feature = "kafka")]
fn refused(name: &str, value: &str) -> Option<String> {
    use rdkafka::error::KafkaError::ClientConfig;
    use rdkafka::types::RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN;
    match rdkafka::ClientConfig::new().set(name, value).create_native_config() {
        Err(ClientConfig(RD_KAFKA_CONF_UNKNOWN, ..)) => Some(format!("librdkafka knows no property `{name}`")),
        Err(_) => Some(format!("librdkafka does not take this value for `{name}`")),
        Ok(_) => None,
    }
}

#[cfg(not(feature = "kafka"))]
fn refused(_name: &str, _value: &str) -> Option<String> {
    None
}

/// `brokers`, which must be there.
pub(super) fn brokers(lines: crate::written::Lines<String>, table: &Span, faults: &mut Faults) -> Vec<String> {
    const MEND: &str = "write `brokers = \"127.0.0.1:9092\"`, or a list of such";
    if lines.is_none() {
        faults.missing(table, "brokers", "`brokers` is missing", MEND);
    }
    let mut brokers = Vec::new();
    for written in faults.list(lines).unwrap_or_default() {
        // Kafka's own files write them in one text, with commas between.
        for broker in written.get_ref().split(',').map(str::trim) {
            if !is_host_and_port(broker) {
                faults.at(&written.span(), format!("`{broker}` is not a host and a port"), MEND);
            }
            brokers.push(broker.to_owned());
        }
    }
    brokers
}

/// A password is better kept elsewhere: what the reference says, and any other text as it is.
fn referred(value: String) -> Result<String, SecretError> {
    let is_reference = ["env:", "file:", "cred:"].iter().any(|scheme| value.starts_with(scheme));
    if is_reference { Secret::read(&value).map(|secret| secret.expose().to_owned()) } else { Ok(value) }
}

/// librdkafka takes text for every property; numbers and booleans may be written without quotes.
pub(super) fn pairs(
    table: Option<Spanned<IndexMap<Spanned<String>, Spanned<Node>>>>,
    what: &str,
    faults: &mut Faults,
) -> Vec<(String, String)> {
    let mut properties = Vec::new();
    for (name, value) in table.map(Spanned::into_inner).unwrap_or_default() {
        let span = value.span();
        let mut add = |value: String| {
            let value = match referred(value) {
                Ok(value) => value,
                Err(error) => {
                    faults.at(&span, error.to_string(), secret_mend(&error));
                    return;
                }
            };
            if what == "property"
                && let Some(why) = refused(name.get_ref(), &value)
            {
                faults.at(&name.span(), why, "the names and values are in librdkafka's CONFIGURATION.md");
            }
            properties.push((name.get_ref().clone(), value));
        };
        match value.into_inner() {
            Node::Text(text) => add(text),
            Node::Fixed(value) => add(value.to_string()),
            Node::List(_) | Node::Table(_) => {
                let mend = format!("write it as text; a name with dots needs quotes: \"{}.…\" = …", name.get_ref());
                faults.at(&span, format!("a {what} is text, a number, true or false"), mend);
            }
        }
    }
    properties
}
