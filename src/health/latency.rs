//! How fast an upstream has answered lately: what a hedge waits for, and what a dip must have left when it gets its seat.

use std::time::Duration;

/// How many answers are remembered.
const REMEMBERED: usize = 128;

/// Below this many a percentile says nothing.
const ENOUGH: usize = 20;

/// The latest answers' times, in microseconds.
#[derive(Debug)]
pub struct Latencies {
    micros: Vec<u32>,
    next: usize,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { micros: Vec::with_capacity(REMEMBERED), next: 0 }
    }
}

impl Latencies {
    /// Remembers one answer's time, in the place of the oldest.
    pub fn note(&mut self, took: Duration) {
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        match self.micros.get_mut(self.next) {
            Some(oldest) => *oldest = micros,
            None => self.micros.push(micros),
        }
        self.next = (self.next + 1) % REMEMBERED;
    }

    /// The time within which 95 of 100 answers came; `None` while there are too few.
    pub fn p95(&self) -> Option<Duration> {
        self.percentile(95)
    }

    /// The time within which every second answer came; `None` while there are too few.
    pub fn p50(&self) -> Option<Duration> {
        self.percentile(50)
    }

    fn percentile(&self, share: usize) -> Option<Duration> {
        if self.micros.len() < ENOUGH {
            return None;
        }
        let mut sorted = self.micros.clone();
        let at = sorted.len() * share / 100;
        let (_, micros, _) = sorted.select_nth_unstable(at);
        Some(Duration::from_micros(u64::from(*micros)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentiles_are_of_the_latest_answers() {
        let mut latencies = Latencies::default();
        (1..20).for_each(|ms| latencies.note(Duration::from_millis(ms)));
        assert_eq!(latencies.p95(), None);
        (20..=100).for_each(|ms| latencies.note(Duration::from_millis(ms)));
        assert_eq!(latencies.p95(), Some(Duration::from_millis(96)));
        assert_eq!(latencies.p50(), Some(Duration::from_millis(51)));
        (0..REMEMBERED).for_each(|_| latencies.note(Duration::from_millis(5)));
        assert_eq!(latencies.p95(), Some(Duration::from_millis(5)), "the old ones are forgotten");
    }
}
