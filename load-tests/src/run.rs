//! One scenario from start to verdict: everything is started, filled, asked, broken and healed, and ended.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use chrono::{DateTime, Local};
use indexmap::IndexMap;

use crate::load::Load;
use crate::load::keys::Keys;
use crate::load::pace::Pace;
use crate::load::sample::Sample;
use crate::load::wire::Wire;
use crate::scenario::{Act, Event, Front, Plan, Scenario, Turn};
use crate::stage::{Kafka, Memcached, Needed, Proxy, Site, Spent};
use crate::vendor::{Conduct, Stand, Vendors};

/// How often the proxy's processor time and memory are read.
const READING: Duration = Duration::from_millis(100);

/// How fast keys are asked for that are to be there when a run begins.
const FILL: f64 = 8000.0;

/// How long filling may take for one caller: the proxy has just been started, and the vendors answer at once.
const FILL_PATIENCE: Duration = Duration::from_secs(10);

/// What a run came to.
#[derive(Debug)]
pub struct Run {
    /// What was run.
    pub scenario: Scenario,
    /// When.
    pub date: DateTime<Local>,
    /// On what machine.
    pub machine: String,
    /// What the binary says of itself.
    pub version: String,
    /// What callers got, by load.
    pub loads: IndexMap<String, Vec<Sample>>,
    /// What the proxy had used, and what vendors were asked, from time to time.
    pub readings: Vec<Reading>,
    /// From the proxy's start until it was ready.
    pub ready: Duration,
}

/// What had been used and asked at a moment.
#[derive(Clone, Debug)]
pub struct Reading {
    /// When.
    pub at: Duration,
    /// By the proxy.
    pub spent: Spent,
    /// Of each vendor, in the scenario's order.
    pub requests: Vec<u64>,
}

/// Everything that takes part.
struct Cast {
    proxy: Proxy,
    vendors: Vendors,
    memcached: Option<Memcached>,
    kafka: Option<Kafka>,
}

/// Runs a scenario with this binary.
///
/// # Errors
/// When it could not be run; [`crate::stage::Unavailable`] where a server that it needs is not installed.
pub fn run(scenario: &Scenario, binary: &Path) -> anyhow::Result<Run> {
    let folder = tempfile::tempdir().context("no room for a folder")?;
    let mut cast = Cast::start(scenario, binary, folder.path())?;
    cast.fill(scenario)?;
    let date = Local::now();
    let threads: u32 = scenario.loads.iter().map(|load| load.connections as u32).sum();
    // Connections are opened before the first caller comes.
    let begun = Instant::now() + Duration::from_millis(300) + threads * Duration::from_micros(100);
    let loads: Vec<_> = scenario.loads.iter().map(|plan| (plan.name.clone(), cast.load(plan))).collect();
    let callers: Vec<_> =
        loads.into_iter().map(|(name, load)| (name, thread::spawn(move || load.run(begun)))).collect();
    let mut readings = Vec::new();
    let mut timeline: Vec<&Event> = scenario.timeline.iter().collect();
    timeline.sort_by_key(|event| event.at);
    let mut timeline = timeline.into_iter().peekable();
    let mut next_reading = Duration::ZERO;
    loop {
        let due = timeline.peek().map_or(next_reading, |event| event.at.min(next_reading));
        if due > scenario.time {
            break;
        }
        thread::sleep((begun + due).saturating_duration_since(Instant::now()));
        if let Some(event) = timeline.next_if(|event| event.at <= due) {
            cast.act(&event.act)?;
        } else {
            readings.push(cast.reading(begun.elapsed()));
            next_reading += READING;
        }
    }
    let mut answered = IndexMap::new();
    for (name, callers) in callers {
        let samples = callers.join().map_err(|_| anyhow::anyhow!("the thread of {name} panicked"))?;
        answered.insert(name.clone(), samples.with_context(|| format!("{name} could not ask"))?);
    }
    readings.push(cast.reading(begun.elapsed()));
    cast.proxy.still_runs()?;
    Ok(Run {
        scenario: scenario.clone(),
        date,
        machine: machine(),
        version: version(binary)?,
        loads: answered,
        readings,
        ready: cast.proxy.ready,
    })
}

