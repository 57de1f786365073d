//! The policies that a command looks at, without a running proxy.

use crate::cli::runtime;
use crate::config::{Config, with_bundles};
use crate::demo::seed::Seed;
use crate::demo::world::folder_over;
use crate::policy::check::{Folder, read_folder};

/// What a config's folder of policies holds, and what is wrong between it and the config's bundles.
pub(super) struct Read {
    pub folder: Folder,
    /// The demo's policies ask a database that `serve` and `demo` plant; while this lives, there is one.
    _seed: Option<Seed>,
}

/// Reads them.
///
/// # Errors
/// When the demo's database cannot be planted.
pub(super) fn read(config: &Config) -> anyhow::Result<Read> {
    if !config.simulator {
        let folder = read_folder(&config.policies, &config.vars, &|text| text);
        return Ok(Read { folder: with_bundles(config, folder), _seed: None });
    }
    let seed = runtime()?.block_on(Seed::plant())?;
    Ok(Read { folder: with_bundles(config, folder_over(&config.policies, &config.vars, &seed)), _seed: Some(seed) })
}
