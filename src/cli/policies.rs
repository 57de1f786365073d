//! The policies that a command looks at, without a running proxy.

use crate::cli::runtime;
use crate::config::Config;
use crate::demo::seed::Seed;
use crate::demo::world::policies_over;
use crate::policy::check::read_dir;
use crate::policy::{Fault, Policy};

/// What a config's folder of policies holds.
pub(super) struct Read {
    pub policies: Vec<Policy>,
    pub faults: Vec<Fault>,
    /// The demo's policies ask a database that `serve` and `demo` plant; while this lives, there is one.
    _seed: Option<Seed>,
}

/// Reads them.
///
/// # Errors
/// When the demo's database cannot be planted.
pub(super) fn read(config: &Config) -> anyhow::Result<Read> {
    if !config.simulator {
        let (policies, faults) = read_dir(&config.policies);
        return Ok(Read { policies, faults, _seed: None });
    }
    let seed = runtime()?.block_on(Seed::plant())?;
    let (policies, faults) = policies_over(&config.policies, &seed);
    Ok(Read { policies, faults, _seed: Some(seed) })
}
