//! The filter over a SIP Identity header.

use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, Value};

use super::text_of;
use crate::policy::input::identity::Identity;

/// The filters of this module.
pub(super) const NAMES: [&str; 1] = ["passport"];

pub(super) fn register(environment: &mut Environment<'static>) {
    environment.add_filter("passport", passport);
}

/// What an Identity header says: `info`, `alg`, `ppt`, `x5u`, `orig`, `dest`, `iat`, `attest`, `origid`, and `token`,
/// `header` and `claims` whole. Of the compact form, which claims nothing, only what its parameters say.
fn passport(value: &Value) -> Result<Value, Error> {
    let Some(text) = text_of(value) else { return Ok(Value::UNDEFINED) };
    let identity = Identity::parse(&text).ok_or_else(|| {
        Error::new(ErrorKind::InvalidOperation, "`passport` needs a SIP Identity header: declare the input `identity`")
    })?;
    Ok(Value::from(Serde(identity.parts())))
}
