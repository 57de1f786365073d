//! What is asked before anybody calls, as it is typed: `[warm]`.

use serde::Deserialize;

use crate::written::{Field, Ratio};

/// `[warm]`: what is asked before anybody calls.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct WarmFile {
    /// Up to which part of an upstream's `concurrency` calls and warm dips together may go. Default: 0.5.
    pub share: Field<Ratio>,
}
