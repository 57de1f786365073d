//! A vendor on plain HTTP/1.1, asked without a hop.
//!
//! The client of all others ([`client`](super::client)) runs each connection as a task of its own, and a request crosses
//! from task to task on its way out and back. Here the dip itself writes its request and reads the answer, on one thread, and
//! a connection that is kept is kept by the thread that made it. The way to a connection (names, addresses, both kinds of IP
//! at once) is hyper-util's, heads and chunk sizes are read by httparse; what stands between them is `line`: hyper's client
//! took a fifth of all that a miss costs, for channels and bodies in parts, which a dip has no use for.
//!
//! For whom it is: a policy whose requests all go to `http://` and a host of the policy's own, over no proxy, following no
//! redirects. What a caller brings along, TLS and HTTP/2 are the other client's.

mod body;
mod chunks;
mod head;
mod line;
mod outgoing;
mod stacks;

use std::sync::Arc;

use hyper::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use memchr::{memchr, memchr2};
use tokio::task::yield_now;
use tower::ServiceExt;

use super::answer::{Answer, chain};
use super::client::{IDLE, KEEPALIVE, user_agent};
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
    user_agent: String,
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
        let user_agent = user_agent(&http.wire).to_owned();
        Request::checked_header("user-agent", &user_agent)?;
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
        outgoing::check(request, path)?;
        loop {
            let (mut kept, is_new) = match self.stacks.take(authority) {
                Some(kept) => (kept, false),
                None => {
                    // It takes the system longer than a hit takes us: those who wait for one go first.
                    yield_now().await;
                    (Box::pin(self.connect(authority)).await?, true)
                }
            };
            outgoing::write(&mut kept.line.request, request, path, &kept.host, &self.user_agent);
            match kept.line.ask(wanted).await {
                Ok(answer) => {
                    if kept.line.is_free() {
                        self.stacks.put(kept);
                    }
                    return Ok(answer);
                }
                Err(Unsent::Not(failure)) => return Err(failure),
                Err(Unsent::Still(failure)) if is_new => return Err(failure),
                // It had been closed while it was kept, and nothing was written: another one.
                Err(Unsent::Still(_)) => {}
            }
        }
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
        Request::checked_header("host", &host)?;
        let stream = self.connector.clone().oneshot(uri).await.map_err(|error| none(chain(&error)))?;
        Ok(stacks::Kept::new(authority, host, Line::new(stream.into_inner())))
    }
}

/// The host and port of an `http` URL, and what stands behind them, without a fragment.
fn authority(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix(SCHEME).unwrap_or(url);
    let rest = &rest[..memchr(b'#', rest.as_bytes()).unwrap_or(rest.len())];
    rest.split_at(memchr2(b'/', b'?', rest.as_bytes()).unwrap_or(rest.len()))
}
