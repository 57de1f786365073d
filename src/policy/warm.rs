//! What is asked before anybody calls: `[warm]`.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Local};
use croner::Cron;

use super::Secret;

/// What is asked before anybody calls.
#[derive(Clone, Debug)]
pub struct Warm {
    /// Up to which part of an upstream's `concurrency`, 0 to 1, calls and warm dips together may go: past it no
    /// warm dip begins.
    pub share: f64,
    /// So many of the keys that are asked for most are renewed before they expire, whoever asks for them or not.
    pub keep_hot: usize,
    /// Where the keys of the policy's own job come from, in this order; none: there is no such job.
    pub sources: Vec<WarmSource>,
    /// True: the job runs when the process starts.
    pub at_start: bool,
    /// When the job runs.
    pub schedule: Option<Schedule>,
    /// Over which time the job is spread.
    pub over: Option<Duration>,
    /// Dips a second at most.
    pub rate: Option<f64>,
}

/// Where keys come from.
#[derive(Clone, Debug)]
pub enum WarmSource {
    /// The keys that were asked for most, as the journal has them.
    Journal,
    /// A file of keys, one a line, packed or not.
    File(PathBuf),
    /// The rows of a statement: the column `key`, or the only one; further columns are inputs by name.
    Sql {
        /// As [`super::SqlPolicy::database`].
        database: Secret,
        /// One read-only statement.
        query: String,
    },
}

/// Moments on the calendar, by a cron pattern in the machine's own time zone.
#[derive(Clone, Debug)]
pub struct Schedule(Cron);

impl Default for Warm {
    fn default() -> Self {
        Self { share: 0.5, keep_hot: 0, sources: Vec::new(), at_start: false, schedule: None, over: None, rate: None }
    }
}

impl Schedule {
    /// Reads a pattern: minute, hour, day of the month, month, day of the week; with seconds in front if there are six.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        let cron = croner::parser::CronParser::new().parse(pattern).map_err(|error| error.to_string())?;
        if cron.find_next_occurrence(&Local::now(), false).is_err() {
            return Err("no moment fits it".to_owned());
        }
        Ok(Self(cron))
    }

    /// The first moment after this one; `None` where there is none any more.
    pub fn after(&self, moment: DateTime<Local>) -> Option<DateTime<Local>> {
        self.0.find_next_occurrence(&moment, false).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    #[test]
    fn a_pattern_names_moments_of_the_machines_own_day() {
        let at = |d, h, m| Local.with_ymd_and_hms(2026, 3, d, h, m, 0).unwrap();
        let early = Schedule::parse("30 5 * * 1-5").unwrap();
        assert_eq!(early.after(at(6, 5, 29)), Some(at(6, 5, 30)), "a Friday");
        assert_eq!(early.after(at(6, 5, 30)), Some(at(9, 5, 30)), "the Monday");
        assert!(Schedule::parse("30 25 * * *").is_err());
        assert!(Schedule::parse("0 0 31 2 *").is_err());
    }
}
