//! Telephone numbers: E.164 and the North American plan.

/// A country whose national forms are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Country;

impl Country {
    /// The country of this ISO 3166 code.
    pub fn from_code(code: &str) -> Option<Self> {
        (code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase())).then_some(Self)
    }
}
