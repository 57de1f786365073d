//! From a path, or none, to a config; and to all that is wrong with it and its policies.

use std::path::{Path, PathBuf};

use super::{Config, check, environment};
use crate::policy::Fault;
use crate::policy::check::{Folder, read_folder};
use crate::written::{Document, Faults, Source, file_text};

/// The config that is used when no file is given and none is there. Also the commented reference.
pub const EMBEDDED: &str = include_str!("../../config/dipcache.toml");

/// Where the config is looked for when none is named.
const DEFAULT_FILE: &str = "config/dipcache.toml";

/// Loads a config: the file at `path`; without one `config/dipcache.toml`; without that the embedded
/// default. Then the process's environment is laid over it.
///
/// # Errors
/// Every fault in it, each with file, line and column; those of a variable name `environment` as file.
pub fn load(path: Option<&Path>) -> Result<Config, Vec<Fault>> {
    load_with(path, environment())
}

/// As [`load`], with the environment given.
///
/// # Errors
/// As [`load`].
pub fn load_with(
    path: Option<&Path>,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, Vec<Fault>> {
    let file = match path {
        Some(path) => Some(path.to_owned()),
        None => Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()),
    };
    let text = match &file {
        Some(path) => file_text(path).map_err(|fault| vec![fault])?,
        None => EMBEDDED.to_owned(),
    };
    let shown = file.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    load_text_with(&shown, file, &text, variables)
}

/// Loads a config that is embedded in the program: `shown` is its path in the repository. The
/// process's environment is laid over it.
///
/// # Errors
/// As [`load`].
pub fn load_text(shown: &Path, text: &str) -> Result<Config, Vec<Fault>> {
    load_text_with(shown, None, text, environment())
}

fn environment() -> impl Iterator<Item = (String, String)> {
    // A variable that is not UTF-8 cannot be one of ours, whose names and values are all text.
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn load_text_with(
    shown: &Path,
    file: Option<PathBuf>,
    text: &str,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, Vec<Fault>> {
    let mut source = Source::new(shown, text);
    let overlays = environment::overlays(variables, &mut source);
    let mut faults = Faults::new(source);
    let config = Document::parse(text, &mut faults).and_then(|mut document| {
        overlays.iter().for_each(|overlay| document.lay(overlay));
        let typed = document.read(&mut faults)?;
        Some(check::config(typed, file, shown.parent().unwrap_or(Path::new("")), &mut faults))
    });
    match config {
        Some(config) if faults.is_empty() => Ok(config),
        _ => Err(faults.into_vec()),
    }
}

/// Everything that is wrong with a config and the policies that it names: what `dipcache check` prints.
/// Empty when all is well. Policies are looked at only once the config tells where they are.
pub fn check_all(path: Option<&Path>) -> Vec<Fault> {
    match load(path) {
        Ok(config) => with_bundles(&config, read_folder(&config.policies, &config.vars, &|text| text)).faults,
        Err(faults) => faults,
    }
}

/// A config's policies, with what is wrong between them and its bundles.
pub fn with_bundles(config: &Config, mut folder: Folder) -> Folder {
    // With faults in policies their lookups seem to be missing, which would be a second fault for the first.
    if folder.faults.is_empty() {
        let off: Vec<&str> = folder.off.iter().map(|off| &*off.lookup).collect();
        let misfits = config.bundles.iter().flat_map(|bundle| bundle.misfits(&folder.policies, &off));
        folder.faults = misfits.collect();
    }
    folder
}
