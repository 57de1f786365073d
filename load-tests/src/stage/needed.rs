//! Servers of others that a scenario needs, and what is said where they are not installed.

use std::path::PathBuf;

use serde::Deserialize;

/// A server beside the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Needed {
    /// The shared cache.
    Memcached,
    /// Where events go.
    Kafka,
}

/// A server that is not on this machine: the scenario is skipped, and says so.
#[derive(Debug, thiserror::Error)]
#[error("{what} is not installed: {remedy}")]
pub struct Unavailable {
    /// What is missing.
    pub what: &'static str,
    /// How to get it.
    pub remedy: &'static str,
}

/// The file of a program, in the usual folders.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(usual).map(|folder| folder.join(name)).find(|file| file.is_file())
}
