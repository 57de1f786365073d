//! `dipcache schema`: what an editor needs to complete and to check as one types.

use std::process::ExitCode;

use clap::ValueEnum;

use crate::cli::say;

/// Whose schema.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Of {
    /// A policy's
    Policy,
    /// The main config's
    Config,
    /// An order's on the control topic
    Order,
}

/// Prints it. A test holds the files against the types that are read.
pub(super) fn run(of: Of) -> anyhow::Result<ExitCode> {
    say(match of {
        Of::Policy => include_str!("../../config/policy.schema.json"),
        Of::Config => include_str!("../../config/dipcache.schema.json"),
        Of::Order => include_str!("../../config/order.schema.json"),
    })?;
    Ok(ExitCode::SUCCESS)
}
