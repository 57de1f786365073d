//! What librdkafka says of itself, passed on once a minute.

use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext};

use crate::deadline::{Instant, now};

/// librdkafka repeats itself with every attempt to connect.
const QUIET: Duration = Duration::from_secs(60);

/// One client's ear.
#[derive(Debug, Default)]
pub(super) struct Ear {
    told: Mutex<Option<Instant>>,
}

impl Ear {
    pub(super) fn say(&self, words: &str) {
        let mut told = self.told.lock();
        if told.is_none_or(|told| now().saturating_duration_since(told) >= QUIET) {
            *told = Some(now());
            tracing::warn!("control topic: {words}");
        }
    }
}

impl ClientContext for Ear {
    fn log(&self, level: RDKafkaLogLevel, _facility: &str, words: &str) {
        match level {
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice | RDKafkaLogLevel::Debug => {
                tracing::debug!("control topic: {words}");
            }
            _ => self.say(words),
        }
    }

    fn error(&self, error: KafkaError, words: &str) {
        // That all is read is no fault.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            self.say(words);
        }
    }
}

impl ConsumerContext for Ear {}

impl ProducerContext for Ear {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.say(&format!("a dead letter is lost: {error}"));
        }
    }
}
