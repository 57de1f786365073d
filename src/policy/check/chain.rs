//! How several answers make one: `answer`, `[merge]`, `[[then]]`, `[[upstream.also]]`, `[cost]` and `class`.

use std::sync::Arc;
use std::time::Duration;

use super::Check;
use super::compile::Names;
use crate::policy::chain::{Also, Chain, Cost, Hedge, Then};
use crate::policy::expr::Place;
use crate::policy::file::chain::{AlsoFile, AnswerWord, ClassWord, CostFile, MergeFile, ThenFile, lines, priced};
use crate::policy::file::{CacheFile, HedgeAfter, Named, OrderWord};
use crate::policy::{BreakerRules, CacheRules, UpstreamPolicy};
use crate::written::{Field, Ratio, Span, Spanned, Written, nearest};

const THEN_MEND: &str =
    "write `lookup = \"lerg\"`, `key = \"{{ record.lrn | npa }}\"` and `fields = { state = \"state\" }`";
const HEDGE_SHARE: f64 = 0.05;

/// The longest that an emergency's upstream is left out once it failed.
const EMERGENCY_PAUSE: Duration = Duration::from_millis(250);

/// What is typed about it, gathered from the whole file.
pub(super) struct ChainFile {
    pub(super) class: Field<ClassWord>,
    pub(super) answer: Field<AnswerWord>,
    pub(super) merge: Option<Spanned<MergeFile>>,
    pub(super) then: Vec<Spanned<ThenFile>>,
    pub(super) cost: Option<Spanned<CostFile>>,
    pub(super) hedge_max: Field<Ratio>,
    /// `order` and `hedge_after`, as the budget's own check reads them too.
    pub(super) order: Option<Spanned<OrderWord>>,
    pub(super) hedge_after: Option<HedgeAfter>,
}

