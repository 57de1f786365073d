//! The 1/0 that a routing script checks before it asks.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// The operator's hand on a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Override {
    /// The upstreams' health decides.
    Auto = 0,
    /// 1, whatever the upstreams do.
    Up = 1,
    /// 0, whatever the upstreams do.
    Down = 2,
}

impl Override {
    /// The override of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "up" => Some(Self::Up),
            "down" => Some(Self::Down),
            _ => None,
        }
    }

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// One lookup's verdict.
#[derive(Debug)]
pub struct Verdict {
    usable: AtomicBool,
    hand: AtomicU8,
}

impl Default for Verdict {
    fn default() -> Self {
        Self { usable: AtomicBool::new(true), hand: AtomicU8::new(Override::Auto as u8) }
    }
}

impl Verdict {
    /// The flag.
    pub fn is_up(&self) -> bool {
        match self.hand() {
            Override::Auto => self.usable.load(Ordering::Relaxed),
            Override::Up => true,
            Override::Down => false,
        }
    }

    /// The operator's hand.
    pub fn hand(&self) -> Override {
        match self.hand.load(Ordering::Relaxed) {
            1 => Override::Up,
            2 => Override::Down,
            _ => Override::Auto,
        }
    }

    /// Notes whether any upstream is usable; true when that turned the flag.
    pub fn note(&self, usable: bool) -> bool {
        let before = self.is_up();
        self.usable.store(usable, Ordering::Relaxed);
        before != self.is_up()
    }

    /// Lays the operator's hand on it; true when that turned the flag.
    pub fn lay(&self, hand: Override) -> bool {
        let before = self.is_up();
        self.hand.store(hand as u8, Ordering::Relaxed);
        before != self.is_up()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hand_wins_and_lets_go() {
        let verdict = Verdict::default();
        assert!(verdict.is_up());
        assert!(verdict.note(false) && !verdict.note(false) && !verdict.is_up());
        assert!(verdict.lay(Override::Up) && verdict.is_up());
        assert!(verdict.lay(Override::Down) && !verdict.is_up());
        assert!(!verdict.note(true), "the hand hides it");
        assert!(verdict.lay(Override::Auto) && verdict.is_up());
    }
}
