//! The control topic: orders from other systems, which every node reads by itself.
//!
//! An account system that writes `{"id":"b-1","order":"flush","lookup":"account","key":"4711"}` drops a stale balance on
//! every node at once. The topic is compacted, so a node that was away finds the last word on every subject in it,
//! and hears that before it serves its first call, for as long as it is willing to wait.

#[cfg(feature = "kafka")]
mod catch_up;
#[cfg(feature = "kafka")]
mod ear;
#[cfg(feature = "kafka")]
mod kafka;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::config;
use crate::deadline::Deadline;
use crate::orders::Orders;

/// Why the control topic cannot be read at all. Brokers that do not answer are no reason.
#[derive(Debug, thiserror::Error)]
pub enum CannotRead {
    /// librdkafka does not like a property, or cannot begin.
    #[error("[control]: {0}")]
    Kafka(String),
    /// The system.
    #[error("no thread for the control topic")]
    Thread(#[source] std::io::Error),
}

/// The reader of the control topic. It ends when this is dropped.
#[derive(Debug)]
pub struct Control {
    caught_up: watch::Receiver<bool>,
    closing: Arc<AtomicBool>,
}

impl Control {
    /// Begins to read; waits for no broker. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// See [`CannotRead`].
    pub fn start(settings: &config::Control, node: &str, orders: Arc<Orders>) -> Result<Self, CannotRead> {
        #[cfg(feature = "kafka")]
        {
            let (told, caught_up) = watch::channel(false);
            let closing = Arc::new(AtomicBool::new(false));
            kafka::start(settings, node, orders, told, Arc::clone(&closing))?;
            Ok(Self { caught_up, closing })
        }
        #[cfg(not(feature = "kafka"))]
        {
            let _ = (settings, node, orders);
            Err(CannotRead::Kafka("this dipcache was built without the feature `kafka`".to_owned()))
        }
    }

    /// Waits until all that was ordered while this node was away is carried out; false when it is not by then.
    pub async fn caught_up(&self, deadline: Deadline) -> bool {
        let mut caught_up = self.caught_up.clone();
        // An error says that the reader has ended: nothing more comes.
        matches!(deadline.limit(caught_up.wait_for(|caught_up| *caught_up)).await, Some(Ok(_)))
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Release);
    }
}
