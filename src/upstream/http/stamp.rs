//! What a request has that no other one has: a moment and values that never come twice.
//!
//! One stamp serves a whole request, so that a time in a header, in the body and in the signed text is the same.

use chrono::{DateTime, SecondsFormat, Utc};
use minijinja::Value;
use uuid::Uuid;

use crate::deadline::wall_clock;

/// The stamp of one request.
#[derive(Clone, Debug)]
pub struct Stamp {
    at: DateTime<Utc>,
    uuid: Uuid,
    nonce: Uuid,
}

impl Stamp {
    /// A new one.
    pub fn now() -> Self {
        Self { at: wall_clock().into(), uuid: Uuid::new_v4(), nonce: Uuid::new_v4() }
    }

    /// One of a given moment with nothing of chance in it: what a replayed case asks with.
    pub fn at(moment: DateTime<Utc>) -> Self {
        Self { at: moment, uuid: Uuid::nil(), nonce: Uuid::nil() }
    }

    /// Seconds since 1970.
    pub fn unix(&self) -> i64 {
        self.at.timestamp()
    }

    /// The names in [`REQUEST_NAMES`](crate::policy::request::REQUEST_NAMES) and their values.
    pub fn names(&self) -> [(&'static str, Value); 5] {
        [
            ("now_unix", self.unix().into()),
            ("now_unix_ms", self.at.timestamp_millis().into()),
            ("now_iso", self.at.to_rfc3339_opts(SecondsFormat::Secs, true).into()),
            ("uuid", self.uuid.hyphenated().to_string().into()),
            ("nonce", self.nonce.simple().to_string().into()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_value_and_no_two_stamps_are_alike() {
        let (one, other) = (Stamp::now(), Stamp::now());
        assert_eq!(one.names().map(|(name, _)| name), crate::policy::request::REQUEST_NAMES);
        assert_ne!(one.names()[3].1, other.names()[3].1);
        assert_ne!(one.names()[4].1, other.names()[4].1);
        let iso = one.names()[2].1.to_string();
        assert!(iso.len() == 20 && iso.ends_with('Z') && iso.contains('T'), "{iso}");
    }
}
