//! What librdkafka calls back: delivery reports, laments, log lines.

use std::sync::mpsc::Sender;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext};

use crate::deadline::{Instant, now};
use crate::events::sink::kafka::{is_about_a_batch, verdict};
use crate::events::sink::{Note, Verdict};

/// librdkafka repeats itself with every attempt to connect: we pass on one line in this time.
const QUIET: Duration = Duration::from_secs(60);

/// Which record a report is about.
#[derive(Debug)]
pub(super) struct Tag {
    pub generation: u64,
    pub offset: u64,
}

/// One producer's ear.
pub(super) struct Context {
    name: String,
    index: usize,
    notes: Sender<Note>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// No broker is reachable, or none lets us in.
    trouble: Option<String>,
    /// What one broker's connection ended with.
    lament: Option<String>,
    told: Option<Instant>,
    untold: u64,
}

impl Context {
    pub(super) fn new(name: String, index: usize, notes: Sender<Note>) -> Self {
        Self { name, index, notes, state: Mutex::default() }
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.state.lock().trouble.clone()
    }

    fn say(&self, words: &str) {
        let mut state = self.state.lock();
        let now = now();
        if state.told.is_some_and(|told| now.saturating_duration_since(told) < QUIET) {
            state.untold += 1;
            return;
        }
        state.told = Some(now);
        let untold = std::mem::take(&mut state.untold);
        drop(state);
        tracing::warn!(sink = self.name, untold, "Kafka: {words}");
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, _facility: &str, words: &str) {
        match level {
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice | RDKafkaLogLevel::Debug => {
                tracing::debug!(sink = self.name, "Kafka: {words}");
            }
            _ => self.say(words),
        }
    }

    fn error(&self, error: KafkaError, words: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            // That all are down says nothing; what the last one said does.
            let mut state = self.state.lock();
            state.trouble = Some(state.lament.take().unwrap_or_else(|| words.to_owned()));
            return;
        }
        self.state.lock().lament = Some(words.to_owned());
        self.say(words);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Tag>;

    fn delivery(&self, result: &DeliveryResult<'_>, tag: Self::DeliveryOpaque) {
        let verdict = match result {
            Ok(_) => {
                self.state.lock().trouble = None;
                Verdict::Delivered
            }
            Err((error, _)) => match verdict(error) {
                // A broker refuses a batch as a whole for one of its records.
                Verdict::Refused(reason) if is_about_a_batch(error) => Verdict::Suspected(reason),
                other => other,
            },
        };
        let Tag { generation, offset } = *tag;
        // An error says that the courier has ended; its floor says what it has not heard of.
        let _ = self.notes.send(Note::Report { sink: self.index, generation, offset, verdict });
    }
}

/// For a client that lives for one question: the sink's own producer does the lamenting.
pub(super) struct Silent;

impl ClientContext for Silent {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _words: &str) {}
    fn error(&self, _error: KafkaError, _words: &str) {}
}

impl ProducerContext for Silent {
    type DeliveryOpaque = ();
    fn delivery(&self, _result: &DeliveryResult<'_>, (): ()) {}
}
