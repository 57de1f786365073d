//! The commands that speak to a running proxy: `lookup`, `health`, `flush`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::{Client, Method, Response, Url};
use serde_json::json;

use crate::cli::{Input, runtime, say};
use crate::config::{self, AdminRights};
use crate::policy::Secret;

/// The proxy is on this machine: what does not answer in this time does not answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The headers that tell where an answer came from.
const PROVENANCE: [&str; 4] = ["X-Dip-Outcome", "X-Dip-Source", "Cache-Status", "Age"];

/// Speaks to the proxy that this config describes.
pub(super) struct Proxy {
    client: Client,
    http: String,
    admin: String,
    token: Option<Secret>,
}

impl Proxy {
    /// The proxy of this config.
    pub(super) fn of(config: Option<&Path>) -> anyhow::Result<Self> {
        let config = config::load(config).map_err(|faults| super::check::summed_up(&faults))?;
        let first = |addresses: &[std::net::SocketAddr], what: &str| {
            addresses
                .first()
                .map(|address| format!("http://{address}"))
                .with_context(|| format!("`[listen] {what}` is off"))
        };
        // The proxy is spoken to in plain HTTP, and still no client is built without a TLS provider; one that is there
        // already is as good. Certificates are not needed at all.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            client: Client::builder().timeout(PATIENCE).no_proxy().tls_certs_only([]).build()?,
            http: first(&config.listen.http, "http")?,
            admin: first(&config.listen.admin, "admin")?,
            token: match config.admin {
                AdminRights::Token(token) => Some(token),
                AdminRights::Open | AdminRights::Refused => None,
            },
        })
    }

    /// Asks the admin listener.
    pub(super) async fn admin(&self, method: Method, path: &[&str], body: &str) -> anyhow::Result<String> {
        let mut request = self.client.request(method, url(&self.admin, path)?).body(body.to_owned());
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        let response = self.send(request, &self.admin).await?;
        let status = response.status();
        let text = response.text().await?;
        if !status.is_success() {
            bail!("{}", if text.trim().is_empty() { status.to_string() } else { text.trim().to_owned() });
        }
        Ok(text)
    }

    /// Sends a body to the admin listener piece by piece; what comes back may begin before it ends, and has no time
    /// limit of its own.
    pub(super) async fn stream(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        body: reqwest::Body,
    ) -> anyhow::Result<Response> {
        let mut url = url(&self.admin, path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.client.request(Method::POST, url).timeout(Duration::MAX).body(body);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        let response = self.send(request, &self.admin).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = response.text().await.unwrap_or_default();
        bail!("{}", if text.trim().is_empty() { status.to_string() } else { text.trim().to_owned() });
    }

    async fn send(&self, request: reqwest::RequestBuilder, address: &str) -> anyhow::Result<Response> {
        request.send().await.with_context(|| {
            format!("no proxy answers at {address}; start one with `dipcache serve`, or name its config with -c")
        })
    }
}

/// `base` and these path segments, each escaped.
fn url(base: &str, path: &[&str]) -> anyhow::Result<Url> {
    // In a URL these mean another place: `flush account ..` would ask for everything to go.
    if let Some(part) = path.iter().find(|part| matches!(**part, "" | "." | "..")) {
        bail!("`{part}` is neither a lookup nor a key");
    }
    let mut url = Url::parse(base)?;
    url.path_segments_mut().map_err(|()| anyhow::anyhow!("{base} is no base for a path"))?.extend(path);
    Ok(url)
}

/// `dipcache lookup`.
pub(super) fn lookup(
    config: Option<&Path>,
    lookup: &str,
    key: &str,
    inputs: &[Input],
    explain: bool,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let proxy = Proxy::of(config)?;
    let mut url = url(&proxy.http, &["v1", "lookup", lookup, key])?;
    if !inputs.is_empty() {
        url.query_pairs_mut().extend_pairs(inputs);
    }
    runtime()?.block_on(async {
        let response = proxy.send(proxy.client.get(url), &proxy.http).await?;
        let status = response.status();
        let headers = response.headers().clone();
        let told = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = response.text().await?;
        if as_json {
            let record = serde_json::from_str(&body).unwrap_or(serde_json::Value::Null);
            let provenance: serde_json::Map<_, _> =
                PROVENANCE.iter().filter_map(|name| Some(((*name).to_owned(), told(name)?.into()))).collect();
            say(format_args!("{}\n", json!({ "status": status.as_u16(), "record": record, "headers": provenance })))?;
        } else {
            if explain {
                say(format_args!("{:<14} {status}\n", "Status"))?;
                for name in PROVENANCE {
                    say(format_args!("{name:<14} {}\n", told(name).unwrap_or_else(|| "–".to_owned())))?;
                }
            }
            if !body.is_empty() {
                say(format_args!("{body}\n"))?;
            } else if !explain {
                eprintln!("dipcache: {}", told("X-Dip-Outcome").unwrap_or_else(|| status.to_string()));
            }
        }
        Ok(if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// `dipcache health`.
pub(super) fn health(config: Option<&Path>, lookup: &str, hand: Option<&str>) -> anyhow::Result<ExitCode> {
    let proxy = Proxy::of(config)?;
    let (method, body) = hand.map_or((Method::GET, ""), |hand| (Method::PUT, hand));
    let said = runtime()?.block_on(proxy.admin(method, &["v1", "health", lookup], body))?;
    say(format_args!("{}\n", said.trim()))?;
    Ok(ExitCode::SUCCESS)
}

/// `dipcache flush`.
pub(super) fn flush(config: Option<&Path>, lookup: &str, key: Option<&str>) -> anyhow::Result<ExitCode> {
    let proxy = Proxy::of(config)?;
    let path: Vec<&str> = ["v1", "cache", lookup].into_iter().chain(key).collect();
    let said = runtime()?.block_on(proxy.admin(Method::DELETE, &path, ""))?;
    say(format_args!("{}\n", said.trim()))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_stays_in_its_place() {
        let path = |key| url("http://127.0.0.1:1", &["v1", "cache", "account", key]).map(|url| url.path().to_owned());
        assert_eq!(path("a/b?c#d").unwrap(), "/v1/cache/account/a%2Fb%3Fc%23d");
        for key in ["", ".", ".."] {
            assert!(path(key).is_err(), "{key}");
        }
    }
}
