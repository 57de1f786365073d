//! `[[upstream.rule]]` and `[upstream.fields]`: what an answer means, and what is kept of it.

use super::Check;
use super::upstream::Around;
use crate::policy::file::{Named, RuleFile, TransportWord, TtlFile};
use crate::policy::kind::Kind;
use crate::policy::{Expr, HoldScope, Rule, TtlRules};
use crate::written::{Lines, Spanned, nearest};

impl Check<'_> {
    /// The rules, in order; wrong ones are left out.
    pub(super) fn rules(&mut self, files: Vec<Spanned<RuleFile>>, names: &[&str], has_auths: bool) -> Vec<Rule> {
        files.into_iter().filter_map(|file| self.rule(file, names, has_auths)).collect()
    }

    fn rule(&mut self, file: Spanned<RuleFile>, names: &[&str], has_auths: bool) -> Option<Rule> {
        let table = file.span();
        let file = file.into_inner();
        let (has_when, has_outcome) = (file.when.is_some(), file.outcome.is_some());
        let when = self.faults.value(file.when);
        let outcome = self.faults.value(file.outcome);
        let hold = self.faults.value(file.hold);
        let ttl = self.faults.value(file.ttl);
        let next = self.faults.value(file.next).map(Spanned::into_inner);
        let hold_from = self.faults.value(file.hold_from);
        let hold_scope = self.faults.value(file.hold_scope);
        if let Some(scope) = hold_scope.as_ref().filter(|scope| *scope.get_ref() == HoldScope::Credential && !has_auths)
        {
            let mend = "write `auth_by` and `auths` in the upstream, or take `hold_scope` out";
            self.faults.at(&scope.span(), "there is but one set of credentials", mend);
        }
        let detail = self.faults.value(file.detail).and_then(|detail| self.reading_expr(&detail, names));
        let alert = self.faults.or(file.alert, false);
        let cacheable = self.faults.value(file.cacheable);
        let breaker = self.faults.value(file.breaker);
        let when = self.required(when, &table, "when", has_when, "add the test, such as `when = \"status == 404\"`");
        let mend = "add what it means, such as `outcome = \"not_found\"`";
        let outcome = self.required(outcome, &table, "outcome", has_outcome, mend);
        let when = when.and_then(|when| self.reading_expr(&when, names));
        let outcome = outcome?.into_inner().0;

        let spans = [("ttl", ttl.as_ref().map(Spanned::span)), ("cacheable", cacheable.as_ref().map(Spanned::span))];
        for (key, span) in spans {
            if let Some(span) = span.filter(|_| !outcome.is_answer()) {
                let what = format!("`{key}` means nothing for `{outcome}`: only answers are kept");
                self.faults.at(&span, what, "take it out, or write `hold` to leave the upstream alone for a while");
            }
        }
        let spans = [
            ("hold", hold.as_ref().map(Spanned::span)),
            ("hold_from", hold_from.as_ref().map(Spanned::span)),
            ("hold_scope", hold_scope.as_ref().map(Spanned::span)),
        ];
        for (key, span) in spans {
            if let Some(span) = span.filter(|_| outcome.is_answer()) {
                let what = format!("`{key}` means nothing for `{outcome}`: the upstream answered");
                self.faults.at(&span, what, "take it out, or write `ttl` for how long the answer is kept");
            }
        }
        if let Some(breaker) = breaker.as_ref().filter(|_| !outcome.is_failure()) {
            let what = format!("`breaker` means nothing for `{outcome}`: it is no failure");
            let mend = "take it out: only `vendor_error` and `timeout` count against an upstream";
            self.faults.at(&breaker.span(), what, mend);
        }
        let cacheable = cacheable.is_none_or(Spanned::into_inner);
        if let Some(ttl) = ttl.as_ref().filter(|_| !cacheable) {
            let what = "`ttl` beside `cacheable = false`: the answer is not kept at all";
            self.faults.at(&ttl.span(), what, "take one of the two out");
        }
        Some(Rule {
            when: when?,
            outcome,
            hold: hold.map(Spanned::into_inner),
            hold_from: hold_from.and_then(|from| self.reading_expr(&from, names)),
            hold_scope: hold_scope.map_or(HoldScope::default(), Spanned::into_inner),
            ttl: ttl.map(Spanned::into_inner),
            next,
            detail,
            alert,
            cacheable,
            breaker: breaker.is_none_or(Spanned::into_inner),
        })
    }

    /// `[upstream.ttl]`
    pub(super) fn ttl(&mut self, file: TtlFile, transport: Option<TransportWord>, names: &[&str]) -> TtlRules {
        let from = self.faults.value(file.from).and_then(|from| self.reading_expr(&from, names));
        let cache_control = self.faults.value(file.cache_control);
        if let Some(place) =
            cache_control.as_ref().filter(|_| transport.is_some_and(|word| word != TransportWord::Http))
        {
            self.faults.at(&place.span(), "only HTTP has `Cache-Control`", "take it out, or write `from`");
        }
        TtlRules { from, cache_control: cache_control.is_some_and(Spanned::into_inner) }
    }

    /// What is kept, in order.
    pub(super) fn fields(
        &mut self,
        file: Option<Spanned<Named>>,
        around: &Around<'_>,
        names: &[&str],
    ) -> Vec<(String, Expr)> {
        let Some(file) = file.filter(|file| !file.get_ref().is_empty()) else {
            let mend = "add [upstream.fields] below it, a line a field: `lrn = \"body.lrn or key\"`";
            self.faults.missing(
                &around.table,
                "fields",
                "nothing of the answer would be kept: there are no fields",
                mend,
            );
            return Vec::new();
        };
        let file = file.into_inner();
        let all: Vec<String> = file.keys().map(|name| name.get_ref().clone()).collect();
        let mut fields = Vec::new();
        for (name, source) in file {
            self.field_name(&name, around.kind, &all);
            let source = self.faults.value(Some(source));
            let expr = source.and_then(|source| self.reading_expr(&source, names));
            fields.extend(expr.map(|expr| (name.into_inner(), expr)));
        }
        fields
    }

    fn field_name(&mut self, name: &Spanned<String>, kind: Kind, all: &[String]) {
        let text = name.get_ref().as_str();
        if text.is_empty() || text.len() > 64 || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            let mend = "write letters, digits and `_`: scripts name it in URLs and cache keys";
            self.faults.at(&name.span(), format!("`{text}` cannot be a field's name"), mend);
        } else if let Some(canonical) = misspelt(text, kind, all) {
            self.faults.at(
                &name.span(),
                format!("`{text}` is not a field of `{}`, but looks like one", kind.as_str()),
                format!("did you mean `{canonical}`? a field of your own needs a name less like it"),
            );
        }
    }

    /// The fields without which a record is `partial`.
    pub(super) fn required_fields(&mut self, list: Lines<String>, fields: &[(String, Expr)]) -> Vec<String> {
        let known: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        let mut required = Vec::new();
        for name in self.faults.list(list).unwrap_or_default() {
            let text = name.get_ref();
            // Without a single good field there is a greater fault, told elsewhere.
            if !known.is_empty() && !known.contains(&text.as_str()) {
                let mend = match nearest(text, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`? "),
                    None => String::new(),
                };
                let mend = format!("{mend}the upstream's fields are {}", known.join(", "));
                self.faults.at(&name.span(), format!("`{text}` is required, but is no field"), mend);
            }
            required.push(name.into_inner());
        }
        required
    }
}

/// The canonical field that a name misses by one letter. A name that only adds to a canonical one
/// (`name2`) is the operator's own, and so is one beside which the canonical field stands.
fn misspelt(name: &str, kind: Kind, all: &[String]) -> Option<&'static str> {
    let fields = kind.fields();
    if fields.contains(&name) || name.len() < 3 {
        return None;
    }
    fields
        .iter()
        .find(|field| {
            strsim::damerau_levenshtein(name, field) == 1
                && !name.starts_with(**field)
                && !all.iter().any(|other| other == **field)
        })
        .copied()
}
