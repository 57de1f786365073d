//! A URL that the caller brings along: the input `{ type = "url" }`, and `url = "{{ x5u }}"`. Nothing of ours may go where a caller says: no
//! credentials, no body, no certificate; and nobody may go there for us, who would not look at the address.

use std::sync::Arc;

use super::compile::Names;
use super::parts::{Part, parts};
use super::{Check, at};
use crate::policy::file::{DeclaredFile, UpstreamFile};
use crate::policy::filters::pattern;
use crate::policy::{CallerUrl, CallerUrls, HttpMethod};
use crate::written::{Field, Span, Spanned, Written};

const TAKE_OUT: &str = "take it out, or write a `url` of your own";

impl Names {
    /// The input that is the whole of this URL, and what is said of where it may lead.
    pub(super) fn caller_url(&self, url: &str) -> Option<(String, CallerUrl)> {
        let [Part::Code(code)] = parts(url)[..] else { return None };
        let name = code.strip_prefix("{{")?.strip_suffix("}}")?.trim();
        let (name, allow_private) = self.urls().find(|(known, _)| *known == name)?;
        Some((name.to_owned(), CallerUrl { allow_private }))
    }
}

impl Check<'_> {
    /// Where a URL of the caller's may lead.
    pub(super) fn caller_urls(&mut self, table: &Span, declared: DeclaredFile) -> Arc<CallerUrls> {
        let mend =
            "write the whole of each host as a regular expression, as in `hosts = [\"cert\\\\.carrier\\\\.example\"]`";
        let span = declared.hosts.as_ref().map(Spanned::span);
        if span.is_none() {
            let what = "`hosts` is missing: who asks would choose whom we ask";
            self.faults.missing(table, "hosts", what, mend);
        }
        let is_empty = declared.hosts.as_ref().is_some_and(|hosts| hosts.get_ref().is_empty());
        let mut hosts = Vec::new();
        for host in self.faults.list(declared.hosts).unwrap_or_default() {
            match pattern(&format!("^(?i:{})$", host.get_ref())) {
                Ok(pattern) => hosts.push(pattern),
                Err(why) => {
                    let what = format!("the regular expression does not compile: {why}");
                    self.faults.at(&host.span(), what, mend);
                }
            }
        }
        if let Some(span) = span.filter(|_| is_empty) {
            self.faults.at(&span, "there is no host in the list", mend);
        }
        let ports = self
            .faults
            .list(declared.ports)
            .map_or_else(|| vec![443], |ports| ports.into_iter().map(|port| port.into_inner().0).collect());
        let private = self.faults.value(declared.allow_private);
        let allow_private = private.is_some_and(|private| {
            if *private.get_ref() {
                let what = "who asks may send dipcache to addresses of your own network, loopback included";
                let mend = "take `allow_private` out, unless this is a test or all of `hosts` are your own";
                self.faults.warn(&private.span(), what, mend);
            }
            private.into_inner()
        });
        Arc::new(CallerUrls { hosts, ports, allow_private })
    }

    pub(super) fn no_keys_of_urls(&mut self, declared: &DeclaredFile) {
        let given = [
            ("hosts", declared.hosts.as_ref().map(Spanned::span)),
            ("ports", declared.ports.as_ref().map(Spanned::span)),
            ("allow_private", declared.allow_private.as_ref().map(Spanned::span)),
        ];
        for (key, span) in given.into_iter().filter_map(|(key, span)| Some((key, span?))) {
            self.faults.at(&span, format!("`{key}` belongs to URLs"), "take it out, or write `type = \"url\"`");
        }
    }

    /// `url = "{{ x5u }}"`: tells of every key that does not go together with a URL of the caller's.
    pub(super) fn fit_for_a_callers_url(&mut self, file: &UpstreamFile, name: &str) {
        let ours = [
            ("auth", at(&file.auth)),
            ("auths", at(&file.auths)),
            ("query", at(&file.query)),
            ("body", at(&file.body)),
            ("json", at(&file.json)),
            ("form", at(&file.form)),
            ("xml", at(&file.xml)),
            ("graphql", at(&file.graphql)),
            ("urls", at(&file.urls)),
        ];
        for (key, span) in ours.into_iter().filter_map(|(key, span)| Some((key, span?))) {
            let what = format!("`{key}` would go to a server of the caller's choice: `{name}` is the caller's own URL");
            self.faults.at(&span, what, TAKE_OUT);
        }
        if let Some(proxy) = at(&file.proxy) {
            let what = format!("behind a proxy nobody could tell where `{name}`, the caller's own URL, leads");
            self.faults.at(&proxy, what, TAKE_OUT);
        }
        if let Some(tls) = &file.tls
            && tls.get_ref().cert.is_some()
        {
            let what = format!("our certificate would be shown to whomever `{name}`, the caller's own URL, leads to");
            self.faults.at(&tls.span(), what, TAKE_OUT);
        }
        let is_get = |method: &Spanned<Written<HttpMethod>>| matches!(method.get_ref().0, Ok(HttpMethod::Get) | Err(_));
        if let Some(method) = file.method.as_ref().filter(|method| !is_get(method)) {
            let what = format!("`{name}` is the caller's own URL, and is only ever fetched");
            self.faults.at(&method.span(), what, "write `method = \"GET\"`, or a `url` of your own");
        }
        let headers = file.headers.iter().flat_map(|headers| headers.get_ref().values());
        let told =
            |value: &&Spanned<Written<String>>| value.get_ref().0.as_ref().is_ok_and(|text| text.contains("secrets"));
        for value in headers.filter(told) {
            let what =
                format!("a secret would go to a server of the caller's choice: `{name}` is the caller's own URL");
            self.faults.at(&value.span(), what, TAKE_OUT);
        }
    }

    /// `verify_tls`: off only where somebody is told of it every time.
    pub(super) fn verify_tls(&mut self, verify_tls: Field<bool>) -> bool {
        let Some(verify_tls) = self.faults.value(verify_tls) else { return true };
        if !verify_tls.get_ref() {
            let mend = "trust the server's own certificate instead: `ca = \"ca.pem\"`";
            self.faults.warn(&verify_tls.span(), "nobody looks whether this is the vendor's server", mend);
        }
        verify_tls.into_inner()
    }
}
