//! A turn that one node of the cluster has at a time: for work that must not be done twice at once.
//!
//! `add` takes it, a task renews it several times in its life, and whoever holds it is told when it is lost: to another
//! node, or because memcached has not been heard for nearly as long as it keeps a turn that nobody renews. A node that dies
//! loses its turn by itself. No proof against a node that stands still and wakes up late: who must know looks again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use crate::cache::shared::Fault;
use crate::deadline::now;
use crate::lookup::Cluster;

/// What memcached keeps a turn for, in seconds; it cuts up to a second off.
const LIFE: u32 = 5;
/// Between two renewals.
const RENEW: Duration = Duration::from_secs(1);
/// The same, after one that failed.
const AGAIN: Duration = Duration::from_millis(200);
/// After so long without a renewal another node may have it.
const LOST: Duration = Duration::from_millis(3500);

/// A turn of ours; given back when dropped.
#[derive(Debug)]
pub struct Lease {
    held: watch::Receiver<bool>,
    _release: oneshot::Sender<()>,
}

impl Lease {
    /// True while it is ours.
    pub fn is_held(&self) -> bool {
        *self.held.borrow()
    }

    /// Waits until it is lost.
    pub async fn lost(&mut self) {
        // An error says that its task is gone, and with it the turn.
        let _ = self.held.wait_for(|held| !held).await;
    }
}

impl Cluster {
    /// Takes the turn of this name; `None` while another node (or another task of this one) has it.
    ///
    /// # Errors
    /// When memcached does not answer: then there are no turns, and each node decides for itself.
    pub async fn lease(self: &Arc<Self>, name: &str) -> Result<Option<Lease>, Fault> {
        let (tell, held) = watch::channel(true);
        let (release, released) = oneshot::channel();
        let holder = format!("{}:{:08x}", self.node(), fastrand::u32(..)).into_bytes();
        let turn = Turn { cluster: Arc::clone(self), name: name.to_owned(), holder };
        if !turn.add().await? {
            return Ok(None);
        }
        tokio::spawn(async move {
            turn.keep(released).await;
            tell.send_replace(false);
        });
        Ok(Some(Lease { held, _release: release }))
    }
}

struct Turn {
    cluster: Arc<Cluster>,
    name: String,
    /// Who has it: no two leases are the same.
    holder: Vec<u8>,
}

impl Turn {
    /// Renews it until it is released or lost.
    async fn keep(self, mut released: oneshot::Receiver<()>) {
        let (mut confirmed, mut pause) = (now(), RENEW);
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = &mut released => break self.give_back().await,
            }
            // What is written now lives from before the answer on.
            let asked = now();
            match self.swap(LIFE).await {
                Ok(true) => (confirmed, pause) = (asked, RENEW),
                Ok(false) => return,
                Err(_) if now() - confirmed >= LOST => return,
                Err(_) => pause = AGAIN,
            }
        }
    }

    async fn add(&self) -> Result<bool, Fault> {
        self.cluster.shared().swap(("turn", &self.name), self.holder.clone(), None, LIFE).await
    }

    /// Writes it for so many seconds; false when it is not ours any more.
    async fn swap(&self, life: u32) -> Result<bool, Fault> {
        let shared = self.cluster.shared();
        match shared.read("turn", &self.name).await? {
            Some((holder, version)) if holder == self.holder => {
                shared.swap(("turn", &self.name), holder, Some(version), life).await
            }
            // memcached has lost it, and nobody was faster.
            None => self.add().await,
            Some(_) => Ok(false),
        }
    }

    /// Leaves it to whoever wants it. Only by `cas`: it may be another's by now.
    async fn give_back(&self) {
        let shared = self.cluster.shared();
        if let Ok(Some((holder, version))) = shared.read("turn", &self.name).await
            && holder == self.holder
        {
            // One second is the shortest life there is. If this fails, its usual life ends it.
            let _ = shared.swap(("turn", &self.name), holder, Some(version), 1).await;
        }
    }
}
