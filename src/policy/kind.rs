//! Canonical records: which fields a kind of lookup speaks of.
