//! OAuth2 client credentials (RFC 6749 section 4.4): a token is there before a dip needs it.
//!
//! One keeper a set of credentials fetches the tokens, so there is never more than one request for one. It renews
//! at four fifths of a token's life, whoever asks or not; until the old one has run out, dips go on with
//! it. A dip waits only when there is no usable token at all, and no longer than its own deadline.
//!
//! ```text
//! no token   -> the keeper asks   -> token (renew at 80 % of its life)
//! token      -> refused with 401  -> the keeper asks at once, once for all who were refused
//! asked, and no token came        -> a pause that doubles; dips without a token are told why at once
//! ```
//!
//! The client's secret is read anew before each request but the first: it may be the reason.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, RequestBuilder};
use tokio::sync::{Notify, watch};

use super::answer::{self, Answer};
use super::request::{FORM, Request};
use crate::deadline::{Deadline, Instant, now};
use crate::policy::{HttpMethod, OAuth2};
use crate::upstream::{Failure, FailureKind};

/// The life of a token whose giver says nothing of it.
const USUAL_LIFE: Duration = Duration::from_secs(600);

/// No token is believed to live longer: a mistyped figure must not keep a dead one.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);

/// The pause after a request that brought no token: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A token refused within this time of its making is not refused for its age: another would fare no better.
const BRAND_NEW: Duration = Duration::from_secs(2);

/// The largest answer that is read.
const MAX_ANSWER: usize = 64 * 1024;

/// A token, fit to be sent.
#[derive(Clone)]
pub struct Token {
    /// Its text.
    pub value: Arc<str>,
    /// Which one it is, for [`TokenSource::renewed`].
    pub serial: u64,
    made: Instant,
    renew_at: Instant,
    dead_at: Instant,
}

/// Where tokens come from.
#[derive(Debug)]
pub struct TokenSource {
    policy: OAuth2,
    client: Client,
    state: watch::Sender<State>,
    /// The token of this serial was refused; 0 for none.
    refused: AtomicU64,
    wake: Arc<Notify>,
    kept: AtomicBool,
}

#[derive(Clone, Debug, Default)]
struct State {
    token: Option<Token>,
    /// Why the latest request brought none.
    failed: Option<Failure>,
    /// Requests without a token in a row.
    failures: u32,
    /// When the keeper asks again after that.
    next_try: Option<Instant>,
    serial: u64,
}

impl TokenSource {
    /// A source without a token yet.
    pub fn new(policy: &OAuth2, client: Client) -> Arc<Self> {
        Arc::new(Self {
            policy: policy.clone(),
            client,
            state: watch::Sender::default(),
            refused: AtomicU64::new(0),
            wake: Arc::default(),
            kept: AtomicBool::new(false),
        })
    }

    /// Starts the keeper, unless it is at work. Must be called within a runtime.
    pub fn keep(self: &Arc<Self>) {
        if !self.kept.swap(true, Ordering::AcqRel) {
            tokio::spawn(keep(Arc::downgrade(self), Arc::clone(&self.wake)));
        }
    }

    /// A usable token: at once in the ordinary case.
    ///
    /// # Errors
    /// Why there is none, or `Timeout` at the deadline.
    pub async fn token(self: &Arc<Self>, deadline: Deadline) -> Result<Token, Failure> {
        self.keep();
        self.other_than(0, deadline).await
    }

    /// Another token than this one, which the vendor refused. All who were refused share one request.
    /// `None` when another one would be refused as well.
    ///
    /// # Errors
    /// As [`TokenSource::token`].
    pub async fn renewed(self: &Arc<Self>, refused: &Token, deadline: Deadline) -> Result<Option<Token>, Failure> {
        let is_current = self.state.borrow().serial == refused.serial;
        if is_current {
            if now() < refused.made + BRAND_NEW {
                return Ok(None);
            }
            self.refused.store(refused.serial, Ordering::Release);
            self.wake.notify_one();
        }
        self.other_than(refused.serial, deadline).await.map(Some)
    }

