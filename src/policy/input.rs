//! From a caller's text to a question: keys and inputs in their one canonical form.

use compact_str::CompactString;

use crate::policy::Policy;

/// The key's type and the further inputs that a policy declares.
#[derive(Debug)]
pub struct Inputs {
    /// The key's type.
    pub key: InputType,
    /// Further inputs, in the order in which the policy declares them.
    pub further: Vec<Declared>,
}

/// A further input.
#[derive(Debug)]
pub struct Declared {
    /// Its name in queries and expressions.
    pub name: String,
    /// Its type.
    pub input: InputType,
    /// False when a question without it is refused.
    pub optional: bool,
    /// Used when a question comes without it.
    pub default: Option<CompactString>,
}

/// What a key or an input may be, and how its canonical form is found.
#[derive(Clone, Debug)]
pub enum InputType {
    /// A telephone number: `+` and E.164 digits.
    Tn {
        /// The country whose national forms are understood beside the international one, such as `US`.
        country: crate::policy::number::Country,
    },
    /// A name of the DNS: lower case, no dot at the end, at most 253 bytes (RFC 1035).
    DnsName,
    /// Digits only, for prefixes and codes.
    Digits,
    /// Any printable text without control characters, at most 250 bytes.
    Text,
}

/// A question, in canonical form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// The key.
    pub key: CompactString,
    /// The further inputs, one a declared name, in the order of declaration.
    pub inputs: Vec<Option<CompactString>>,
    /// What the cache knows it by: the key alone where there are no further inputs.
    pub id: CompactString,
}

/// Why a caller's text is no question.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadInput {
    /// The key does not fit its type.
    #[error("the key is not {expected}")]
    Key {
        /// What it should be, in words.
        expected: &'static str,
        /// True where a telephone number was expected.
        number: bool,
    },
    /// An input does not fit its type, or is missing.
    #[error("input `{name}` is not {expected}")]
    Input {
        /// The input's name.
        name: String,
        /// What it should be, in words.
        expected: &'static str,
    },
    /// The policy declares no such input.
    #[error("there is no input `{name}`; this policy takes {known}")]
    Unknown {
        /// The name that was given.
        name: String,
        /// The names there are.
        known: String,
    },
}

impl Policy {
    /// Brings a caller's text into canonical form. `inputs` holds names and raw values, percent-decoded.
    ///
    /// # Errors
    /// [`BadInput`] says which part does not fit and what it should be.
    pub fn question(&self, key: &str, inputs: &[(&str, &str)]) -> Result<Question, BadInput> {
        let _ = (key, inputs);
        todo!()
    }
}
