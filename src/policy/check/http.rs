//! `type = "http"`: method, URL, headers, body.

use std::path::PathBuf;

use super::Check;
use super::upstream::Around;
use crate::policy::expr::Place;
use crate::policy::file::UpstreamFile;
use crate::policy::{Auth, HttpMethod, HttpPolicy, Template, TransportPolicy};
use crate::written::{Bytes, Spanned};

/// Headers that carry secrets, which belong into `auth`.
const SECRET_HEADERS: [&str; 6] =
    ["authorization", "proxy-authorization", "x-api-key", "api-key", "apikey", "x-auth-token"];

/// Headers that the client sets itself.
const OWN_HEADERS: [&str; 5] = ["host", "content-length", "transfer-encoding", "connection", "content-type"];

impl Check<'_> {
    /// The transport's part of an upstream.
    pub(super) fn http(&mut self, mut file: UpstreamFile, around: &Around<'_>) -> Option<TransportPolicy> {
        let caller = file.url.as_ref().and_then(|url| around.names.caller_url(url.get_ref().0.as_ref().ok()?));
        if let Some((name, _)) = &caller {
            self.fit_for_a_callers_url(&file, name);
        }
        let method = self.faults.value(file.method.take());
        let url_span = file.url.as_ref().map(Spanned::span);
        let target = self.target(file.url.take(), file.urls.take(), around);
        let weights = self.weights(file.weights.take(), target.as_ref().map_or(0, |(bases, _)| bases.len()));
        let query = file.query.take().map_or_else(Vec::new, |query| self.pairs(query, "query", around));
        let headers = self.headers(file.headers.take(), around);
        let (body, form) = self.any_body(&mut file, around);
        let method = self.method(method, body.is_some() || form.is_some());
        let auth = file.auth.take().map_or(Some(Auth::None), |auth| self.auth(auth, around));
        let chosen = self.chosen(file.auth_by.take(), file.auths.take(), around);
        let max_body = self.faults.or(file.max_body.take(), Bytes(64 * 1024)).0;
        let mut ca = self.faults.value(file.ca.take());
        let verify_tls = self.verify_tls(file.verify_tls.take());
        let tls = file.tls.as_ref().map(Spanned::span);
        let wire = self.wire(&mut file, &mut ca, method);
        let ca = ca.and_then(|ca| self.ca(&ca));
        let (bases, url) = target?;
        let http = HttpPolicy {
            method,
            bases,
            weights,
            url,
            query,
            headers,
            body,
            form,
            auth: auth?,
            chosen,
            secrets: self.ambient.secrets.values().cloned().collect(),
            wire,
            max_body: usize::try_from(max_body).unwrap_or(usize::MAX),
            ca,
            verify_tls,
            caller_url: caller.map(|(_, caller_url)| caller_url),
        };
        self.depends_on_the_question(&http, url_span, around);
        if let Some(tls) = tls.filter(|_| http.wire.tls.server_name.is_some() && http.fixed_host().is_none()) {
            let mend = "give the upstream one `url` whose host does not vary, or take `server_name` out";
            self.faults.at(&tls, "`server_name` stands for one host, and there is none or more than one", mend);
        }
        Some(TransportPolicy::Http(http))
    }

    /// Without a word on it, a request with a body is a POST.
    fn method(&mut self, method: Option<Spanned<HttpMethod>>, has_body: bool) -> HttpMethod {
        if let Some(method) = method.as_ref().filter(|method| has_body && *method.get_ref() == HttpMethod::Get) {
            self.faults.at(&method.span(), "a GET has no body", "write `method = \"POST\"`, or take the body out");
        }
        method.map_or(if has_body { HttpMethod::Post } else { HttpMethod::Get }, Spanned::into_inner)
    }

    fn headers(
        &mut self,
        headers: Option<Spanned<crate::policy::file::Named>>,
        around: &Around<'_>,
    ) -> Vec<(String, Template)> {
        let mut checked = Vec::new();
        for (name, value) in headers.map(Spanned::into_inner).unwrap_or_default() {
            self.header_name(&name);
            let value = self.faults.value(Some(value));
            if let Some(value) = &value {
                self.open_secret(&value.span(), name.get_ref(), value.get_ref());
            }
            let value = value.and_then(|value| self.template(&value, around.names.request(), Place::Header));
            checked.extend(value.map(|value| (name.into_inner(), value)));
        }
        checked
    }

    fn header_name(&mut self, name: &Spanned<String>) {
        let text = name.get_ref();
        let lower = text.to_ascii_lowercase();
        let span = name.span();
        if !is_token(text) {
            self.faults.at(&span, format!("`{text}` cannot be a header's name"), "write letters, digits and `-`");
        } else if SECRET_HEADERS.contains(&lower.as_str()) {
            let mend =
                format!("write `auth = {{ type = \"header\", name = \"{text}\", value = \"env:NAME\" }}` instead");
            self.faults.at(&span, format!("`{text}` carries a secret, which never stands in a policy"), mend);
        } else if OWN_HEADERS.contains(&lower.as_str()) {
            let mend = if lower == "content-type" { "write `content_type = …` beside `body`" } else { "take it out" };
            self.faults.at(&span, format!("dipcache sets `{text}` itself"), mend);
        }
    }

    /// The CA file, looked up beside the policy. Its content counts for the fingerprint.
    pub(super) fn ca(&mut self, ca: &Spanned<String>) -> Option<PathBuf> {
        let path = self.folder.join(ca.get_ref());
        match std::fs::read_to_string(&path) {
            Ok(pem) if pem.contains("-----BEGIN CERTIFICATE-----") => {
                self.secrets.push(pem);
                return Some(path);
            }
            Ok(_) => self.faults.at(&ca.span(), "the file holds no certificate", "give it in PEM form"),
            Err(error) => {
                let what = format!("the CA file `{}` does not read: {error}", path.display());
                self.faults.at(&ca.span(), what, "write its path, from the policy's folder or from the root");
            }
        }
        None
    }
}

/// True for a header's name (RFC 9110 section 5.6.2).
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
