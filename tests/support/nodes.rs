//! Several nodes of ours in one process: each with its own lookups, events and shared cache, without fronts.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dipcache::config::{Quorum, Ring, Shared};
use dipcache::events::{Event, EventType, Events};
use dipcache::lookup::{Cluster, Lookup, Lookups};
use tokio::task::JoinHandle;

use super::lookups::policy;

/// One node; dies like a killed one when dropped.
pub struct Node {
    pub lookups: Arc<Lookups>,
    pub events: Arc<Events>,
    pub cluster: Arc<Cluster>,
    heard: Arc<Mutex<Vec<Arc<Event>>>>,
    tasks: [JoinHandle<()>; 2],
}

/// `[shared]` with these servers and the defaults of the config.
pub fn shared(servers: &[String]) -> Shared {
    Shared {
        servers: servers.to_vec(),
        prefix: "dip:".to_owned(),
        timeout: Duration::from_millis(5),
        ring: Ring::Ketama,
        quorum: Quorum::Majority,
        single_flight: false,
    }
}

impl Node {
    /// Starts one with these policies, and has it join the others.
    pub async fn start(name: &str, shared: Shared, policies: &[(&str, &str)]) -> Self {
        let events = Arc::new(Events::default());
        let heard = Arc::default();
        // The node itself keeps only the latest.
        let (all, told) = (Arc::clone(&heard), Arc::clone(&events));
        let hearing = tokio::spawn(async move {
            loop {
                hear(&all, &told);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        let cluster = Cluster::start(shared, name, &events);
        let lookups = Arc::new(Lookups::sharing(Arc::clone(&cluster)));
        let policies = policies.iter().map(|(name, text)| policy(name, text)).collect();
        lookups.install(policies, &events).expect("upstreams that can be built");
        cluster.join(&lookups).await;
        let (beating, all) = (Arc::clone(&cluster), Arc::clone(&lookups));
        let task = tokio::spawn(async move { beating.run(all, std::future::pending()).await });
        Self { lookups, events, cluster, heard, tasks: [task, hearing] }
    }

    /// The lookup of this name.
    pub fn lookup(&self, name: &str) -> Arc<Lookup> {
        self.lookups.find(name).expect("a lookup of this name")
    }

    /// All events of this kind.
    pub fn told(&self, event: EventType) -> Vec<Arc<Event>> {
        hear(&self.heard, &self.events);
        let heard = self.heard.lock().expect("no panic under the lock");
        heard.iter().filter(|told| told.event == event).cloned().collect()
    }
}

fn hear(heard: &Mutex<Vec<Arc<Event>>>, events: &Events) {
    let mut heard = heard.lock().expect("no panic under the lock");
    for event in events.recent() {
        if !heard.iter().any(|known| Arc::ptr_eq(known, &event)) {
            heard.push(event);
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
