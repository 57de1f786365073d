//! `[[upstream]]`: what every transport has, and which keys belong to which.

use std::time::Duration;

use super::compile::Names;
use super::lint::BodyIs;
use super::parts::is_plain;
use super::{Check, at};
use crate::policy::expr::READING_NAMES;
use crate::policy::file::{RateFile, TransportWord, UpstreamFile};
use crate::policy::kind::Kind;
use crate::policy::{Budget, Decoding, Format, Rate, UpstreamPolicy};
use crate::written::{Span, Spanned};

/// What all checks of one upstream need.
pub(super) struct Around<'a> {
    /// The `[[upstream]]` itself.
    pub(super) table: Span,
    pub(super) kind: Kind,
    pub(super) names: &'a Names,
    pub(super) budget: &'a Budget,
}

/// What a transport's answers have, for rules and fields.
const fn reading_names(transport: TransportWord) -> &'static [&'static str] {
    match transport {
        TransportWord::Http => &["status", "headers", "body", "text"],
        TransportWord::Dns => &["rcode", "answers", "enum"],
        TransportWord::Sql => &["rows"],
        TransportWord::Table => &["row"],
    }
}

impl Check<'_> {
    /// All of them; wrong ones are left out.
    pub(super) fn upstreams(
        &mut self,
        files: Option<Vec<Spanned<UpstreamFile>>>,
        kind: Kind,
        names: &Names,
        budget: &Budget,
    ) -> Vec<UpstreamPolicy> {
        let files = files.unwrap_or_default();
        if files.is_empty() {
            let top = self.span.clone();
            let mend = "add an [[upstream]] with `type`, and where it is: `url`, `servers` or `database`";
            self.faults.missing(&top, "upstream", "there is nobody to ask: the policy has no [[upstream]]", mend);
        }
        let mut taken: Vec<String> = Vec::new();
        let mut upstreams = Vec::new();
        for file in files {
            let around = Around { table: file.span(), kind, names, budget };
            upstreams.extend(self.upstream(file.into_inner(), &around, &mut taken));
        }
        upstreams
    }

    fn upstream(
        &mut self,
        mut file: UpstreamFile,
        around: &Around<'_>,
        taken: &mut Vec<String>,
    ) -> Option<UpstreamPolicy> {
        let given = file.transport.is_some();
        let transport = self.faults.value(file.transport.take());
        let mend = "add `type = \"http\"`, `\"dns\"`, `\"sql\"` or `\"table\"`";
        let transport = self.required(transport, &around.table, "type", given, mend).map(Spanned::into_inner);

        let name = self.upstream_name(&mut file, around, transport, taken);
        if let Some(transport) = transport {
            self.foreign_keys(&file, transport);
        }
        let names = match transport {
            // A table's records are made when it is loaded, when nobody has asked yet.
            Some(TransportWord::Table) => reading_names(TransportWord::Table).to_vec(),
            transport => around.names.reading(transport.map_or(&READING_NAMES, reading_names)),
        };
        if let (Some(TransportWord::Table), Some(rule)) = (transport, file.rule.first()) {
            let mend = "take it out: a row that is there is `found`, one that is not is `not_found`";
            self.faults.at(&rule.span(), "a table has no rules", mend);
        }
        let decoding = match transport {
            // What stands between a file's columns is the table's own affair.
            Some(TransportWord::Table) => Decoding { format: Format::None, ..Decoding::default() },
            transport => self.decoding(&mut file, transport),
        };
        self.body = if transport == Some(TransportWord::Http) { BodyIs::of(&decoding) } else { BodyIs::default() };
        let rules = self.rules(std::mem::take(&mut file.rule), &names, file.auths.is_some());
        let fields = self.fields(file.fields.take(), around, &names);
        let required = self.required_fields(file.required.take(), &fields);
        let also = self.also(std::mem::take(&mut file.also), &names);

        let ttl = self.ttl(file.ttl.take().unwrap_or_default(), transport, &names);

        self.body = BodyIs::default();
        let timeout = file.timeout.take().unwrap_or_default();
        let connect = self.within_background(timeout.connect, around.budget, "connect");
        let total = self.within_background(timeout.total, around.budget, "total");
        let concurrency = self.at_least_one(file.concurrency.take(), 200);
        let rate = file.rate.take().and_then(|rate| self.rate(rate));
        let hold = self.faults.or(file.hold.take(), Duration::from_secs(30));
        let transport = match transport? {
            TransportWord::Http => self.http(file, around),
            TransportWord::Dns => self.dns(file, around),
            TransportWord::Sql => self.sql(file, around),
            TransportWord::Table => self.table(file, around, &fields, &required),
        };
        Some(UpstreamPolicy {
            name: name.into(),
            transport: transport?,
            connect_timeout: connect.unwrap_or_else(|| (around.budget.call / 2).min(Duration::from_millis(250))),
            total_timeout: total,
            concurrency: usize::try_from(concurrency).unwrap_or(usize::MAX),
            rate,
            decoding,
            rules,
            fields,
            required,
            also,
            hold,
            ttl,
        })
    }

    /// The upstream's own name. One that has none is called after its type; a DNS upstream may give
    /// the name that it asks for as `name`, which is then no name of its own.
    fn upstream_name(
        &mut self,
        file: &mut UpstreamFile,
        around: &Around<'_>,
        transport: Option<TransportWord>,
        taken: &mut Vec<String>,
    ) -> String {
        let asks = |name: &Spanned<String>| !is_plain(name.get_ref());
        let mut name = self.faults.value(file.name.take());
        if transport == Some(TransportWord::Dns) && file.domain.is_none() && name.as_ref().is_some_and(asks) {
            file.domain =
                name.take().map(|name| Spanned::new(name.span(), crate::written::Written(Ok(name.into_inner()))));
        }
        let span = name.as_ref().map_or_else(|| around.table.clone(), Spanned::span);
        let text = match name {
            Some(name) => name.into_inner(),
            None => transport.map_or("upstream", TransportWord::as_str).to_owned(),
        };
        if !is_upstream_name(&text) {
            let mend = "write letters, digits, `-`, `_` and `.`, at most 64: it stands in metrics and headers";
            self.faults.at(&span, format!("`{text}` cannot be an upstream's name"), mend);
        } else if ["local", "shared", "stale", "fallback", "none"].contains(&text.as_str()) {
            let mend = "give the upstream another name";
            self.faults.at(&span, format!("`{text}` as a source means something else already"), mend);
        } else if taken.contains(&text) {
            self.faults.at(&span, format!("two upstreams are called `{text}`"), "give each a `name` of its own");
        }
        taken.push(text.clone());
        text
    }

    fn rate(&mut self, rate: Spanned<RateFile>) -> Option<Rate> {
        let span = rate.span();
        let rate = rate.into_inner();
        let given = rate.per_second.is_some();
        let per_second = self.faults.value(rate.per_second);
        let burst = self.faults.value(rate.burst);
        let per_second =
            self.required(per_second, &span, "per_second", given, "write `rate = { per_second = 500, burst = 50 }`")?;
        if *per_second.get_ref() <= 0.0 {
            let mend = "write more than 0, or `enabled = false` for the whole policy";
            self.faults.at(&per_second.span(), "a rate of 0 would never ask", mend);
        }
        if let Some(burst) = burst.as_ref().filter(|burst| *burst.get_ref() == 0) {
            self.faults.at(&burst.span(), "a burst of 0 would never ask", "write 1 or more");
        }
        let per_second = per_second.into_inner();
        // Without a word on it, a tenth of a second's worth may go at once.
        let default_burst = (per_second / 10.0).ceil().clamp(1.0, 1000.0) as u32;
        Some(Rate { per_second, burst: burst.map_or(default_burst, Spanned::into_inner) })
    }

    /// Keys that mean nothing for this transport.
    fn foreign_keys(&mut self, file: &UpstreamFile, transport: TransportWord) {
        // `query` is a statement for SQL and a table of parameters for HTTP.
        if let (TransportWord::Dns, Some(query)) = (transport, &file.query) {
            let mend = "take it out: it belongs to `type = \"sql\"` and `type = \"http\"`";
            self.faults.at(&query.span(), "`query` means nothing for `type = \"dns\"`", mend);
        }
        for (key, owner, span) in keys_of_transports(file).into_iter().chain(keys_of_tables(file)) {
            if let (false, Some(span)) = (takes(transport, key, owner), span) {
                let what = format!("`{key}` means nothing for `type = \"{}\"`", transport.as_str());
                self.faults.at(&span, what, format!("take it out: it belongs to `type = \"{}\"`", owner.as_str()));
            }
        }
    }
}

