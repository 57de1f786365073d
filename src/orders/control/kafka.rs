//! The topic in Kafka: read from its beginning, by a thread of its own, in nobody's group.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::Offset;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, ThreadedProducer};
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::catch_up::{Gathered, Heard};
use super::{CannotRead, ear::Ear};
use crate::config;
use crate::deadline::{calendar, now};
use crate::events::sink::kafka::Settings;
use crate::orders::applied::{Applied, Due};
use crate::orders::{CannotObey, Orders, Reach, written};

/// How long a broker may take to say what a topic is made of.
const ANSWER: Duration = Duration::from_secs(5);
/// Between two tries to find the topic.
const AGAIN: Duration = Duration::from_millis(500);
/// How long the reader waits for a message before it looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);
/// Between two notes of how far it is.
const NOTE: Duration = Duration::from_secs(1);

struct Reader {
    settings: Settings,
    control: config::Control,
    node: String,
    orders: Arc<Orders>,
    runtime: Handle,
    consumer: BaseConsumer<Ear>,
    dead_letters: ThreadedProducer<Ear>,
    applied: Applied,
    caught_up: watch::Sender<bool>,
    closing: Arc<AtomicBool>,
    /// Partitions whose end has not been seen; `None` once all of them have been.
    behind: Option<BTreeSet<i32>>,
    gathered: Gathered,
}

/// Makes the clients and starts the thread.
pub(super) fn start(
    control: &config::Control,
    node: &str,
    orders: Arc<Orders>,
    caught_up: watch::Sender<bool>,
    closing: Arc<AtomicBool>,
) -> Result<(), CannotRead> {
    let settings = Settings {
        name: "control".to_owned(),
        brokers: control.brokers.clone(),
        topic: control.topic.clone(),
        properties: control.properties.clone(),
        headers: Vec::new(),
        create_topic: control.create_topic,
    };
    let refused = |error: KafkaError| {
        CannotRead::Kafka(match error {
            // Its value may be a password.
            KafkaError::ClientConfig(_, what, name, _) => format!("{what} (`{name}`)"),
            other => other.to_string(),
        })
    };
    let mut consumer = settings.client();
    consumer
        // librdkafka wants a name; without a commit nothing is ever written under it.
        .set("group.id", format!("dipcache-control-{node}"))
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("enable.partition.eof", "true");
    let reader = Reader {
        consumer: consumer.create_with_context(Ear::default()).map_err(refused)?,
        dead_letters: settings.client().create_with_context(Ear::default()).map_err(refused)?,
        applied: Applied::open(control.state.clone(), &control.topic),
        settings,
        control: control.clone(),
        node: node.to_owned(),
        orders,
        runtime: Handle::current(),
        caught_up,
        closing,
        behind: Some(BTreeSet::new()),
        gathered: Gathered::default(),
    };
    let thread = std::thread::Builder::new().name("control".to_owned());
    thread.spawn(move || reader.run()).map_err(CannotRead::Thread)?;
    Ok(())
}

impl Reader {
    fn run(mut self) {
        while let Err(error) = self.find() {
            self.consumer.context().say(&format!("the control topic cannot be read yet: {error}"));
            std::thread::sleep(AGAIN);
            if self.closing.load(Ordering::Acquire) {
                return;
            }
        }
        let (mut noted, mut has_news) = (now(), false);
        while !self.closing.load(Ordering::Acquire) {
            match self.poll() {
                Ok(came) => has_news |= came,
                Err(KafkaError::PartitionEOF(partition)) => self.reached_end(partition),
                // A broker that is gone is found again by librdkafka.
                Err(error) => self.consumer.context().say(&error.to_string()),
            }
            if has_news && self.behind.is_none() && now() - noted >= NOTE {
                (noted, has_news) = (now(), false);
                self.note();
            }
        }
        if self.behind.is_none() {
            self.note();
        }
    }

