//! Digests and signatures over text, as some vendors want them in a URL or a body. Hex in small letters,
//! or base64 where the last argument says so.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use minijinja::{Environment, Error, ErrorKind, Value};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::text_of;

/// The filters of this module.
pub(super) const NAMES: [&str; 8] =
    ["md5", "sha1", "sha256", "sha512", "hmac_sha1", "hmac_sha256", "hmac_sha512", "base64"];

pub(super) fn register(environment: &mut Environment<'static>) {
    environment.add_filter("md5", |value: &Value, form: Option<&str>| written(value, form, digest::<Md5>));
    environment.add_filter("sha1", |value: &Value, form: Option<&str>| written(value, form, digest::<Sha1>));
    environment.add_filter("sha256", |value: &Value, form: Option<&str>| written(value, form, digest::<Sha256>));
    environment.add_filter("sha512", |value: &Value, form: Option<&str>| written(value, form, digest::<Sha512>));
    environment.add_filter("hmac_sha1", |value: &Value, key: &str, form: Option<&str>| {
        written(value, form, |text| hmac_sha1(key.as_bytes(), text))
    });
    environment.add_filter("hmac_sha256", |value: &Value, key: &str, form: Option<&str>| {
        written(value, form, |text| hmac_sha256(key.as_bytes(), text))
    });
    environment.add_filter("hmac_sha512", |value: &Value, key: &str, form: Option<&str>| {
        written(value, form, |text| hmac_sha512(key.as_bytes(), text))
    });
    environment.add_filter("base64", |value: &Value| {
        text_of(value).map_or(Value::UNDEFINED, |text| Value::from(STANDARD.encode(&*text)))
    });
}

/// HMAC (RFC 2104) with SHA-1.
pub fn hmac_sha1(key: &[u8], text: &[u8]) -> Vec<u8> {
    signed::<Hmac<Sha1>>(key, text)
}

/// HMAC (RFC 2104) with SHA-256.
pub fn hmac_sha256(key: &[u8], text: &[u8]) -> Vec<u8> {
    signed::<Hmac<Sha256>>(key, text)
}

/// HMAC (RFC 2104) with SHA-512.
pub fn hmac_sha512(key: &[u8], text: &[u8]) -> Vec<u8> {
    signed::<Hmac<Sha512>>(key, text)
}

/// Bytes as hex in small letters, or as base64.
pub fn encoded(bytes: &[u8], base64: bool) -> String {
    if base64 { STANDARD.encode(bytes) } else { bytes.iter().map(|byte| format!("{byte:02x}")).collect() }
}

fn digest<D: Digest>(text: &[u8]) -> Vec<u8> {
    D::digest(text).to_vec()
}

fn signed<M: Mac + KeyInit>(key: &[u8], text: &[u8]) -> Vec<u8> {
    // HMAC takes a key of any length, so the error does not come; an empty signature is the safe end of it.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return Vec::new() };
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn written(value: &Value, form: Option<&str>, over: impl FnOnce(&[u8]) -> Vec<u8>) -> Result<Value, Error> {
    let base64 = match form {
        None | Some("hex" | "") => false,
        Some("base64") => true,
        Some(_) => return Err(Error::new(ErrorKind::InvalidOperation, "a digest is written as 'hex' or 'base64'")),
    };
    Ok(text_of(value).map_or(Value::UNDEFINED, |text| Value::from(encoded(&over(text.as_bytes()), base64))))
}

#[cfg(test)]
mod tests {
    use crate::policy::Question;
    use crate::policy::expr::{Expr, Scope};

    fn run(source: &str) -> String {
        let expr = Expr::compile(source, &["key"]).unwrap();
        expr.eval(&Scope::of_question(&Question::of_key("abc"))).unwrap().to_string()
    }

    /// RFC 1321 A.5, FIPS 180 examples, RFC 4231 test case 2.
    #[test]
    fn known_answers() {
        assert_eq!(run("key | md5"), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(run("key | sha1"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(run("key | sha256"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(run("key | sha256('base64')"), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
        assert_eq!(
            run("'what do ya want for nothing?' | hmac_sha256('Jefe')"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(run("key | base64"), "YWJj");
        assert!(run("key | sha512").starts_with("ddaf35a193617abacc417349ae204131"));
    }

    #[test]
    fn another_form_is_an_error() {
        let expr = Expr::compile("key | md5('octal')", &["key"]).unwrap();
        assert!(expr.eval(&Scope::of_question(&Question::of_key("abc"))).is_err());
    }
}
