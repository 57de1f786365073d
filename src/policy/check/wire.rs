//! How connections are made, and what may be done twice.

use std::net::IpAddr;

use super::Check;
use super::compile::secret_mend;
use crate::policy::file::{RedirectsWord, TlsFile, TlsWord, UpstreamFile};
use crate::policy::{HttpMethod, Secret, Tls, Wire};
use crate::written::Spanned;

/// The most repetitions: all of them share one try's time.
const MOST_RETRIES: u32 = 5;

impl Check<'_> {
    /// All of it. A `ca` within `tls` is the upstream's.
    pub(super) fn wire(
        &mut self,
        file: &mut UpstreamFile,
        ca: &mut Option<Spanned<String>>,
        method: HttpMethod,
    ) -> Wire {
        let safe = self.faults.or(file.safe.take(), false);
        let retry = self.faults.value(file.retry.take());
        if let Some(retry) = &retry {
            self.retry(retry, safe || method == HttpMethod::Get);
        }
        let redirects = self.faults.or(file.redirects.take(), RedirectsWord::None);
        let user_agent = self.faults.value(file.user_agent.take());
        if let Some(agent) = user_agent.as_ref().filter(|agent| !is_header_text(agent.get_ref())) {
            self.faults.at(&agent.span(), "this cannot stand in a header", "write plain text on one line");
        }
        let source_address = self.faults.value(file.source_address.take()).and_then(|text| self.address(&text));
        let proxy = self.faults.value(file.proxy.take()).and_then(|proxy| self.proxy(&proxy));
        let tls = file.tls.take().map_or_else(Tls::default, |tls| self.tls(tls, ca));
        Wire {
            safe,
            retry: retry.map_or(0, Spanned::into_inner),
            redirects: redirects == RedirectsWord::SameHost,
            user_agent: user_agent.map(Spanned::into_inner),
            source_address,
            proxy,
            tls,
        }
    }

    fn retry(&mut self, retry: &Spanned<u32>, repeatable: bool) {
        if *retry.get_ref() > MOST_RETRIES {
            let what = format!("more than {MOST_RETRIES} repetitions do not fit into one try's time");
            self.faults.at(&retry.span(), what, "write 1 or 2");
        } else if *retry.get_ref() > 0 && !repeatable {
            let mend = "write `safe = true` if the request changes nothing at the vendor, or take `retry` out";
            self.faults.at(&retry.span(), "a request that is no GET is not sent twice", mend);
        }
    }

    fn address(&mut self, text: &Spanned<String>) -> Option<IpAddr> {
        let address = text.get_ref().parse().ok();
        if address.is_none() {
            let mend = "write one of this machine's addresses, such as \"192.0.2.7\"";
            self.faults.at(&text.span(), format!("`{}` is no IP address", text.get_ref()), mend);
        }
        address
    }

    /// A proxy's URL: as it is where it holds no password, else by reference.
    fn proxy(&mut self, text: &Spanned<String>) -> Option<Secret> {
        let proxy = match text.get_ref().contains("://") && !text.get_ref().contains('@') {
            true => Secret::open(text.get_ref()),
            false => self.secret(text)?,
        };
        if !proxy.expose().starts_with("http://") {
            // The value may be a secret whatever is wrong with it, so it is not shown.
            let mend = "write `proxy = \"http://host:port\"`; with a password in it, by reference: \"env:NAME\"";
            self.faults.at(&text.span(), "a proxy's URL starts with http://", mend);
        }
        Some(proxy)
    }

    fn tls(&mut self, file: Spanned<TlsFile>, ca: &mut Option<Spanned<String>>) -> Tls {
        let table = file.span();
        let file = file.into_inner();
        match (self.faults.value(file.ca), &ca) {
            (Some(inner), Some(_)) => {
                self.faults.at(&inner.span(), "`ca` stands twice, here and in the upstream", "take one out");
            }
            (Some(inner), None) => *ca = Some(inner),
            (None, _) => {}
        }
        let (has_cert, has_key) = (file.cert.is_some(), file.key.is_some());
        let cert = self.faults.value(file.cert);
        let key = self.faults.value(file.key).and_then(|key| self.tls_key(&key));
        if has_cert != has_key {
            let missing = if has_cert { "key" } else { "cert" };
            let mend = "write `tls = { cert = \"our.pem\", key = \"file:/path/our.key\" }`";
            self.faults.missing(&table, missing, format!("`{missing}` is missing: a certificate needs its key"), mend);
        }
        let cert = cert.and_then(|cert| self.ca(&cert));
        let server_name = self.faults.value(file.server_name);
        if let Some(name) = server_name.as_ref().filter(|name| !is_host(name.get_ref())) {
            let mend = "write the name in the server's certificate, such as \"api.vendor.example\"";
            self.faults.at(&name.span(), format!("`{}` is no host's name", name.get_ref()), mend);
        }
        Tls {
            identity: cert.zip(key),
            server_name: server_name.map(Spanned::into_inner),
            only_1_3: self.faults.or(file.min, TlsWord::V12) == TlsWord::V13,
        }
    }

    /// A private key: by reference, or a file beside the policy.
    fn tls_key(&mut self, key: &Spanned<String>) -> Option<Secret> {
        let secret = if is_reference(key.get_ref()) {
            self.secret(key)?
        } else {
            let reference = format!("file:{}", self.folder.join(key.get_ref()).display());
            match Secret::read(&reference) {
                Ok(secret) => secret,
                Err(error) => {
                    self.faults.at(&key.span(), error.to_string(), secret_mend(&error));
                    return None;
                }
            }
        };
        if !secret.expose().contains("PRIVATE KEY-----") {
            self.faults.at(&key.span(), "this holds no private key", "give it in PEM form");
            return None;
        }
        self.secrets.push(secret.expose().to_owned());
        Some(secret)
    }
}

fn is_header_text(text: &str) -> bool {
    !text.is_empty() && text.len() <= 256 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

fn is_host(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
}

/// True for a value that says where a secret is.
pub(super) fn is_reference(text: &str) -> bool {
    ["env:", "file:", "cred:"].iter().any(|scheme| text.starts_with(scheme))
}
