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
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::admin::{self, Admin, Pulse, Simulated};
use crate::config::Config;
use crate::deadline::{now, tick};
use crate::events::{Event, EventType, Events, Running};
use crate::front::http::{self, Settings};
use crate::front::listen::{Drain, Limits, Listener};
use crate::lookup::Lookups;
use crate::policy::{Fault, Policy};
use crate::telemetry::recorder;

/// How often dead entries are taken away.
const SWEEP: Duration = Duration::from_secs(30);

/// How often answers of the second rank are summed up where `[events]` does not say.
const SUMMARY: Duration = Duration::from_secs(10);

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

/// The proxy, running.
pub struct App {
    /// The lookups.
    pub lookups: Arc<Lookups>,
    /// The events.
    pub events: Arc<Events>,
    /// Where HTTP lookups are answered.
    pub http: Vec<SocketAddr>,
    /// Where the admin listener is.
    pub admin: Vec<SocketAddr>,
    load: Load,
    config: Config,
    door: Arc<Admin>,
    drain: Drain,
    closing: watch::Sender<bool>,
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
        let (lookups, events) = (Arc::new(Lookups::default()), Arc::new(Events::default()));
        lookups.install(policies, &events)?;
        let running = config.events.as_ref();
        let running =
            running.map(|settings| Running::start(&events, settings, &config.node, config.drain)).transpose()?;
        let running = running.map(Arc::new);
        let door = Arc::new(Admin {
            lookups: Arc::clone(&lookups),
            events: Arc::clone(&events),
            running: running.clone(),
            rights: config.admin.clone(),
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
            admin: Vec::new(),
            load,
            config,
            door,
            drain: Drain::default(),
            closing,
            running,
            fronts: JoinSet::new(),
            doors: JoinSet::new(),
        };
        app.listen_http()?;
        app.listen_admin().await?;
        app.fronts.spawn(sweep(Arc::clone(&app.lookups), app.drain.clone()));
        let window = app.config.events.as_ref().map_or(SUMMARY, |events| events.summary);
        app.fronts.spawn(sum_up(Arc::clone(&app.lookups), Arc::clone(&app.events), window, app.drain.clone()));
        app.door.ready.store(true, Ordering::Release);
        app.events.raise(Event::of_node(EventType::NodeStarted, format!("version {}", env!("CARGO_PKG_VERSION"))));
        Ok(app)
    }

    fn listen_http(&mut self) -> anyhow::Result<()> {
        let listeners =
            self.config.listen.http.iter().map(|address| Listener::bind(*address)).collect::<Result<Vec<_>, _>>()?;
        self.http = listeners.iter().map(Listener::address).collect();
        let limits = Limits { connections: self.config.limits.max_connections, drain: self.config.drain };
        let settings = Settings { limits, ..Settings::default() };
        self.fronts.spawn(http::serve(listeners, Arc::clone(&self.lookups), settings, self.drain.clone()));
        Ok(())
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

    /// Loads config and policies again. A fault leaves everything as it was, and is told.
    pub fn reload(&self) {
        match self.try_reload() {
            Ok(count) => {
                self.events.raise(Event::of_node(EventType::ConfigReloaded, format!("{count} lookups")));
            }
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the old config goes on");
                self.events.raise(Event::of_node(EventType::ConfigRejected, first_line(&error)));
            }
        }
    }

    fn try_reload(&self) -> anyhow::Result<usize> {
        let Loaded { config, policies } = (self.load)().map_err(|faults| faulty(&faults))?;
        let count = policies.len();
        self.lookups.install(policies, &self.events)?;
        if config.events != self.config.events {
            tracing::warn!("events go where they went: a change of `[events]` needs a restart");
        }
        if config.listen != self.config.listen {
            tracing::warn!("the listeners stay as they are: a change of `[listen]` needs a restart");
        }
        Ok(count)
    }

    /// Runs until SIGTERM or SIGINT, then drains. SIGHUP reloads.
    ///
    /// # Errors
    /// When the system refuses to tell us of signals.
    pub async fn run(self) -> anyhow::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut hup, mut term, mut int) =
            (signal(SignalKind::hangup())?, signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        // As with nginx: files are begun anew.
        let mut usr1 = signal(SignalKind::user_defined1())?;
        loop {
            tokio::select! {
                _ = hup.recv() => self.reload(),
                _ = usr1.recv() => self.running.iter().for_each(|running| running.rotate()),
                _ = term.recv() => break,
                _ = int.recv() => break,
            }
        }
        self.drain().await;
        Ok(())
    }

    /// Answers what is in hand, takes nothing new, and ends.
    pub async fn drain(mut self) {
        self.door.ready.store(false, Ordering::Release);
        self.events.raise(Event::of_node(EventType::NodeStopping, "told to stop"));
        self.drain.begin();
        // Each front cuts off by itself what is still there after the drain time.
        while self.fronts.join_next().await.is_some() {}
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

fn first_line(error: &anyhow::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
