//! A vendor on plain HTTP/1.1, asked without a hop.
//!
//! The client of all others ([`client`](super::client)) runs each connection as a task of its own, and a request crosses
//! from task to task on its way out and back. Here the dip itself drives its connection: what writes the request reads the
//! answer, on one thread, and a connection that is kept is kept by the thread that made it. HTTP is hyper's here as well, the
//! way to a connection (names, addresses, both kinds of IP at once) is hyper-util's. That is worth 25 to 40 µs a dip.
//!
//! For whom it is: a policy whose requests all go to `http://` and a host of the policy's own, over no proxy, following no
//! redirects. What a caller brings along, TLS and HTTP/2 are the other client's.

mod body;
mod line;
mod stacks;

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Uri;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, HOST, HeaderValue, USER_AGENT};
use hyper_util::client::legacy::connect::HttpConnector;
use memchr::{memchr, memchr2};
use tower::ServiceExt;

use super::answer::{Answer, chain};
use super::client::{IDLE, KEEPALIVE, method, user_agent};
use super::request::Request;
use crate::policy::{Auth, HttpPolicy, UpstreamPolicy};
use crate::upstream::{Failure, FailureKind};
use line::{Line, Unsent};
use stacks::Stacks;

const SCHEME: &str = "http://";

/// The client.
#[derive(Debug)]
pub(super) struct Direct {
    connector: HttpConnector,
    user_agent: HeaderValue,
    stacks: Arc<Stacks>,
}

/// True when this client can make every request of the policy.
pub(super) fn serves(http: &HttpPolicy) -> bool {
    let wire = &http.wire;
    let is_plain = |url: &str| url.starts_with(SCHEME) && !authority(url).0.contains(['{', '@']);
    let all_plain = match &http.bases[..] {
        [] => is_plain(http.url.source()),
        bases => bases.iter().all(|base| is_plain(base)),
    };
    let mut auths = http.auths();
    all_plain
        && http.caller_url.is_none()
        && wire.proxy.is_none()
        && !wire.redirects
        && wire.tls.server_name.is_none()
        // These say what is wrong with them even where they are not needed.
        && wire.tls.identity.is_none()
        && http.ca.is_none()
        && !auths.any(|(_, auth)| matches!(auth, Auth::OAuth2(_)))
}

impl Direct {
    /// Makes it. Opens no connection yet.
    ///
    /// # Errors
    /// When the policy's own name for us may not stand in a header.
    pub(super) fn build(policy: &UpstreamPolicy, http: &HttpPolicy) -> Result<Self, Failure> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_keepalive(Some(KEEPALIVE));
        connector.set_connect_timeout(Some(policy.connect_timeout));
        connector.set_local_address(http.wire.source_address);
        let user_agent = HeaderValue::from_str(user_agent(&http.wire))
            .map_err(|_| Failure::new(FailureKind::Bug, "the user agent may not stand in a header"))?;
        Ok(Self { connector, user_agent, stacks: Stacks::new(policy.concurrency.max(1)) })
    }

    /// Sends a request and reads the whole answer, of which at most `wanted` bytes of body; 0 wants none. Bound it by a
    /// deadline: dropped on the way, it closes its connection.
    ///
    /// # Errors
    /// As [`HttpUpstream::fetch`](super::HttpUpstream::fetch).
    pub(super) async fn fetch(&self, request: &Request, wanted: usize) -> Result<Answer, Failure> {
        let target = request.target()?;
        if !target.starts_with(SCHEME) {
            request.checked_url()?;
            return Err(Failure::new(FailureKind::Bug, "this client speaks plain HTTP only"));
        }
        let (authority, path) = authority(&target);
        let mut ready = self.prepared(request, path)?;
        loop {
            let mut kept = match self.stacks.take(authority) {
                Some(kept) => kept,
                None => Box::pin(self.connect(authority)).await?,
            };
            ready.headers_mut().insert(HOST, kept.host.clone());
            match kept.line.ask(ready, wanted).await {
                Ok(answer) => {
                    if kept.line.is_free() {
                        self.stacks.put(kept);
                    }
                    return Ok(answer);
                }
                Err(Unsent::Not(failure)) => return Err(failure),
                // It had been closed while it was kept, and nothing was written: another one.
                Err(Unsent::Still(request)) => ready = *request,
            }
        }
    }

    fn prepared(&self, request: &Request, path: &str) -> Result<hyper::Request<Full<Bytes>>, Failure> {
        let uri = match path.as_bytes().first() {
            Some(b'/') => Uri::try_from(path),
            _ => Uri::try_from(format!("/{path}")),
        };
        let uri =
            uri.map_err(|error| Failure::new(FailureKind::Policy, format!("the rendered URL is none: {error}")))?;
        let body = request.body.as_ref().map_or_else(Bytes::new, |(_, text)| Bytes::copy_from_slice(text.as_bytes()));
        let mut prepared = hyper::Request::new(Full::new(body));
        *prepared.method_mut() = method(request.method);
        *prepared.uri_mut() = uri;
        let mut headers = request.checked_headers()?;
        headers.entry(USER_AGENT).or_insert_with(|| self.user_agent.clone());
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("gzip, deflate"));
        *prepared.headers_mut() = headers;
        Ok(prepared)
    }

    async fn connect(&self, authority: &str) -> Result<stacks::Kept, Failure> {
        let none = |why: String| Failure::new(FailureKind::Connect, why);
        let uri = Uri::builder().scheme("http").authority(authority).path_and_query("/").build();
        let uri =
            uri.map_err(|error| Failure::new(FailureKind::Policy, format!("`{authority}` is no host: {error}")))?;
        let host = match (uri.host(), uri.port_u16()) {
            (Some(host), None | Some(80)) => host.to_ascii_lowercase(),
            (Some(host), Some(port)) => format!("{}:{port}", host.to_ascii_lowercase()),
            (None, _) => return Err(Failure::new(FailureKind::Policy, format!("`{authority}` has no host"))),
        };
        let host = HeaderValue::try_from(host)
            .map_err(|_| Failure::new(FailureKind::Policy, format!("`{authority}` may not stand in a header")))?;
        let stream = self.connector.clone().oneshot(uri).await.map_err(|error| none(chain(&error)))?;
        let line = Line::begin(stream).await?;
        Ok(stacks::Kept::new(authority, host, line))
    }
}

/// The host and port of an `http` URL, and what stands behind them, without a fragment.
fn authority(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix(SCHEME).unwrap_or(url);
    let rest = &rest[..memchr(b'#', rest.as_bytes()).unwrap_or(rest.len())];
    rest.split_at(memchr2(b'/', b'?', rest.as_bytes()).unwrap_or(rest.len()))
}
