//! A request as it goes on the wire.

use crate::upstream::http::request::Request;
use crate::upstream::{Failure, FailureKind};

/// What we say where the policy says nothing.
const DEFAULTS: [(&str, &str); 2] = [("accept", "*/*"), ("accept-encoding", "gzip, deflate")];

/// Writes the request for this path of this host into `out`, in place of what is there.
///
/// # Errors
/// [`FailureKind::Policy`] where a part of it may not stand in a request.
pub(super) fn write(
    out: &mut Vec<u8>,
    request: &Request,
    path: &str,
    host: &str,
    user_agent: &str,
) -> Result<(), Failure> {
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::new(FailureKind::Policy, "the rendered URL is none: a character may not stand in it"));
    }
    out.clear();
    let slash = if path.starts_with('/') { "" } else { "/" };
    put(out, &[request.method.as_str(), " ", slash, path, " HTTP/1.1\r\nhost: ", host, "\r\n"]);
    for (name, value) in &request.headers {
        Request::checked_header(name, value)?;
        put(out, &[name, ": ", value, "\r\n"]);
    }
    let is_said = |name: &str| request.headers.iter().any(|(said, _)| said.eq_ignore_ascii_case(name));
    for (name, value) in DEFAULTS.into_iter().chain([("user-agent", user_agent)]) {
        if !is_said(name) {
            put(out, &[name, ": ", value, "\r\n"]);
        }
    }
    let text = match &request.body {
        Some((content_type, text)) => {
            Request::checked_header("content-type", content_type)?;
            let mut digits = itoa::Buffer::new();
            put(out, &["content-type: ", content_type, "\r\ncontent-length: ", digits.format(text.len()), "\r\n"]);
            text
        }
        None => "",
    };
    put(out, &["\r\n", text]);
    Ok(())
}

fn put(out: &mut Vec<u8>, parts: &[&str]) {
    parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
}
