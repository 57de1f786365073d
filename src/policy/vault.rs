//! Where a policy's secrets come from: from where their references say, or, in a replay, from stand-ins.

use std::collections::BTreeMap;

use super::secret::{Secret, SecretError};

/// The source of all secrets of a policy while it is read.
#[derive(Debug, Default)]
pub enum Vault {
    /// The environment, files and credentials that the references name.
    #[default]
    Real,
    /// A value for each reference, such as `env:VENDOR_KEY`. Nothing else is looked at, so that a replay
    /// needs no environment and can give none away.
    StandIns(BTreeMap<String, String>),
}

impl Vault {
    /// What `reference` refers to.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn read(&self, reference: &str) -> Result<Secret, SecretError> {
        match self {
            Self::Real => Secret::read(reference),
            // A literal is a fault of the policy, with stand-ins as without.
            Self::StandIns(_) if !is_reference(reference) => Err(SecretError::Literal),
            Self::StandIns(values) => match values.get(reference) {
                Some(value) => Ok(Secret::stand_in(reference, value)),
                None => Err(SecretError::NoStandIn(reference.to_owned())),
            },
        }
    }
}

fn is_reference(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| matches!(scheme, "env" | "file" | "cred"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_hide_the_environment() {
        let vault = Vault::StandIns(BTreeMap::from([("env:KEY".to_owned(), "k".to_owned())]));
        assert_eq!(vault.read("env:KEY").unwrap().expose(), "k");
        assert_eq!(vault.read("env:PATH").unwrap_err(), SecretError::NoStandIn("env:PATH".to_owned()));
        assert_eq!(vault.read("hunter2").unwrap_err(), SecretError::Literal);
        assert!(Vault::Real.read("env:PATH").is_ok());
    }
}
