//! `DIPCACHE_A__B=value`: any key set from the environment.
//!
//! `__` is one step down, so every override has one; a variable without it is no override and may
//! hold a secret, say. The value is read as TOML where it parses as such, else as text.

use crate::written::{Overlay, Source};

const PREFIX: &str = "DIPCACHE_";
const STEP: &str = "__";

/// The overrides among these variables, in order of name, put behind the file's text.
pub(super) fn overlays(variables: impl IntoIterator<Item = (String, String)>, source: &mut Source) -> Vec<Overlay> {
    let mut variables: Vec<_> = variables.into_iter().filter(|(name, _)| is_override(name)).collect();
    // A table before the keys in it, so that `DIPCACHE_LISTEN__HTTP` adds to what sets all of a table.
    variables.sort();
    variables
        .into_iter()
        .map(|(name, value)| {
            let path = name[PREFIX.len()..].split(STEP).map(str::to_ascii_lowercase).collect();
            Overlay::new(source, &name, path, &value)
        })
        .collect()
}

fn is_override(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|rest| rest.contains(STEP))
}
