//! Whose turn it is: one node of the cluster runs a scheduled job, another goes on when it dies.
//!
//! The node that runs it holds a lease ([`Cluster::lease`]), which it loses when it dies; `warm-run` in the memory that the
//! nodes share says which run it is, up to which line it has come and whether it is done. Who gets the lease goes on
//! from that line. Without memcached nobody knows what the others do: then the job waits, since three nodes
//! that ask for the same keys cost three times the money.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cache::shared::Fault;
use crate::lookup::{Cluster, Lease};
use crate::warm::own::OwnJob;
use crate::warm::{Job, NotBegun, State, Told};

/// How often the lease is looked for, and progress is noted.
const BEAT: Duration = Duration::from_secs(1);

/// How long a run is remembered, in seconds.
const REMEMBERED: u32 = 7 * 86_400;

/// The run as the nodes know it.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    /// Which run: when it was due, in seconds since 1970.
    run: i64,
    /// Up to which line it has come.
    through: u64,
    done: bool,
}

/// How a run ended, as far as this node is concerned.
#[derive(Debug)]
pub(super) enum Ended {
    /// This node ran it, or the last part of it.
    Here(Told),
    /// Another node did.
    Elsewhere,
    /// This node cannot run it.
    NotBegun(NotBegun),
}

/// One run of a job in the cluster.
pub(super) struct Turn<'a> {
    pub cluster: &'a Arc<Cluster>,
    /// The lookup's name.
    pub name: &'a str,
    /// When it was due, in seconds since 1970: the same on every node.
    pub run: i64,
}

impl Turn<'_> {
    /// Sees to it that the run is made, here or elsewhere.
    pub(super) async fn see_to_it(&self, own: &OwnJob) -> Ended {
        let lease_name = format!("warm:{}", self.name);
        loop {
            // Without an answer from memcached nobody has the lease, and neither have we.
            let lease = self.cluster.lease(&lease_name).await.ok().flatten();
            let known = self.known().await;
            if known.as_ref().is_some_and(|known| known.run > self.run || (known.run == self.run && known.done)) {
                return Ended::Elsewhere;
            }
            if let Some(lease) = lease {
                let through = known.filter(|known| known.run == self.run).map_or(0, |known| known.through);
                let mut job = match own.begin(through).await {
                    Ok(job) => job,
                    Err(why) => return Ended::NotBegun(why),
                };
                if let Some(told) = self.follow(&mut job, &lease, through).await {
                    return Ended::Here(told);
                }
            }
            tokio::time::sleep(BEAT).await;
        }
    }

    /// Notes how far it has come until the job has ended. `None`: the lease is lost.
    async fn follow(&self, job: &mut Job, lease: &Lease, from: u64) -> Option<Told> {
        loop {
            let told = job.told_after(BEAT).await;
            if !lease.is_held() {
                return None;
            }
            let done = told.state == State::Done;
            // What is not noted is looked at again by the next node, and what is fresh costs nothing there.
            let _ = self.note(&Known { run: self.run, through: told.through.max(from), done }).await;
            if told.state.is_over() {
                return Some(told);
            }
        }
    }

    async fn known(&self) -> Option<Known> {
        let (value, _) = self.cluster.shared().read("warm-run", self.name).await.ok()??;
        serde_json::from_slice(&value).ok()
    }

    async fn note(&self, known: &Known) -> Result<bool, Fault> {
        let shared = self.cluster.shared();
        let version = shared.read("warm-run", self.name).await?.map(|(_, version)| version);
        // Numbers and a boolean: serialising them has no way to fail.
        let value = serde_json::to_vec(known).unwrap_or_default();
        shared.swap(("warm-run", self.name), value, version, REMEMBERED).await
    }
}
