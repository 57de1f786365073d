//! Telephone numbers: E.164 and the North American plan.

/// A country whose national forms are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Country;
