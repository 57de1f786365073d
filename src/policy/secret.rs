//! Secrets by reference: the policy names where a secret is, never the secret.

use std::fmt;

/// A secret's value, read when the policy was loaded. It prints as `***`.
#[derive(Clone)]
pub struct Secret {
    value: String,
}

impl Secret {
    /// The value itself, for the wire only.
    pub fn expose(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
