//! What is asked before anybody calls, as it is typed: `[warm]`.

use std::time::Duration;

use serde::Deserialize;

use crate::written::{Field, Ratio};

/// `[warm]`: what is asked before anybody calls.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct WarmFile {
    /// Up to which part of an upstream's `concurrency` calls and warm dips together may go. Default: 0.5.
    pub share: Field<Ratio>,
    /// So many of the keys asked for most are renewed before they expire, whoever asks or not. Default: 0.
    pub keep_hot: Field<u32>,
    /// The job's keys are those of the journal of hot keys. Default: false.
    pub journal: Field<bool>,
    /// A file of keys, one a line, packed or not; from the policy's folder.
    pub file: Field<String>,
    /// Where the database of `query` is, as a reference to its URL.
    pub database: Field<String>,
    /// A statement whose rows are keys: the column `key`, or the only one; other columns are inputs by name.
    pub query: Field<String>,
    /// The job runs when the process starts. Default: false.
    pub at_start: Field<bool>,
    /// When the job runs: a cron pattern, in the machine's time zone.
    pub schedule: Field<String>,
    /// The time that the job is spread over.
    pub over: Field<Duration>,
    /// Dips a second at most.
    pub rate: Field<f64>,
}
