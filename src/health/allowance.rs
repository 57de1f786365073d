//! How many extra requests hedging may make: a share of all dips, saved up a little.

/// The most that is saved up, in requests.
const MOST: f64 = 10.0;

/// Extra requests that may be made.
#[derive(Debug)]
pub struct Allowance {
    share: f64,
    saved: f64,
}

impl Allowance {
    /// Room for one, unless none are ever allowed.
    pub fn new(share: f64) -> Self {
        Self { share, saved: if share > 0.0 { 1.0 } else { 0.0 } }
    }

    /// A dip was made.
    pub fn dip(&mut self) {
        self.saved = (self.saved + self.share).min(MOST);
    }

    /// Takes one extra request; false when there is no room for it.
    pub fn take(&mut self) -> bool {
        let there = self.saved >= 1.0;
        if there {
            self.saved -= 1.0;
        }
        there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_share() {
        let mut allowance = Allowance::new(0.05);
        let taken = (0..1000).filter(|_| {
            allowance.dip();
            allowance.take()
        });
        let taken = taken.count();
        assert!((50..=51).contains(&taken), "{taken}");
        (0..10_000).for_each(|_| allowance.dip());
        assert_eq!((0..100).filter(|_| allowance.take()).count(), 10, "what is saved up has a bound");
        assert!(!Allowance::new(0.0).take());
    }
}
