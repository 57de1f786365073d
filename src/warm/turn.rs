//! Whose turn it is: one node of the cluster runs a scheduled job, another goes on when it dies.
//!
//! Two keys in the memory that the nodes share: `warm-turn` names the node that runs the job and lives a few
//! seconds unless that node renews it; `warm-run` says which run it is, up to which line it has come and whether it is
//! done. Who finds no turn takes it (`add`: one of them is first) and goes on from that line. Without memcached nobody
//! knows what the others do: then the job waits, since three nodes that ask for the same keys cost three times the money.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cache::shared::Fault;
use crate::deadline::now;
use crate::lookup::Cluster;
use crate::warm::own::OwnJob;
use crate::warm::{Job, NotBegun, State, Told};

/// How long a turn lives that is not renewed, in seconds; memcached takes up to one off.
const TURN: u32 = 5;

/// How often a turn is renewed, or looked for.
const BEAT: Duration = Duration::from_secs(1);

/// Who could not renew its turn for so long must think that another node has it.
const LOST: Duration = Duration::from_secs(4);

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
        loop {
            match self.take().await {
                Ok(true) => {
                    let known = self.known().await.unwrap_or_default();
                    if known.run > self.run || (known.run == self.run && known.done) {
                        self.give_back();
                        return Ended::Elsewhere;
                    }
                    let through = if known.run == self.run { known.through } else { 0 };
                    let mut job = match own.begin(through).await {
                        Ok(job) => job,
                        Err(why) => {
                            self.give_back();
                            return Ended::NotBegun(why);
                        }
                    };
                    if let Some(told) = self.follow(&mut job, through).await {
                        self.give_back();
                        return Ended::Here(told);
                    }
                }
                Ok(false) => {
                    let known = self.known().await.unwrap_or_default();
                    if known.run > self.run || (known.run == self.run && known.done) {
                        return Ended::Elsewhere;
                    }
                }
                Err(_) => {}
            }
            tokio::time::sleep(BEAT).await;
        }
    }

    /// Renews the turn and notes how far it has come, until the job has ended. `None`: the turn is lost.
    async fn follow(&self, job: &mut Job, from: u64) -> Option<Told> {
        let mut renewed = now();
        loop {
            let told = job.told_after(BEAT).await;
            match self.renew().await {
                Ok(true) => renewed = now(),
                Ok(false) => return None,
                Err(_) if now() - renewed >= LOST => return None,
                Err(_) => {}
            }
            let done = told.state == State::Done;
            // One that is not noted is repeated by the next node, where what is fresh costs nothing.
            let _ = self.note(&Known { run: self.run, through: told.through.max(from), done }).await;
            if told.state.is_over() {
                return Some(told);
            }
        }
    }

    async fn take(&self) -> Result<bool, Fault> {
        self.cluster.shared().swap(("warm-turn", self.name), self.own(), None, TURN).await
    }

    async fn renew(&self) -> Result<bool, Fault> {
        let shared = self.cluster.shared();
        match shared.read("warm-turn", self.name).await? {
            Some((holder, version)) if holder == self.own() => {
                shared.swap(("warm-turn", self.name), self.own(), Some(version), TURN).await
            }
            Some(_) => Ok(false),
            // It ran out, or its server began anew: who is first has it.
            None => self.take().await,
        }
    }

    fn give_back(&self) {
        self.cluster.shared().remove("warm-turn", self.name);
    }

    fn own(&self) -> Vec<u8> {
        self.cluster.node().as_bytes().to_vec()
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