impl Check<'_> {
    pub(super) fn chain(&mut self, name: &str, file: ChainFile, names: &Names, upstreams: &[UpstreamPolicy]) -> Chain {
        let class = self.faults.or(file.class, ClassWord::Ordinary);
        let answer = self.faults.or(file.answer, AnswerWord::First);
        let cost = file.cost.and_then(|cost| self.cost(cost));
        let hedge_max = self.faults.value(file.hedge_max);
        if let Some(order) = file.order.filter(|order| matches!(order.get_ref(), OrderWord::Hedge))
            && cost.is_some()
            && hedge_max.is_none()
        {
            let mend = "say how many extra dips may be paid for, such as `hedge_max = 0.05`, or take `order` out";
            self.faults.at(&order.span(), "dips that cost money are not hedged without a word on it", mend);
        }
        Chain {
            merge: answer == AnswerWord::Merge,
            precedence: file.merge.map_or_else(Vec::new, |merge| self.precedence(merge, answer, upstreams)),
            then: file.then.into_iter().filter_map(|then| self.then(name, then, names)).collect(),
            cost,
            emergency: class == ClassWord::Emergency,
            hedge: Hedge {
                p95: file.hedge_after == Some(HedgeAfter::Percentile),
                max: hedge_max.map_or(HEDGE_SHARE, |max| max.into_inner().0),
            },
        }
    }

    fn precedence(
        &mut self,
        file: Spanned<MergeFile>,
        answer: AnswerWord,
        upstreams: &[UpstreamPolicy],
    ) -> Vec<(String, Vec<Arc<str>>)> {
        if answer != AnswerWord::Merge {
            let mend = "write `answer = \"merge\"` under [budget], or take [merge] out";
            self.faults.at(&file.span(), "[merge] means nothing where the first answer is the answer", mend);
        }
        let mut precedence = Vec::new();
        for (field, list) in file.into_inner() {
            if !upstreams.iter().any(|upstream| upstream.fields.iter().any(|(name, _)| name == field.get_ref())) {
                let what = format!("no upstream has a field `{}`", field.get_ref());
                self.faults.at(&field.span(), what, "write a field that stands in [upstream.fields]");
            }
            let mut order = Vec::new();
            for upstream in self.faults.list(lines(list)).unwrap_or_default() {
                match upstreams.iter().find(|known| *known.name == **upstream.get_ref()) {
                    Some(known) => order.push(Arc::clone(&known.name)),
                    None => {
                        let known: Vec<&str> = upstreams.iter().map(|upstream| &*upstream.name).collect();
                        let what = format!("there is no upstream `{}`", upstream.get_ref());
                        self.faults.at(&upstream.span(), what, format!("there are {}", known.join(", ")));
                    }
                }
            }
            precedence.push((field.into_inner(), order));
        }
        precedence
    }

    fn then(&mut self, name: &str, file: Spanned<ThenFile>, names: &Names) -> Option<Then> {
        let table = file.span();
        let file = file.into_inner();
        let (has_lookup, has_key) = (file.lookup.is_some(), file.key.is_some());
        let lookup = self.faults.value(file.lookup);
        let key = self.faults.value(file.key);
        let lookup = self.required(lookup, &table, "lookup", has_lookup, THEN_MEND);
        let key = self.required(key, &table, "key", has_key, THEN_MEND);
        if let Some(lookup) = lookup.as_ref().filter(|lookup| lookup.get_ref() == name) {
            self.faults.at(&lookup.span(), "a lookup cannot depend on itself", "name another one");
        }
        let record = || names.question().into_iter().chain(["record"]).collect::<Vec<_>>();
        let key = key.and_then(|key| self.template(&key, record(), Place::Plain));
        let mut inputs = Vec::new();
        for (name, value) in file.inputs.map(Spanned::into_inner).unwrap_or_default() {
            let value = self.faults.value(Some(value));
            let value = value.and_then(|value| self.template(&value, record(), Place::Plain));
            inputs.extend(value.map(|value| (name.into_inner(), value)));
        }
        let fields = self.named_texts(file.fields, &table);
        Some(Then { lookup: lookup?.into_inner().into(), key: key?, inputs, fields })
    }

    /// `fields = { here = "there" }`
    fn named_texts(&mut self, file: Option<Spanned<Named>>, table: &Span) -> Vec<(String, String)> {
        let Some(file) = file.filter(|file| !file.get_ref().is_empty()) else {
            self.faults.missing(table, "fields", "nothing of the answer would be kept: there are no fields", THEN_MEND);
            return Vec::new();
        };
        let mut fields = Vec::new();
        for (here, there) in file.into_inner() {
            fields.extend(self.faults.value(Some(there)).map(|there| (here.into_inner(), there.into_inner())));
        }
        fields
    }

    /// `[[upstream.also]]`
    pub(super) fn also(&mut self, files: Vec<Spanned<AlsoFile>>, names: &[&str]) -> Vec<Also> {
        const MEND: &str = "write `lookup = \"cnam\"` and [upstream.also.fields] with that lookup's fields";
        let mut also = Vec::new();
        for file in files {
            let table = file.span();
            let file = file.into_inner();
            let given = file.lookup.is_some();
            let lookup = self.faults.value(file.lookup);
            let lookup = self.required(lookup, &table, "lookup", given, MEND);
            let mut fields = Vec::new();
            for (name, source) in file.fields.map(Spanned::into_inner).unwrap_or_default() {
                let source = self.faults.value(Some(source));
                let expr = source.and_then(|source| self.reading_expr(&source, names));
                fields.extend(expr.map(|expr| (name.into_inner(), expr)));
            }
            if fields.is_empty() {
                self.faults.missing(&table, "fields", "nothing would be stored: there are no fields", MEND);
            }
            also.extend(lookup.map(|lookup| Also { lookup: lookup.into_inner().into(), fields }));
        }
        also
    }

    fn cost(&mut self, file: Spanned<CostFile>) -> Option<Cost> {
        const MEND: &str = "write `per = { found = 0.004, not_found = 0.004 }`";
        let table = file.span();
        let file = file.into_inner();
        let Some(per) = file.per else {
            self.faults.missing(&table, "per", "`per` is missing: nothing would be counted", MEND);
            return None;
        };
        let mut prices = Vec::new();
        for (name, price) in per.into_inner() {
            let price: Spanned<Written<f64>> = price;
            let price = self.faults.value(Some(price));
            match priced(name.get_ref()) {
                Some(outcome) => prices.extend(price.map(|price| (outcome, price.into_inner()))),
                None => {
                    let known = ["found", "partial", "not_found", "invalid_number", "vendor_error", "timeout"];
                    let near =
                        nearest(name.get_ref(), known).map_or(String::new(), |near| format!("did you mean `{near}`? "));
                    let what = format!("`{}` is no outcome of a dip", name.get_ref());
                    self.faults.at(&name.span(), what, format!("{near}there are {} and more", known.join(", ")));
                }
            }
        }
        let mut limit = |field: Field<f64>| {
            let limit = self.faults.value(field)?;
            if *limit.get_ref() <= 0.0 {
                self.faults.at(&limit.span(), "with a limit of 0 nobody is ever asked", "write how much may be spent");
            }
            Some(limit.into_inner())
        };
        let (per_day, per_month) = (limit(file.per_day), limit(file.per_month));
        let mut dips = |field: Field<u64>| self.faults.value(field).map(Spanned::into_inner);
        let (dips_per_day, dips_per_month) = (dips(file.dips_per_day), dips(file.dips_per_month));
        Some(Cost { per: prices, per_day, per_month, dips_per_day, dips_per_month })
    }

    /// Lives that an emergency must not have, where they are written.
    pub(super) fn emergency_lives(&mut self, class: &Field<ClassWord>, cache: &CacheFile) {
        if !is_emergency(class) {
            return;
        }
        for (name, field) in [
            ("stale", &cache.stale),
            ("revalidate", &cache.revalidate),
            ("not_found", &cache.not_found),
            ("invalid_number", &cache.invalid_number),
        ] {
            let Some(field) = field else { continue };
            if matches!(&field.get_ref().0, Ok(life) if !life.is_zero()) {
                let what =
                    format!("`{name}` means nothing for `class = \"emergency\"`: nothing old and no \"no\" is served");
                self.faults.at(&field.span(), what, "take it out, or write \"0\"");
            }
        }
    }
}

/// Whether the file says so.
pub(super) fn is_emergency(class: &Field<ClassWord>) -> bool {
    class.as_ref().is_some_and(|class| matches!(class.get_ref().0, Ok(ClassWord::Emergency)))
}

/// What an emergency changes in the rules.
pub(super) fn for_emergency(cache: &mut CacheRules, breaker: &mut BreakerRules) {
    (cache.stale, cache.revalidate) = (Duration::ZERO, Duration::ZERO);
    (cache.not_found, cache.invalid_number) = (Duration::ZERO, Duration::ZERO);
    breaker.open = breaker.open.min(EMERGENCY_PAUSE);
    breaker.open_max = breaker.open_max.min(EMERGENCY_PAUSE);
}
