//! Certificates as a record keeps them: the armoured blocks of RFC 7468, written anew, so that nothing else passes.

/// The most certificates of a chain.
const MOST: usize = 10;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// How long a line of base64 is (RFC 7468, section 2).
const LINE: usize = 64;

/// The certificates in a text, each with its lines; empty where there is none that is whole.
pub(super) fn certificates(text: &str) -> String {
    let mut pem = String::new();
    let blocks = text.split(BEGIN).skip(1).filter_map(|rest| Some(rest.split_once(END)?.0));
    for block in blocks.take(MOST) {
        let base64: Vec<u8> = block.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        if base64.is_empty() || !base64.iter().all(is_base64) {
            continue;
        }
        let line = |line: &[u8]| format!("{}\n", String::from_utf8_lossy(line));
        let lines: String = base64.chunks(LINE).map(line).collect();
        pem.push_str(&format!("{BEGIN}\n{lines}{END}\n"));
    }
    pem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_written_anew_and_nothing_else_is() {
        let long = "A".repeat(70);
        let text = format!("subject=x\r\n{BEGIN}\r\n{long}\r\n{END}\r\nnoise\n{BEGIN}\nQg==\n{END}");
        let expected = format!("{BEGIN}\n{}\n{}\n{END}\n{BEGIN}\nQg==\n{END}\n", "A".repeat(64), "A".repeat(6));
        assert_eq!(certificates(&text), expected);
        assert_eq!(certificates(&expected), expected);
        assert_eq!(certificates(&expected.replace('\n', " ")), expected, "bare text has spaces for lines' ends");
    }

    #[test]
    fn what_is_no_certificate_is_none() {
        for text in [
            "",
            "<html>",
            BEGIN,
            "-----BEGIN PRIVATE KEY-----\nQg==\n-----END PRIVATE KEY-----",
            &format!("{BEGIN}\nProc-Type: 4\n{END}"),
            &format!("{BEGIN}{END}"),
            &format!("{BEGIN}\nQg\u{0}==\n{END}"),
        ] {
            assert_eq!(certificates(text), "", "{text}");
        }
    }
}
