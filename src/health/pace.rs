//! A steady pace, for dips that have time.
//!
//! A bucket lets a burst through after a pause, since callers come in waves. Who has a million keys to ask and a
//! vendor's limit to hold wants the opposite: never more than the rate in any second, and not less either, although
//! timers fire late and machines stall. So what was missed is not made up for at once but by going a
//! little faster for a while: in no second are there more than nine thousandths above the rate.

use std::time::Duration;

use crate::deadline::Instant;

/// What may be made up for at once: a timer that fires late is no stall.
const AT_ONCE: Duration = Duration::from_millis(4);

/// How much faster it goes while it makes up for a stall.
const HASTE: f64 = 0.005;

/// More than this is never made up for: who was kept waiting for minutes does not hurry for hours.
const LONGEST_DEBT: Duration = Duration::from_secs(2);

/// A steady pace.
#[derive(Debug)]
pub struct Pace {
    /// Between two turns.
    step: Duration,
    /// When the next turn is due.
    next: Instant,
    /// Time that was missed and is still to be made up for.
    debt: Duration,
}

impl Pace {
    /// So many turns a second from now on.
    pub fn new(per_second: f64, now: Instant) -> Self {
        Self { step: Duration::from_secs_f64(1.0 / per_second.max(1e-6)), next: now, debt: Duration::ZERO }
    }

    /// Whether a turn is due. Looks, and takes nothing.
    ///
    /// # Errors
    /// How long until then.
    pub fn due(&self, now: Instant) -> Result<(), Duration> {
        if self.next > now { Err(self.next - now) } else { Ok(()) }
    }

    /// Takes a turn.
    ///
    /// # Errors
    /// How long until one is due.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        self.due(now)?;
        let late = (now - self.next).saturating_sub(AT_ONCE);
        self.next += late;
        self.debt = (self.debt + late).min(LONGEST_DEBT);
        let gained = self.step.mul_f64(HASTE).min(self.debt);
        self.debt -= gained;
        self.next += self.step - gained;
        Ok(())
    }

    /// Somebody else took a turn, due or not.
    pub fn taken(&mut self, now: Instant) {
        let late = now.saturating_duration_since(self.next).saturating_sub(AT_ONCE);
        self.next += late + self.step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline::now;

    /// Turns taken in each second, with a look at the clock as often as `looks` says, in milliseconds.
    fn in_each_second(pace: &mut Pace, start: Instant, seconds: u64, looks: impl Fn(u64) -> bool) -> Vec<u64> {
        let mut taken = vec![0; seconds as usize];
        for ms in (0..seconds * 1000).filter(|ms| looks(*ms)) {
            while pace.take(start + Duration::from_millis(ms)).is_ok() {
                taken[(ms / 1000) as usize] += 1;
            }
        }
        taken
    }

    #[test]
    fn the_rate_is_held_to_a_percent_though_timers_are_late_and_the_machine_stalls() {
        let start = now();
        let late = in_each_second(&mut Pace::new(5000.0, start), start, 60, |ms| ms % 3 == 0);
        assert!(late.iter().all(|turns| (4950..=5050).contains(turns)), "{late:?}");
        // 100 ms of every fourth second are lost, which is 2.5 %: more than is made up for.
        let stalled = in_each_second(&mut Pace::new(5000.0, start), start, 60, |ms| ms % 4000 > 100);
        assert!(stalled.iter().all(|turns| *turns <= 5050), "{stalled:?}");
        // 40 ms of every tenth second are made up for.
        let stalled = in_each_second(&mut Pace::new(5000.0, start), start, 60, |ms| ms % 10_000 > 40);
        let all: u64 = stalled.iter().sum();
        assert!((297_000..=300_000 + 20).contains(&all) && stalled.iter().all(|turns| *turns <= 5050), "{stalled:?}");
    }

    #[test]
    fn turns_that_others_take_are_not_there() {
        let start = now();
        let mut pace = Pace::new(1000.0, start);
        let mut own = 0;
        for ms in 0..10_000 {
            let now = start + Duration::from_millis(ms);
            // Others take 600 a second.
            (0..6).filter(|_| ms % 10 == 0).for_each(|_| pace.taken(now));
            while pace.take(now).is_ok() {
                own += 1;
            }
        }
        assert!((3960..=4040).contains(&own), "{own}");
    }

    #[test]
    fn a_long_pause_is_no_reason_to_hurry() {
        let start = now();
        let mut pace = Pace::new(100.0, start);
        let later = start + Duration::from_secs(3600);
        assert!((0..1000).filter(|_| pace.take(later).is_ok()).count() <= 2);
    }
}
