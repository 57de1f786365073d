//! Reads the topic from its end, in nobody's group: looking on changes nothing.

use std::time::Duration;

use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::TopicPartitionList;

use crate::events::sink::kafka::Settings;
use crate::events::sink::kafka::context::Silent;

const PATIENCE: Duration = Duration::from_secs(10);

impl ConsumerContext for Silent {}

/// Gives every new event to `show`, until that answers false.
pub(in crate::events) fn follow(settings: &Settings, mut show: impl FnMut(&str) -> bool) -> Result<(), String> {
    let work = || -> Result<BaseConsumer<Silent>, rdkafka::error::KafkaError> {
        let mut client = settings.client();
        // librdkafka wants a name; without a commit nothing is ever written under it.
        client.set("group.id", "dipcache-tail").set("enable.auto.commit", "false");
        let consumer: BaseConsumer<Silent> = client.create_with_context(Silent)?;
        let about = consumer.fetch_metadata(Some(&settings.topic), PATIENCE)?;
        let mut places = TopicPartitionList::new();
        for partition in about.topics().iter().flat_map(|topic| topic.partitions()) {
            places.add_partition_offset(&settings.topic, partition.id(), Offset::End)?;
        }
        consumer.assign(&places)?;
        Ok(consumer)
    };
    let consumer =
        work().map_err(|error| format!("{error}; are the brokers of sink `{}` reachable?", settings.name))?;
    loop {
        match consumer.poll(Duration::from_secs(1)) {
            Some(Ok(record)) => {
                let text = String::from_utf8_lossy(record.payload().unwrap_or_default());
                if !show(&text) {
                    return Ok(());
                }
            }
            // A broker that is gone for a while is waited for.
            Some(Err(error)) => eprintln!("dipcache: {error}"),
            None => {}
        }
    }
}
