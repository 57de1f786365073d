//! A SIP `Identity` header's value (RFC 8224): a PASSporT (RFC 8225) and where the certificate is that it was
//! signed with. It is taken apart and not believed: whoever verifies it is asked with the whole of it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// The longest header, in bytes; common ones have 600 to 1,500.
const LONGEST: usize = 4096;

/// The most parameters behind the PASSporT.
const MOST_PARAMETERS: usize = 16;

/// An Identity header's value, taken apart. Its text is the canonical form: no spaces, names in small letters.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// The PASSporT: header, claims and signature in base64url with dots between them. Of the compact form only
    /// the signature is there.
    token: String,
    /// Names, and values as they are written, quotes and brackets included.
    parameters: Vec<(String, String)>,
    /// The PASSporT's header; `None` in the compact form.
    header: Option<Map<String, Value>>,
    /// What it claims; `None` in the compact form.
    claims: Option<Map<String, Value>>,
}

impl Identity {
    /// Takes a header's value apart; `None` for what is none, or more than one.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_control()) {
            return None;
        }
        let (token, rest) = text.split_at(text.find(';')?);
        let token = token.trim_end();
        let mut parts = token.split('.');
        let (header, claims, signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || signature.is_empty() || URL_SAFE_NO_PAD.decode(signature).is_err() {
            return None;
        }
        let (header, claims) = match (header, claims) {
            ("", "") => (None, None),
            (header, claims) => (Some(object(header)?), Some(object(claims)?)),
        };
        let parameters = parameters(rest)?;
        let identity = Self { token: token.to_owned(), parameters, header, claims };
        // RFC 8224 asks for it.
        identity.info().is_some().then_some(identity)
    }

    /// Where the certificate is, as the header's `info` says.
    pub fn info(&self) -> Option<&str> {
        self.parameters.iter().find(|(name, _)| name == "info")?.1.strip_prefix('<')?.strip_suffix('>')
    }

    /// Where the certificate is, where the header and the signed part of it do not contradict each other.
    pub fn certificate(&self) -> Option<String> {
        let info = self.info()?;
        let signed = self.header.as_ref().and_then(|header| header.get("x5u"));
        signed.is_none_or(|x5u| x5u == info).then(|| info.to_owned())
    }

    /// What templates and expressions see of it.
    pub fn parts(&self) -> Value {
        let mut parts = Map::new();
        let mut put = |name: &str, value: Option<Value>| drop(value.map(|value| parts.insert(name.to_owned(), value)));
        let signed = |name: &str| self.header.as_ref().and_then(|header| header.get(name)).cloned();
        let claimed = |name: &str| self.claims.as_ref().and_then(|claims| claims.get(name)).cloned();
        put("token", Some(self.token.as_str().into()));
        put("info", self.info().map(Value::from));
        put("alg", self.parameter("alg").map(Value::from).or_else(|| signed("alg")));
        put("ppt", self.parameter("ppt").map(Value::from).or_else(|| signed("ppt")));
        put("x5u", signed("x5u"));
        put("iat", claimed("iat"));
        put("attest", claimed("attest"));
        put("origid", claimed("origid"));
        put("orig", claimed("orig").and_then(|orig| parties(&orig).into_iter().next()));
        put("dest", claimed("dest").map(|dest| parties(&dest).into()));
        put("header", self.header.clone().map(Value::Object));
        put("claims", self.claims.clone().map(Value::Object));
        Value::Object(parts)
    }

    /// A parameter's value without its quotes.
    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim_matches('"'))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.token)?;
        self.parameters.iter().try_for_each(|(name, value)| write!(f, ";{name}={value}"))
    }
}

