//! A signature over a request as it will be sent: method, path, moment and the exact bytes of the body.

use minijinja::Value;
use reqwest::Url;

use super::request::{Request, refused};
use super::stamp::Stamp;
use crate::policy::expr::Scope;
use crate::policy::filters::digests::{encoded, hmac_sha1, hmac_sha256, hmac_sha512};
use crate::policy::request::SIGNATURE;
use crate::policy::{Algorithm, Hmac, Question};
use crate::upstream::Failure;

/// Signs the request, which must not be changed any more, and adds the headers that say so.
pub(super) fn sign(request: &mut Request, hmac: &Hmac, question: &Question, stamp: &Stamp) -> Result<(), Failure> {
    let url = request.checked_url()?;
    let names = names(request, &url, stamp);
    let scope = Scope::of_question_and(question, names.clone());
    let string = hmac.string.render(&scope).map_err(|error| refused("the text to sign", &error))?;
    let (key, text) = (hmac.secret.current(), string.as_bytes());
    let signature = match hmac.algorithm {
        Algorithm::Sha1 => hmac_sha1(key.as_bytes(), text),
        Algorithm::Sha256 => hmac_sha256(key.as_bytes(), text),
        Algorithm::Sha512 => hmac_sha512(key.as_bytes(), text),
    };
    let signature = (SIGNATURE, Value::from(encoded(&signature, hmac.base64)));
    let scope = Scope::of_question_and(question, names.into_iter().chain([signature]));
    for (name, value) in &hmac.headers {
        let value = value.render(&scope).map_err(|error| refused(&format!("header `{name}`"), &error))?;
        request.headers.push((name.clone(), value));
    }
    Ok(())
}

/// The request's own names in [`SIGNED_NAMES`](crate::policy::request::SIGNED_NAMES), and those of its stamp.
fn names(request: &Request, url: &Url, stamp: &Stamp) -> Vec<(&'static str, Value)> {
    let host = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    };
    let body = request.body.as_ref().map_or("", |(_, text)| text.as_str());
    let own = [
        ("method", Value::from(request.method.as_str())),
        ("url", Value::from(url.as_str())),
        ("host", Value::from(host)),
        ("path", Value::from(url.path())),
        ("query_string", Value::from(url.query().unwrap_or_default())),
        ("timestamp", Value::from(stamp.unix())),
        ("body", Value::from(body)),
    ];
    own.into_iter().chain(stamp.names()).collect()
}
