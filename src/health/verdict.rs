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
    /// What the cluster says: 0 nothing, 1 down, 2 up.
    cluster: AtomicU8,
}

impl Default for Verdict {
    fn default() -> Self {
        Self { usable: AtomicBool::new(true), hand: AtomicU8::new(Override::Auto as u8), cluster: AtomicU8::new(0) }
    }
}

impl Verdict {
    /// The flag.
    pub fn is_up(&self) -> bool {
        match self.hand() {
            Override::Auto => self.cluster().unwrap_or_else(|| self.is_usable()),
            Override::Up => true,
            Override::Down => false,
        }
    }

    /// What this node sees for itself.
    pub fn is_usable(&self) -> bool {
        self.usable.load(Ordering::Relaxed)
    }

    /// The cluster's verdict; `None` when this node decides alone.
    pub fn cluster(&self) -> Option<bool> {
        match self.cluster.load(Ordering::Relaxed) {
            1 => Some(false),
            2 => Some(true),
            _ => None,
        }
    }

    /// Notes what the cluster says, if it says anything; true when that turned the flag.
    pub fn follow(&self, cluster: Option<bool>) -> bool {
        let before = self.is_up();
        self.cluster.store(cluster.map_or(0, |up| 1 + u8::from(up)), Ordering::Relaxed);
        before != self.is_up()
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
    fn the_cluster_outvotes_the_node_until_it_falls_silent() {
        let verdict = Verdict::default();
        assert!(!verdict.follow(Some(true)));
        assert!(!verdict.note(false) && verdict.is_up() && !verdict.is_usable());
        assert!(verdict.follow(None) && !verdict.is_up(), "alone again, it sees for itself");
        assert!(!verdict.follow(Some(false)) && verdict.lay(Override::Up));
    }

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
