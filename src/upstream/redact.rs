//! Secrets out of what people read: `dipcache try` shows the exact request, and a key in a path is a
//! secret there as much as in a header.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// What stands where a secret was.
pub const HIDDEN: &str = "***";

/// Knows some secrets in every form in which they may stand in a request, and hides them.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Longest first, so that a secret which contains another one goes as a whole.
    forms: Vec<String>,
}

impl Redactor {
    /// Hides each of `secrets`: as it is, percent-encoded, form-encoded, within JSON text, and in base64.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut forms: Vec<String> =
            secrets.into_iter().filter(|secret| !secret.is_empty()).flat_map(forms_of).collect();
        forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        Self { forms }
    }

    /// The same text without the secrets.
    pub fn hide(&self, text: &str) -> String {
        let mut hidden = text.to_owned();
        for form in &self.forms {
            if hidden.contains(form.as_str()) {
                hidden = hidden.replace(form.as_str(), HIDDEN);
            }
        }
        hidden
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// The forms in which one secret may stand in a request.
fn forms_of(secret: &str) -> Vec<String> {
    let json = serde_json::Value::from(secret).to_string();
    let encoded = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    vec![
        secret.to_owned(),
        encoded.to_ascii_lowercase(),
        encoded.replace("%20", "+"),
        partly_encoded(secret),
        json.trim_matches('"').to_owned(),
        STANDARD.encode(secret),
        encoded,
    ]
}

/// Percent-encoded but for the marks that RFC 3986 lets stand anywhere, as most encoders write it.
fn partly_encoded(secret: &str) -> String {
    const UNRESERVED: &percent_encoding::AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(secret, UNRESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_in_path_query_body_and_header() {
        let redactor = Redactor::new(["s3/cr et-1", "p\"w"]);
        for text in
            ["/v1/s3%2Fcr%20et-1/x", "?k=s3%2fcr%20et%2d1", "k=s3%2Fcr+et%2D1", "X: s3/cr et-1", "{\"a\":\"p\\\"w\"}"]
        {
            let hidden = redactor.hide(text);
            assert!(hidden.contains(HIDDEN), "{hidden}");
            assert!(!hidden.to_lowercase().contains("s3") && !hidden.contains("p\\"), "{hidden}");
        }
    }

    #[test]
    fn no_secret_leaves_text_alone() {
        assert_eq!(Redactor::new([""]).hide("GET /"), "GET /");
    }

    #[test]
    fn the_longer_of_two_secrets_goes_as_a_whole() {
        assert_eq!(Redactor::new(["key", "key-long"]).hide("key-long key"), "*** ***");
    }

    #[test]
    fn it_prints_nothing() {
        assert_eq!(format!("{:?}", Redactor::new(["hush"])), HIDDEN);
    }
}
