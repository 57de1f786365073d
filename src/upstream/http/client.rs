//! The client: connections, TLS and what it never does by itself.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::tls::Version;
use reqwest::{Certificate, Client, Identity, Method, Proxy, Url, redirect};

use super::{named, public};
use crate::policy::{HttpMethod, HttpPolicy, Secret, UpstreamPolicy, Wire};
use crate::upstream::{Failure, FailureKind};

/// Shorter than the 60 s after which common load balancers close an idle connection, so that it is
/// we who close it and no request meets a connection on its way out.
pub(super) const IDLE: Duration = Duration::from_secs(50);

/// After this much silence the system asks whether the vendor still lives.
pub(super) const KEEPALIVE: Duration = Duration::from_secs(30);

/// How often an HTTP/2 connection is asked whether it still lives, and how long it may take to say so.
/// A stream that was given up leaves its connection in use, so a dead one must be found some other way.
const PING_EVERY: Duration = Duration::from_secs(5);
const PING_WAITS: Duration = Duration::from_secs(2);

/// The most bytes of an HTTP/2 answer's head. (An HTTP/1 head is bounded by hyper: 400 KiB and 100 headers.)
const HEAD_LIMIT: u32 = 64 * 1024;

/// How often a request is sent on to another place of the same host.
const MOST_REDIRECTS: usize = 3;

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
    let wire = &http.wire;
    let mut builder = Client::builder();
    if let Some((name, host)) = wire.tls.server_name.as_ref().zip(http.fixed_host()) {
        builder = builder.dns_resolver(Arc::new(named::Elsewhere::new(name, &host)));
    }
    if http.public_only() {
        builder = builder.dns_resolver(Arc::new(public::PublicOnly));
    }
    if let Some((cert, key)) = &wire.tls.identity {
        builder = builder.identity(identity(cert, key)?);
    }
    if let Some(proxy) = &wire.proxy {
        builder = builder.proxy(self::proxy(proxy)?);
    } else {
        builder = builder.no_proxy();
    }
    builder
        .user_agent(user_agent(wire))
        .local_address(wire.source_address)
        .tls_version_min(if wire.tls.only_1_3 { Version::TLS_1_3 } else { Version::TLS_1_2 })
        .connect_timeout(policy.connect_timeout)
        .tcp_nodelay(true)
        .tcp_keepalive(KEEPALIVE)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(policy.concurrency.max(1))
        .http2_keep_alive_interval(PING_EVERY)
        .http2_keep_alive_timeout(PING_WAITS)
        .http2_keep_alive_while_idle(true)
        .http2_max_header_list_size(HEAD_LIMIT)
        .redirect(if wire.redirects { same_host() } else { redirect::Policy::none() })
        .referer(false)
        .gzip(true)
        .deflate(true)
        .tls_certs_only(trusted)
        .tls_danger_accept_invalid_certs(!http.verify_tls)
        .build()
        .map_err(|error| Failure::new(FailureKind::Bug, super::answer::chain(&error.without_url())))
}

/// Follows to the same scheme, host and port, a few times; any other redirect is an answer for the rules.
fn same_host() -> redirect::Policy {
    redirect::Policy::custom(|attempt| {
        let origin =
            |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default());
        let first = attempt.previous().first().map(origin);
        if first == Some(origin(attempt.url())) && attempt.previous().len() <= MOST_REDIRECTS {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

/// Our certificate and its key.
fn identity(cert: &Path, key: &Secret) -> Result<Identity, Failure> {
    let fault = |why: String| {
        let detail = format!(
            "the client certificate `{}` {why}: give a PEM file and the key that belongs to it",
            cert.display()
        );
        Failure::new(FailureKind::Policy, detail)
    };
    let mut pem = std::fs::read(cert).map_err(|error| fault(format!("does not read ({error})")))?;
    pem.push(b'\n');
    pem.extend_from_slice(key.current().as_bytes());
    pem.push(b'\n');
    Identity::from_pem(&pem).map_err(|_| fault("does not go with its key".to_owned()))
}

/// The proxy of the policy. Its URL may hold a password, so no message repeats it.
fn proxy(url: &Secret) -> Result<Proxy, Failure> {
    Proxy::all(url.current().as_str())
        .map_err(|_| Failure::new(FailureKind::Policy, "the proxy's URL is none: write http://host:port"))
}

/// What we call ourselves.
pub(super) fn user_agent(wire: &Wire) -> &str {
    wire.user_agent.as_deref().unwrap_or(concat!("dipcache/", env!("CARGO_PKG_VERSION")))
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
