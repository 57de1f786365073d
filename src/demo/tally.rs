//! What the callers saw: how each question ended and how long it took.
//!
//! Two views of the same samples: the last second, for the picture, and everything since the start, for the
//! promises. The second is counters alone, so that the demo may run for weeks.

use std::collections::VecDeque;
use std::ops::Sub;
use std::time::Duration;

use parking_lot::Mutex;

use crate::deadline::Instant;

/// How much of the past the picture shows.
const RECENT: Duration = Duration::from_secs(1);

/// How much later than its budget an answer may be: the way to the caller and back, on a machine that plays
/// caller, proxy and vendors at once.
pub const GRACE: Duration = Duration::from_millis(10);

/// A lookup that the calls ask, and the budget that its policy gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The lookup's name.
    pub lookup: &'static str,
    /// What a caller ever waits.
    pub budget: Duration,
}

const fn asked(lookup: &'static str, budget_ms: u64) -> Asked {
    Asked { lookup, budget: Duration::from_millis(budget_ms) }
}

/// What a call asks, in its order. The budgets are those of `config/demo-policies`.
pub const ASKED: [Asked; 5] =
    [asked("account", 30), asked("lrn", 50), asked("cnam", 80), asked("rate", 30), asked("carrier-dns", 40)];

/// How a question ended, as the caller saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Ending {
    /// A fresh entry of a cache.
    Hit,
    /// An upstream answered just now.
    Fetched,
    /// An old entry, because nothing fresh was to be had.
    Stale,
    /// The policy's fallback record.
    Fallback,
    /// A clear "nothing to be had": the caller goes on without, in time.
    Without,
    /// No answer at all.
    Lost,
}

/// How many endings there are.
const ENDINGS: usize = 6;

impl Ending {
    /// What a status and `X-Dip-Source` mean.
    pub fn of(status: u16, source: &str) -> Self {
        match (status, source) {
            (200 | 404, "local" | "shared") => Self::Hit,
            (200 | 404, "stale") => Self::Stale,
            (200 | 404, "fallback") => Self::Fallback,
            (200 | 404, _) => Self::Fetched,
            (502..=504, _) => Self::Without,
            _ => Self::Lost,
        }
    }

    /// True when the caller has something to work with: a record, or the word that there is none.
    pub fn is_usable(self) -> bool {
        !matches!(self, Self::Without | Self::Lost)
    }
}

/// Counts of one lookup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    endings: [u64; ENDINGS],
    /// Answers that came later than budget and grace.
    pub late: u64,
}

impl Counts {
    /// How many questions ended so.
    pub fn of(&self, ending: Ending) -> u64 {
        self.endings[ending as usize]
    }

    /// How many questions ended.
    pub fn all(&self) -> u64 {
        self.endings.iter().sum()
    }

    /// How many left the caller with something to work with.
    pub fn usable(&self) -> u64 {
        self.all() - self.of(Ending::Without) - self.of(Ending::Lost)
    }

    /// This part of all, in percent; zero of nothing.
    pub fn percent(&self, part: u64) -> f64 {
        if self.all() == 0 { 0.0 } else { part as f64 * 100.0 / self.all() as f64 }
    }

    fn add(&mut self, sample: &Sample) {
        self.endings[sample.ending as usize] += 1;
        self.late += u64::from(sample.is_late());
    }
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        let endings = std::array::from_fn(|at| self.endings[at] - earlier.endings[at]);
        Self { endings, late: self.late - earlier.late }
    }
}

/// The counts of every lookup, in the order of [`ASKED`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger([Counts; ASKED.len()]);

impl Ledger {
    /// The counts of a lookup; nothing for one that is not asked.
    pub fn of(&self, lookup: &str) -> Counts {
        ASKED.iter().position(|asked| asked.lookup == lookup).map(|at| self.0[at]).unwrap_or_default()
    }

    /// All lookups together.
    pub fn total(&self) -> Counts {
        self.0.iter().fold(Counts::default(), |mut sum, one| {
            sum.endings.iter_mut().zip(one.endings).for_each(|(sum, one)| *sum += one);
            sum.late += one.late;
            sum
        })
    }

    /// What came since an earlier ledger of the same tally.
    pub fn since(&self, earlier: &Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] - earlier.0[at]))
    }
}

/// How a lookup did within the last second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recent {
    /// How its questions ended.
    pub counts: Counts,
    /// Half of the answers took at most this long.
    pub p50: Duration,
    /// 99 of 100 answers took at most this long.
    pub p99: Duration,
    /// The slowest.
    pub max: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    asked: usize,
    took: Duration,
    ending: Ending,
}