/// A part of the PASSporT: a JSON object in base64url. How deep it goes is bounded by the parser.
fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// Numbers and URIs of `orig` or `dest`, each of which may be one or a list (RFC 8225, section 5.2.1).
fn parties(who: &Value) -> Vec<Value> {
    let of = |name: &str| match who.get(name) {
        Some(Value::Array(many)) => many.clone(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    };
    let mut all = of("tn");
    all.extend(of("uri"));
    all
}

/// `;name=value` as often as it comes: a value is a token, a text in quotes, or a URI in angle brackets.
fn parameters(mut rest: &str) -> Option<Vec<(String, String)>> {
    let mut parameters = Vec::new();
    while !rest.is_empty() {
        let (name, behind) = rest.strip_prefix(';')?.split_once('=')?;
        let (name, behind) = (name.trim().to_ascii_lowercase(), behind.trim_start());
        let length = match behind.bytes().next()? {
            b'<' => behind.find('>')? + 1,
            b'"' => behind[1..].find('"')? + 2,
            _ => behind.find(';').unwrap_or(behind.len()),
        };
        let (value, behind) = behind.split_at(length);
        let value = value.trim_end();
        let is_quoted = value.starts_with(['<', '"']);
        let twice = parameters.iter().any(|(known, _)| *known == name);
        if !is_token(&name) || twice || !(is_quoted && !value.contains('\\') || is_token(value)) {
            return None;
        }
        parameters.push((name, value.to_owned()));
        if parameters.len() > MOST_PARAMETERS {
            return None;
        }
        rest = behind.trim_start();
    }
    Some(parameters)
}

/// True for a token (RFC 3261, section 25.1).
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const INFO: &str = "https://cert.carrier.example/a.pem";

    fn full(claims: &Value) -> String {
        let header = json!({ "alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": INFO });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2ln", part(&header), part(claims))
    }

    #[test]
    fn the_full_form_tells_what_it_claims() {
        let claims = json!({
            "attest": "A", "dest": { "tn": ["13035550199", "13035550198"], "uri": "sip:x@y.example" }, "iat": 1_763_700_000,
            "orig": { "tn": "12025550123" }, "origid": "123e4567-e89b-12d3-a456-426655440000",
        });
        let token = full(&claims);
        let text = format!(" {token} ; Info = <{INFO}> ;alg=ES256; ppt=\"shaken\" ");
        let identity = Identity::parse(&text).unwrap();
        assert_eq!(identity.to_string(), format!("{token};info=<{INFO}>;alg=ES256;ppt=\"shaken\""));
        assert_eq!(Identity::parse(&identity.to_string()), Some(identity.clone()), "its own canonical form");
        assert_eq!(identity.certificate().as_deref(), Some(INFO));
        let parts = identity.parts();
        assert_eq!(parts["orig"], "12025550123");
        assert_eq!(parts["dest"], json!(["13035550199", "13035550198", "sip:x@y.example"]));
        assert_eq!((&parts["iat"], &parts["attest"]), (&json!(1_763_700_000), &json!("A")));
        assert_eq!((&parts["alg"], &parts["ppt"], &parts["x5u"]), (&json!("ES256"), &json!("shaken"), &json!(INFO)));
        assert_eq!((&parts["token"], &parts["claims"]), (&json!(token), &claims));
    }

    #[test]
    fn the_compact_form_claims_nothing() {
        let identity = Identity::parse(&format!("..c2ln;info=<{INFO};x=1>;alg=ES256")).unwrap();
        assert_eq!(identity.info(), Some(&*format!("{INFO};x=1")));
        let parts = identity.parts();
        assert_eq!((parts.get("orig"), parts.get("claims"), parts.get("ppt")), (None, None, None));
        assert_eq!(parts["alg"], "ES256");
    }

    #[test]
    fn a_header_that_contradicts_its_signed_part_names_no_certificate() {
        let text = format!("{};info=<https://elsewhere.example/b.pem>", full(&json!({})));
        assert_eq!(Identity::parse(&text).unwrap().certificate(), None);
    }

    #[test]
    fn what_is_no_identity_is_refused() {
        let good = full(&json!({}));
        for text in [
            "",
            ";",
            "..c2ln",
            "..;info=<x>",
            "..c2ln;alg=ES256",
            "..c2ln;info=x",
            "..c2ln;info=<x",
            "..c2ln;info=<x>;info=<y>",
            "..c2ln;info=<x>;",
            "..c2ln;info=<x> y",
            "..c2ln;info=<x>;ppt=\"a",
            "..c2ln;info=<x>;ppt=a b",
            "..c2ln;info=<x>, ..c2ln;info=<y>",
            ".e30.c2ln;info=<x>",
            "e30..c2ln;info=<x>",
            "W10.e30.c2ln;info=<x>",
            "e30.e30.c2ln.c2ln;info=<x>",
            "!!.e30.c2ln;info=<x>",
            "e30.e30.c2ln;info=<x\r\n>",
            &format!("{good};info=<{}>", "x".repeat(LONGEST)),
            &format!("..c2ln;info=<x>{}", (0..20).map(|n| format!(";p{n}=1")).collect::<String>()),
            &format!("{0}.{0}.c2ln;info=<x>", URL_SAFE_NO_PAD.encode("[".repeat(1500))),
        ] {
            assert_eq!(Identity::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_and_what_passes_is_canonical(text in "[a-zA-Z0-9_.;=<>\" ,-]{0,60}") {
            for text in [text.clone(), format!("e30.e30.c2ln;info=<x>{text}")] {
                if let Some(identity) = Identity::parse(&text) {
                    let canonical = identity.to_string();
                    prop_assert_eq!(Identity::parse(&canonical).map(|again| again.to_string()), Some(canonical));
                }
            }
        }
    }
}
