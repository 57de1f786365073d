//! `[budget]`, `[cache]` and `[breaker]`: numbers with sane defaults, and what must hold between them.

use std::time::Duration;

use super::Check;
use crate::policy::file::{BreakerFile, BudgetFile, CacheFile, HedgeAfter, OrderWord};
use crate::policy::{BreakerRules, Budget, CacheRules, Engine, Inputs, Kind, Order};
use crate::written::{Bytes, Field, Ratio, Span, Spanned, in_units};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// A duration that may be left out, and where it stands if it does not.
struct Given {
    value: Duration,
    span: Option<Span>,
}

impl Check<'_> {
    fn given(&mut self, field: Field<Duration>, default: Duration) -> Given {
        let value = self.faults.value(field);
        Given { span: value.as_ref().map(Spanned::span), value: value.map_or(default, Spanned::into_inner) }
    }

    /// A whole number that must not be zero.
    pub(super) fn at_least_one(&mut self, field: Field<u32>, default: u32) -> u32 {
        let Some(value) = self.faults.value(field) else { return default };
        if *value.get_ref() == 0 {
            self.faults.at(
                &value.span(),
                "this must be at least 1",
                format!("write 1 or more; the default is {default}"),
            );
        }
        value.into_inner()
    }

    /// A duration that must not be zero.
    fn some_time(&mut self, field: Field<Duration>, default: Duration) -> Given {
        let given = self.given(field, default);
        if let Some(span) = given.span.as_ref().filter(|_| given.value.is_zero()) {
            self.faults.at(span, "this duration must not be zero", "write how long, such as \"100ms\"");
        }
        given
    }

    /// `[budget]`
    pub(super) fn budget(&mut self, file: BudgetFile) -> Budget {
        let call = self.some_time(file.call, Duration::from_millis(100));
        let background = self.some_time(file.background, Duration::from_secs(3).max(call.value));
        if let Some(span) = background.span.as_ref().or(call.span.as_ref()).filter(|_| background.value < call.value) {
            self.faults.at(
                span,
                "`background` is shorter than `call`: a dip would be given up while its caller still waits",
                "raise `background`, or lower `call`",
            );
        }
        let order = self.faults.or(file.order, OrderWord::Failover);
        let hedge_after = self.faults.value(file.hedge_after);
        let order = match order {
            OrderWord::Failover => Order::Failover,
            OrderWord::Hedge => Order::Hedge { after: self.hedge_after(hedge_after, call.value) },
        };
        Budget { call: call.value, background: background.value, order }
    }

    fn hedge_after(&mut self, after: Option<Spanned<HedgeAfter>>, call: Duration) -> Duration {
        let half = call / 2;
        let Some(after) = after else { return half };
        match *after.get_ref() {
            HedgeAfter::Percentile => half,
            HedgeAfter::Fixed(fixed) => {
                if fixed >= call {
                    self.faults.at(
                        &after.span(),
                        "`hedge_after` is not shorter than `call`: the second upstream would never be asked in time",
                        "write a part of the call budget, such as half of it",
                    );
                }
                fixed
            }
        }
    }

    /// `[cache]`
    pub(super) fn cache(&mut self, mut file: CacheFile) -> CacheRules {
        let no_cache = self.faults.or(file.no_cache.take(), false);
        if no_cache {
            self.no_lives(&file);
        }
        let ceiling = self.given(file.ceiling, 30 * DAY);
        let found = self.given(file.found, HOUR.min(ceiling.value));
        let partial = self.given(file.partial, (10 * MINUTE).min(found.value));
        let not_found = self.given(file.not_found, (5 * MINUTE).min(found.value));
        let invalid_number = self.given(file.invalid_number, DAY.min(ceiling.value));
        let stale = self.given(file.stale, DAY.min(ceiling.value));
        let revalidate = self.given(file.revalidate, Duration::ZERO);
        let max_ttl = self.given(file.max_ttl, DAY);
        let min_ttl = self.given(file.min_ttl, Duration::from_secs(1).min(max_ttl.value));

        for (name, life) in [("partial", &partial), ("not_found", &not_found)] {
            self.not_longer(
                name,
                life,
                "found",
                found.value,
                "an answer of less worth would live longer than a full one",
            );
        }
        for (name, life) in [
            ("found", &found),
            ("partial", &partial),
            ("not_found", &not_found),
            ("invalid_number", &invalid_number),
            ("stale", &stale),
            ("revalidate", &revalidate),
        ] {
            self.not_longer(name, life, "ceiling", ceiling.value, "nothing is kept past the ceiling");
        }
        self.not_longer("min_ttl", &min_ttl, "max_ttl", max_ttl.value, "no life would lie between the two");

        let refresh_ahead = self.faults.value(file.refresh_ahead);
        // Not a number is no share either.
        if let Some(span) = refresh_ahead
            .as_ref()
            .filter(|share| share.get_ref().is_nan() || *share.get_ref() <= 0.0)
            .map(Spanned::span)
        {
            let mend = "write 0.8 to renew in the last fifth of a life, or 1 never to";
            self.faults.at(&span, "every hit would renew its entry", mend);
        }
        let max_entries = self.faults.value(file.max_entries);
        let max_bytes = self.faults.value(file.max_bytes);
        let zeroes = [
            max_entries.as_ref().filter(|count| *count.get_ref() == 0).map(Spanned::span),
            max_bytes.as_ref().filter(|size| size.get_ref().0 == 0).map(Spanned::span),
        ];
        for span in zeroes.into_iter().flatten() {
            self.faults.at(&span, "a cache of size 0 keeps nothing", "to keep nothing, set the lives to \"0\" instead");
        }
        // What has no life is not kept, and what is not kept is never stale.
        let life = |given: Given| if no_cache { Duration::ZERO } else { given.value };
        CacheRules {
            found: life(found),
            partial: life(partial),
            not_found: life(not_found),
            invalid_number: life(invalid_number),
            stale: life(stale),
            revalidate: life(revalidate),
            ceiling: ceiling.value,
            jitter: self.faults.or(file.jitter, Ratio(0.1)).0,
            refresh_ahead: refresh_ahead.map_or(1.0, Spanned::into_inner),
            min_ttl: min_ttl.value,
            max_ttl: max_ttl.value,
            max_entries: max_entries.map_or(1_000_000, Spanned::into_inner),
            max_bytes: max_bytes.map_or(Bytes(256 * 1024 * 1024), Spanned::into_inner).0,
            engine: self.faults.or(file.engine, Engine::default()),
        }
    }

    /// What was true a while ago and would be wrong now is never served past its life: where somebody is, and
    /// whether a PASSporT, which is good for a minute, is genuine.
    pub(super) fn never_stale(&mut self, kind: Kind, inputs: &Option<Inputs>, file: &CacheFile) -> bool {
        let verifies = inputs.as_ref().is_some_and(Inputs::has_identity);
        let why = match kind {
            Kind::Location => "where somebody was is not where he is",
            _ if verifies => "an Identity header that was good is not good for long",
            _ => return false,
        };
        for (name, field) in [("stale", &file.stale), ("revalidate", &file.revalidate)] {
            let Some(field) = field else { continue };
            if matches!(&field.get_ref().0, Ok(life) if !life.is_zero()) {
                let what = format!("`{name}` is not to be had here: {why}");
                self.faults.at(&field.span(), what, "take it out, or write \"0\"");
            }
        }
        true
    }

    /// Lives beside `no_cache`.
    fn no_lives(&mut self, file: &CacheFile) {
        for (key, life) in [
            ("found", &file.found),
            ("partial", &file.partial),
            ("not_found", &file.not_found),
            ("invalid_number", &file.invalid_number),
            ("stale", &file.stale),
            ("revalidate", &file.revalidate),
        ] {
            if let Some(life) = life {
                let what = format!("`{key}` beside `no_cache`: nothing is kept");
                self.faults.at(&life.span(), what, "take one of the two out");
            }
        }
    }

    /// A duration that was written must not exceed another one.
    fn not_longer(&mut self, name: &str, given: &Given, bound_name: &str, bound: Duration, why: &str) {
        if let Some(span) = given.span.as_ref().filter(|_| given.value > bound) {
            let what = format!("`{name}` is longer than `{bound_name}`, which is {}: {why}", in_units(bound));
            self.faults.at(span, what, format!("lower `{name}`, or raise `{bound_name}`"));
        }
    }

    /// `[breaker]`
    pub(super) fn breaker(&mut self, file: BreakerFile, budget: &Budget) -> BreakerRules {
        let open = self.some_time(file.open, Duration::from_millis(500));
        let open_max = self.given(file.open_max, Duration::from_millis(1500).max(open.value));
        if open_max.value < open.value {
            self.not_longer(
                "open",
                &open,
                "open_max",
                open_max.value,
                "the longest pause would be shorter than the first",
            );
            if let (None, Some(span)) = (&open.span, &open_max.span) {
                self.faults.at(
                    span,
                    format!("`open_max` is shorter than `open`, which is {}", in_units(open.value)),
                    "raise `open_max`, or set `open`",
                );
            }
        }
        BreakerRules {
            window: self.some_time(file.window, Duration::from_secs(10)).value,
            min_samples: self.at_least_one(file.min_samples, 20),
            failure_ratio: self.faults.or(file.failure_ratio, Ratio(0.5)).0,
            slow: self.some_time(file.slow, budget.call).value,
            slow_ratio: self.faults.or(file.slow_ratio, Ratio(0.8)).0,
            consecutive: self.at_least_one(file.consecutive, 5),
            open: open.value,
            open_max: open_max.value,
            probes: self.at_least_one(file.probes, 1),
        }
    }

    /// A duration within the background budget, if it is written.
    pub(super) fn within_background(
        &mut self,
        field: Field<Duration>,
        budget: &Budget,
        name: &str,
    ) -> Option<Duration> {
        field.as_ref()?;
        let given = self.some_time(field, budget.background);
        self.not_longer(name, &given, "background", budget.background, "the dip is given up before");
        given.span.map(|_| given.value)
    }
}
