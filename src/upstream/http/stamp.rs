//! What a request has that no other one has: a moment and values that never come twice.
//!
//! One stamp serves a whole request, so that a time in a header, in the body and in the signed text is the same.

use std::sync::OnceLock;

use chrono::{DateTime, SecondsFormat, Utc};
use minijinja::Value;
use uuid::Uuid;

use crate::deadline::wall_clock;
use crate::policy::expr::Later;
use crate::policy::request::REQUEST_NAMES;

/// The stamp of one request. Each part is made when it is first looked at, which most requests never do.
#[derive(Clone, Debug, Default)]
pub struct Stamp {
    at: OnceLock<DateTime<Utc>>,
    uuid: OnceLock<Uuid>,
    nonce: OnceLock<Uuid>,
}

impl Stamp {
    /// A new one.
    pub fn now() -> Self {
        Self::default()
    }

    /// One of a given moment with nothing of chance in it: what a replayed case asks with.
    pub fn at(moment: DateTime<Utc>) -> Self {
        Self { at: moment.into(), uuid: Uuid::nil().into(), nonce: Uuid::nil().into() }
    }

    /// Seconds since 1970.
    pub fn unix(&self) -> i64 {
        self.moment().timestamp()
    }

    fn moment(&self) -> DateTime<Utc> {
        *self.at.get_or_init(|| wall_clock().into())
    }

    /// The names in [`REQUEST_NAMES`] and their values.
    pub fn names(&self) -> [(&'static str, Value); 5] {
        REQUEST_NAMES.map(|name| (name, self.get(name).unwrap_or_default()))
    }
}

impl Later for Stamp {
    fn get(&self, name: &str) -> Option<Value> {
        Some(match name {
            "now_unix" => self.unix().into(),
            "now_unix_ms" => self.moment().timestamp_millis().into(),
            "now_iso" => self.moment().to_rfc3339_opts(SecondsFormat::Secs, true).into(),
            "uuid" => self.uuid.get_or_init(Uuid::new_v4).hyphenated().to_string().into(),
            "nonce" => self.nonce.get_or_init(Uuid::new_v4).simple().to_string().into(),
            _ => return None,
        })
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
