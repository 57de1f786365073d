//! What dips have cost, today and this month (UTC), and whether there is anything left to spend.
//!
//! Counted in memory: a restart begins anew, a reload does not.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc};
use parking_lot::Mutex;

use crate::answer::Outcome;
use crate::policy::Cost;

/// The purse of one lookup.
#[derive(Debug)]
pub struct Spend {
    rules: Cost,
    spent: Mutex<Spent>,
}

/// What was spent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    day: NaiveDate,
    /// Money today.
    pub today: f64,
    /// Money this month.
    pub this_month: f64,
    /// Paid dips today.
    pub dips_today: u64,
    /// Paid dips this month.
    pub dips_this_month: u64,
}

impl Spend {
    /// A purse of these rules, with what was spent before a reload.
    pub fn new(rules: Cost, before: Option<&Self>) -> Self {
        Self { rules, spent: Mutex::new(before.map(|before| *before.spent.lock()).unwrap_or_default()) }
    }

    /// Pays for one dip; tells what is spent now, if it cost anything.
    pub fn pay(&self, outcome: Outcome, wall: SystemTime) -> Option<Spent> {
        let price = self.rules.price(outcome)?;
        let mut spent = self.spent.lock();
        spent.turn_to(today(wall));
        spent.today += price;
        spent.this_month += price;
        spent.dips_today += 1;
        spent.dips_this_month += 1;
        Some(*spent)
    }

    /// How long nothing more may be spent; `None` while something is left.
    pub fn closed_for(&self, wall: SystemTime) -> Option<Duration> {
        let today = today(wall);
        let mut spent = self.spent.lock();
        spent.turn_to(today);
        let over = |spent: f64, limit: Option<f64>| limit.is_some_and(|limit| spent >= limit);
        let dips_over = |dips: u64, limit: Option<u64>| limit.is_some_and(|limit| dips >= limit);
        let month =
            over(spent.this_month, self.rules.per_month) || dips_over(spent.dips_this_month, self.rules.dips_per_month);
        let day = over(spent.today, self.rules.per_day) || dips_over(spent.dips_today, self.rules.dips_per_day);
        let until = if month {
            today.with_day(1)?.checked_add_months(Months::new(1))?
        } else if day {
            today.checked_add_days(Days::new(1))?
        } else {
            return None;
        };
        let until: SystemTime = until.and_hms_opt(0, 0, 0)?.and_utc().into();
        until.duration_since(wall).ok()
    }
}

impl Spent {
    /// A new day begins at nothing, and so does a new month.
    fn turn_to(&mut self, today: NaiveDate) {
        if today == self.day {
            return;
        }
        if (today.year(), today.month()) != (self.day.year(), self.day.month()) {
            (self.this_month, self.dips_this_month) = (0.0, 0);
        }
        (self.today, self.dips_today, self.day) = (0.0, 0, today);
    }
}

fn today(wall: SystemTime) -> NaiveDate {
    DateTime::<Utc>::from(wall).date_naive()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SystemTime {
        DateTime::parse_from_rfc3339(text).unwrap().into()
    }

    #[test]
    fn a_day_and_a_month_have_an_end_each() {
        let per = vec![(Outcome::Found, 0.5)];
        let spend = Spend::new(Cost { per, per_day: Some(1.0), per_month: Some(2.0), ..Cost::default() }, None);
        let evening = at("2026-11-29T23:59:00Z");
        assert!(spend.pay(Outcome::Found, evening).is_some() && spend.closed_for(evening).is_none());
        assert!(spend.pay(Outcome::Timeout, evening).is_none(), "what is not priced is free");
        spend.pay(Outcome::Found, evening);
        assert_eq!(spend.closed_for(evening), Some(Duration::from_secs(60)));
        let morning = at("2026-11-30T00:00:00Z");
        assert_eq!(spend.closed_for(morning), None);
        spend.pay(Outcome::Found, morning);
        assert_eq!(spend.pay(Outcome::Found, morning).unwrap().this_month, 2.0);
        assert_eq!(spend.closed_for(morning), Some(Duration::from_secs(86_400)), "the month ends with this day");
        assert_eq!(spend.closed_for(at("2026-12-01T00:00:00Z")), None);
    }

    #[test]
    fn a_reload_keeps_what_was_spent() {
        let rules = |limit| Cost { per: vec![(Outcome::Found, 1.0)], dips_per_day: Some(limit), ..Cost::default() };
        let noon = at("2026-11-29T12:00:00Z");
        let before = Spend::new(rules(2), None);
        before.pay(Outcome::Found, noon);
        assert!(Spend::new(rules(1), Some(&before)).closed_for(noon).is_some());
        assert!(Spend::new(rules(3), Some(&before)).closed_for(noon).is_none());
    }
}
