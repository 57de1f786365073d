//! Structured logs to standard error, with numbers masked in them, and nobody waiting for them.
//!
//! A line is made where something happens, goes through [`mask`], and into the bounded queue of [`queue`],
//! from which a thread of its own writes it. When standard error does not take lines (a log collector that
//! stands still), lines are lost and counted; a call never waits for one.

mod mask;
mod queue;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat};

pub use queue::Writing;

/// A text with every telephone number in it masked, as log lines have it.
pub fn masked(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    mask::line(&mut bytes);
    // Only digits have become stars.
    String::from_utf8(bytes).unwrap_or_default()
}

/// Starts logging as the config says. Logging goes on until the process ends; dropping what is given back waits
/// a moment for the lines that are not yet written. A second call does nothing.
pub fn start(log: &Log) -> Writing {
    let filter = EnvFilter::try_new(&log.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let writing = Writing::to(std::io::stderr(), log.mask_numbers);
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writing.lines())
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    // An error only says that logging has been started before.
    let _ = match log.format {
        LogFormat::Json => lines.json().finish().try_init(),
        LogFormat::Text => lines.finish().try_init(),
    };
    writing
}
