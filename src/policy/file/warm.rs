//! What is asked before anybody calls, as it is typed: `[warm]`.

use std::time::Duration;

use serde::Deserialize;

use crate::written::{Field, Ratio};

/// `[warm]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct WarmFile {
    /// 0.5; up to which part of an upstream's `concurrency` calls and warm dips together may go.
    pub share: Field<Ratio>,
    /// 0; so many of the keys asked for most are renewed before they expire, whoever asks or not.
    pub keep_hot: Field<u32>,
    /// false; true: the job's keys are those of the journal of hot keys.
    pub journal: Field<bool>,
    /// A file of keys, one a line; from the policy's folder.
    pub file: Field<String>,
    pub database: Field<String>,
    /// A statement whose rows are keys.
    pub query: Field<String>,
    /// false; true: the job runs when the process starts.
    pub at_start: Field<bool>,
    /// A cron pattern, in the machine's time zone.
    pub schedule: Field<String>,
    /// The time that the job is spread over.
    pub over: Field<Duration>,
    /// Dips a second at most.
    pub rate: Field<f64>,
}
