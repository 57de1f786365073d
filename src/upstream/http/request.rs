//! A request as it goes on the wire, rendered over a question.
//!
//! Rendering ends here: what a template escaped is not touched again. The one exception is written
//! into [`Request::checked_url`]: a URL that would arrive at the vendor as another path is refused.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::sign::sign;
use super::stamp::Stamp;
use crate::policy::expr::{ExprError, Scope, climbs};
use crate::policy::{Auth, HttpMethod, HttpPolicy, Pair, Question, Secret};
use crate::upstream::redact::{HIDDEN, Redactor};
use crate::upstream::{Failure, FailureKind};

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The bytes that a URL's parser leaves as they are.
const CLEAN: [bool; 256] = {
    let (mut clean, mut byte) = ([false; 256], 0);
    while byte < 256 {
        clean[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let (others, mut place) = (b"-._~:/?@!$&()*+,;=%", 0);
    while place < others.len() {
        clean[others[place] as usize] = true;
        place += 1;
    }
    clean
};

/// The headers that a client adds: for whom, by whom, what is taken, how it is packed, and a body's own.
const FURTHER_HEADERS: usize = 5;

pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// A request, rendered: nothing in it depends on a template any more.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: HttpMethod,
    /// The whole URL, escaped.
    pub url: String,
    /// Header names and values, without those of the client itself.
    pub headers: Vec<(String, String)>,
    /// Content type and text of the body.
    pub body: Option<(String, String)>,
}

/// A request before it is known where it goes and who asks.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The whole URL, or what stands behind a base.
    target: String,
    method: HttpMethod,
    headers: Vec<(String, String)>,
    body: Option<(String, String)>,
}

/// Renders the policy's request over a question and adds what shows who we are, as far as it is known
/// beforehand: where a token is fetched, its place is marked.
///
/// # Errors
/// [`FailureKind::Policy`] when a template refuses the question.
pub fn render(http: &HttpPolicy, question: &Question) -> Result<Request, Failure> {
    render_at(http, question, &Stamp::now())
}

/// As [`render`], with this stamp.
///
/// # Errors
/// As [`render`].
pub fn render_at(http: &HttpPolicy, question: &Question, stamp: &Stamp) -> Result<Request, Failure> {
    let stamp = &Arc::new(stamp.clone());
    let (_, auth) = http.auth_for(question).ok_or_else(nobody)?;
    let mut request = Draft::of(http, question, stamp)?.at(http.bases.first().map(String::as_str));
    request.authorise(auth);
    match auth {
        Auth::Hmac(hmac) => sign(&mut request, hmac, question, stamp)?,
        Auth::OAuth2(_) => request.bear(HIDDEN),
        _ => {}
    }
    Ok(request)
}

/// There are no credentials for this question.
pub(super) fn nobody() -> Failure {
    Failure::new(
        FailureKind::Policy,
        "there are no credentials for this question: add them to `auths`, or an `auth` for all others",
    )
}

impl Draft {
    /// Renders the policy's templates.
    ///
    /// # Errors
    /// [`FailureKind::Policy`] when one refuses the question.
    pub(super) fn of(http: &HttpPolicy, question: &Question, stamp: &Arc<Stamp>) -> Result<Self, Failure> {
        let scope = Scope::of_question_later(question, Arc::<Stamp>::clone(stamp));
        let mut headers = Vec::with_capacity(http.headers.len() + 3);
        for (name, value) in &http.headers {
            let value = value.render(&scope).map_err(|error| refused(&format!("header `{name}`"), &error))?;
            headers.push((name.clone(), value));
        }
        let body = match (&http.body, &http.form) {
            (Some(body), _) => {
                Some((body.content_type.clone(), body.text.render(&scope).map_err(|error| refused("body", &error))?))
            }
            (None, Some(form)) => Some((FORM.to_owned(), pairs(form, &scope)?)),
            (None, None) => None,
        };
        let mut target = http.url.render(&scope).map_err(|error| refused("url", &error))?;
        let query = pairs(&http.query, &scope)?;
        if !query.is_empty() {
            join_query(&mut target, &query);
        }
        Ok(Self { target, method: http.method, headers, body })
    }

    /// The request at one of the bases.
    pub(super) fn at(&self, base: Option<&str>) -> Request {
        Request {
            method: self.method,
            url: [base.unwrap_or_default(), &self.target].concat(),
            headers: self.headers.clone(),
            body: self.body.clone(),
        }
    }
}

