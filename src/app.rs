//! Builds every part once, wires them, starts them, and takes them down in order.
//!
//! Start: load, run the policies, bind the listeners, say ready. Reload: load again; a fault leaves
//! everything as it was. Drain: not ready any more, the fronts stop taking connections and answer what
//! is in hand, then the admin listener goes, last, so that somebody can watch.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::admin::{self, Admin, Pulse, Simulated};
use crate::config::{Config, Endpoint, MemcachedFormat, State};
use crate::crew::Crew;
use crate::deadline::{Deadline, now, tick};
use crate::events::{Event, EventType, Events, Running};
use crate::front::dns;
use crate::front::form::Form;
use crate::front::http::{self, Settings};
use crate::front::listen::{Drain, Limits, Listener, UnixDoor};
use crate::front::memcached;
use crate::lookup::{Cluster, Lookups};
use crate::orders::Orders;
use crate::orders::control::Control;
use crate::policy::{Fault, Policy};
use crate::telemetry::recorder;
use crate::warm::{Leave, Loading, Warming};

/// How often dead entries are taken away.
const SWEEP: Duration = Duration::from_secs(30);

/// How often answers of the second rank are summed up where `[events]` does not say.
const SUMMARY: Duration = Duration::from_secs(10);
/// How long the listeners wait at start for tables to be loaded.
const TABLES_AT_START: Duration = Duration::from_secs(3);

/// What a load brings: settings and policies without a fault.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// The policies that are served.
    pub policies: Vec<Policy>,
}

/// Loads config and policies; called at start and at each reload.
pub type Load = Box<dyn Fn() -> Result<Loaded, Vec<Fault>> + Send + Sync>;

/// The signals that steer the process. From the moment this is made, none of them ends it by itself.
#[derive(Debug)]
pub struct Signals {
    reload: Signal,
    rotate: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens for SIGHUP, SIGUSR1, SIGTERM and SIGINT. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            reload: signal(SignalKind::hangup())?,
            // As with nginx: files are begun anew.
            rotate: signal(SignalKind::user_defined1())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}

