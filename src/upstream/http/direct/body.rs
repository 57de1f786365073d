//! A body as it was before it was packed for the way.

use std::io::Read;

use flate2::read::{MultiGzDecoder, ZlibDecoder};

use crate::upstream::http::answer::Answer;
use crate::upstream::http::whole::goes_on_past;
use crate::upstream::{Failure, FailureKind};

/// Unpacks what we have said we take (RFC 9110 section 8.4.1), up to the limit; what is packed some other way stays as it is.
pub(super) fn unpacked(answer: Answer, coding: &str, limit: usize) -> Result<Answer, Failure> {
    let read: Box<dyn Read + '_> = match coding {
        // So says many a server of all that it sends, an empty 404 included.
        _ if answer.body.is_empty() => return Ok(answer),
        coding if coding.eq_ignore_ascii_case("gzip") => Box::new(MultiGzDecoder::new(&answer.body[..])),
        coding if coding.eq_ignore_ascii_case("deflate") => Box::new(ZlibDecoder::new(&answer.body[..])),
        _ => return Ok(answer),
    };
    let mut whole = Vec::new();
    read.take(limit as u64 + 1)
        .read_to_end(&mut whole)
        .map_err(|error| Failure::new(FailureKind::Protocol, format!("the body does not unpack: {error}")))?;
    if whole.len() > limit {
        return Err(goes_on_past(limit));
    }
    let mut headers = answer.headers;
    headers.retain(|(name, _)| name != "content-encoding" && name != "content-length");
    Ok(Answer { headers, body: whole.into(), ..answer })
}