impl Cast {
    fn start(scenario: &Scenario, binary: &Path, folder: &Path) -> anyhow::Result<Self> {
        let memcached = scenario.needs.contains(&Needed::Memcached).then(|| Memcached::start(folder)).transpose()?;
        let kafka = scenario.needs.contains(&Needed::Kafka).then(|| Kafka::start(folder)).transpose()?;
        // While keys are filled in, vendors answer at once.
        let quick = |(protocol, conduct): &(_, Conduct)| (*protocol, Conduct { latency: Duration::ZERO, ..*conduct });
        let vendors =
            Vendors::start(scenario.vendors.iter().map(|(name, part)| (name.clone(), quick(part))).collect())?;
        let mut addresses: Vec<_> = vendors
            .addresses()
            .filter_map(|(name, address)| {
                let (lookup, upstream) = name.split_once('/')?;
                Some((format!("{upstream}.{lookup}.test:1"), address))
            })
            .collect();
        addresses.extend(memcached.iter().map(|server| ("memcached.test:1".to_owned(), server.address())));
        addresses.extend(kafka.iter().map(|server| ("kafka.test:1".to_owned(), server.address())));
        let site = Site { config: scenario.config.clone(), policies: scenario.policies.clone(), addresses };
        Ok(Self { proxy: Proxy::start(binary, &site, folder)?, vendors, memcached, kafka })
    }

    fn load(&self, plan: &Plan) -> Load {
        let (wire, address) = match &plan.front {
            Front::Http => (Wire::Http { path: format!("/v1/lookup/{}/", plan.lookup) }, self.proxy.http),
            Front::Memcached => (Wire::Memcached { prefix: format!("{}:", plan.lookup) }, self.proxy.memcached),
            Front::Dns => (Wire::Dns, self.proxy.dns),
            Front::Vendor(name) => {
                // The scenario was checked against the same list.
                let address = self.vendors.stands().get(name).map_or(self.proxy.http, |stand| stand.address());
                (Wire::Http { path: "/v1/lrn/".to_owned() }, address)
            }
        };
        Load {
            name: plan.name.clone(),
            wire,
            address,
            pace: plan.pace,
            turns: plan.turns,
            keys: plan.keys,
            budget_ms: plan.budget_ms,
            connections: plan.connections,
            from: plan.from,
            to: plan.to,
            patience: plan.patience,
        }
    }

    /// Asks once for every key that is to be there, then has the vendors take their time.
    fn fill(&self, scenario: &Scenario) -> anyhow::Result<()> {
        for plan in &scenario.loads {
            let Some(of) = plan.fill else { continue };
            let load = Load {
                pace: Pace::Steady { a_second: FILL },
                turns: None,
                keys: Keys::InTurn { from: 0 },
                budget_ms: (0, 0),
                connections: 16,
                from: Duration::ZERO,
                to: Duration::from_secs_f64(of as f64 / FILL),
                patience: FILL_PATIENCE,
                ..self.load(plan)
            };
            let mut missed = 0;
            // A caller may run out of its budget; the dip goes on, and the second time the answer is there.
            for _ in 0..3 {
                missed = load.run(Instant::now())?.iter().filter(|sample| !sample.kind.has_record()).count();
                if missed == 0 {
                    break;
                }
            }
            if missed > 0 {
                bail!("{}: {missed} of {of} keys could not be filled in", plan.name);
            }
        }
        for (stand, (_, conduct)) in self.vendors.stands().values().zip(scenario.vendors.values()) {
            let latency_ms = u64::try_from(conduct.latency.as_millis()).ok();
            stand.obey(dipcache::demo::vendors::Order { mode: None, latency_ms });
        }
        Ok(())
    }

    fn act(&mut self, act: &Act) -> anyhow::Result<()> {
        match act {
            Act::Vendor(name, order) => {
                if let Some(stand) = self.vendors.stands().get(name) {
                    stand.obey(*order);
                }
                Ok(())
            }
            Act::Flush(lookup) => self.proxy.flush(lookup),
            Act::Server(Needed::Memcached, turn) => self
                .memcached
                .as_mut()
                .map_or(Ok(()), |server| turned(*turn, server, Memcached::stop, Memcached::pause, Memcached::resume)),
            Act::Server(Needed::Kafka, turn) => self
                .kafka
                .as_mut()
                .map_or(Ok(()), |server| turned(*turn, server, Kafka::stop, Kafka::pause, Kafka::resume)),
        }
    }

    fn reading(&self, at: Duration) -> Reading {
        let requests = self.vendors.stands().values().map(|stand: &Arc<Stand>| stand.requests()).collect();
        Reading { at, spent: self.proxy.spent(), requests }
    }
}

fn turned<S>(
    turn: Turn,
    server: &mut S,
    stop: impl Fn(&mut S),
    pause: impl Fn(&S),
    resume: impl Fn(&mut S) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    match turn {
        Turn::Stop => stop(server),
        Turn::Pause => pause(server),
        Turn::Start => return resume(server),
    }
    Ok(())
}

/// Cores, kernel and architecture: what figures depend on.
pub fn machine() -> String {
    let cores = thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cores} cores, {}, Linux {}", std::env::consts::ARCH, kernel.trim())
}

fn version(binary: &Path) -> anyhow::Result<String> {
    let said = Command::new(binary).arg("--version").output().context("the binary does not start")?;
    Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}
