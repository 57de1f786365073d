//! Canonical records: which fields a kind of lookup speaks of.

/// A kind of lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anything; the policy's own fields.
    Raw,
}
