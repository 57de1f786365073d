//! The cases file: every key there is. An unknown one is a fault, as in a policy.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use indexmap::IndexMap;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::answer::Outcome;
use crate::policy::{Fault, Vars};
use crate::written::{Leaf, file_text};

/// A whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CasesFile {
    /// The policy, from this file's folder; left out it is `../<this file's name>.toml`.
    pub policy: Option<String>,
    /// A stand-in for each secret that the policy refers to: `"env:VENDOR_KEY": "KEY0123"`.
    #[serde(default)]
    pub secrets: BTreeMap<String, String>,
    /// Values in the place of the policy's own `[vars]`.
    #[serde(default)]
    pub vars: Vars,
    /// The cases.
    pub cases: Vec<Case>,
}

/// One question, the answer it gets, and what must come of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows, in a few words.
    pub name: String,
    /// The key, as a routing script would send it.
    pub key: String,
    /// Further inputs.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
    /// Only the upstream of this name is asked; left out, each in turn until one answers.
    pub upstream: Option<String>,
    /// What each upstream that is asked answers. Left out where nothing may be asked.
    pub answer: Option<Stub>,
    /// The answers of several upstreams, by name; one that is not here answers with `answer`.
    #[serde(default)]
    pub answers: BTreeMap<String, Stub>,
    /// Dependent steps (`[[then]]`) by the lookup they ask: what it is asked and what it answers. One that is not here
    /// finds nothing.
    #[serde(default)]
    pub steps: BTreeMap<String, StepStub>,
    /// The moment of the case in seconds since 1970, for requests that are signed or carry the time; `uuid` and `nonce`
    /// are zeros then. Left out, it is now.
    pub at: Option<i64>,
    /// The request that must have been made, as far as it is written down here: of the last upstream asked.
    pub request: Option<ExpectedRequest>,
    /// What must come of it.
    pub expect: Expected,
}

/// An upstream's answer. Which keys it has depends on the upstream's type.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stub {
    /// HTTP: the status; 200 where it is left out.
    pub status: Option<u16>,
    /// HTTP: the headers.
    #[serde(default)]
    pub headers: IndexMap<String, String>,
    /// HTTP: the body. Text stands as it is, anything else is written as JSON.
    pub body: Option<Value>,
    /// HTTP: a body that is not UTF-8 text, in base64.
    pub base64: Option<String>,
    /// DNS: the response code's name, such as `NXDOMAIN`.
    pub rcode: Option<String>,
    /// DNS: the records, as expressions see them in `answers`.
    pub answers: Option<Vec<Value>>,
    /// DNS: how long the answer may be kept, in seconds.
    pub ttl: Option<u64>,
    /// SQL: the rows, a map of columns each; table: all rows of it.
    pub rows: Option<Vec<Map<String, Value>>>,
    /// No answer at all.
    pub failure: Option<StubbedFailure>,
}

/// Another lookup, asked with a key from this one's record.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepStub {
    /// The key that it must be asked for.
    pub key: Option<String>,
    /// Its record; left out, it finds nothing.
    pub record: Option<Map<String, Value>>,
}

/// Why no answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StubbedFailure {
    /// Nothing came in time.
    Timeout,
    /// There was no connection.
    Connect,
}

/// A request, as far as a case says what it must be.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedRequest {
    /// HTTP: the method.
    pub method: Option<String>,
    /// HTTP: the whole URL, escaped as on the wire.
    pub url: Option<String>,
    /// HTTP: headers that must be there; others may be, too. Null for one that must not.
    #[serde(default)]
    pub headers: IndexMap<String, Option<String>>,
    /// HTTP: the body. Text is compared byte by byte, anything else as JSON.
    pub body: Option<Value>,
    /// HTTP with OAuth2: the request for a token, as far as it is written here.
    pub token: Option<Box<ExpectedRequest>>,
    /// DNS: the name that is asked for.
    pub name: Option<String>,
    /// Table: what is looked for, in words: `longest_prefix of +1303 in rates.csv`.
    pub table: Option<String>,
    /// SQL: the values that are bound, by name.
    pub parameters: Option<Map<String, Value>>,
}

/// What must come of a case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The outcome.
    #[serde(deserialize_with = "outcome")]
    pub outcome: Outcome,
    /// The record, with all its fields. Left out, the record is not looked at.
    pub record: Option<Map<String, Value>>,
    /// How long the answer is kept before jitter, such as `"1h"`.
    #[serde(default, deserialize_with = "duration")]
    pub ttl: Option<Duration>,
    /// How long the upstream is left alone, such as `"30s"`; `"0"` for not at all.
    #[serde(default, deserialize_with = "duration")]
    pub hold: Option<Duration>,
    /// Which rule decides, such as `rule 2` or `built in: 404`.
    pub rule: Option<String>,
}

fn outcome<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Outcome, D::Error> {
    let word = String::deserialize(deserializer)?;
    Outcome::from_name(&word).ok_or_else(|| {
        let known: Vec<&str> = Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect();
        serde::de::Error::custom(format!("`{word}` is no outcome; there are {}", known.join(", ")))
    })
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let read = <Duration as Leaf>::from_text(&text);
    read.map(Some).map_err(|wrong| serde::de::Error::custom(format!("{}; {}", wrong.what, wrong.mend)))
}

impl Stub {
    /// The body's bytes.
    ///
    /// # Errors
    /// When `base64` is none.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, String> {
        match (&self.base64, &self.body) {
            (Some(text), _) => STANDARD.decode(text).map_err(|error| format!("`base64` does not decode: {error}")),
            (None, Some(Value::String(text))) => Ok(text.clone().into_bytes()),
            (None, Some(tree)) => Ok(tree.to_string().into_bytes()),
            (None, None) => Ok(Vec::new()),
        }
    }
}

/// Reads a cases file.
///
/// # Errors
/// The first fault in it, with its place.
pub fn read(file: &Path) -> Result<CasesFile, Fault> {
    let text = file_text(file)?;
    let cases: CasesFile = serde_json::from_str(&text).map_err(|error| Fault {
        file: file.to_owned(),
        line: error.line().max(1),
        column: error.column().max(1),
        what: described(&error),
        mend: "policies/README.md shows what a cases file looks like".to_owned(),
    })?;
    if cases.cases.is_empty() {
        let what = "there are no cases in it".to_owned();
        let mend = "add one: a `name`, a `key`, an `answer` and what to `expect`".to_owned();
        return Err(Fault { file: file.to_owned(), line: 1, column: 1, what, mend });
    }
    Ok(cases)
}

/// What serde says, without the place, which the fault has already.
fn described(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(what, _)| what.to_owned())
}
