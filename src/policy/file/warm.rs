//! What is asked before anybody calls, as it is typed: `[warm]`.

use serde::Deserialize;

use crate::written::{Field, Ratio};

/// `[warm]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct WarmFile {
    /// 0.5; up to which part of an upstream's `concurrency` calls and warm dips together may go.
    pub share: Field<Ratio>,
}
