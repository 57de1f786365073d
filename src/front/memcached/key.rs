//! Whose a key is: a lookup's, the health flags', or nobody's but the client's.
//!
//! `lrn:13035550123` is a question to `lrn`, `lrn.ocn:13035550123` asks for one field of its answer.
//! Behind the key may stand inputs and the caller's own budget: `lrn:13035550123;ani=12025550123;budget_ms=20`.
//! A key whose first part names no lookup is plain.

use std::time::Duration;

use crate::answer::{Answer, Outcome, Source};
use crate::front::Front;
use crate::front::desk::{Desk, Line};
use crate::policy::{BadInput, Question};

/// More inputs than any policy declares are refused.
const MAX_INPUTS: usize = 16;

/// What a key stands for.
pub enum Whose<'a, L> {
    /// The client's own.
    Plain,
    /// A lookup's.
    Lookup(Asked<'a, L>),
    /// The health flag of a lookup, or of one of its upstreams; `None` where there is no such.
    Flag(Option<bool>),
}

/// A lookup's key.
pub struct Asked<'a, L> {
    /// The lookup.
    pub line: L,
    /// The one field that is wanted.
    pub field: Option<&'a str>,
    /// What stands behind the colon.
    rest: &'a str,
}

/// A question with what the caller will wait for it.
pub struct Posed {
    /// The question.
    pub question: Question,
    /// At most this long.
    pub budget: Duration,
}

/// Why a lookup's key is no question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unposed {
    /// The caller's data do not fit: a number that is none. Answered as a miss; it is counted already.
    Miss,
    /// The script's fault: an input that the policy does not declare, or a budget that is no number.
    Malformed,
}

/// What stands before a key's first colon, and what behind it.
fn parts(key: &[u8]) -> Option<(&str, &str)> {
    let colon = memchr::memchr(b':', key)?;
    Some((str::from_utf8(&key[..colon]).ok()?, str::from_utf8(&key[colon + 1..]).ok()?))
}

/// Whose this key is.
pub fn whose<'a, D: Desk>(desk: &D, key: &'a [u8]) -> Whose<'a, D::Line> {
    let Some((name, rest)) = parts(key) else { return Whose::Plain };
    if name == "health" {
        return Whose::Flag(match rest.split_once(':') {
            None => desk.line(rest).map(|line| line.is_up()),
            Some((lookup, upstream)) => desk.line(lookup).and_then(|line| line.upstream_is_up(upstream)),
        });
    }
    if let Some(line) = desk.line(name) {
        return Whose::Lookup(Asked { line, field: None, rest });
    }
    let with_field = name.split_once('.').filter(|(_, field)| !field.is_empty());
    match with_field.and_then(|(name, field)| Some((desk.line(name)?, field))) {
        Some((line, field)) => Whose::Lookup(Asked { line, field: Some(field), rest }),
        None => Whose::Plain,
    }
}

impl<L: Line> Asked<'_, L> {
    /// The question that the key poses.
    ///
    /// # Errors
    /// [`Unposed`] says whose fault it is that there is none.
    pub fn pose(&self) -> Result<Posed, Unposed> {
        pose(&self.line, self.rest).map_err(|refusal| match refusal {
            Refusal::Script => Unposed::Malformed,
            Refusal::Caller(outcome) => {
                let answer = Answer::empty(outcome, Source::Nobody);
                self.line.answered(Front::Memcached, &answer, Duration::ZERO);
                Unposed::Miss
            }
        })
    }
}

/// Whose fault it is that there is no question.
pub enum Refusal {
    /// See [`Unposed::Malformed`].
    Script,
    /// See [`Unposed::Miss`]; not counted yet.
    Caller(Outcome),
}

/// The question that stands behind a key's colon.
///
/// # Errors
/// [`Refusal`] says whose fault it is that there is none.
#[inline]
pub fn pose<L: Line>(line: &L, rest: &str) -> Result<Posed, Refusal> {
    let most = line.call_budget();
    let Some((key, parts)) = rest.split_once(';') else { return asked(line, rest, &[], most) };
    let mut budget = most;
    let mut inputs = [("", ""); MAX_INPUTS];
    let mut count = 0;
    for part in parts.split(';') {
        let (name, value) = part.split_once('=').ok_or(Refusal::Script)?;
        if name == "budget_ms" {
            let own = value.parse::<u32>().ok().filter(|ms| *ms > 0).ok_or(Refusal::Script)?;
            budget = most.min(Duration::from_millis(own.into()));
            continue;
        }
        *inputs.get_mut(count).ok_or(Refusal::Script)? = (name, value);
        count += 1;
    }
    asked(line, key, &inputs[..count], budget)
}

fn asked<L: Line>(line: &L, key: &str, inputs: &[(&str, &str)], budget: Duration) -> Result<Posed, Refusal> {
    match line.question(key, inputs) {
        Ok(question) => Ok(Posed { question, budget }),
        Err(BadInput::Unknown { .. }) => Err(Refusal::Script),
        Err(BadInput::Key { number: true, .. }) => Err(Refusal::Caller(Outcome::InvalidNumber)),
        Err(_) => Err(Refusal::Caller(Outcome::InvalidInput)),
    }
}
