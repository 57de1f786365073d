//! What the proxy asks: vendors over HTTP and name servers, all on one thread, at our orders.
//!
//! They take the demo's words (`ok`, `slow`, `hang`, `reset`, `error`, `garbage`, `refuse`) and are no part of the proxy's
//! process, so that its processor time and memory are its own; and they keep time to tens of microseconds, so
//! that "60 ms" can be subtracted from what a caller waited.

mod conduct;
mod http;
mod dns;
mod desk;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::Context;
use indexmap::IndexMap;

pub use conduct::{Conduct, Protocol, Stand};

/// The vendors of a run. They end when this is dropped.
#[derive(Debug)]
pub struct Vendors {
    stands: IndexMap<String, Arc<Stand>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Vendors {
    /// Opens a port for each of these: `lrn/vendor-a` and how it is spoken to.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn start(cast: IndexMap<String, (Protocol, Conduct)>) -> anyhow::Result<Self> {
        let mut desk = desk::Desk::new().context("cannot start the vendors")?;
        let mut stands = IndexMap::new();
        for (name, (protocol, conduct)) in cast {
            let stand = desk.open(protocol, conduct).with_context(|| format!("cannot open a port for {name}"))?;
            stands.insert(name, stand);
        }
        let ended = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ended);
        let thread = std::thread::Builder::new()
            .name("vendors".to_owned())
            .spawn(move || desk.serve(&told))
            .context("cannot start the vendors")?;
        Ok(Self { stands, ended, thread: Some(thread) })
    }

    /// All of them, by name.
    pub fn stands(&self) -> &IndexMap<String, Arc<Stand>> {
        &self.stands
    }

    /// Where each listens.
    pub fn addresses(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        self.stands.iter().map(|(name, stand)| (name.as_str(), stand.address()))
    }
}

impl Drop for Vendors {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
