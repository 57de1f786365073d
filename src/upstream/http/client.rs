//! The client: connections, TLS and what it never does by itself.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::{Certificate, Client, Method, redirect};

use crate::policy::{HttpMethod, HttpPolicy, UpstreamPolicy};
use crate::upstream::{Failure, FailureKind};

/// Shorter than the 60 s after which common load balancers close an idle connection, so that it is
/// we who close it and no request meets a connection on its way out.
const IDLE: Duration = Duration::from_secs(50);

/// How often an HTTP/2 connection is asked whether it still lives, and how long it may take to say so.
/// A stream that was given up leaves its connection in use, so a dead one must be found some other way.
const PING_EVERY: Duration = Duration::from_secs(5);
const PING_WAITS: Duration = Duration::from_secs(2);

/// The most bytes of an HTTP/2 answer's head. (An HTTP/1 head is bounded by hyper: 400 KiB and 100 headers.)
const HEAD_LIMIT: u32 = 64 * 1024;

/// Makes the client of one upstream.
///
/// # Errors
/// When the policy's CA file does not read or holds no certificate.
pub(super) fn build(policy: &UpstreamPolicy, http: &HttpPolicy) -> Result<Client, Failure> {
    // The provider is the process's; whoever comes second finds it there, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut trusted = machine_roots().to_vec();
    if let Some(path) = &http.ca {
        trusted.extend(read_ca(path)?);
    }
    Client::builder()
        .user_agent(concat!("dipcache/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(policy.connect_timeout)
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(30))
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(policy.concurrency.max(1))
        .http2_keep_alive_interval(PING_EVERY)
        .http2_keep_alive_timeout(PING_WAITS)
        .http2_keep_alive_while_idle(true)
        .http2_max_header_list_size(HEAD_LIMIT)
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .gzip(true)
        .deflate(true)
        .tls_certs_only(trusted)
        .tls_danger_accept_invalid_certs(!http.verify_tls)
        .build()
        .map_err(|error| Failure::new(FailureKind::Bug, super::answer::chain(&error.without_url())))
}

/// The client's word for a method.
pub(super) const fn method(method: HttpMethod) -> Method {
    match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
    }
}

/// What the machine trusts, read once. Certificates that do not parse are left out: one bad file in a
/// machine's store must not stop the others. None at all is no error here: a vendor on plain HTTP or with a CA
/// of its own can be asked all the same, and another one fails with a reason.
fn machine_roots() -> &'static [Certificate] {
    static ROOTS: OnceLock<Vec<Certificate>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "a certificate of the machine's store does not read");
        }
        let parses =
            |der: &rustls::pki_types::CertificateDer<'static>| rustls::RootCertStore::empty().add(der.clone()).is_ok();
        found.certs.iter().filter(|der| parses(der)).filter_map(|der| Certificate::from_der(der).ok()).collect()
    })
}

fn read_ca(path: &Path) -> Result<Vec<Certificate>, Failure> {
    let fault = |why: String| {
        Failure::new(
            FailureKind::Policy,
            format!("the CA file `{}` {why}: give a PEM file of certificates", path.display()),
        )
    };
    let pem = std::fs::read(path).map_err(|error| fault(format!("does not read ({error})")))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(fault("holds no certificate".to_owned())),
    }
}
