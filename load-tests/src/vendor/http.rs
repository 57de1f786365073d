//! A REST vendor's side of the wire: the end of a request's head, and an answer of about 120 bytes.

use dipcache::demo::vendors::Mode;

/// The largest head that is read, in bytes.
pub(super) const MOST: usize = 8 * 1024;

/// The length of the first request on `read` and the digits at the end of its path; `None` while it is not whole.
pub(super) fn request(read: &[u8]) -> Option<(usize, String)> {
    let end = memchr::memmem::find(read, b"\r\n\r\n")? + 4;
    let line = read[..end].split(|byte| *byte == b'\r').next()?;
    let path = line.split(|byte| *byte == b' ').nth(1)?;
    let digits = path.rsplit(|byte| !byte.is_ascii_digit()).find(|part| !part.is_empty()).unwrap_or_default();
    Some((end, String::from_utf8_lossy(digits).into_owned()))
}

/// The answer in this mode.
pub(super) fn answer(mode: Mode, digits: &str) -> Vec<u8> {
    match mode {
        Mode::Error => whole("500 Internal Server Error", "{\"error\":\"internal error\"}"),
        Mode::Garbage => b"<html>We'll be right back</html>\r\n\r\n".to_vec(),
        _ => {
            let body = format!(
                "{{\"tn\":\"{digits}\",\"lrn\":\"1303200{}\",\"ocn\":\"9206\",\"lata\":\"656\",\"state\":\"CO\"}}",
                digits.get(digits.len().saturating_sub(4)..).unwrap_or_default()
            );
            whole("200 OK", &body)
        }
    }
}

fn whole(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_when_it_is_whole() {
        let whole = b"GET /v1/lrn/3035000001 HTTP/1.1\r\nHost: a\r\n\r\nGET";
        assert_eq!(request(whole), Some((whole.len() - 3, "3035000001".to_owned())));
        assert_eq!(request(&whole[..40]), None);
    }
}
