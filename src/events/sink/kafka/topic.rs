//! Sees that the topic exists: once, aside, as soon as a broker answers.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;

use crate::events::sink::kafka::Settings;
use crate::events::sink::kafka::context::Silent;

const ANSWER: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_secs(1);
/// Whoever has not answered by then has a topic, or an operator who makes one.
const TRIES: u32 = 600;

/// Creates the topic where it is missing. Partitions and copies are the broker's choice. What goes wrong is said
/// once and otherwise left to the records, whose refusal tells more.
pub(super) fn see_that_it_exists(settings: Settings) {
    let work = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() else { return };
        let Ok(client) = settings.client().create_with_context::<_, AdminClient<Silent>>(Silent) else { return };
        for _ in 0..TRIES {
            if runtime.block_on(create(&client, &settings)) {
                return;
            }
            std::thread::sleep(AGAIN);
        }
    };
    let _ = std::thread::Builder::new().name("kafka-topic".to_owned()).spawn(work);
}

/// False when nobody has answered.
async fn create(client: &AdminClient<Silent>, settings: &Settings) -> bool {
    let topic = NewTopic::new(&settings.topic, -1, TopicReplication::Fixed(-1));
    let options = AdminOptions::new().request_timeout(Some(ANSWER)).operation_timeout(Some(ANSWER));
    let Ok(answers) = client.create_topics([&topic], &options).await else { return false };
    for answer in answers {
        match answer {
            Ok(topic) => tracing::info!(sink = settings.name, topic, "the topic was missing and is created"),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, RDKafkaErrorCode::OperationTimedOut | RDKafkaErrorCode::RequestTimedOut)) => {
                tracing::debug!(topic, "no broker has created the topic in time");
                return false;
            }
            Err((topic, code)) => {
                tracing::warn!(sink = settings.name, topic, %code, "the topic cannot be created; if it is missing, create it by hand");
            }
        }
    }
    true
}