    async fn other_than(&self, serial: u64, deadline: Deadline) -> Result<Token, Failure> {
        let mut state = self.state.subscribe();
        let there = |state: &State| {
            let usable = state.token.as_ref().is_some_and(|token| token.serial != serial && now() < token.dead_at);
            usable || (state.failed.is_some() && state.token.as_ref().is_none_or(|token| now() >= token.dead_at))
        };
        let state = match deadline.limit(state.wait_for(there)).await {
            Some(Ok(state)) => state.clone(),
            // The sender lives in `self`, so only the deadline ends the wait.
            Some(Err(_)) | None => {
                return Err(Failure::new(FailureKind::Timeout, "no token by the deadline"));
            }
        };
        match (state.token.filter(|token| token.serial != serial && now() < token.dead_at), state.failed) {
            (Some(token), _) => Ok(token),
            (None, Some(failure)) => Err(failure),
            (None, None) => Err(Failure::new(FailureKind::Timeout, "the token ran out while it was handed over")),
        }
    }

    /// When the keeper has something to do: now, if the current token was refused.
    fn due(&self) -> Instant {
        let state = self.state.borrow();
        match (&state.token, state.next_try) {
            (_, Some(next_try)) => next_try,
            (Some(token), None) if self.refused.load(Ordering::Acquire) == token.serial => now(),
            (Some(token), None) => token.renew_at,
            (None, None) => now(),
        }
    }

    /// One request for a token, and what comes of it.
    async fn refresh(&self) {
        let secret = self.policy.client_secret.clone();
        if self.state.borrow().failures > 0 || self.refused.load(Ordering::Acquire) > 0 {
            // A file is read. A panic there would cost the reading and nothing else.
            let _ = tokio::task::spawn_blocking(move || secret.read_anew()).await;
        }
        let began = now();
        let deadline = Deadline::after(self.policy.timeout);
        let result = match deadline.limit(self.ask()).await {
            Some(result) => result,
            None => Err(Failure::new(FailureKind::Protocol, "token: no answer in time")),
        };
        let refused = self.refused.load(Ordering::Acquire);
        self.state.send_modify(|state| match result {
            Ok((value, life)) => {
                state.serial += 1;
                let (renew_at, dead_at) = (began + life.mul_f64(0.8), began + life.mul_f64(0.98));
                let serial = state.serial;
                state.token = Some(Token { value: value.into(), serial, made: began, renew_at, dead_at });
                (state.failed, state.failures, state.next_try) = (None, 0, None);
            }
            Err(failure) => {
                tracing::warn!(%failure, url = self.policy.token_url, "no token");
                // One that the vendor refused is of no use while the next one is waited for.
                state.token = state.token.take().filter(|token| token.serial != refused);
                (state.failed, state.failures) = (Some(failure), state.failures.saturating_add(1));
                state.next_try = Some(now() + pause(state.failures));
            }
        });
    }

    async fn ask(&self) -> Result<(String, Duration), Failure> {
        let sent = self.request()?.send();
        let answer = answer::read(sent, MAX_ANSWER).await.map_err(|failure| Failure {
            // Whose connection it was matters to nobody but the operator: the vendor cannot be asked.
            kind: FailureKind::Protocol,
            detail: format!("token: {failure}").into(),
        })?;
        read(&answer)
    }

    fn request(&self) -> Result<RequestBuilder, Failure> {
        let request = token_request(&self.policy);
        let post = self.client.post(&request.url).headers(request.checked_headers()?);
        Ok(post.body(request.body.map_or_else(String::new, |(_, form)| form)))
    }
}

/// What is sent for a token (RFC 6749, section 4.4.2).
pub fn token_request(policy: &OAuth2) -> Request {
    let (id, secret) = (policy.client_id.current(), policy.client_secret.current());
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    form.extend_pairs(&policy.form);
    let mut headers = vec![("Accept".to_owned(), "application/json".to_owned())];
    if policy.basic {
        headers.push(("Authorization".to_owned(), format!("Basic {}", client_credentials(&id, &secret))));
    } else {
        form.append_pair("client_id", &id).append_pair("client_secret", &secret);
    }
    let body = Some((FORM.to_owned(), form.finish()));
    Request { method: HttpMethod::Post, url: policy.token_url.clone(), headers, body }
}