/// Whether a transport takes this key of one: a table has the statement's keys as well, or those of a body in columns.
fn takes(transport: TransportWord, key: &str, owner: TransportWord) -> bool {
    let shared = matches!(key, "database" | "query" | "max_rows" | "separator" | "columns");
    owner == transport || (transport == TransportWord::Table && shared)
}

/// The keys that mean nothing for a transport, for the schema.
#[cfg(test)]
pub(in crate::policy) fn foreign_keys(none: &UpstreamFile, transport: TransportWord) -> Vec<&'static str> {
    let keys = keys_of_transports(none).into_iter().chain(keys_of_tables(none));
    keys.filter(|(key, owner, _)| !takes(transport, key, *owner)).map(|(key, ..)| key).collect()
}

/// Every key that belongs to one transport, and where it stands if it does.
fn keys_of_transports(file: &UpstreamFile) -> Vec<(&'static str, TransportWord, Option<Span>)> {
    use TransportWord::{Dns, Http, Sql};
    vec![
        ("error_format", Http, at(&file.error_format)),
        ("charset", Http, at(&file.charset)),
        ("separator", Http, at(&file.separator)),
        ("columns", Http, at(&file.columns)),
        ("method", Http, at(&file.method)),
        ("url", Http, at(&file.url)),
        ("urls", Http, at(&file.urls)),
        ("weights", Http, at(&file.weights)),
        ("json", Http, at(&file.json)),
        ("form", Http, at(&file.form)),
        ("xml", Http, at(&file.xml)),
        ("graphql", Http, at(&file.graphql)),
        ("auth_by", Http, at(&file.auth_by)),
        ("auths", Http, at(&file.auths)),
        ("safe", Http, at(&file.safe)),
        ("retry", Http, at(&file.retry)),
        ("redirects", Http, at(&file.redirects)),
        ("user_agent", Http, at(&file.user_agent)),
        ("source_address", Http, at(&file.source_address)),
        ("proxy", Http, at(&file.proxy)),
        ("tls", Http, at(&file.tls)),
        ("headers", Http, at(&file.headers)),
        ("body", Http, at(&file.body)),
        ("content_type", Http, at(&file.content_type)),
        ("auth", Http, at(&file.auth)),
        ("max_body", Http, at(&file.max_body)),
        ("ca", Http, at(&file.ca)),
        ("verify_tls", Http, at(&file.verify_tls)),
        ("record", Dns, at(&file.record)),
        ("domain", Dns, at(&file.domain)),
        ("servers", Dns, at(&file.servers)),
        ("try_timeout", Dns, at(&file.try_timeout)),
        ("edns", Dns, at(&file.edns)),
        ("recursion", Dns, at(&file.recursion)),
        ("mixed_case", Dns, at(&file.mixed_case)),
        ("services", Dns, at(&file.services)),
        ("hops", Dns, at(&file.hops)),
        ("transports", Dns, at(&file.transports)),
        ("ipv6", Dns, at(&file.ipv6)),
        ("database", Sql, at(&file.database)),
        ("parameters", Sql, at(&file.parameters)),
        ("pool", Sql, at(&file.pool)),
        ("max_rows", Sql, at(&file.max_rows)),
    ]
}

/// As [`keys_of_transports`], for tables.
fn keys_of_tables(file: &UpstreamFile) -> [(&'static str, TransportWord, Option<Span>); 10] {
    use TransportWord::Table;
    [
        ("file", Table, at(&file.file)),
        ("header", Table, at(&file.header)),
        ("widths", Table, at(&file.widths)),
        ("match", Table, at(&file.matching)),
        ("key_column", Table, at(&file.key_column)),
        ("keys", Table, at(&file.keys)),
        ("every", Table, at(&file.every)),
        ("load_timeout", Table, at(&file.load_timeout)),
        ("max_change", Table, at(&file.max_change)),
        ("min_rows", Table, at(&file.min_rows)),
    ]
}

/// True for a name that is fit for a label and a header's value.
fn is_upstream_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}
