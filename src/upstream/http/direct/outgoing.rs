//! A request as it goes on the wire.

use crate::upstream::http::request::Request;
use crate::upstream::{Failure, FailureKind};

/// What we say where the policy says nothing.
const DEFAULTS: [(&str, &str); 2] = [("accept", "*/*"), ("accept-encoding", "gzip, deflate")];

/// What a request has once, whatever a policy's credentials are called: where it goes and how long it is.
const OURS: [&str; 3] = ["host", "content-length", "transfer-encoding"];

/// Looks at what the policy wrote, before anybody is called for it.
///
/// # Errors
/// [`FailureKind::Policy`] where a part of it may not stand in a request.
pub(super) fn check(request: &Request, path: &str) -> Result<(), Failure> {
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::new(FailureKind::Policy, "the rendered URL is none: a character may not stand in it"));
    }
    for (name, value) in &request.headers {
        Request::checked_header(name, value)?;
    }
    if let Some((content_type, _)) = &request.body {
        Request::checked_header("content-type", content_type)?;
    }
    Ok(())
}

/// Writes a request that was looked at, for this path of this host, into `out`, in place of what is there.
pub(super) fn write(out: &mut Vec<u8>, request: &Request, path: &str, host: &str, user_agent: &str) {
    out.clear();
    let slash = if path.starts_with('/') { "" } else { "/" };
    put(out, &[request.method.as_str(), " ", slash, path, " HTTP/1.1\r\nhost: ", host, "\r\n"]);
    let is_ours = |name: &str| {
        OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name))
            || request.body.is_some() && name.eq_ignore_ascii_case("content-type")
    };
    for (name, value) in request.headers.iter().filter(|(name, _)| !is_ours(name)) {
        let begin = out.len();
        put(out, &[name]);
        // As all names are here, and as the other client writes them.
        out[begin..].make_ascii_lowercase();
        put(out, &[": ", value, "\r\n"]);
    }
    let is_said = |name: &str| request.headers.iter().any(|(said, _)| said.eq_ignore_ascii_case(name));
    for (name, value) in DEFAULTS.into_iter().chain([("user-agent", user_agent)]) {
        if !is_said(name) {
            put(out, &[name, ": ", value, "\r\n"]);
        }
    }
    let text = match &request.body {
        Some((content_type, text)) => {
            let mut digits = itoa::Buffer::new();
            put(out, &["content-type: ", content_type, "\r\ncontent-length: ", digits.format(text.len()), "\r\n"]);
            text
        }
        None => "",
    };
    put(out, &["\r\n", text]);
}

fn put(out: &mut Vec<u8>, parts: &[&str]) {
    parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::HttpMethod;

    fn post(headers: &[(&str, &str)]) -> Request {
        Request {
            method: HttpMethod::Post,
            url: String::new(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            body: Some(("application/json".to_owned(), "{\"n\":\"ü\"}".to_owned())),
        }
    }

    #[test]
    fn where_it_goes_and_how_long_it_is_stands_there_once() {
        let request = post(&[
            ("Host", "elsewhere"),
            ("Content-Type", "text/plain"),
            ("CONTENT-LENGTH", "99"),
            ("Transfer-Encoding", "chunked"),
            ("X-Sign", "a"),
            ("Accept", "b"),
        ]);
        let mut out = b"what was there".to_vec();
        check(&request, "/v1?n=1").expect("nothing is wrong with it");
        write(&mut out, &request, "/v1?n=1", "h:81", "us");
        assert_eq!(
            str::from_utf8(&out).expect("text"),
            "POST /v1?n=1 HTTP/1.1\r\nhost: h:81\r\nx-sign: a\r\naccept: b\r\naccept-encoding: gzip, deflate\r\nuser-agent: us\r\n\
             content-type: application/json\r\ncontent-length: 10\r\n\r\n{\"n\":\"ü\"}"
        );
        write(&mut out, &request, "?n=1", "h", "us");
        assert!(out.starts_with(b"POST /?n=1 HTTP/1.1\r\nhost: h\r\n"));
    }

    #[test]
    fn what_would_begin_another_line_is_refused() {
        for (request, path) in [
            (post(&[("X-Key", "a\r\nX-Evil: b")]), "/"),
            (post(&[("X Key", "a")]), "/"),
            (post(&[]), "/a b"),
            (post(&[]), "/a\r\nX-Evil:b"),
        ] {
            assert_eq!(check(&request, path).expect_err(path).kind, FailureKind::Policy);
        }
    }
}
