//! A Kafka cluster, through librdkafka.
//!
//! librdkafka's queue is memory and gives nothing back, so it is only a window: the spool keeps every event until
//! its delivery report has come. Records never time out in there: as an idempotent producer it keeps each
//! partition in order for as long as it lives, and an event that timed out alone would be overtaken
//! when it is sent again. A producer that is given up is replaced whole.

mod context;
pub(in crate::events) mod follow;
mod topic;

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};

use crate::events::sink::{CannotMake, Note, Verdict};
use crate::events::spool::Record;
use context::{Context, Tag};

/// How long a probe waits for a broker.
const PROBE: Duration = Duration::from_secs(2);

/// What it is made of.
#[derive(Clone)]
pub struct Settings {
    /// The sink's name.
    pub name: String,
    /// `host:port` of some brokers.
    pub brokers: Vec<String>,
    /// The topic.
    pub topic: String,
    /// Handed to librdkafka as they are.
    pub properties: Vec<(String, String)>,
    /// Sent along with every event.
    pub headers: Vec<(String, String)>,
    /// True: a missing topic is created.
    pub create_topic: bool,
}

impl Settings {
    /// librdkafka's config: what every client needs, then the operator's own words, which win.
    pub fn client(&self) -> ClientConfig {
        self.with(&[])
    }

    /// The same with what keeps a producer's promises.
    fn producer(&self) -> ClientConfig {
        self.with(&[
            ("enable.idempotence", "true"),
            ("message.timeout.ms", "0"),
            // A request that a frozen broker never answers is put again, in order, on a new connection.
            ("socket.timeout.ms", "10000"),
            ("request.timeout.ms", "10000"),
        ])
    }

    /// Written out from the operator's own properties each time: `ClientConfig` shows its passwords to nobody, so a
    /// config that is copied from another one logs in nowhere.
    fn with(&self, own: &[(&str, &str)]) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", self.brokers.join(","))
            .set("client.id", "dipcache")
            .set("socket.keepalive.enable", "true")
            // A broker that comes back is found within a second.
            .set("reconnect.backoff.ms", "100")
            .set("reconnect.backoff.max.ms", "1000")
            .set("topic.metadata.refresh.interval.ms", "30000");
        let theirs = self.properties.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in own.iter().copied().chain(theirs) {
            client.set(name, value);
        }
        client
    }
}

impl fmt::Debug for Settings {
    /// Without the properties: a password may be among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("name", &self.name).field("topic", &self.topic).finish_non_exhaustive()
    }
}

/// The sink.
pub(in crate::events) struct KafkaSink {
    settings: Settings,
    index: usize,
    notes: Sender<Note>,
    producer: ThreadedProducer<Context>,
    headers: OwnedHeaders,
    generation: u64,
}

impl fmt::Debug for KafkaSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSink").field("name", &self.settings.name).finish_non_exhaustive()
    }
}

impl KafkaSink {
    /// Makes the producer; needs no broker for that.
    pub(super) fn new(settings: Settings, index: usize, notes: Sender<Note>) -> Result<Self, CannotMake> {
        let producer = produce(&settings, index, &notes).map_err(|error| CannotMake::Property {
            sink: settings.name.clone(),
            reason: match error {
                // Its value may be a password.
                KafkaError::ClientConfig(_, what, name, _) => format!("{what} (`{name}`)"),
                other => other.to_string(),
            },
        })?;
        if settings.create_topic {
            topic::see_that_it_exists(settings.clone());
        }
        let headers = settings
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
        Ok(Self { settings, index, notes, producer, headers, generation: 0 })
    }

    pub(super) fn send(&mut self, record: &Arc<Record>) -> Result<(), Verdict> {
        let tag = Box::new(Tag { generation: self.generation, offset: record.offset });
        let sent = BaseRecord::with_opaque_to(&self.settings.topic, tag)
            .key(&*record.key)
            .payload(&*record.text)
            .timestamp(i64::try_from(record.at_ms).unwrap_or(i64::MAX))
            .headers(self.headers.clone());
        self.producer.send(sent).map_err(|(error, _)| verdict(&error))
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.producer.context().trouble()
    }

    /// librdkafka gives up for good on some answers, such as a broker that has lost its log.
    pub(super) fn is_broken(&self) -> bool {
        self.producer.client().fatal_error().is_some()
    }

    pub(super) fn renew(&mut self) {
        self.generation += 1;
        match produce(&self.settings, self.index, &self.notes) {
            Ok(fresh) => {
                let old = std::mem::replace(&mut self.producer, fresh);
                // Its end may take as long as a broker is silent. Where there is no thread to be had we wait for it.
                let _ = std::thread::Builder::new().name("kafka-end".to_owned()).spawn(move || drop(old));
            }
            Err(error) => {
                // The same properties have worked before: this is want of memory or threads, and passes.
                tracing::error!(sink = self.settings.name, %error, "no new connection to Kafka can be made; the old one stays");
            }
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn probe(&self) {
        let (settings, notes, sink) = (self.settings.clone(), self.notes.clone(), self.index);
        let probe = move || {
            let answers = settings
                .client()
                .create_with_context::<_, rdkafka::producer::BaseProducer<context::Silent>>(context::Silent)
                .and_then(|client| client.client().fetch_metadata(None, PROBE).map(drop))
                .is_ok();
            // An error says that the courier has ended.
            let _ = notes.send(Note::Probed { sink, answers });
        };
        let _ = std::thread::Builder::new().name("kafka-probe".to_owned()).spawn(probe);
    }
}

fn produce(settings: &Settings, index: usize, notes: &Sender<Note>) -> Result<ThreadedProducer<Context>, KafkaError> {
    let context = Context::new(settings.name.clone(), index, notes.clone());
    settings.producer().create_with_context(context)
}

/// True for a refusal that may be meant for another record of the same batch.
fn is_about_a_batch(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::MessageSizeTooLarge
                | Code::InvalidMessage
                | Code::InvalidMessageSize
                | Code::InvalidRecord
                | Code::MessageBatchTooLarge
        )
    )
}

/// Whether a record may be sent again.
fn verdict(error: &KafkaError) -> Verdict {
    use RDKafkaErrorCode as Code;
    let reason = error.to_string();
    match error.rdkafka_error_code() {
        Some(
            Code::MessageSizeTooLarge
            | Code::InvalidMessage
            | Code::InvalidMessageSize
            | Code::InvalidRecord
            | Code::MessageBatchTooLarge
            | Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::InvalidTopic
            | Code::UnknownTopic
            | Code::UnknownTopicOrPartition
            | Code::UnknownPartition
            | Code::PolicyViolation,
        ) => Verdict::Refused(reason),
        _ => Verdict::Failed(reason),
    }
}
