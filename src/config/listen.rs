//! `[listen]`: addresses, and no two listeners on one.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::file::ListenFile;
use super::{Endpoint, Listen, MemcachedFormat};
use crate::written::{Faults, Lines, Span, Spanned, Word};

impl Word for MemcachedFormat {
    const WHAT: &'static str = "a format of the memcached listener";
    const WORDS: &'static [(&'static str, Self)] =
        &[("json", Self::Json), ("text", Self::Text), ("params", Self::Params), ("csv", Self::Csv)];
}

/// The four listeners, with the addresses that they have by default.
const DEFAULTS: [(&str, &str); 4] = [
    ("http", "127.0.0.1:8090"),
    ("memcached", "127.0.0.1:11311"),
    ("dns", "127.0.0.1:5300"),
    ("admin", "127.0.0.1:9464"),
];

/// The addresses seen so far, and whose they are.
type Taken = Vec<(Endpoint, &'static str)>;

/// Checks all four.
pub(super) fn check(file: ListenFile, faults: &mut Faults) -> Listen {
    let mut taken = Taken::new();
    let [http, memcached, dns, admin] = DEFAULTS;
    let memcached_format = faults.or(file.memcached_format, MemcachedFormat::default());
    Listen {
        http: tcp(listener(file.http, http, faults, &mut taken)),
        memcached: listener(file.memcached, memcached, faults, &mut taken),
        memcached_format,
        dns: tcp(listener(file.dns, dns, faults, &mut taken)),
        admin: tcp(listener(file.admin, admin, faults, &mut taken)),
    }
}

fn tcp(endpoints: Vec<Endpoint>) -> Vec<SocketAddr> {
    let address = |endpoint| match endpoint {
        Endpoint::Tcp(address) => Some(address),
        Endpoint::Unix(_) => None,
    };
    endpoints.into_iter().filter_map(address).collect()
}

fn listener(
    lines: Lines<String>,
    (name, default): (&'static str, &'static str),
    faults: &mut Faults,
    taken: &mut Taken,
) -> Vec<Endpoint> {
    let Some(written) = faults.list(lines) else {
        return default.parse().map(Endpoint::Tcp).into_iter().collect();
    };
    let mut endpoints = Vec::new();
    for text in &written {
        if text.get_ref() == "off" {
            if written.len() > 1 {
                faults.at(&text.span(), "`off` stands beside addresses", "write `off` alone, or take it out");
            }
            continue;
        }
        if let Some(endpoint) = endpoint(text, name, default, faults) {
            not_twice(&endpoint, name, &text.span(), faults, taken);
            endpoints.push(endpoint);
        }
    }
    endpoints
}

fn endpoint(text: &Spanned<String>, name: &str, default: &str, faults: &mut Faults) -> Option<Endpoint> {
    let span = text.span();
    let text = text.get_ref().as_str();
    if let Some(path) = text.strip_prefix("unix:") {
        if name != "memcached" {
            let mend = format!("write an address, such as \"{default}\"");
            faults.at(&span, format!("`{name}` does not listen on a UNIX socket; only memcached does"), mend);
        } else if !Path::new(path).is_absolute() {
            let mend = "write the whole path, such as \"unix:/run/dipcache/memcached.sock\"";
            faults.at(&span, format!("the socket's path `{path}` does not start at the root"), mend);
        } else if path.len() > 107 {
            // The size of sun_path, less the byte that ends it.
            faults.at(&span, "the socket's path is longer than 107 bytes", "write a shorter path");
        } else {
            return Some(Endpoint::Unix(PathBuf::from(path)));
        }
        return None;
    }
    match text.parse() {
        Ok(address) => Some(Endpoint::Tcp(address)),
        Err(_) => {
            faults.at(&span, format!("`{text}` is not an address to listen at"), mended(text, default));
            None
        }
    }
}

/// What was probably meant.
fn mended(text: &str, default: &str) -> String {
    let port = text.rsplit(':').next().filter(|port| port.parse::<u16>().is_ok());
    let host = text.rsplit_once(':').map_or("", |(host, _)| host);
    match (host, port) {
        ("*", Some(port)) => format!("write \"0.0.0.0:{port}\" for every address of this machine"),
        ("localhost" | "", Some(port)) => format!("write \"127.0.0.1:{port}\""),
        _ if text.parse::<std::net::IpAddr>().is_ok() => format!("add the port, as in \"{default}\""),
        _ => format!("write an IP address and a port, as in \"{default}\", or \"off\""),
    }
}

fn not_twice(endpoint: &Endpoint, name: &'static str, span: &Span, faults: &mut Faults, taken: &mut Taken) {
    // With port 0 the system chooses, and never the same twice.
    let chosen = matches!(endpoint, Endpoint::Tcp(address) if address.port() == 0);
    match taken.iter().find(|(other, _)| !chosen && other == endpoint) {
        Some((_, owner)) => {
            faults.at(span, format!("`{owner}` listens at this address already"), "give one of the two another port");
        }
        None => taken.push((endpoint.clone(), name)),
    }
}
