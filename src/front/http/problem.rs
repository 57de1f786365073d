//! Problem documents (RFC 9457), only for callers whose `Accept` names them: others get an empty
//! body, because a SIP server may show whatever comes as the caller's name.

use crate::answer::Outcome;

/// The media type that asks for a problem document and that it has.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// True when an `Accept` value names problem documents.
pub fn is_accepted(accept: &[u8]) -> bool {
    accept.windows(MEDIA_TYPE.len()).any(|part| part.eq_ignore_ascii_case(MEDIA_TYPE.as_bytes()))
}

/// One problem document.
pub struct Problem<'a> {
    status: u16,
    outcome: Option<Outcome>,
    why: Option<&'a str>,
}

impl<'a> Problem<'a> {
    /// The problem of this status; `why` is about this one request.
    pub fn new(status: u16, outcome: Option<Outcome>, why: Option<&'a str>) -> Self {
        Self { status, outcome, why }
    }

    /// Writes it as JSON over whatever `out` held.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut document = serde_json::Map::new();
        // The type is an identifier that stays what it is; nothing is to be fetched there.
        let kind = self.outcome.map_or("about:blank".to_owned(), |outcome| format!("urn:dipcache:outcome:{outcome}"));
        document.insert("type".to_owned(), kind.into());
        document.insert("title".to_owned(), self.title().into());
        document.insert("status".to_owned(), self.status.into());
        if let Some(why) = self.why {
            document.insert("detail".to_owned(), why.into());
        }
        out.clear();
        out.extend_from_slice(serde_json::Value::Object(document).to_string().as_bytes());
    }

    fn title(&self) -> &'static str {
        match (self.outcome, self.status) {
            (Some(outcome), _) => title(outcome),
            (None, 404) => "There is no such page",
            (None, 405) => "This page takes GET and HEAD only",
            (None, _) => "An HTTP/1.1 request has exactly one Host",
        }
    }
}

const fn title(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Found | Outcome::Partial | Outcome::Fallback => "There is a record, without what was asked for",
        Outcome::NotFound => "Nothing is known of this key",
        Outcome::NotApplicable => "The policy does not ask this of such a key",
        Outcome::InvalidNumber => "There can be no such number",
        Outcome::InvalidInput => "The key or a parameter does not fit the policy",
        Outcome::UnknownLookup => "There is no such lookup",
        Outcome::RateLimited => "Every upstream asks us to slow down",
        Outcome::QuotaExhausted => "The quota at every upstream is used up",
        Outcome::AuthError => "Every upstream refuses our credentials",
        Outcome::VendorError => "Every upstream answered badly",
        Outcome::Timeout => "The budget ran out before an answer came",
        Outcome::Open => "Every upstream is being left alone after failures",
        Outcome::Overload => "This node has too much in hand",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_a_stable_type() {
        let mut out = b"before".to_vec();
        Problem::new(400, Some(Outcome::InvalidInput), Some("the key is \"x\"")).write(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"type":"urn:dipcache:outcome:invalid_input","title":"The key or a parameter does not fit the policy","status":400,"detail":"the key is \"x\""}"#
        );
    }

    #[test]
    fn only_a_name_in_accept_asks_for_one() {
        assert!(is_accepted(b"text/plain, Application/Problem+JSON;q=0.5"));
        assert!(!is_accepted(b"*/*"));
        assert!(!is_accepted(b"application/json"));
    }
}
