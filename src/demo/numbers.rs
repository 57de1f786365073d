//! Which numbers call and are called: a few thousand, and a few of them much more often than the rest.

/// Area codes of the places that the demo knows.
pub const AREA_CODES: [&str; 12] = ["303", "720", "312", "773", "415", "628", "414", "603", "512", "737", "206", "212"];

/// How many numbers there are.
const NUMBERS: usize = 4_000;

/// How uneven the choice is: with 1, the n-th number is called an n-th as often as the first (Zipf).
const SKEW: f64 = 1.0;

/// The numbers, and how likely each is.
#[derive(Debug)]
pub struct Numbers {
    all: Vec<String>,
    /// The chance that a call goes to a number up to this one; the last is 1.
    up_to: Vec<f64>,
}

impl Default for Numbers {
    fn default() -> Self {
        let all = (0..NUMBERS).map(number).collect();
        let mut sum = 0.0;
        let mut up_to: Vec<f64> = (1..=NUMBERS)
            .map(|rank| {
                sum += (rank as f64).powf(-SKEW);
                sum
            })
            .collect();
        up_to.iter_mut().for_each(|share| *share /= sum);
        Self { all, up_to }
    }
}

impl Numbers {
    /// The number that this chance, from 0 up to 1, falls on: eleven digits.
    pub fn pick(&self, chance: f64) -> &str {
        let at = self.up_to.partition_point(|&share| share <= chance);
        &self.all[at.min(self.all.len() - 1)]
    }
}

/// The n-th number: area codes in turn, exchanges from 220 to 899 without those that end in 11.
fn number(n: usize) -> String {
    let area = AREA_CODES[n % AREA_CODES.len()];
    let mut exchange = 220 + n * 7 % 680;
    if exchange % 100 == 11 {
        exchange += 1;
    }
    format!("1{area}{exchange}{:04}", n * 13 % 10_000)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::demo::vendors::Subscriber;

    #[test]
    fn numbers_are_many_whole_and_known_to_the_vendors() {
        let numbers = Numbers::default();
        let different: HashSet<_> = numbers.all.iter().collect();
        assert_eq!(different.len(), NUMBERS);
        let known = numbers.all.iter().filter(|number| Subscriber::of(&number[1..]).is_some()).count();
        assert!(known > NUMBERS * 9 / 10, "{known}");
    }

    #[test]
    fn the_first_are_called_much_more_often() {
        let numbers = Numbers::default();
        assert_eq!(numbers.pick(0.0), numbers.all[0]);
        assert_eq!(numbers.pick(0.999_999_9), numbers.all[NUMBERS - 1]);
        assert_eq!(numbers.pick(1.0), numbers.all[NUMBERS - 1]);
        let to_the_first_hundred = numbers.up_to[99];
        assert!((0.5..0.7).contains(&to_the_first_hundred), "{to_the_first_hundred}");
    }
}
