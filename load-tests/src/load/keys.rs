//! Which key a caller asks for: telephone numbers of eleven digits, by their place in a row.

use fastrand::Rng;

/// The number of the first key; the others follow, up to the area codes that are none (311).
const FIRST: u64 = 13_030_000_000;

/// Which keys are asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keys {
    /// One of so many, the first ones far more often: rank r with a chance of 1 / r^exponent.
    Zipf {
        /// How many there are.
        of: u64,
        /// How steep it is; 0 asks for all alike.
        exponent: f64,
    },
    /// One after the other, once each.
    InTurn {
        /// The first one's place.
        from: u64,
    },
    /// A new one for each burst, the same for all callers in it.
    EachBurst {
        /// The first one's place.
        from: u64,
        /// Callers in a burst.
        of: u64,
    },
}

/// Draws keys.
#[derive(Debug)]
pub struct Draw {
    keys: Keys,
    zipf: Zipf,
    random: Rng,
}

impl Draw {
    /// Draws the same keys each time for the same seed.
    pub fn new(keys: Keys, seed: u64) -> Self {
        let zipf = match keys {
            Keys::Zipf { of, exponent } => Zipf::new(of, exponent),
            Keys::InTurn { .. } | Keys::EachBurst { .. } => Zipf::new(1, 0.0),
        };
        Self { keys, zipf, random: Rng::with_seed(seed) }
    }

    /// The key of the n-th caller, as its eleven digits.
    pub fn key(&mut self, n: u64) -> u64 {
        let place = match self.keys {
            Keys::Zipf { .. } => self.zipf.draw(&mut self.random),
            Keys::InTurn { from } => from + n,
            Keys::EachBurst { from, of } => from + n / of.max(1),
        };
        FIRST + place
    }
}

/// Ranks, the first ones far more often: rank r with a chance of 1 / r^exponent.
#[derive(Clone, Debug)]
pub struct Zipf {
    /// The chance of each rank and all before it, times their sum.
    up_to: Vec<f64>,
}

impl Zipf {
    /// So many ranks; eight bytes each.
    pub fn new(of: u64, exponent: f64) -> Self {
        let chances = (1..=of.max(1)).map(|rank| (rank as f64).powf(-exponent));
        let up_to = chances.scan(0.0, |sum, chance| {
            *sum += chance;
            Some(*sum)
        });
        Self { up_to: up_to.collect() }
    }

    /// A rank, from 0.
    pub fn draw(&self, random: &mut Rng) -> u64 {
        let mark = random.f64() * self.up_to.last().copied().unwrap_or(0.0);
        self.up_to.partition_point(|up_to| *up_to <= mark) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zipf_keys_stay_within_their_number_and_the_first_leads() {
        let mut draw = Draw::new(Keys::Zipf { of: 1000, exponent: 1.0 }, 7);
        let drawn: Vec<u64> = (0..10_000).map(|n| draw.key(n) - FIRST).collect();
        assert!(drawn.iter().all(|place| *place < 1000));
        let first = drawn.iter().filter(|place| **place == 0).count();
        // The share of the first of 1,000 is 1 / H(1000) = 13.4 percent.
        assert!((1_100..1_600).contains(&first), "{first}");
    }

    #[test]
    fn new_keys_are_new_and_a_burst_shares_one() {
        let mut new = Draw::new(Keys::InTurn { from: 10 }, 0);
        assert_eq!((new.key(0), new.key(1)), (FIRST + 10, FIRST + 11));
        let mut burst = Draw::new(Keys::EachBurst { from: 0, of: 30 }, 0);
        assert_eq!((burst.key(29), burst.key(30)), (FIRST, FIRST + 1));
    }
}
