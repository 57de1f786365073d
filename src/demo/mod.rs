//! `dipcache demo`: everything that a proxy needs around it, in one process on loopback, and a scene in which
//! it goes wrong.
//!
//! Around the proxy:
//! - [`vendors`]: simulated REST vendors that can be broken at run time, and the [`vendors::Simulator`] over all;
//! - [`zone`]: the simulated carrier's name server;
//! - [`seed`]: a SQLite file with rates and accounts;
//! - [`policies`]: where the demo's policies find all these;
//! - [`world`]: all of them together.
//!
//! In front of it, knowing no more than an outside caller does, by its public HTTP alone:
//! - [`calls`]: synthetic calls, whose experience goes into a [`tally`];
//! - [`flags`]: the 1/0 flags as a routing script reads them;
//! - [`scene`]: faults and healing, weighed against each [`promise`];
//! - [`picture`]: what the spectator sees.
//!
//! Deliberately absent: any look inside the proxy. What the picture shows is what its callers got.

pub mod vendors;
pub mod world;
pub mod zone;
pub mod seed;
pub mod policies;

mod client;
mod numbers;
mod calls;
mod tally;
mod flags;
mod promise;
mod scene;
mod opening;
pub mod picture;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::deadline::{Deadline, Instant, now};
use flags::Flags;
use picture::{Picture, Row, Snapshot};
use scene::{ACTS, SHORT, Stage, Tempo};
use tally::{ASKED, Tally};
use vendors::Simulator;

/// How long the proxy may take until it answers for the first time.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// What the demo runs with.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// Plays a bounded scene instead of one without end.
    pub once: bool,
    /// The running proxy's HTTP front.
    pub http: SocketAddr,
    /// The running proxy's admin listener, for what the spectator is told.
    pub admin: SocketAddr,
    /// The upstreams behind it.
    pub simulator: Arc<Simulator>,
}

/// Plays the demo before a running proxy, on standard output. True when every promise was kept; without `once`,
/// that is when somebody ends it with Ctrl-C or closes the pipe that it writes to.
///
/// # Errors
/// When the proxy never answers, or a simulated upstream cannot do as it is told.
pub async fn run(options: DemoOptions) -> anyhow::Result<bool> {
    let tempo = if options.once { Tempo::BRISK } else { Tempo::EASY };
    play(options, tempo).await
}

async fn play(options: DemoOptions, tempo: Tempo) -> anyhow::Result<bool> {
    let begun = now();
    let tally = Arc::new(Tally::default());
    let (sees_flags, mut flags) = watch::channel(Flags::new());
    let (narration, told) = watch::channel(String::new());

    // Ends with us: dropping it aborts what runs in it.
    let mut around = JoinSet::new();
    around.spawn(flags::follow(options.http, sees_flags));
    Deadline::after(FIRST_ANSWER)
        .limit(flags.wait_for(|flags| !flags.is_empty()))
        .await
        .with_context(|| format!("the proxy on {} does not answer GET /v1/health: see its log", options.http))??;
    around.spawn(calls::arrive(options.http, tally.clone()));

    let mut picture = Picture::on_stdout();
    // Where the pipe is closed already, filming finds out.
    let _ = picture.print(&opening::text(&options));
    let camera =
        Camera { begun, tally: tally.clone(), flags: flags.clone(), told, simulator: options.simulator.clone() };
    let once = options.once;
    let mut stage = Stage { simulator: options.simulator, tally, flags, narration, tempo };
    let scene = async {
        if once { stage.play(&ACTS[..SHORT]).await } else { stage.play_on().await.map(|never| match never {}) }
    };
    let promises = tokio::select! {
        played = scene => played?,
        () = camera.film(&mut picture, once) => return Ok(true),
        // A bounded scene that was cut short proved nothing.
        _ = tokio::signal::ctrl_c() => return Ok(!once),
    };
    let verdicts: Vec<_> = promises.iter().map(|promise| format!("  {promise}")).collect();
    let kept = promises.iter().all(|promise| promise.kept);
    // The verdict is the exit code as well: a reader who left misses nothing.
    let _ = picture.print(&format!("\nPromises\n{}", verdicts.join("\n")));
    Ok(kept)
}

/// Takes the picture, again and again.
#[derive(Debug)]
struct Camera {
    begun: Instant,
    tally: Arc<Tally>,
    flags: watch::Receiver<Flags>,
    told: watch::Receiver<String>,
    simulator: Arc<Simulator>,
}

impl Camera {
    /// Until standard output is gone; a bounded scene goes on in the dark, for its verdict.
    async fn film(&self, picture: &mut Picture, once: bool) {
        let mut ticks = tokio::time::interval(picture.interval());
        loop {
            ticks.tick().await;
            if picture.show(&self.snapshot()).is_err() {
                break;
            }
        }
        if once {
            std::future::pending().await
        }
    }

    fn snapshot(&self) -> Snapshot {
        let flags = self.flags.borrow().clone();
        let recent = self.tally.recent(now());
        let rows = ASKED.iter().zip(recent).map(|(asked, recent)| Row {
            flag: flags.get(asked.lookup).copied(),
            recent,
            upstreams: self.simulator.modes(asked.lookup),
        });
        Snapshot { uptime: self.begun.elapsed(), rows: rows.collect(), narration: self.told.borrow().clone() }
    }
}
