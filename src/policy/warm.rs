//! What is asked before anybody calls.

/// What is asked before anybody calls.
#[derive(Clone, Debug, PartialEq)]
pub struct Warm {
    /// Up to which part of an upstream's `concurrency`, 0 to 1, calls and warm dips together may go: past it no
    /// warm dip begins.
    pub share: f64,
}

impl Default for Warm {
    fn default() -> Self {
        Self { share: 0.5 }
    }
}
