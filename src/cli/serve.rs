//! `dipcache serve`: the proxy in the foreground.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::app::{App, Load, Loaded};
use crate::cli::{check, runtime};
use crate::config::Config;
use crate::demo;
use crate::policy;
use crate::telemetry::log;

/// Runs until it is told to stop.
pub(super) fn run(path: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = Config::load(path).map_err(|faults| check::summed_up(&faults))?;
    log::start(&config.log.level, config.log.json);
    runtime()?.block_on(async {
        let simulator = if config.simulator { Some(demo::start_simulator().await?) } else { None };
        let app = App::start(load(path.map(Path::to_owned)), simulator).await?;
        for (what, addresses) in [("http", &app.http), ("admin", &app.admin)] {
            for address in addresses {
                tracing::info!(listener = what, %address, "listening");
            }
        }
        app.run().await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Reads the config and the policies it names, each time anew.
fn load(path: Option<PathBuf>) -> Load {
    Box::new(move || {
        let config = Config::load(path.as_deref())?;
        let (policies, faults) = policy::check::read_dir(&config.policies);
        if faults.is_empty() { Ok(Loaded { config, policies }) } else { Err(faults) }
    })
}