    /// Finds the topic's partitions, makes it where it is missing, and begins at the beginning of each.
    fn find(&mut self) -> Result<(), KafkaError> {
        let topic = &self.control.topic;
        let about = self.consumer.fetch_metadata(Some(topic), ANSWER)?;
        let found = about.topics().iter().find(|found| found.name() == topic);
        let missing = found.is_none_or(|found| found.error().is_some() || found.partitions().is_empty());
        if missing {
            if self.control.create_topic {
                self.create()?;
            } else {
                // Nothing was ever ordered.
                self.caught_up.send_replace(true);
            }
            return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition));
        }
        let partitions: Vec<i32> =
            found.into_iter().flat_map(|found| found.partitions()).map(|partition| partition.id()).collect();
        let mut places = TopicPartitionList::new();
        for partition in &partitions {
            let (_, end) = self.consumer.fetch_watermarks(topic, *partition, ANSWER)?;
            self.applied.begin_anew(*partition, end);
            places.add_partition_offset(topic, *partition, Offset::Beginning)?;
        }
        self.consumer.assign(&places)?;
        self.behind = Some(partitions.into_iter().collect());
        Ok(())
    }

    /// One partition, since an order's time is its place among the others; stamped by the broker, which has one clock.
    fn create(&self) -> Result<(), KafkaError> {
        let client: AdminClient<Ear> = self.settings.client().create_with_context(Ear::default())?;
        let topic = |name| NewTopic::new(name, 1, TopicReplication::Fixed(-1)).set("cleanup.policy", "compact");
        let control = topic(&self.control.topic).set("message.timestamp.type", "LogAppendTime");
        let dead_letters = topic(&self.control.dead_letters);
        let options = AdminOptions::new().request_timeout(Some(ANSWER)).operation_timeout(Some(ANSWER));
        for answer in self.runtime.block_on(client.create_topics([&control, &dead_letters], &options))? {
            match answer {
                Ok(name) => tracing::info!(topic = name, "the topic was missing and is created"),
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => {
                    self.consumer.context().say(&format!("the topic {name} cannot be created: {code}"))
                }
            }
        }
        Ok(())
    }

    /// True when a message has come.
    fn poll(&mut self) -> Result<bool, KafkaError> {
        let heard = match self.consumer.poll(LOOK) {
            None => return Ok(false),
            Some(message) => {
                let message = message?;
                let (partition, offset) = (message.partition(), message.offset());
                match self.read(&message) {
                    Some(heard) => heard,
                    None => {
                        self.applied.done(partition, offset, None);
                        return Ok(true);
                    }
                }
            }
        };
        let id = heard.written.id.clone();
        let due = self.applied.is_due(heard.partition, heard.offset, &id);
        self.applied.done(heard.partition, heard.offset, Some(&id));
        match due {
            Due::Repeated => count("repeated"),
            _ if self.behind.is_some() => {
                self.gathered.add(heard, due == Due::New, calendar());
                if self.gathered.is_full() {
                    self.carry_out_gathered();
                }
            }
            Due::New => self.carry_out(heard),
            Due::Again => {}
        }
        Ok(true)
    }

    /// The order in a message; `None` for one that holds none, which is told to the dead letters.
    fn read(&self, message: &BorrowedMessage<'_>) -> Option<Heard> {
        // A tombstone: compaction has taken the order away.
        let bytes = message.payload()?;
        let (partition, offset) = (message.partition(), message.offset());
        let at = message.timestamp().to_millis().and_then(|at| u64::try_from(at).ok()).unwrap_or_else(calendar);
        match written::read(bytes) {
            Ok(written) => Some(Heard { written, at, partition, offset }),
            Err(reason) => {
                if !self.applied.was_done(partition, offset) {
                    self.bury(partition, offset, bytes, &reason);
                }
                None
            }
        }
    }

    fn reached_end(&mut self, partition: i32) {
        let Some(behind) = &mut self.behind else { return };
        behind.remove(&partition);
        if behind.is_empty() {
            self.behind = None;
            self.carry_out_gathered();
            self.note();
            self.caught_up.send_replace(true);
            tracing::info!(topic = self.control.topic, "all that was ordered is carried out");
        }
    }

    fn carry_out_gathered(&mut self) {
        for heard in self.gathered.take() {
            self.carry_out(heard);
        }
    }

    fn carry_out(&self, heard: Heard) {
        let Heard { written, at, partition, offset } = heard;
        let (id, order, lookup) = (written.id, written.order.name(), written.order.lookup().map(str::to_owned));
        match self.runtime.block_on(self.orders.carry_out(written.order.clone(), Reach::Here { at })) {
            Ok(said) => {
                count("done");
                tracing::info!(id, order, "as ordered: {said}");
            }
            // Another node may have what this one has not.
            Err(CannotObey::Unknown(why)) => {
                count("unknown");
                tracing::warn!(id, order, lookup, "an order is not for this node: {why}");
            }
            Err(why @ (CannotObey::Wrong(_) | CannotObey::NotNow(_))) => {
                let bytes = written::write(&id, &written.order);
                self.bury(partition, offset, &bytes, &why.to_string());
            }
        }
    }

    /// Every node buries what it cannot carry out under the same key: compaction leaves one.
    fn bury(&self, partition: i32, offset: i64, bytes: &[u8], reason: &str) {
        count("dead");
        tracing::warn!(partition, offset, reason, "an order cannot be carried out; it goes to the dead letters");
        let key = format!("{}/{partition}/{offset}", self.control.topic);
        let header = |headers: OwnedHeaders, key, value| headers.insert(Header { key, value: Some(value) });
        let headers = header(header(OwnedHeaders::new(), "reason", reason), "node", &self.node);
        let letter = BaseRecord::to(&self.control.dead_letters).key(&key).payload(bytes).headers(headers);
        if let Err((error, _)) = self.dead_letters.send(letter) {
            tracing::error!(partition, offset, %error, "a dead letter cannot be sent");
        }
    }

    fn note(&mut self) {
        if let Err(error) = self.applied.note() {
            let text = format!(
                "how far the control topic is read cannot be noted in {}: {error}",
                self.control.state.display()
            );
            self.consumer.context().say(&text);
        }
    }
}

fn count(result: &'static str) {
    metrics::counter!("dipcache_control_orders_total", "result" => result).increment(1);
}
