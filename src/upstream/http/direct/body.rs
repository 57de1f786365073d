//! A body as it was before it was packed for the way.

use std::io::Read;

use bytes::Bytes;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use hyper::HeaderMap;
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH};

use crate::upstream::http::whole::goes_on_past;
use crate::upstream::{Failure, FailureKind};

/// Unpacks what we have said we take (RFC 9110 section 8.4.1), up to the limit; what is packed some other way stays as it is.
pub(super) fn unpacked(headers: &mut HeaderMap, body: Bytes, limit: usize) -> Result<Bytes, Failure> {
    let coding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).map(str::trim);
    let read: Box<dyn Read + '_> = match coding {
        Some(coding) if coding.eq_ignore_ascii_case("gzip") => Box::new(MultiGzDecoder::new(&body[..])),
        Some(coding) if coding.eq_ignore_ascii_case("deflate") => Box::new(ZlibDecoder::new(&body[..])),
        _ => return Ok(body),
    };
    let mut whole = Vec::new();
    read.take(limit as u64 + 1)
        .read_to_end(&mut whole)
        .map_err(|error| Failure::new(FailureKind::Protocol, format!("the body does not unpack: {error}")))?;
    if whole.len() > limit {
        return Err(goes_on_past(limit));
    }
    headers.remove(CONTENT_ENCODING);
    headers.remove(CONTENT_LENGTH);
    Ok(whole.into())
}
