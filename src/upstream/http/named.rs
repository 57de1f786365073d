//! A server that is called by another name than the one it is found by.
//!
//! The request goes to the policy's `server_name`: in the TLS handshake, in the certificate's check and in the
//! `Host` header. Only the address is that of the URL's own host, which this resolver puts in its place.

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::upstream::{Failure, FailureKind};

/// Looks one name up under another.
#[derive(Debug)]
pub(super) struct Elsewhere {
    name: String,
    host: String,
}

impl Elsewhere {
    /// `name` is found where `host` is.
    pub(super) fn new(name: &str, host: &str) -> Self {
        // In URLs the brackets belong to an IPv6 address, in a look-up they do not.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Self { name: name.to_ascii_lowercase(), host: host.to_owned() }
    }
}

impl Resolve for Elsewhere {
    fn resolve(&self, name: Name) -> Resolving {
        let host =
            if name.as_str().eq_ignore_ascii_case(&self.name) { self.host.clone() } else { name.as_str().to_owned() };
        Box::pin(async move {
            // Port 0 stands for the URL's own.
            let found: Vec<_> = tokio::net::lookup_host((host, 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Calls the URL's server by this name.
pub(super) fn called(mut url: Url, name: &str) -> Result<Url, Failure> {
    url.set_host(Some(name))
        .map_err(|error| Failure::new(FailureKind::Policy, format!("the server name `{name}` is no host: {error}")))?;
    Ok(url)
}
