//! `dipcache serve`: the proxy in the foreground.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use crate::app::{App, Load, Loaded, Signals};
use crate::cli::{check, runtime};
use crate::config;
use crate::demo::vendors::Ports;
use crate::demo::world::World;
use crate::policy::check::{Folder, Off, read_folder};
use crate::policy::{Fault, Policy, Vars};
use crate::telemetry::log;

/// Runs until it is told to stop.
pub(super) fn run(path: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = config::load(path).map_err(|faults| check::summed_up(&faults))?;
    let _writing = log::start(&config.log);
    runtime()?.block_on(async {
        // Before anything else: a signal that comes while we start must not end us in its own way.
        let signals = Signals::listen()?;
        let path = path.map(Path::to_owned);
        let app = if config.simulator {
            let world = World::start(Ports::Usual).await?;
            let simulator = Arc::clone(&world.simulator);
            App::start(load(path, move |folder, vars| world.policies_of(folder, vars)), Some(simulator)).await?
        } else {
            App::start(load(path, served), None).await?
        };
        let listeners = [("http", &app.http), ("memcached", &app.memcached), ("dns", &app.dns), ("admin", &app.admin)];
        for (what, addresses) in listeners {
            for address in addresses {
                tracing::info!(listener = what, %address, "listening");
            }
        }
        app.run(signals).await;
        anyhow::Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The policies of a folder. Those that wait for a secret are told, each time, and what is dangerous in the others.
fn served(folder: &Path, vars: &Vars) -> (Vec<Policy>, Vec<Fault>) {
    let Folder { policies, off, faults, warnings } = read_folder(folder, vars, &|text| text);
    for Off { lookup, missing } in off {
        tracing::info!(lookup, missing = missing.join(", "), "off until its secret is there");
    }
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    (policies, faults)
}

/// Reads the config and the policies it names, each time anew.
fn load(
    path: Option<PathBuf>,
    policies: impl Fn(&Path, &Vars) -> (Vec<Policy>, Vec<Fault>) + Send + Sync + 'static,
) -> Load {
    Box::new(move || {
        let config = config::load(path.as_deref())?;
        let (policies, faults) = policies(&config.policies, &config.vars);
        if faults.is_empty() { Ok(Loaded { config, policies }) } else { Err(faults) }
    })
}
