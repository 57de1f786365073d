use super::*;
use crate::deadline::now;

const FAST: Duration = Duration::from_millis(1);

fn rules() -> BreakerRules {
    BreakerRules {
        window: Duration::from_secs(10),
        min_samples: 20,
        failure_ratio: 0.5,
        slow: Duration::from_millis(70),
        slow_ratio: 0.8,
        consecutive: 5,
        open: Duration::from_secs(1),
        open_max: Duration::from_secs(4),
        probes: 2,
    }
}

struct Bench {
    breaker: Breaker,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let now = now();
        Self { breaker: Breaker::new(rules(), now), now }
    }

    fn wait(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    fn dips(&mut self, pattern: &str) {
        for sign in pattern.chars() {
            let took = if sign == 's' { Duration::from_millis(71) } else { FAST };
            self.breaker.sample(self.now, sign == 'x', took);
        }
    }

    fn open_for(&self) -> Duration {
        match self.breaker.state() {
            State::Open { until } => until - self.now,
            other => panic!("not open but {other:?}"),
        }
    }
}

#[test]
fn failures_in_a_row_open_it_and_a_success_between_starts_again() {
    let mut bench = Bench::new();
    bench.dips("xxxx.xxxx");
    assert!(bench.breaker.is_closed());
    bench.dips("x");
    assert_eq!(bench.breaker.state().as_str(), "open");
}

#[test]
fn every_second_failure_opens_it_though_no_two_are_in_a_row() {
    let mut bench = Bench::new();
    bench.dips("x.x.x.x.x.x.x.x.x.x");
    assert!(bench.breaker.is_closed(), "19 samples say nothing yet");
    bench.dips(".");
    assert_eq!(bench.breaker.state().as_str(), "open");
}

#[test]
fn a_third_of_failures_does_not_open_it() {
    let mut bench = Bench::new();
    bench.dips(&"x..".repeat(100));
    assert!(bench.breaker.is_closed());
}

#[test]
fn slow_ones_open_it_though_none_failed() {
    let mut bench = Bench::new();
    bench.dips("ssssssssssssssss...");
    assert!(bench.breaker.is_closed());
    bench.dips("s");
    assert_eq!(bench.breaker.state().as_str(), "open");
}

#[test]
fn old_failures_leave_the_window() {
    let mut bench = Bench::new();
    bench.dips("x.x.x.x.x.x.x.x.x.");
    bench.wait(11_000);
    bench.dips("x.");
    assert!(bench.breaker.is_closed());
}

#[test]
fn an_open_one_grows_and_is_jittered_and_bounded() {
    let mut bench = Bench::new();
    bench.dips("xxxxx");
    let mut seen = Vec::new();
    for _ in 0..5 {
        let open = bench.open_for();
        seen.push(open.as_secs_f64());
        assert!(!bench.breaker.probe_due(bench.now).0, "not before its time");
        bench.now += open;
        assert!(bench.breaker.probe_due(bench.now).0);
        assert!(bench.breaker.probe_ended(bench.now, true, FAST).is_some());
    }
    for (seconds, expected) in seen.iter().zip([1.0, 2.0, 4.0, 4.0, 4.0]) {
        assert!((expected * 0.9..=expected * 1.1).contains(seconds), "{seen:?}");
    }
}

#[test]
fn it_closes_after_so_many_probes_in_a_row_and_starts_clean() {
    let mut bench = Bench::new();
    bench.dips("xxxxx");
    bench.wait(1200);
    let (due, change) = bench.breaker.probe_due(bench.now);
    assert!(due && change.is_some_and(|change| change.to == State::HalfOpen));
    assert_eq!(bench.breaker.probe_ended(bench.now, false, FAST), None);
    assert!(bench.breaker.probe_due(bench.now).0, "the second probe waits for nothing");
    let change = bench.breaker.probe_ended(bench.now, false, FAST).unwrap();
    assert_eq!(change.to, State::Closed);
    bench.dips("xxxx");
    assert!(bench.breaker.is_closed(), "what was before does not count");
    bench.dips("x");
    assert!((0.9..=1.1).contains(&bench.open_for().as_secs_f64()), "the growth starts again");
}

#[test]
fn late_samples_of_ordinary_dips_change_nothing_while_it_is_open() {
    let mut bench = Bench::new();
    bench.dips("xxxxx");
    let before = bench.breaker.state();
    bench.dips("....xxxxx");
    assert_eq!(bench.breaker.state(), before);
    assert_eq!(bench.breaker.probe_ended(bench.now, false, FAST), None, "a probe that was not due proves nothing");
}

#[test]
fn a_slow_probe_proves_nothing() {
    let mut bench = Bench::new();
    bench.dips(&"s".repeat(20));
    bench.wait(1200);
    assert!(bench.breaker.probe_due(bench.now).0);
    let change = bench.breaker.probe_ended(bench.now, false, Duration::from_millis(71)).unwrap();
    assert_eq!(change.to.as_str(), "open", "or the flag would turn with every probe of a slow vendor");
}
