//! A key, looked at without waiting; and the waiting, where there is no other way.

use std::time::Duration;

use crate::answer::{Answer, Record};
use crate::deadline::{self, Deadline, Instant};
use crate::front::Front;
use crate::front::desk::{Desk, Line};
use crate::front::form::{Form, render};
use crate::front::memcached::command::Words;
use crate::front::memcached::key::{Asked, Posed, Unposed, Whose, pose, whose};
use crate::front::memcached::plain::write_value;
use crate::lookup::AT_ONCE;
use crate::policy::Question;

/// What a key comes to.
pub enum Look<L> {
    /// The client's own: the store knows.
    Plain,
    /// A health flag.
    Flag(bool),
    /// Nothing to tell.
    Miss,
    /// The script's fault; see [`Unposed::Malformed`].
    Malformed,
    /// A lookup's answer.
    Said(Said<L>),
    /// Somebody must be asked first.
    Asking(Box<Asking<L>>),
}

/// A lookup's answer, and how it is wanted.
pub struct Said<L> {
    line: L,
    /// The answer.
    pub answer: Answer,
    form: Form,
}

/// A question that the local cache does not know.
pub struct Asking<L> {
    line: L,
    question: Question,
    form: Form,
    budget: Duration,
}

/// Does all for the keys from the first on that ask one lookup for what the local cache has: the way of nearly every get, with
/// nothing kept hold of. Those behind are left in `keys`, and the next one to [`look`].
pub fn write_hits<D: Desk>(desk: &D, keys: &mut Words<'_>, wanted: &mut Wanted<'_>, out: &mut Vec<u8>) -> Written {
    let mut written = Written::default();
    // What is text is found out once for all keys.
    let text = keys.text(AT_ONCE);
    let Some(colon) = memchr::memchr(b':', text.as_bytes()) else { return written };
    // The lookup's name and the colon, which all of these keys begin with.
    let prefix = text[..=colon].trim_start_matches(' ');
    let may_have_inputs = memchr::memchr(b';', text.as_bytes()).is_some();
    let Wanted { form, with_cas, tick, scratch, ids } = wanted;
    desk.with_line(&prefix[..prefix.len() - 1], |line| {
        let (mut asked, mut ends) = ([""; AT_ONCE], [0; AT_ONCE]);
        let (mut left, mut count) = (*keys, 0);
        ids.clear();
        while count < AT_ONCE
            && let mut next = left
            && let Some(key) = next.next()
            && let end = keys.left() - next.left()
            && let Some(key) = text.get(end - key.len()..end)
            && let Some(rest) = key.strip_prefix(prefix)
            && write_id(line, rest, may_have_inputs, ids)
        {
            (asked[count], ends[count]) = (key, ids.len());
            (left, count) = (next, count + 1);
        }
        let mut all = [""; AT_ONCE];
        let mut begin = 0;
        for (id, end) in all.iter_mut().zip(ends).take(count) {
            *id = &ids[begin..end];
            begin = end;
        }
        let question = |place: usize| pose(line, asked[place].strip_prefix(prefix)?).ok().map(|posed| posed.question);
        written.keys = line.each_hit(Front::Memcached, &all[..count], *tick, question, |place, told| {
            let record = told.record.filter(|_| told.outcome.has_record());
            if let Some(value) = record.and_then(|record| value(record, form, line, scratch)) {
                write_value(asked[place].as_bytes(), 1, value, with_cas.then_some(0), out);
                written.values += 1;
            }
            true
        });
        if written.keys == count {
            *keys = left;
        } else {
            // The rest of them is for somebody else.
            keys.by_ref().take(written.keys).last();
        }
    });
    written
}

/// Writes the id of the question behind a key's colon; false where there is none.
#[inline]
fn write_id<L: Line>(line: &L, rest: &str, may_have_inputs: bool, out: &mut String) -> bool {
    let is_key_alone = !may_have_inputs || !rest.contains(';');
    // Further inputs, or the caller's own fault.
    is_key_alone && line.id(rest, out)
        || pose(line, rest).is_ok_and(|posed| {
            out.push_str(&posed.question.id);
            true
        })
}

/// What came of [`write_hits`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Written {
    /// Keys that are done.
    pub keys: usize,
    /// Those of them that have a value.
    pub values: usize,
}

/// The value to tell of a record; `None` where there is nothing, which is a miss. Never of length zero: OpenSIPS takes that for
/// an error.
fn value<'a>(record: &'a Record, form: &Form, line: &impl Line, scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    render(record, form, line, scratch).filter(|value| !value.is_empty())
}

/// How a get wants its records.
pub struct Wanted<'a> {
    /// The form of a record.
    pub form: &'a Form,
    /// True for `gets`.
    pub with_cas: bool,
    /// This moment.
    pub tick: u64,
    /// Where values are built that are not stored as they are sent.
    pub scratch: &'a mut Vec<u8>,
    /// Where the ids are written that are looked for at once.
    pub ids: &'a mut String,
}

/// Does all that needs no waiting. `form` is how a record is told where no field is asked for.
pub fn look<D: Desk>(desk: &D, key: &[u8], form: &Form, tick: u64) -> Look<D::Line> {
    match whose(desk, key) {
        Whose::Plain => Look::Plain,
        Whose::Flag(Some(up)) => Look::Flag(up),
        Whose::Flag(None) => Look::Miss,
        Whose::Lookup(asked) => ask(asked, form, tick),
    }
}

/// The same for a key that is known to be a lookup's.
pub fn ask<L: Line>(asked: Asked<'_, L>, form: &Form, tick: u64) -> Look<L> {
    let Posed { question, budget } = match asked.pose() {
        Ok(posed) => posed,
        Err(Unposed::Miss) => return Look::Miss,
        Err(Unposed::Malformed) => return Look::Malformed,
    };
    let form = asked.field.map_or_else(|| form.clone(), |field| Form::Field(field.into()));
    let line = asked.line;
    match line.hit(&question, tick) {
        Some(answer) => {
            line.answered(Front::Memcached, &answer, Duration::ZERO);
            Look::Said(Said { line, answer, form })
        }
        None => Look::Asking(Box::new(Asking { line, question, form, budget })),
    }
}

impl<L: Line> Asking<L> {
    /// Waits for the answer, never longer than the caller's budget counted from `since`.
    pub async fn answer(self, since: Instant) -> Said<L> {
        let answer = self.line.miss(self.question, Deadline::at(since + self.budget)).await;
        let took = deadline::now().saturating_duration_since(since);
        self.line.answered(Front::Memcached, &answer, took);
        Said { line: self.line, answer, form: self.form }
    }
}

impl<L: Line> Said<L> {
    /// The value to tell; `None` where there is nothing.
    pub fn value<'a>(&'a self, scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        let record = self.answer.record.as_ref().filter(|_| self.answer.outcome.has_record())?;
        value(record, &self.form, &self.line, scratch)
    }

    /// Writes `VALUE …`, with flags 1: that is how Kamailio knows a text. True if there was something to tell.
    pub fn write(&self, key: &[u8], with_cas: bool, scratch: &mut Vec<u8>, out: &mut Vec<u8>) -> bool {
        match self.value(scratch) {
            Some(value) => {
                write_value(key, 1, value, with_cas.then_some(0), out);
                true
            }
            None => false,
        }
    }
}
