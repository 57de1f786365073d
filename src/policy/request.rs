//! How a REST vendor is asked, beyond method and URL: parameters, connections, credentials that must be made.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Auth, HttpPolicy, Question, Secret, Template};

/// The names that a request's templates may use beside the question's: a moment, the same in the whole request,
/// and values that never come twice. They are no part of any cache key.
pub const REQUEST_NAMES: [&str; 5] = ["now_unix", "now_unix_ms", "now_iso", "uuid", "nonce"];

/// What the text to be signed may use beside those.
pub const SIGNED_NAMES: [&str; 7] = ["method", "url", "host", "path", "query_string", "timestamp", "body"];

/// What the headers of a signed request may use beside those.
pub const SIGNATURE: &str = "signature";

/// A parameter of a query or a form. One whose text is empty is left out; a list stands once for each of its items.
#[derive(Debug)]
pub struct Pair {
    /// Its name, which may end in `[]`.
    pub name: String,
    /// Its values; each is percent-encoded as a whole, its own text too.
    pub values: Vec<Template>,
}

/// How connections are made, and what may be done twice.
#[derive(Debug, Default)]
pub struct Wire {
    /// A request that changes nothing at the vendor, though it is no GET: it may be repeated.
    pub safe: bool,
    /// How often a try that failed is repeated within its own deadline.
    pub retry: u32,
    /// True: redirects to the same scheme, host and port are followed.
    pub redirects: bool,
    /// Instead of our own name.
    pub user_agent: Option<String>,
    /// The address that connections come from.
    pub source_address: Option<IpAddr>,
    /// An HTTP proxy; TLS goes through it by CONNECT.
    pub proxy: Option<Secret>,
    /// What we show, and what we insist on.
    pub tls: Tls,
}

/// TLS beyond trust.
#[derive(Debug, Default)]
pub struct Tls {
    /// Our certificate chain, and its key as PEM.
    pub identity: Option<(PathBuf, Secret)>,
    /// The name that the server's certificate must have; it is also the name that the server is called by.
    pub server_name: Option<String>,
    /// True: nothing below TLS 1.3.
    pub only_1_3: bool,
}

/// Several credentials, chosen by an input.
#[derive(Debug)]
pub struct Chosen {
    /// The input's name.
    pub by: Arc<str>,
    /// Credentials by the input's value.
    pub auths: Vec<(String, Auth)>,
}

/// RFC 6749 section 4.4: a token for our own credentials.
#[derive(Clone, Debug)]
pub struct OAuth2 {
    /// Where tokens are to be had.
    pub token_url: String,
    /// Who we are there.
    pub client_id: Secret,
    /// How we prove it.
    pub client_secret: Secret,
    /// True: both in an `Authorization` header; false: in the form.
    pub basic: bool,
    /// Further fields of the form: scope, audience and what else the vendor wants.
    pub form: Vec<(String, String)>,
    /// How long one token request may take.
    pub timeout: Duration,
}

/// A signature over the request as it is sent.
#[derive(Debug)]
pub struct Hmac {
    /// The key.
    pub secret: Secret,
    /// Over which digest.
    pub algorithm: Algorithm,
    /// True: base64; false: hex in small letters.
    pub base64: bool,
    /// What is signed.
    pub string: Template,
    /// The headers that carry the signature and what it was made of.
    pub headers: Vec<(String, Template)>,
}

/// Digests that a signature may be made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// FIPS 180-4; for vendors that never moved on.
    Sha1,
    /// FIPS 180-4.
    Sha256,
    /// FIPS 180-4.
    Sha512,
}

impl HttpPolicy {
    /// The credentials for this question, and the name they are chosen by. `None`: there are none for it.
    pub fn auth_for(&self, question: &Question) -> Option<(Option<&str>, &Auth)> {
        let Some(chosen) = &self.chosen else { return Some((None, &self.auth)) };
        let value = question.named_inputs().find(|(name, _)| **name == chosen.by).and_then(|(_, value)| value);
        let named = value.and_then(|value| chosen.auths.iter().find(|(name, _)| name == value));
        match named {
            Some((name, auth)) => Some((Some(name), auth)),
            None if matches!(self.auth, Auth::None) => None,
            None => Some((None, &self.auth)),
        }
    }

    /// Every set of credentials, by the name it is chosen by.
    pub fn auths(&self) -> impl Iterator<Item = (Option<&str>, &Auth)> {
        let chosen = self.chosen.iter().flat_map(|chosen| &chosen.auths);
        std::iter::once((None, &self.auth)).chain(chosen.map(|(name, auth)| (Some(name.as_str()), auth)))
    }

    /// True where the URL is the caller's and must not lead into our own network.
    pub fn public_only(&self) -> bool {
        self.caller_url.is_some_and(|caller_url| !caller_url.allow_private)
    }

    /// The host of every request, where there is but one.
    pub fn fixed_host(&self) -> Option<String> {
        let url = match &self.bases[..] {
            [] => self.url.source(),
            [base] => base,
            [_, _, ..] => return None,
        };
        let authority = url.split_once("://")?.1.split(['/', '?', '#']).next()?;
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        };
        (!host.contains('{') && !host.is_empty()).then(|| host.to_owned())
    }

    /// Users and passwords that stand in one header together.
    pub fn basics(&self) -> Vec<(Secret, Secret)> {
        let basic = |auth: &Auth| match auth {
            Auth::Basic { user, password } => Some((user.clone(), password.clone())),
            _ => None,
        };
        self.auths().filter_map(|(_, auth)| basic(auth)).collect()
    }

    /// Every secret that a request may carry, those of its templates included.
    pub fn secrets(&self) -> Vec<Secret> {
        let mut secrets = self.secrets.clone();
        self.auths().for_each(|(_, auth)| secrets.extend(auth.secrets().into_iter().cloned()));
        secrets.extend(self.wire.proxy.clone());
        secrets
    }
}

impl Auth {
    /// The secrets in it.
    pub fn secrets(&self) -> Vec<&Secret> {
        match self {
            Self::None => vec![],
            Self::Basic { user, password } => vec![user, password],
            Self::Scheme { token: value, .. } | Self::Header { value, .. } | Self::Query { value, .. } => vec![value],
            Self::Headers(headers) => headers.iter().map(|(_, value)| value).collect(),
            Self::OAuth2(oauth2) => vec![&oauth2.client_id, &oauth2.client_secret],
            Self::Hmac(hmac) => vec![&hmac.secret],
        }
    }
}
