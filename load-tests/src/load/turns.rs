//! Callers who come for a turn and stay away for one, again and again: what they do to others is then seen turn by turn, and
//! what else the machine does meanwhile falls on both kinds of turns.

use std::time::Duration;

/// How long a turn is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turns(pub Duration);

impl Turns {
    /// For how much of this span, from a load's beginning, its callers come.
    pub fn open(self, span: Duration) -> Duration {
        let pairs = self.whole(span) / 2;
        let begun = span.saturating_sub(self.0 * (2 * pairs));
        self.0 * pairs + begun.min(self.0)
    }

    /// When, from a load's beginning, its callers have come for so long.
    pub fn moment(self, open: Duration) -> Duration {
        open + self.0 * self.whole(open)
    }

    /// How many whole turns a span has.
    fn whole(self, span: Duration) -> u32 {
        // A run is an hour at most, and a turn no shorter than a tenth of a second.
        u32::try_from(span.as_nanos() / self.0.as_nanos().max(1)).unwrap_or(u32::MAX)
    }

    /// The turns with them, or those without, of a load that begins and ends then. The first quarter of each is left out: what the
    /// turn before has left behind is nobody's.
    pub fn windows(self, from: Duration, to: Duration, with: bool) -> Vec<(Duration, Duration)> {
        let first = if with { from } else { from + self.0 };
        let begin = |pair: u32| first + self.0 * (2 * pair);
        (0..)
            .map(begin)
            .take_while(|begin| *begin + self.0 <= to)
            .map(|begin| (begin + self.0 / 4, begin + self.0))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_come_every_other_turn() {
        let (ms, turns) = (Duration::from_millis, Turns(Duration::from_secs(2)));
        for (open, moment) in [(0, 0), (1999, 1999), (2000, 4000), (3999, 5999), (4001, 8001)] {
            assert_eq!(turns.moment(ms(open)), ms(moment));
            assert_eq!(turns.open(ms(moment)), ms(open));
        }
        assert_eq!((turns.open(ms(3000)), turns.open(ms(8000))), (ms(2000), ms(4000)));
        assert_eq!(turns.windows(ms(1000), ms(9000), true), [(ms(1500), ms(3000)), (ms(5500), ms(7000))]);
        assert_eq!(turns.windows(ms(1000), ms(9000), false), [(ms(3500), ms(5000)), (ms(7500), ms(9000))]);
    }
}
