//! Canonical records: which fields a kind of lookup speaks of.

/// A kind of lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anything; the policy's own fields.
    Raw,
}

impl Kind {
    /// Every kind.
    pub const ALL: &[Self] = &[Self::Raw];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        "raw"
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        matches!(name, "raw" | "lrn" | "cnam" | "rate" | "account" | "dns").then_some(Self::Raw)
    }

    /// Its canonical fields.
    pub const fn fields(self) -> &'static [&'static str] {
        &[]
    }

    /// The field that format `text` answers.
    pub const fn primary(self) -> &'static str {
        ""
    }
}
