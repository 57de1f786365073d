//! What a vendor does at this moment, and how often it was asked.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dipcache::demo::vendors::{Mode, Order};

/// How a vendor is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `GET`, and JSON comes back.
    Http,
    /// DNS over UDP.
    Dns,
}

/// What a vendor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conduct {
    /// How it behaves.
    pub mode: Mode,
    /// How long an answer takes when all is well.
    pub latency: Duration,
}

impl Conduct {
    /// The conduct after an order, which changes what it names.
    #[must_use]
    pub fn after(self, order: Order) -> Self {
        Self {
            mode: order.mode.unwrap_or(self.mode),
            latency: order.latency_ms.map_or(self.latency, Duration::from_millis),
        }
    }

    /// How long an answer takes.
    pub fn delay(self) -> Duration {
        if self.mode == Mode::Slow { self.latency * 10 } else { self.latency }
    }
}

/// One vendor, as those see it who give it orders.
#[derive(Debug)]
pub struct Stand {
    protocol: Protocol,
    address: SocketAddr,
    conduct: Mutex<Conduct>,
    requests: AtomicU64,
}

impl Stand {
    pub(super) fn new(protocol: Protocol, address: SocketAddr, conduct: Conduct) -> Self {
        Self { protocol, address, conduct: Mutex::new(conduct), requests: AtomicU64::new(0) }
    }

    /// How it is spoken to.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it does.
    pub fn conduct(&self) -> Conduct {
        *self.conduct.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what it does: from the next question on; a port is opened or closed within 10 ms.
    pub fn obey(&self, order: Order) {
        let mut conduct = self.conduct.lock().unwrap_or_else(PoisonError::into_inner);
        *conduct = conduct.after(order);
    }

    /// Questions taken so far, answered or not.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(super) fn asked(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }
}
