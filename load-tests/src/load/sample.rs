//! What one caller got.

/// How a caller was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A fresh record from the cache.
    Hit,
    /// A record from an upstream, or, over a protocol that does not tell, from anywhere.
    Fresh,
    /// A record past its life.
    Stale,
    /// The policy's fallback record.
    Fallback,
    /// An answer without a record.
    Empty,
    /// An answer without a record, because the proxy has too much in hand.
    Shed,
    /// No answer, within the caller's patience or at all.
    Failed,
    /// An answer to another question, or no answer that the protocol knows.
    Wrong,
}

impl Kind {
    /// Every kind, the best first.
    pub const ALL: [Self; 8] =
        [Self::Hit, Self::Fresh, Self::Stale, Self::Fallback, Self::Empty, Self::Shed, Self::Failed, Self::Wrong];

    /// The word for it in reports and promises.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Fallback => "fallback",
            Self::Empty => "empty",
            Self::Shed => "shed",
            Self::Failed => "failed",
            Self::Wrong => "wrong",
        }
    }

    /// True when the caller got an answer that the protocol knows, be it a "no".
    pub const fn is_answer(self) -> bool {
        !matches!(self, Self::Failed | Self::Wrong)
    }

    /// True when the answer was of use: it had a record.
    pub const fn has_record(self) -> bool {
        matches!(self, Self::Hit | Self::Fresh | Self::Stale | Self::Fallback)
    }
}

/// One caller. Small on purpose: every one of a run is kept, so that any window can be asked for later.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// When it was due, in microseconds of the run.
    pub due_us: u32,
    /// From when it was due until its answer was whole, in microseconds.
    pub took_us: u32,
    /// How much of that passed before its question was sent, in microseconds.
    pub lag_us: u32,
    /// What it was ready to wait, in milliseconds; 0 when it named nothing.
    pub budget_ms: u16,
    /// What it got.
    pub kind: Kind,
}
