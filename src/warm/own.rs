//! The policy's own job: its keys, its pace, one run of it.

use std::sync::Arc;
use std::time::Duration;

use crate::events::{Event, EventType};
use crate::lookup::Lookup;
use crate::warm::job::Pacing;
use crate::warm::turn::{Ended, Turn};
use crate::warm::{Job, NotBegun, State, Told, Warming, sources};

/// How often a run is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The slowest that a job is spread, in dips a second.
const SLOWEST: f64 = 0.1;

/// The job of a lookup's policy.
pub(super) struct OwnJob {
    pub warming: Arc<Warming>,
    pub lookup: Arc<Lookup>,
    /// The keys that were asked for most.
    pub hot: Vec<String>,
}

impl OwnJob {
    /// One run. With a moment when it was due it is made once in the cluster; without one, by whoever was asked to.
    pub(super) async fn run(self, due: Option<i64>) {
        let name = Arc::clone(&self.lookup.policy.name);
        let ended = match due.zip(self.lookup.cluster()) {
            Some((run, cluster)) => Turn { cluster, name: &name, run }.see_to_it(&self).await,
            None => match self.begin(0).await {
                Ok(job) => Ended::Here(followed(job).await),
                Err(why) => Ended::NotBegun(why),
            },
        };
        match ended {
            Ended::Here(told) => self.tell(&told),
            Ended::Elsewhere => tracing::info!(lookup = &*name, "another node has made this run of the warm job"),
            Ended::NotBegun(why) => tracing::error!(lookup = &*name, %why, "the warm job does not run"),
        }
    }

    /// Begins behind a line.
    pub(super) async fn begin(&self, through: u64) -> Result<Job, NotBegun> {
        let policy = &self.lookup.policy;
        let gathered = sources::gather(policy, self.hot.clone()).await.map_err(NotBegun::NoKeys)?;
        let spread = policy.warm.over.map(|over| (gathered.count as f64 / over.as_secs_f64()).max(SLOWEST));
        let per_second = match (policy.warm.rate, spread) {
            (Some(rate), Some(spread)) => Some(rate.min(spread)),
            (rate, spread) => rate.or(spread),
        };
        tracing::info!(lookup = &*policy.name, keys = gathered.count, behind = through, "a warm job begins");
        self.warming.begin(&policy.name, gathered.read(through), Pacing { per_second, renew: None })
    }

    fn tell(&self, told: &Told) {
        let Told { keys, hits, dips, failed, bad, seconds, why, .. } = told;
        let how = if told.state == State::Done { String::new() } else { format!(", ended early: {why}") };
        let reason = format!(
            "{keys} keys in {seconds:.0} s: {hits} fresh already, {dips} dips, {failed} failed, {bad} no keys{how}"
        );
        let lookup = Some(Arc::clone(&self.lookup.policy.name));
        self.warming.events.raise(Event { lookup, ..Event::of_node(EventType::WarmFinished, reason) });
    }
}

async fn followed(mut job: Job) -> Told {
    loop {
        let told = job.told_after(LOOK).await;
        if told.state.is_over() {
            return told;
        }
    }
}
