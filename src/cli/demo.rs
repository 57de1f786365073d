//! `dipcache demo`: the proxy, a world for it to ask, and calls, in one process on loopback.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;

use crate::app::{App, Load, Loaded};
use crate::cli::runtime;
use crate::config::{self, Log, LogFormat};
use crate::demo::vendors::Ports;
use crate::demo::world::World;
use crate::demo::{self, DemoOptions};
use crate::telemetry::log;

/// The demo's own settings. The environment can change them, as it can any.
const CONFIG: &str = include_str!("../../config/demo.toml");

/// Plays the scene; exit code 1 when a promise broke.
pub(super) fn run(once: bool) -> anyhow::Result<ExitCode> {
    // The picture is on standard output; a line of log in it would tear it.
    let _writing = log::start(&Log { format: LogFormat::Text, level: "error".to_owned(), mask_numbers: true });
    let kept = runtime()?.block_on(async {
        let world = World::start(Ports::UsualOrFree).await?;
        let simulator = Arc::clone(&world.simulator);
        let app = App::start(load(world), Some(simulator.clone())).await?;
        let first =
            |addresses: &[std::net::SocketAddr]| addresses.first().copied().context("the demo needs its listeners");
        let options = DemoOptions { once, http: first(&app.http)?, admin: first(&app.admin)?, simulator };
        let kept = demo::run(options).await;
        app.drain().await;
        kept
    })?;
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn load(world: World) -> Load {
    Box::new(move || {
        let config = config::load_text(Path::new("config/demo.toml"), CONFIG)?;
        Ok(Loaded { config, policies: world.shipped_policies()? })
    })
}
