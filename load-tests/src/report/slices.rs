//! A run cut into slices of time, for pictures and series.

use std::time::Duration;

use crate::load::sample::{Kind, Sample};

/// Slices of a run, at most.
const MOST: f64 = 150.0;

/// How long a slice of a run is.
pub fn width(time: Duration) -> Duration {
    time.div_f64(MOST).max(Duration::from_millis(100))
}

/// The callers who were due in a slice of time.
#[derive(Clone, Debug, Default)]
pub struct Slice {
    /// When it begins, in seconds of the run.
    pub at: f64,
    /// How long they took, in microseconds, the shortest first.
    took: Vec<u32>,
    /// How many got what, in the order of [`Kind::ALL`].
    pub kinds: [u64; Kind::ALL.len()],
}

impl Slice {
    /// The value at this quantile, in milliseconds; `None` where nobody came.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let place = ((self.took.len() as f64 * quantile).ceil() as usize).clamp(1, self.took.len().max(1)) - 1;
        self.took.get(place).map(|took| f64::from(*took) / 1000.0)
    }

    /// How many came.
    pub fn asked(&self) -> u64 {
        self.kinds.iter().sum()
    }
}

/// The slices of a run of this length.
pub fn slices<'a>(samples: impl Iterator<Item = &'a Sample>, time: Duration) -> Vec<Slice> {
    let width = width(time);
    let count = time.as_micros().div_ceil(width.as_micros()) as usize;
    let mut slices: Vec<Slice> =
        (0..count).map(|n| Slice { at: n as f64 * width.as_secs_f64(), ..Slice::default() }).collect();
    for sample in samples {
        let place = (u128::from(sample.due_us) / width.as_micros()) as usize;
        if let Some(slice) = slices.get_mut(place) {
            slice.took.push(sample.took_us);
            slice.kinds[sample.kind as usize] += 1;
        }
    }
    slices.iter_mut().for_each(|slice| slice.took.sort_unstable());
    slices
}