impl Drop for TokenSource {
    fn drop(&mut self) {
        // The keeper finds nobody to keep for, and ends.
        self.wake.notify_one();
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token {{ serial: {} }}", self.serial)
    }
}

async fn keep(source: Weak<TokenSource>, wake: Arc<Notify>) {
    while let Some(due) = source.upgrade().map(|source| source.due()) {
        tokio::select! {
            () = tokio::time::sleep_until(due) => {
                let Some(source) = source.upgrade() else { return };
                source.refresh().await;
            }
            () = wake.notified() => {}
        }
    }
}

fn pause(failures: u32) -> Duration {
    (FIRST_PAUSE * 2_u32.saturating_pow(failures.saturating_sub(1).min(10))).min(LONGEST_PAUSE)
}

/// RFC 6749 section 2.3.1: each part form-encoded, then joined.
fn client_credentials(id: &str, secret: &str) -> String {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret)))
}

/// What a token request's answer means. Nothing of it is repeated in a message but its status and error code.
fn read(answer: &Answer) -> Result<(String, Duration), Failure> {
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let status = answer.status;
    if !(200..300).contains(&status) {
        let word = body["error"].as_str().filter(|word| word.len() < 64).unwrap_or_default();
        let kind = if (400..500).contains(&status) { FailureKind::Auth } else { FailureKind::Protocol };
        return Err(Failure::new(kind, format!("token: status {status} {word}").trim_end()));
    }
    let Some(token) = body["access_token"].as_str().filter(|token| is_token(token)) else {
        return Err(Failure::new(FailureKind::Protocol, "token: the answer has no `access_token`"));
    };
    let life = match &body["expires_in"] {
        serde_json::Value::Number(seconds) => seconds.as_f64(),
        serde_json::Value::String(seconds) => seconds.trim().parse().ok(),
        _ => None,
    };
    let life = life
        .filter(|life| life.is_finite() && *life >= 1.0)
        .map(|life| Duration::from_secs_f64(life.min(LONGEST_LIFE.as_secs_f64())));
    Ok((token.to_owned(), life.unwrap_or(USUAL_LIFE)))
}

/// True for what can stand in a header.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.len() <= 16 * 1024 && text.bytes().all(|byte| (b'!'..=b'~').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Result<(String, Duration), Failure> {
        read(&Answer { status, headers: Vec::new(), body: body.to_owned().into() })
    }

    #[test]
    fn answers_of_all_kinds() {
        let life = |body: &str| answer(200, body).unwrap().1.as_secs();
        assert_eq!(life(r#"{"access_token":"a","expires_in":3600}"#), 3600);
        assert_eq!(life(r#"{"access_token":"a","expires_in":"60"}"#), 60);
        assert_eq!(life(r#"{"access_token":"a"}"#), 600);
        assert_eq!(life(r#"{"access_token":"a","expires_in":-1}"#), 600);
        assert_eq!(life(r#"{"access_token":"a","expires_in":1e300}"#), 86_400);
        let failed = |status, body| answer(status, body).unwrap_err();
        assert_eq!(failed(401, r#"{"error":"invalid_client"}"#).kind, FailureKind::Auth);
        assert_eq!(failed(503, "down").kind, FailureKind::Protocol);
        assert_eq!(failed(200, r#"{"access_token":"a\nb"}"#).kind, FailureKind::Protocol);
        assert_eq!(failed(200, "<html>").kind, FailureKind::Protocol);
        assert_eq!(&*failed(400, r#"{"error":"invalid_scope"}"#).detail, "token: status 400 invalid_scope");
    }

    #[test]
    fn each_part_of_the_credentials_is_encoded_before_they_are_joined() {
        assert_eq!(STANDARD.decode(client_credentials("a:b", "c d")).unwrap(), b"a%3Ab:c+d");
    }
}
