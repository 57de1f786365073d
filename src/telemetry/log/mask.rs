//! Telephone numbers out of log lines: personal data, of which the ends are enough to tell two calls apart. Signed tokens
//! too: base64 hides no number that a PASSporT claims, and a bearer token is a key.
//!
//! Done over the finished line and not where it is made: an upstream's or a library's error may quote a number
//! that nobody here has put into it.

/// So many digits without a break are taken for a telephone number.
const NUMBER: usize = 7;

/// What stays of a number at its start and at its end.
const ENDS: usize = 2;

/// How a signed token's parts begin: `{"` in base64url (RFC 7519).
const TOKEN: &[u8] = b"eyJ";

/// Masks what must not be read in a log.
pub(super) fn line(line: &mut [u8]) {
    numbers(line);
    tokens(line);
}

/// Masks all but the start of each part of a signed token.
fn tokens(line: &mut [u8]) {
    let mut at = 0;
    while let Some(start) = line[at..].windows(TOKEN.len()).position(|window| window == TOKEN) {
        let from = at + start + TOKEN.len();
        let is_base64url = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'*' | b'.');
        let end = from + line[from..].iter().take_while(|byte| is_base64url(byte)).count();
        line[from..end].iter_mut().filter(|byte| **byte != b'.').for_each(|byte| *byte = b'*');
        at = end;
    }
}

/// Masks every telephone number in a line: digits in a row, or single ones with dots between them as in ENUM (RFC
/// 6116). A bare number in JSON stays, since stars would break the document: no key is ever logged as one.
fn numbers(line: &mut [u8]) {
    let mut at = 0;
    while at < line.len() {
        if !line[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let (row, dotted) = (row(&line[at..]), dotted(&line[at..]));
        // A row's first digit may begin a dotted number only where the row is that one digit.
        let end = at + if row == 1 { dotted } else { row };
        let stars = !is_bare_json(line, at);
        let places: Vec<usize> = (at..end).filter(|place| line[*place].is_ascii_digit()).collect();
        if stars && places.len() >= NUMBER {
            places[ENDS..places.len() - ENDS].iter().for_each(|place| line[*place] = b'*');
        }
        at = end;
    }
}

/// How many digits stand here in a row.
fn row(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// How long the single digits with dots between them are that stand here; at least 1.
fn dotted(text: &[u8]) -> usize {
    let pairs = text[1..].chunks_exact(2).enumerate();
    let more = pairs.take_while(|(index, pair)| {
        let behind = text.get(index * 2 + 3);
        pair[0] == b'.' && pair[1].is_ascii_digit() && !behind.is_some_and(u8::is_ascii_digit)
    });
    1 + more.count() * 2
}

/// True for the value in `"key":1234567`.
fn is_bare_json(line: &[u8], at: usize) -> bool {
    line[..at].ends_with(b"\":") && !line[..at].ends_with(b"\\\":")
}

#[cfg(test)]
mod tests {
    fn masked(line: &str) -> String {
        let mut line = line.as_bytes().to_vec();
        super::line(&mut line);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn a_number_is_never_shown_in_full() {
        for (line, expected) in [
            ("key +13035550123 failed", "key +13*******23 failed"),
            ("3035550123", "30******23"),
            ("/v1/%2B13035550123?ani=12025550199", "/v1/%2B13*******23?ani=12*******99"),
            ("no 3.2.1.0.5.5.5.3.0.3.1.e164.arpa.", "no 3.2.*.*.*.*.*.*.*.3.1.e164.arpa."),
            (r#"{"message":"13035550123"}"#, r#"{"message":"13*******23"}"#),
        ] {
            assert_eq!(masked(line), expected);
        }
    }

    #[test]
    fn a_signed_token_is_never_shown() {
        assert_eq!(
            masked("key=eyJhbGciOiJFUzI1NiJ9.eyJpYXQiOjF9.c2ln;info=<https://c.example/a.pem>"),
            "key=eyJ*****************.************.****;info=<https://c.example/a.pem>"
        );
        assert_eq!(masked("eyJ"), "eyJ");
    }

    #[test]
    fn what_is_no_number_stays() {
        for line in [
            "2026-11-21T12:35:35.123456Z  INFO listening address=192.168.100.200:8090",
            "127.0.0.1:8090 1.2.3.4 10.0.0.1.",
            r#"{"bytes":12345678,"n":1}"#,
            "911, 123456",
            "",
            "5",
        ] {
            assert_eq!(masked(line), line);
        }
    }
}
