//! The places that take events. A sink takes records and later says of each, once, what became of it.

mod file;
#[cfg(feature = "kafka")]
pub mod kafka;

use std::sync::Arc;
use std::sync::mpsc::Sender;

use crate::config;
use crate::events::spool::Record;
use file::FileSink;

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The sink has it.
    Delivered,
    /// The sink will never take it, for this reason.
    Refused(String),
    /// The sink will not take it together with its neighbours, for this reason: one of them, or it.
    Suspected(String),
    /// Not this time.
    Failed(String),
}

/// What a courier hears.
#[derive(Debug)]
pub enum Note {
    /// What became of a record that was given to the sink while this was its generation.
    Report {
        /// The sink's place in the list.
        sink: usize,
        /// Which life of the sink.
        generation: u64,
        /// The record.
        offset: u64,
        /// What became of it.
        verdict: Verdict,
    },
    /// There is something new in the spool.
    Woken,
    /// A sink that was down was tried.
    Probed {
        /// Its place in the list.
        sink: usize,
        /// True: it answers.
        answers: bool,
    },
    /// The run ends.
    Close,
    /// Files are to be begun anew.
    Rotate,
}

/// Why a sink cannot be made of its config.
#[derive(Debug, thiserror::Error)]
pub enum CannotMake {
    /// librdkafka does not like a property.
    #[error("events sink `{sink}`: {reason}; the names and values are in librdkafka's CONFIGURATION.md")]
    Property {
        /// The sink.
        sink: String,
        /// librdkafka's words.
        reason: String,
    },
    /// Built without it.
    #[error("events sink `{sink}`: this dipcache was built without the feature `kafka`")]
    NotBuilt {
        /// The sink.
        sink: String,
    },
}

/// One sink, as its courier sees it.
#[derive(Debug)]
pub(super) enum Sink {
    File(FileSink),
    #[cfg(feature = "kafka")]
    Kafka(kafka::KafkaSink),
}

impl Sink {
    pub(super) fn make(
        config: &config::Sink,
        form: config::EventsForm,
        index: usize,
        notes: &Sender<Note>,
    ) -> Result<Self, CannotMake> {
        match config {
            config::Sink::File { path, rotate_size, rotate_age, keep, .. } => {
                let bounds = file::Bounds { size: *rotate_size, age: *rotate_age, keep: *keep };
                Ok(Self::File(FileSink::new(path.clone(), bounds, index, notes.clone())))
            }
            #[cfg(feature = "kafka")]
            config::Sink::Kafka { name, brokers, topic, properties, headers, create_topic } => {
                let content_type = match form {
                    config::EventsForm::CloudEvents => "application/cloudevents+json; charset=UTF-8",
                    config::EventsForm::JsonRpc => "application/json",
                };
                let mut headers = headers.clone();
                headers.push(("content-type".to_owned(), content_type.to_owned()));
                let settings = kafka::Settings {
                    name: name.clone(),
                    brokers: brokers.clone(),
                    topic: topic.clone(),
                    properties: properties.clone(),
                    headers,
                    create_topic: *create_topic,
                };
                kafka::KafkaSink::new(settings, index, notes.clone()).map(Self::Kafka)
            }
            #[cfg(not(feature = "kafka"))]
            config::Sink::Kafka { name, .. } => {
                let _ = form;
                Err(CannotMake::NotBuilt { sink: name.clone() })
            }
        }
    }

    /// Gives it a record. `Err` takes it back at once; after `Ok` there is one report.
    pub(super) fn send(&mut self, record: &Arc<Record>) -> Result<(), Verdict> {
        match self {
            Self::File(file) => file.send(record),
            #[cfg(feature = "kafka")]
            Self::Kafka(kafka) => kafka.send(record),
        }
    }

    /// Nothing more comes for now.
    pub(super) fn flush(&mut self) {
        match self {
            Self::File(file) => file.flush(),
            #[cfg(feature = "kafka")]
            Self::Kafka(_) => {}
        }
    }

    /// What it has lamented, if it can do nothing at all at present.
    pub(super) fn trouble(&self) -> Option<String> {
        match self {
            Self::File(file) => file.trouble(),
            #[cfg(feature = "kafka")]
            Self::Kafka(kafka) => kafka.trouble(),
        }
    }

    /// True once nothing but a new beginning helps.
    pub(super) fn is_broken(&self) -> bool {
        match self {
            Self::File(_) => false,
            #[cfg(feature = "kafka")]
            Self::Kafka(kafka) => kafka.is_broken(),
        }
    }

    /// Begins anew: what it has is given up, and what it says of that later is not heard.
    pub(super) fn renew(&mut self) {
        match self {
            Self::File(file) => file.renew(),
            #[cfg(feature = "kafka")]
            Self::Kafka(kafka) => kafka.renew(),
        }
    }

    /// Which life this is: counts the renewals.
    pub(super) fn generation(&self) -> u64 {
        match self {
            Self::File(file) => file.generation(),
            #[cfg(feature = "kafka")]
            Self::Kafka(kafka) => kafka.generation(),
        }
    }

    /// Tries it aside; the answer comes as [`Note::Probed`].
    pub(super) fn probe(&self) {
        match self {
            Self::File(file) => file.probe(),
            #[cfg(feature = "kafka")]
            Self::Kafka(kafka) => kafka.probe(),
        }
    }

    /// Puts the present file aside.
    pub(super) fn rotate(&mut self) {
        match self {
            Self::File(file) => file.rotate(),
            #[cfg(feature = "kafka")]
            Self::Kafka(_) => {}
        }
    }
}