async fn told_to_stop(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// The proxy, running.
pub struct App {
    /// The lookups.
    pub lookups: Arc<Lookups>,
    /// The events.
    pub events: Arc<Events>,
    /// Where HTTP lookups are answered.
    pub http: Vec<SocketAddr>,
    /// Where memcached's text protocol is spoken over TCP.
    pub memcached: Vec<SocketAddr>,
    /// Where DNS is spoken, over UDP and TCP.
    pub dns: Vec<SocketAddr>,
    /// Where the admin listener is.
    pub admin: Vec<SocketAddr>,
    load: Load,
    config: Config,
    door: Arc<Admin>,
    drain: Drain,
    crew: Crew,
    closing: watch::Sender<bool>,
    /// `None` without `[control]`: then orders come through the admin listener alone.
    control: Option<Control>,
    /// `None` without `[events]`: then they are logged and go nowhere.
    running: Option<Arc<Running>>,
    fronts: JoinSet<()>,
    doors: JoinSet<()>,
}

impl App {
    /// Starts the proxy: when this returns, the listeners answer.
    ///
    /// # Errors
    /// Faults of config or policies, an upstream that cannot be built, an address that is taken.
    pub async fn start(load: Load, simulator: Option<Arc<dyn Simulated>>) -> anyhow::Result<Self> {
        recorder::install();
        let Loaded { config, policies } = load().map_err(|faults| faulty(&faults))?;
        let events = Arc::new(Events::default());
        let cluster = config.shared.as_ref().map(|shared| Cluster::start(shared.clone(), &config.node.name, &events));
        let crew = Crew::start(config.realtime).context("no threads to serve calls with")?;
        let lookups = Arc::new(cluster.clone().map_or_else(Lookups::default, Lookups::sharing).served_by(&crew));
        lookups.limit(config.limits.max_dips);
        lookups.install(policies, &events)?;
        lookups.set_bundles(config.bundles.clone());
        let running = config.events.as_ref();
        let running =
            running.map(|settings| Running::start(&events, settings, &config.node, config.drain)).transpose()?;
        let running = running.map(Arc::new);
        // A small table answers the first caller; a large one, or one whose database is gone, holds nobody up.
        let tables = Deadline::after(TABLES_AT_START);
        for lookup in lookups.all().iter() {
            lookup.tables_settled(tables).await;
        }
        if let Some(cluster) = &cluster {
            cluster.join(&lookups).await;
        }
        let warming = Warming::new(Arc::clone(&lookups), Arc::clone(&events));
        let orders = Arc::new(Orders::new(Arc::clone(&lookups), Arc::clone(&warming)));
        let mut loading = leave(&config).map(|leave| leave.load(&lookups));
        let mut control = None;
        if let Some(settings) = &config.control {
            // What is flushed must be there already, or it would come back from the disk.
            if let Some(loading) = &mut loading {
                loading.settled().await;
            }
            // What was flushed while this node was away must not be its first answer.
            let begun = Control::start(settings, &config.node.name, Arc::clone(&orders))?;
            if !begun.caught_up(Deadline::after(settings.wait)).await {
                let waited = settings.wait;
                tracing::warn!(
                    ?waited,
                    "serving without what was ordered meanwhile: the control topic cannot be read yet"
                );
            }
            control = Some(begun);
        }
        let door = Arc::new(Admin {
            lookups: Arc::clone(&lookups),
            warming,
            orders,
            events: Arc::clone(&events),
            running: running.clone(),
            rights: ArcSwap::from_pointee(config.admin.clone()),
            simulator,
            ready: AtomicBool::new(false),
            node: config.node.name.clone(),
            started: now(),
            pulse: Pulse::default(),
        });
        let (closing, _) = watch::channel(false);
        let mut app = Self {
            lookups,
            events,
            http: Vec::new(),
            memcached: Vec::new(),
            dns: Vec::new(),
            admin: Vec::new(),
            load,
            config,
            door,
            drain: Drain::default(),
            crew,
            closing,
            control,
            running,
            fronts: JoinSet::new(),
            doors: JoinSet::new(),
        };
        app.listen_http()?;
        app.listen_memcached()?;
        app.listen_dns().await?;
        app.listen_admin().await?;
        app.fronts.spawn(sweep(Arc::clone(&app.lookups), app.drain.clone()));
        let window = app.config.events.as_ref().map_or(SUMMARY, |events| events.summary);
        app.fronts.spawn(sum_up(Arc::clone(&app.lookups), Arc::clone(&app.events), window, app.drain.clone()));
        if let Some(cluster) = cluster {
            let (lookups, drain) = (Arc::clone(&app.lookups), app.drain.clone());
            app.fronts.spawn(async move { cluster.run(lookups, drain.wait()).await });
        }
        app.keep_warm(loading).await;
        app.door.ready.store(true, Ordering::Release);
        app.events.raise(Event::of_node(EventType::NodeStarted, format!("version {}", env!("CARGO_PKG_VERSION"))));
        Ok(app)
    }

    /// Waits for what the last process left, leaves it behind in turn, and keeps what is hot warm.
    async fn keep_warm(&mut self, loading: Option<Loading>) {
        if let Some(mut loading) = loading {
            loading.settled().await;
            let (lookups, drain) = (Arc::clone(&self.lookups), self.drain.clone());
            self.fronts.spawn(async move { loading.then_keep(lookups, drain.wait()).await });
        }
        let (warming, leave, drain) = (Arc::clone(&self.door.warming), leave(&self.config), self.drain.clone());
        self.fronts.spawn(async move { warming.keep(leave, drain.wait()).await });
    }

    fn listen_http(&mut self) -> anyhow::Result<()> {
        let addresses = &self.config.listen.http;
        let listeners = addresses.iter().map(|address| Listener::bind(*address)).collect::<Result<Vec<_>, _>>()?;
        let listeners: Vec<_> = listeners.into_iter().map(|listener| listener.served_by(&self.crew)).collect();
        self.http = listeners.iter().map(Listener::address).collect();
        let settings = Settings { limits: self.limits(), ..Settings::default() };
        self.fronts.spawn(http::serve(listeners, Arc::clone(&self.lookups), settings, self.drain.clone()));
        Ok(())
    }

    fn listen_memcached(&mut self) -> anyhow::Result<()> {
        let mut doors = memcached::Doors::default();
        for endpoint in &self.config.listen.memcached {
            match endpoint {
                Endpoint::Tcp(address) => doors.tcp.push(Listener::bind(*address)?.served_by(&self.crew)),
                Endpoint::Unix(path) => doors.unix.push(UnixDoor::bind(path)?.served_by(&self.crew)),
            }
        }
        self.memcached = doors.tcp.iter().map(Listener::address).collect();
        let form = match self.config.listen.memcached_format {
            MemcachedFormat::Json => Form::Json,
            MemcachedFormat::Text => Form::Text,
            MemcachedFormat::Params => Form::Params,
            MemcachedFormat::Csv => Form::Csv,
        };
        let settings = memcached::Settings { limits: self.limits(), form, ..memcached::Settings::default() };
        self.fronts.spawn(memcached::serve(doors, Arc::clone(&self.lookups), settings, self.drain.clone()));
        Ok(())
    }

    async fn listen_dns(&mut self) -> anyhow::Result<()> {
        let mut doors = Vec::new();
        for address in &self.config.listen.dns {
            doors.push(dns::Door::bind(*address).await?.served_by(&self.crew));
        }
        self.dns = doors.iter().map(dns::Door::address).collect();
        let settings = dns::Settings { limits: self.limits(), ..dns::Settings::default() };
        self.fronts.spawn(dns::serve(doors, Arc::clone(&self.lookups), settings, self.drain.clone()));
        Ok(())
    }

    fn limits(&self) -> Limits {
        Limits { connections: self.config.limits.max_connections, drain: self.config.drain }
    }

    async fn listen_admin(&mut self) -> anyhow::Result<()> {
        for address in &self.config.listen.admin {
            let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
            self.admin.push(listener.local_addr()?);
            let (door, closing) = (Arc::clone(&self.door), self.closing.subscribe());
            self.doors.spawn(async move {
                if let Err(error) = admin::serve(listener, door, closing).await {
                    tracing::error!(%error, "the admin listener failed");
                }
            });
        }
        Ok(())
    }

    /// Loads config and policies again, and every table. A fault leaves everything as it was, and is told.
    pub fn reload(&self) {
        self.reload_config();
        for lookup in self.lookups.all().iter() {
            lookup.want_tables(None, false);
        }
    }

    fn reload_config(&self) {
        match self.try_reload() {
            Ok(count) => {
                self.events.raise(Event::of_node(EventType::ConfigReloaded, format!("{count} lookups")));
            }
            Err(error) => {
                let text = format!("{error:#}");
                text.lines().for_each(|fault| tracing::error!("{fault}"));
                let more = match text.lines().count() {
                    0 | 1 => String::new(),
                    count => format!("; and {} more", count - 1),
                };
                let first = text.lines().next().unwrap_or_default();
                let reason = format!("the old config goes on: {first}{more}");
                self.events.raise(Event::of_node(EventType::ConfigRejected, reason));
            }
        }
    }

    fn try_reload(&self) -> anyhow::Result<usize> {
        let Loaded { config, policies } = (self.load)().map_err(|faults| faulty(&faults))?;
        let count = policies.len();
        self.lookups.install(policies, &self.events)?;
        self.lookups.set_bundles(config.bundles.clone());
        self.lookups.limit(config.limits.max_dips);
        // A token that has leaked is changed without a restart.
        self.door.rights.store(Arc::new(config.admin.clone()));
        for part in self.config.needs_restart(&config) {
            tracing::warn!("a change of `{part}` needs a restart; until then it stays as it was");
        }
        Ok(count)
    }

    /// Runs until SIGTERM or SIGINT, then drains; a second one ends it at once. SIGHUP reloads, SIGUSR1 begins
    /// new files of events.
    ///
    /// A reload reads files and builds clients, and so belongs on a thread that serves nobody, as the one is that
    /// a runtime blocks on.
    pub async fn run(self, mut signals: Signals) {
        loop {
            tokio::select! {
                _ = signals.reload.recv() => self.reload(),
                _ = signals.rotate.recv() => self.running.iter().for_each(|running| running.rotate()),
                () = told_to_stop(&mut signals.terminate, &mut signals.interrupt) => break,
            }
        }
        tokio::select! {
            () = self.drain() => {}
            () = told_to_stop(&mut signals.terminate, &mut signals.interrupt) => {
                tracing::warn!("told to stop a second time: ending at once");
            }
        }
    }

    /// Answers what is in hand, takes nothing new, and ends.
    pub async fn drain(mut self) {
        self.door.ready.store(false, Ordering::Release);
        self.events.raise(Event::of_node(EventType::NodeStopping, "told to stop"));
        self.door.warming.stop();
        drop(self.control.take());
        self.drain.begin();
        // Each front cuts off by itself what is still there after the drain time.
        while self.fronts.join_next().await.is_some() {}
        if let Some(leave) = leave(&self.config) {
            leave.save(&self.lookups).await;
        }
        self.closing.send_replace(true);
        let grace = Duration::from_secs(1);
        if tokio::time::timeout(grace, async { while self.doors.join_next().await.is_some() {} }).await.is_err() {
            self.doors.abort_all();
        }
        if let Some(running) = self.running.take() {
            // Disks and brokers are waited for, within the drain time.
            let _ = tokio::task::spawn_blocking(move || running.close()).await;
        }
    }
}

fn leave(config: &Config) -> Option<Leave> {
    let State { dir, snapshot, every, wait } = config.state.clone()?;
    Some(Leave { dir, snapshot, every, wait })
}

/// Tells of answers of the second rank, and once more at the end.
async fn sum_up(lookups: Arc<Lookups>, events: Arc<Events>, window: Duration, drain: Drain) {
    let mut goes_on = true;
    while goes_on {
        goes_on = tokio::select! {
            () = tokio::time::sleep(window) => true,
            () = drain.wait() => false,
        };
        lookups.all().iter().for_each(|lookup| lookup.summary.tell(&lookup.policy.name, window, &events));
    }
}

/// Takes dead entries away, now and then, off every dip's path.
async fn sweep(lookups: Arc<Lookups>, drain: Drain) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(SWEEP) => {}
            () = drain.wait() => return,
        }
        for lookup in lookups.all().iter() {
            let local = Arc::clone(&lookup.local);
            // A panic in a sweep costs the sweep and nothing else.
            let _ = tokio::task::spawn_blocking(move || local.sweep(tick())).await;
        }
    }
}

fn faulty(faults: &[Fault]) -> anyhow::Error {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    anyhow::anyhow!("{}", lines.join("\n"))
}