/// Parameters as `a=1&b=2`, each name and value percent-encoded; empty values are left out. Brackets in a
/// name stay as they are: some vendors know no other spelling.
fn pairs(pairs: &[Pair], scope: &Scope) -> Result<String, Failure> {
    const NAME: &AsciiSet = &RESERVED.remove(b'[').remove(b']');
    let mut text = String::new();
    for pair in pairs {
        for value in &pair.values {
            let value = value.render(scope).map_err(|error| refused(&format!("parameter `{}`", pair.name), &error))?;
            if value.is_empty() {
                continue;
            }
            let separator = if text.is_empty() { "" } else { "&" };
            let name = utf8_percent_encode(&pair.name, NAME);
            let value = utf8_percent_encode(&value, RESERVED);
            text.push_str(&format!("{separator}{name}={value}"));
        }
    }
    Ok(text)
}

/// Puts parameters behind those that a URL has, in front of a fragment.
fn join_query(url: &mut String, query: &str) {
    let fragment = url.find('#').unwrap_or(url.len());
    let separator = match url[..fragment].find('?') {
        None => "?",
        Some(mark) if mark + 1 == fragment || url[..fragment].ends_with('&') => "",
        Some(_) => "&",
    };
    url.insert_str(fragment, &format!("{separator}{query}"));
}

/// What hides all these secrets, as they are now and as they were, and the joined form of each user and password.
pub(super) fn redactor(secrets: &[Secret], basics: &[(Secret, Secret)]) -> Redactor {
    let values = secrets.iter().flat_map(|secret| [secret.expose().to_owned(), secret.current().to_string()]);
    let joined = basics.iter().map(|(user, password)| credentials(&user.current(), &password.current()));
    let values: Vec<String> = values.chain(joined).collect();
    Redactor::new(values.iter().map(String::as_str))
}

impl Request {
    /// Adds what shows who we are.
    pub fn authorise(&mut self, auth: &Auth) {
        let (name, value) = match auth {
            // A token and a signature come later: the one from elsewhere, the other from the finished request.
            Auth::None | Auth::OAuth2(_) | Auth::Hmac(_) => return,
            Auth::Basic { user, password } => {
                ("Authorization", format!("Basic {}", credentials(&user.current(), &password.current())))
            }
            Auth::Scheme { scheme, token } => ("Authorization", format!("{scheme} {}", token.current())),
            Auth::Header { name, value } => (name.as_str(), value.current().to_string()),
            Auth::Headers(headers) => {
                let headers = headers.iter().map(|(name, value)| (name.clone(), value.current().to_string()));
                return self.headers.extend(headers);
            }
            Auth::Query { name, value } => return self.add_query(name, &value.current()),
        };
        self.headers.push((name.to_owned(), value));
    }

    /// Adds a bearer token (RFC 6750).
    pub(super) fn bear(&mut self, token: &str) {
        self.headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
    }

    /// Adds a query parameter behind those there are, in front of a fragment.
    fn add_query(&mut self, name: &str, value: &str) {
        let (name, value) = (utf8_percent_encode(name, RESERVED), utf8_percent_encode(value, RESERVED));
        join_query(&mut self.url, &format!("{name}={value}"));
    }

    /// The request in words, as `dipcache try` shows it.
    pub fn describe(&self, redactor: &Redactor) -> String {
        let mut lines = format!("{} {}", self.method.as_str(), self.url);
        for (name, value) in &self.headers {
            lines.push_str(&format!("\n{name}: {value}"));
        }
        if let Some((content_type, text)) = &self.body {
            lines.push_str(&format!("\nContent-Type: {content_type}\n\n{text}"));
        }
        redactor.hide(&lines)
    }