impl Sample {
    fn is_late(&self) -> bool {
        self.took > ASKED[self.asked].budget + GRACE
    }
}

/// What the callers saw, shared by all of them.
#[derive(Debug, Default)]
pub struct Tally {
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    recent: VecDeque<Sample>,
    ledger: Ledger,
}

impl Tally {
    /// Enters how one question ended. `asked` is its place in [`ASKED`].
    pub fn enter(&self, now: Instant, asked: usize, took: Duration, ending: Ending) {
        let sample = Sample { at: now, asked, took, ending };
        let mut books = self.books.lock();
        books.ledger.0[asked].add(&sample);
        books.recent.push_back(sample);
        books.forget(now);
    }

    /// Everything since the start.
    pub fn ledger(&self) -> Ledger {
        self.books.lock().ledger
    }

    /// The last second of each lookup, in the order of [`ASKED`].
    pub fn recent(&self, now: Instant) -> [Recent; ASKED.len()] {
        let samples: Vec<Sample> = {
            let mut books = self.books.lock();
            books.forget(now);
            books.recent.iter().copied().collect()
        };
        std::array::from_fn(|asked| recent(samples.iter().filter(|sample| sample.asked == asked)))
    }
}

impl Books {
    fn forget(&mut self, now: Instant) {
        while self.recent.front().is_some_and(|oldest| now.saturating_duration_since(oldest.at) > RECENT) {
            self.recent.pop_front();
        }
    }
}

fn recent<'a>(samples: impl Iterator<Item = &'a Sample>) -> Recent {
    let mut counts = Counts::default();
    let mut times: Vec<Duration> = samples.inspect(|sample| counts.add(sample)).map(|sample| sample.took).collect();
    times.sort_unstable();
    let rank = |share: f64| {
        let at = (times.len() as f64 * share).ceil() as usize;
        times.get(at.saturating_sub(1)).copied().unwrap_or_default()
    };
    Recent { counts, p50: rank(0.5), p99: rank(0.99), max: rank(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn budgets_are_those_of_the_policies() {
        for asked in ASKED {
            let file = format!("{}/config/demo-policies/{}.toml", env!("CARGO_MANIFEST_DIR"), asked.lookup);
            let policy: toml::Table = toml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
            assert_eq!(policy["budget"]["call"].as_str().unwrap(), format!("{}ms", asked.budget.as_millis()));
        }
    }

    #[test]
    fn endings_follow_status_and_source() {
        assert_eq!(Ending::of(200, "local"), Ending::Hit);
        assert_eq!(Ending::of(404, "shared"), Ending::Hit);
        assert_eq!(Ending::of(404, "vendor-a"), Ending::Fetched);
        assert_eq!(Ending::of(200, "stale"), Ending::Stale);
        assert_eq!(Ending::of(200, "fallback"), Ending::Fallback);
        assert_eq!(Ending::of(503, "none"), Ending::Without);
        assert_eq!(Ending::of(504, ""), Ending::Without);
        // A question that the proxy does not even understand is a broken demo, not an answer.
        assert_eq!(Ending::of(400, "none"), Ending::Lost);
    }

    #[test]
    fn the_picture_forgets_and_the_ledger_does_not() {
        let tally = Tally::default();
        let start = deadline::now();
        for n in 1..=100 {
            tally.enter(start, 1, n * MS, Ending::Hit);
        }
        tally.enter(start + 500 * MS, 2, MS, Ending::Stale);
        let seen = tally.recent(start + 600 * MS)[1];
        assert_eq!((seen.p50, seen.p99, seen.max), (50 * MS, 99 * MS, 100 * MS));
        // The budget is 50 ms and the grace 10.
        assert_eq!((seen.counts.all(), seen.counts.late), (100, 40));

        let later = tally.recent(start + 1_200 * MS);
        assert_eq!((later[1], later[2].counts.of(Ending::Stale)), (Recent::default(), 1));
        assert_eq!((tally.ledger().of("lrn").all(), tally.ledger().total().all()), (100, 101));

        let before = tally.ledger();
        tally.enter(start, 1, MS, Ending::Lost);
        let since = tally.ledger().since(&before);
        assert_eq!((since.of("lrn").all(), since.of("lrn").usable(), since.of("cnam").all()), (1, 0, 0));
    }
}
