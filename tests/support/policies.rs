//! Policies as `check` would make them, for tests that need no policy file.

use std::net::SocketAddr;
use std::time::Duration;

use dipcache::policy::expr::Place;
use dipcache::policy::{
    Auth, DnsPolicy, DnsRecord, Format, HttpMethod, HttpPolicy, Template, TransportPolicy, TtlRules, UpstreamPolicy,
    Wire,
};

/// A file with a secret, and how a policy refers to it.
pub fn secret_file(value: &str) -> (tempfile::NamedTempFile, String) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), format!("{value}\n")).expect("the file is ours");
    let reference = format!("file:{}", file.path().display());
    (file, reference)
}

/// An upstream of this transport, without rules or fields.
pub fn upstream(transport: TransportPolicy) -> UpstreamPolicy {
    UpstreamPolicy {
        name: "under-test".into(),
        transport,
        connect_timeout: Duration::from_secs(1),
        total_timeout: None,
        concurrency: 16,
        rate: None,
        decoding: Format::Json.into(),
        rules: Vec::new(),
        fields: Vec::new(),
        required: Vec::new(),
        also: Vec::new(),
        hold: Duration::from_secs(1),
        ttl: TtlRules::default(),
    }
}

/// A GET without credentials, of at most 64 KiB.
pub fn http() -> HttpPolicy {
    HttpPolicy {
        method: HttpMethod::Get,
        url: Template::compile("http://127.0.0.1/", &[], Place::Url).expect("a template"),
        bases: Vec::new(),
        weights: Vec::new(),
        query: Vec::new(),
        headers: Vec::new(),
        body: None,
        form: None,
        auth: Auth::None,
        chosen: None,
        secrets: Vec::new(),
        wire: Wire::default(),
        max_body: 64 * 1024,
        ca: None,
        verify_tls: true,
        caller_url: None,
    }
}

/// The same over TLS.
pub fn https() -> HttpPolicy {
    HttpPolicy { url: Template::compile("https://127.0.0.1/", &[], Place::Url).expect("a template"), ..http() }
}

/// Addresses from these servers, with recursion and EDNS.
pub fn dns(servers: &[SocketAddr], try_timeout: Duration) -> DnsPolicy {
    DnsPolicy {
        record: DnsRecord::A.into(),
        name: Template::compile("a.test", &[], Place::DnsName).expect("a template"),
        servers: servers.to_vec(),
        try_timeout,
        edns: true,
        recursion: true,
        mixed_case: false,
        services: Vec::new(),
        hops: 5,
        transports: dipcache::policy::Transport::ALL.to_vec(),
        ipv6: true,
    }
}
