//! One line that says how far it is: at a terminal only, drawn over itself.

use std::fmt::Write as _;
use std::io::Write as _;

use crate::warm::{State, Told};

/// How wide the bar itself is.
const WIDTH: usize = 24;

/// The line.
pub(super) struct Bar {
    shown: bool,
}

impl Bar {
    /// A line that is drawn, or one that stays silent.
    pub(super) fn new(shown: bool) -> Self {
        Self { shown }
    }

    /// Draws it. `share` is the part of the input that was handed over, where that is known.
    pub(super) fn show(&self, told: &Told, share: Option<f64>) {
        if self.shown {
            let mut out = std::io::stderr().lock();
            // A terminal that is gone takes nothing, and that is no reason to stop.
            let _ = write!(out, "\r\x1b[K{}", line(told, share));
            let _ = out.flush();
        }
    }

    /// Leaves it behind.
    pub(super) fn end(&self) {
        if self.shown {
            eprintln!();
        }
    }
}

fn line(told: &Told, share: Option<f64>) -> String {
    let mut line = String::new();
    if let Some(share) = share {
        let full = ((share.clamp(0.0, 1.0)) * WIDTH as f64) as usize;
        let _ = write!(line, "[{}{}] {:>3.0} % ", "=".repeat(full), " ".repeat(WIDTH - full), share * 100.0);
    }
    let rate = if told.seconds > 0.0 { told.keys as f64 / told.seconds } else { 0.0 };
    let _ = write!(
        line,
        "{} keys, {rate:.0}/s, {} fresh, {} dips, {} failed",
        told.keys, told.hits, told.dips, told.failed
    );
    if told.bad > 0 {
        let _ = write!(line, ", {} no keys", told.bad);
    }
    match (told.state, left(told, share)) {
        (State::Waiting, _) => {
            let _ = write!(line, " – waits: {}", told.why);
        }
        (State::Running, Some(left)) => {
            let _ = write!(line, " – {left} left");
        }
        _ => {}
    }
    line
}

/// How long it will take at the speed that it has had so far.
fn left(told: &Told, share: Option<f64>) -> Option<String> {
    let share = share.filter(|share| *share > 0.001 && *share < 1.0)?;
    let seconds = (told.seconds / share * (1.0 - share)).min(1e7) as u64;
    Some(match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_rate_hits_dips_failures_and_time_left() {
        let told = Told { keys: 500, hits: 100, dips: 390, failed: 10, seconds: 10.0, ..Told::default() };
        assert_eq!(
            line(&told, Some(0.25)),
            "[======                  ]  25 % 500 keys, 50/s, 100 fresh, 390 dips, 10 failed – 30 s left"
        );
        let waits = Told { state: State::Waiting, why: "the breaker".to_owned(), bad: 1, ..told };
        assert_eq!(
            line(&waits, None),
            "500 keys, 50/s, 100 fresh, 390 dips, 10 failed, 1 no keys – waits: the breaker"
        );
    }
}
