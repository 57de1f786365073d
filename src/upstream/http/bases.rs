//! Several base URLs of one vendor, and a small note on which of them is sick.
//!
//! The order is the operator's, or drawn by the operator's weights. A base that failed goes to the end of it for a while that doubles up to half a
//! minute; when the while is over, one request tries it in its old place and the others still go round it.

use std::borrow::Cow;
use std::time::Duration;

use parking_lot::Mutex;

use crate::deadline::Instant;

/// How long a base is passed over at first, and at most.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// The bases of one upstream.
#[derive(Debug)]
pub struct Bases {
    urls: Vec<String>,
    /// One for each, or none.
    weights: Vec<u32>,
    notes: Mutex<Vec<Note>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Note {
    failures: u32,
    /// Passed over until then.
    until: Option<Instant>,
}

impl Bases {
    /// All of them well.
    pub fn new(urls: &[String], weights: &[u32]) -> Self {
        Self { urls: urls.to_vec(), weights: weights.to_vec(), notes: Mutex::new(vec![Note::default(); urls.len()]) }
    }

    /// The base at this place; `None` where the URL is whole.
    pub fn url(&self, index: usize) -> Option<&str> {
        self.urls.get(index).map(String::as_str)
    }

    /// In which order to try them now; never empty.
    pub fn order(&self, now: impl FnOnce() -> Instant) -> Cow<'static, [usize]> {
        if self.urls.len() < 2 {
            return Cow::Borrowed(&[0]);
        }
        let now = now();
        let mut notes = self.notes.lock();
        let mut order: Vec<usize> = (0..notes.len()).collect();
        if !self.weights.is_empty() {
            // Whoever's clock rings first, of clocks that ring that often: a draw by weight, down to the last place.
            let rings: Vec<f64> =
                self.weights.iter().map(|weight| -fastrand::f64().ln() / f64::from(*weight)).collect();
            order.sort_by(|one, other| rings[*one].total_cmp(&rings[*other]));
        }
        order.sort_by_key(|index| notes[*index].until.is_some_and(|until| until > now));
        if let Some(first) = order.first().and_then(|first| notes.get_mut(*first))
            && first.failures > 0
        {
            // Its while is over: this request tries it, and the others wait for what comes of that.
            first.until = Some(now + pause(first.failures));
        }
        Cow::Owned(order)
    }

    /// How a try at one ended.
    pub fn ended(&self, index: usize, failed: bool, now: impl FnOnce() -> Instant) {
        if self.urls.is_empty() {
            return;
        }
        let mut notes = self.notes.lock();
        let Some(note) = notes.get_mut(index) else { return };
        let was_well = note.failures == 0;
        *note = match failed {
            true => Note { failures: note.failures + 1, until: Some(now() + pause(note.failures + 1)) },
            false => Note::default(),
        };
        let base = self.urls.get(index).map(String::as_str).unwrap_or_default();
        match (was_well, failed) {
            (true, true) => tracing::warn!(base, "a base URL fails: the next one is asked first"),
            (false, false) => tracing::info!(base, "a base URL is well again"),
            _ => {}
        }
    }
}

fn pause(failures: u32) -> Duration {
    (FIRST * 2_u32.saturating_pow(failures.saturating_sub(1).min(10))).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline::now;

    #[test]
    fn a_sick_base_goes_to_the_end_and_one_request_tries_it_again() {
        let bases = Bases::new(&["a".to_owned(), "b".to_owned()], &[]);
        let start = now();
        assert_eq!(*bases.order(|| start), [0, 1]);
        bases.ended(0, true, || start);
        assert_eq!(*bases.order(|| start), [1, 0]);
        let later = start + Duration::from_millis(1100);
        assert_eq!(*bases.order(|| later), [0, 1], "one request tries it");
        assert_eq!(*bases.order(|| later), [1, 0], "the others do not");
        bases.ended(0, true, || later);
        assert_eq!(*bases.order(|| later + Duration::from_millis(1900)), [1, 0], "the while has doubled");
        bases.ended(0, false, || later);
        assert_eq!(*bases.order(|| later), [0, 1]);
    }

    #[test]
    fn weights_draw_the_first_and_a_sick_one_still_goes_to_the_end() {
        let bases = Bases::new(&["a".to_owned(), "b".to_owned(), "c".to_owned()], &[6, 3, 1]);
        let start = now();
        let firsts = |base: usize| (0..10_000).filter(|_| bases.order(|| start)[0] == base).count();
        let shares = [firsts(0), firsts(1), firsts(2)];
        assert!((5700..6300).contains(&shares[0]) && (2700..3300).contains(&shares[1]), "{shares:?}");
        assert!((800..1200).contains(&shares[2]), "{shares:?}");
        bases.ended(0, true, || start);
        assert!((0..100).all(|_| bases.order(|| start)[2] == 0));
    }

    #[test]
    fn when_all_are_sick_the_order_is_the_operators_and_the_while_has_an_end() {
        let bases = Bases::new(&["a".to_owned(), "b".to_owned()], &[]);
        let start = now();
        for _ in 0..50 {
            bases.ended(0, true, || start);
            bases.ended(1, true, || start);
        }
        assert_eq!(*bases.order(|| start), [0, 1]);
        assert_eq!(bases.order(|| start + LONGEST)[0], 0);
        assert_eq!(*Bases::new(&[], &[]).order(|| start), [0]);
    }
}
