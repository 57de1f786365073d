//! Promises: `callers.p99_ms from 10s to 20s <= 1.25 * callers.p99_ms from 2s to 10s`.
//!
//! ```text
//! promise = measure ("<=" | ">=" | "=") bound
//! measure = name "." metric ["from" time "to" time | ("beside" | "without") load]
//! bound   = number [("*" | "+") measure]
//! ```
//!
//! The name is a load's, a vendor's (`lrn/vendor-a`) or `proxy`. `beside callers` is the median of the turns in which `callers`
//! come, `without callers` that of the turns in between.

use std::fmt;
use std::time::Duration;

/// A window of a run, from its beginning; `None` is the whole of it.
pub type Window = Option<(Duration, Duration)>;

/// A sentence that a run proves true or false.
#[derive(Clone, Debug, PartialEq)]
pub struct Promise {
    /// As it is written.
    pub text: String,
    /// What is measured.
    pub measure: Measure,
    /// How it compares.
    pub than: Than,
    /// With what.
    pub bound: Bound,
}

/// Something that has a value after a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Measure {
    /// Whose.
    pub of: String,
    /// Which.
    pub metric: String,
    /// When.
    pub when: When,
}

/// The time that a measure is of.
#[derive(Clone, Debug, PartialEq)]
pub enum When {
    /// A stretch.
    In(Window),
    /// The turns with a load's callers, or those without; the median of them counts.
    Turns {
        /// The load.
        of: String,
        /// True for those with them.
        with: bool,
    },
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Than {
    /// At most.
    AtMost,
    /// At least.
    AtLeast,
    /// Exactly, to a millionth.
    Equal,
}

/// What a measure is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Bound {
    /// A figure.
    Is(f64),
    /// So many times another measure.
    Times(f64, Measure),
    /// Another measure and so much more.
    Plus(f64, Measure),
}

impl Than {
    /// Whether it holds.
    pub fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::AtMost => value <= bound,
            Self::AtLeast => value >= bound,
            Self::Equal => (value - bound).abs() < 1e-6,
        }
    }
}

impl Promise {
    /// Reads one.
    ///
    /// # Errors
    /// What is not understood of it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace().peekable();
        let measure = measure(&mut words)?;
        let than = match words.next() {
            Some("<=") => Than::AtMost,
            Some(">=") => Than::AtLeast,
            Some("=") => Than::Equal,
            Some(word) => return Err(format!("`{word}` is no comparison; there are <=, >= and =")),
            None => return Err("it compares with nothing: `callers.p99_ms <= 55`".to_owned()),
        };
        let word = words.next().unwrap_or_default();
        let figure: f64 = word.parse().map_err(|_| format!("`{word}` is no number"))?;
        let bound = match words.next() {
            None => Bound::Is(figure),
            Some("*") => Bound::Times(figure, self::measure(&mut words)?),
            Some("+") => Bound::Plus(figure, self::measure(&mut words)?),
            Some(word) => {
                return Err(format!("`{word}` is too much; behind a number stand `* measure` or `+ measure`"));
            }
        };
        match words.next() {
            Some(word) => Err(format!("`{word}` is too much")),
            None => Ok(Self { text: text.to_owned(), measure, than, bound }),
        }
    }

    /// Every measure in it.
    pub fn measures(&self) -> impl Iterator<Item = &Measure> {
        let other = match &self.bound {
            Bound::Is(_) => None,
            Bound::Times(_, measure) | Bound::Plus(_, measure) => Some(measure),
        };
        std::iter::once(&self.measure).chain(other)
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn measure<'a>(words: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>) -> Result<Measure, String> {
    let word = words.next().unwrap_or_default();
    let (of, metric) =
        word.rsplit_once('.').ok_or_else(|| format!("`{word}` is no measure; they look like `callers.p99_ms`"))?;
    let when = match words.next_if(|word| ["from", "beside", "without"].contains(word)) {
        None => When::In(None),
        Some("from") => {
            let from = time(words.next())?;
            if words.next() != Some("to") {
                return Err("a window looks like `from 10s to 20s`".to_owned());
            }
            When::In(Some((from, time(words.next())?)))
        }
        Some(word) => When::Turns { of: words.next().unwrap_or_default().to_owned(), with: word == "beside" },
    };
    Ok(Measure { of: of.to_owned(), metric: metric.to_owned(), when })
}

fn time(word: Option<&str>) -> Result<Duration, String> {
    duration(word.unwrap_or_default())
}

/// Reads `20ms`, `1.5s`, `2m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time; it looks like 500ms, 10s or 2m");
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
    let number: f64 = text[..end].parse().map_err(|_| wrong())?;
    let seconds = match &text[end..] {
        "ms" => number / 1000.0,
        "s" => number,
        "m" => number * 60.0,
        _ => return Err(wrong()),
    };
    // A run's moments are kept in microseconds of 32 bits.
    if seconds > 3600.0 { Err(format!("{text} is more than an hour")) } else { Ok(Duration::from_secs_f64(seconds)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_read_as_it_is_said() {
        let promise = Promise::parse("hits.p99_ms from 10s to 20s <= 1.25 * hits.p99_ms from 2s to 10s").unwrap();
        let window = (Duration::from_secs(10), Duration::from_secs(20));
        assert_eq!(promise.measure.when, When::In(Some(window)));
        assert!(matches!(&promise.bound, Bound::Times(by, than) if *by == 1.25 && than.of == "hits"));
        let dips = Promise::parse("lrn/vendor-a.requests <= 20").unwrap();
        assert_eq!((dips.measure.of.as_str(), dips.measure.metric.as_str()), ("lrn/vendor-a", "requests"));
        let turns = Promise::parse("hits.p99_ms beside callers <= 1.25 * hits.p99_ms without callers").unwrap();
        let whens: Vec<_> = turns.measures().map(|measure| measure.when.clone()).collect();
        assert_eq!(whens, [true, false].map(|with| When::Turns { of: "callers".to_owned(), with }));
        assert!(matches!(Promise::parse("a.b = 1.0").unwrap().bound, Bound::Is(_)));
    }

    #[test]
    fn what_is_not_understood_is_told() {
        let complaint = |text| Promise::parse(text).unwrap_err();
        assert!(complaint("p99_ms <= 5").contains("no measure"));
        assert!(complaint("a.p99_ms < 5").contains("no comparison"));
        assert!(complaint("a.p99_ms <= five").contains("no number"));
        assert!(complaint("a.p99_ms from 1s until 2s <= 5").contains("from 10s to 20s"));
        assert!(complaint("a.p99_ms <= 5 ms").contains("too much"));
        assert!(complaint("a.p99_ms from 1 to 2s <= 5").contains("500ms"));
        assert!(complaint("a.p99_ms").contains("compares with nothing"));
    }

    #[test]
    fn comparisons_hold_at_their_bounds() {
        assert!(Than::AtMost.holds(5.0, 5.0) && !Than::AtMost.holds(5.1, 5.0));
        assert!(Than::AtLeast.holds(5.0, 5.0) && !Than::AtLeast.holds(4.9, 5.0));
        assert!(Than::Equal.holds(1.0, 1.0) && !Than::Equal.holds(0.9999, 1.0));
    }
}