    /// The URL as it goes on the wire.
    ///
    /// # Errors
    /// As [`Request::checked_url`].
    pub(super) fn target(&self) -> Result<Cow<'_, str>, Failure> {
        // A parser would leave this as it is.
        if self.url.bytes().all(|byte| CLEAN[usize::from(byte)]) && !climbs(&self.url) {
            return Ok(Cow::Borrowed(&self.url));
        }
        Ok(Cow::Owned(self.checked_url()?.into()))
    }

    /// The URL for the client.
    ///
    /// # Errors
    /// [`FailureKind::Policy`] where it is none, is not `http` or `https`, or would arrive as another one.
    pub(super) fn checked_url(&self) -> Result<Url, Failure> {
        self.does_not_climb()?;
        let url = Url::parse(&self.url)
            .map_err(|error| Failure::new(FailureKind::Policy, format!("the rendered URL is none: {error}")))?;
        if matches!(url.scheme(), "http" | "https") && url.has_host() {
            Ok(url)
        } else {
            Err(Failure::new(
                FailureKind::Policy,
                "the rendered URL does not start with http:// or https:// and a host",
            ))
        }
    }

    /// URL parsers take `.` and `..` segments out, `%2e` included, turn a backslash into a slash and drop tabs
    /// and line ends: with a value of the caller's in the path, another resource than the policy's would be asked.
    /// Such a URL is refused; whatever else the parser does is to escape what may not stand in a URL.
    fn does_not_climb(&self) -> Result<(), Failure> {
        if climbs(&self.url) || self.url.bytes().any(|byte| byte == b'\\' || byte.is_ascii_control()) {
            return Err(Failure::new(
                FailureKind::Policy,
                "the URL of this question has a `.` or `..` segment, a backslash or a control character: narrow the input's type",
            ));
        }
        Ok(())
    }

    /// The headers for the client, secret ones marked so that no log shows them.
    pub(super) fn checked_headers(&self) -> Result<HeaderMap, Failure> {
        let mut map = HeaderMap::with_capacity(self.headers.len() + FURTHER_HEADERS);
        for (name, value) in &self.headers {
            let (key, mut value) = Self::checked_header(name, value)?;
            // Which of the others carry a secret is the operator's word; only these surely do not.
            value.set_sensitive(key != ACCEPT);
            map.append(key, value);
        }
        if let Some((content_type, _)) = &self.body {
            map.insert(CONTENT_TYPE, Self::checked_header("content-type", content_type)?.1);
        }
        Ok(map)
    }

    /// One header for a client.
    ///
    /// # Errors
    /// [`FailureKind::Policy`] where it would be none on the wire, or more than one.
    pub(super) fn checked_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Failure> {
        let checked = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_bytes(value.as_bytes()).ok());
        checked.ok_or_else(|| {
            Failure::new(FailureKind::Policy, format!("header `{name}`: its name or value may not stand in a header"))
        })
    }
}

impl HttpMethod {
    /// The method's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

fn credentials(user: &str, password: &str) -> String {
    STANDARD.encode(format!("{user}:{password}"))
}

pub(super) fn refused(part: &str, error: &ExprError) -> Failure {
    Failure::new(FailureKind::Policy, format!("{part} does not render: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(url: &str) -> Request {
        Request { method: HttpMethod::Get, url: url.to_owned(), headers: Vec::new(), body: None }
    }

    #[test]
    fn what_a_template_escaped_is_not_touched() {
        for url in [
            "http://h/v1/%2B1303%2f555?n=%2B1&x=a+b&y=%E2%82%AC",
            "http://h/a%20b/;x=1/@:!$&'()*,=~_-",
            "http://h//double//slash/?",
            "http://h/%25%32%45%2F?q=%26%3D%23",
        ] {
            assert_eq!(get(url).checked_url().expect(url).as_str(), url);
        }
    }

    #[test]
    fn a_url_that_would_arrive_as_another_path_is_refused() {
        for url in [
            "http://h/v1/../admin",
            "http://h/v1/%2e%2E/x",
            "http://h/v1/.",
            "http://h/a\\b",
            "http://h/a\nb",
            "ftp://h/",
            "h/x",
            "http:///x",
        ] {
            match get(url).checked_url() {
                Err(failure) => assert_eq!(failure.kind, FailureKind::Policy, "{url}"),
                Ok(parsed) => assert_eq!((url, parsed.as_str()), ("http:///x", "http://x/")),
            }
        }
    }

    #[test]
    fn a_query_key_joins_what_is_there() {
        for (before, after) in [
            ("http://h/x", "http://h/x?key=a%20b"),
            ("http://h/x?n=1", "http://h/x?n=1&key=a%20b"),
            ("http://h/x?", "http://h/x?key=a%20b"),
            ("http://h/x?n=1#f", "http://h/x?n=1&key=a%20b#f"),
        ] {
            let mut request = get(before);
            request.add_query("key", "a b");
            assert_eq!(request.url, after);
        }
    }

    #[test]
    fn a_header_takes_no_line_end() {
        let mut request = get("http://h/");
        request.headers.push(("X-Number".into(), "1\r\nX-Evil: 1".into()));
        assert_eq!(request.checked_headers().expect_err("a line end").kind, FailureKind::Policy);
    }

    #[test]
    fn a_description_hides_secrets_in_every_place() {
        let redactor = Redactor::new(["t0p secret"]);
        let mut request = get("http://h/v1/t0p%20secret/1");
        request.add_query("key", "t0p secret");
        request.headers.push(("X-Key".into(), "t0p secret".into()));
        request.body = Some(("application/json".into(), "{\"key\":\"t0p secret\",\"n\":1}".into()));
        let text = request.describe(&redactor);
        assert!(!text.contains("t0p"), "{text}");
        assert!(
            text.starts_with("GET http://h/v1/***/1?key=***\nX-Key: ***\nContent-Type: application/json\n\n{"),
            "{text}"
        );
    }
}
