//! From a target to something to say: the part of a request's life that both lanes share.
//!
//! [`begin`] waits for nothing: it either knows what to say at once (a hit, a refusal, a health
//! flag) or hands back an [`Asking`], which waits within the caller's budget.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use compact_str::CompactString;

use crate::answer::{Answer, Outcome, Source};
use crate::deadline::{self, Deadline, Instant, tick_at};
use crate::front::Front;
use crate::front::call::{Call, Called};
use crate::front::desk::{Desk, Line};
use crate::front::form::Form;
use crate::front::http::query::Wishes;
use crate::front::http::route::{Route, route};
use crate::front::http::{call, db, escape};
use crate::policy::{BadInput, Question};

/// A key longer than this, decoded, is none: the longest is an Identity header.
const MAX_KEY: usize = 4096;

/// Where a request stands after everything that can be done without waiting.
pub enum Step<L> {
    /// There is something to say.
    Say(Said<L>),
    /// Somebody must be asked first.
    Ask(Asking<L>),
    /// Several must be asked first.
    Call(Call<L>),
}

/// What to say.
pub enum Said<L> {
    /// A lookup's answer.
    Answer {
        /// The lookup.
        line: L,
        /// Its answer.
        answer: Answer,
        /// In which form the caller wants it.
        form: Form,
    },
    /// The request does not fit.
    Refusal {
        /// 400, or 404 for a lookup that does not exist.
        status: u16,
        /// An answer without a record, which carries the outcome.
        answer: Answer,
        /// What does not fit, for a caller who reads problem documents.
        why: CompactString,
    },
    /// What became of several lookups asked together.
    Called(Called),
    /// A health flag: `1` or `0`.
    Flag(bool),
    /// All health flags, as JSON.
    Flags(String),
    /// There is no such page.
    Nowhere,
    /// The page is there, for GET and HEAD only.
    WrongMethod,
    /// The page is there, for POST only.
    OnlyPost,
    /// The head is understood and still not HTTP/1.1: RFC 9112 section 3.2 asks for exactly one `Host`.
    BadHost,
}

/// A question that the local cache does not know.
pub struct Asking<L> {
    pub(super) line: L,
    pub(super) question: Question,
    pub(super) form: Form,
    pub(super) budget: Duration,
}

impl<L: Line> Asking<L> {
    /// Waits for the answer, never longer than the caller's budget counted from `since`.
    pub async fn answer(self, since: Instant) -> Said<L> {
        let answer = self.line.miss(self.question, Deadline::at(since + self.budget)).await;
        let took = deadline::now().saturating_duration_since(since);
        self.line.answered(Front::Http, &answer, took);
        Said::Answer { line: self.line, answer, form: self.form }
    }
}

/// Does all that needs no waiting for a GET or HEAD of this target.
pub fn begin<D: Desk>(desk: &D, path: &str, query: &str, now: Instant) -> Step<D::Line> {
    match route(path) {
        Route::Lookup { lookup, key } => look_up(desk, lookup, key, query, now),
        Route::Rows(lookup) => db::select(desk, lookup, query, now),
        Route::Flag(lookup) => match find(desk, lookup) {
            Some(line) => Step::Say(Said::Flag(line.is_up())),
            None => unknown(desk),
        },
        Route::Call(bundle) => call::named(desk, bundle, query),
        Route::Calls => Step::Say(Said::OnlyPost),
        Route::Flags => Step::Say(Said::Flags(flags(desk))),
        Route::Nowhere => Step::Say(Said::Nowhere),
    }
}

fn look_up<D: Desk>(desk: &D, lookup: &str, key: &str, query: &str, now: Instant) -> Step<D::Line> {
    let Some(line) = find(desk, lookup) else { return unknown(desk) };
    let key = match escape::path(key) {
        Ok(key) if key.len() <= MAX_KEY => key,
        Ok(_) => return refuse(&line, Outcome::InvalidInput, "the key is longer than 4096 bytes"),
        Err(_) => {
            return refuse(&line, Outcome::InvalidInput, "the key has a bad percent-escape or a control character");
        }
    };
    let wishes = match Wishes::read(query) {
        Ok(wishes) => wishes,
        Err(bad) => return refuse(&line, Outcome::InvalidInput, bad),
    };
    let question = match wishes.with_inputs(|inputs| line.question(&key, inputs)) {
        Ok(question) => question,
        Err(bad @ BadInput::Key { number: true, .. }) => return refuse(&line, Outcome::InvalidNumber, bad),
        Err(bad) => return refuse(&line, Outcome::InvalidInput, bad),
    };
    if let Some(answer) = line.hit(&question, tick_at(now)) {
        line.answered(Front::Http, &answer, Duration::ZERO);
        return Step::Say(Said::Answer { line, answer, form: wishes.form });
    }
    let most = line.call_budget();
    let budget = wishes.budget.map_or(most, |own| own.min(most));
    Step::Ask(Asking { line, question, form: wishes.form, budget })
}

/// The lookup of this name, as it stands in the path.
pub(super) fn find<D: Desk>(desk: &D, name: &str) -> Option<D::Line> {
    let name: Cow<'_, str> = escape::path(name).ok()?;
    desk.line(&name)
}

/// A request that does not fit this lookup.
pub(super) fn refuse<L: Line>(line: &L, outcome: Outcome, why: impl fmt::Display) -> Step<L> {
    line.answered(Front::Http, &Answer::empty(outcome, Source::Nobody), Duration::ZERO);
    refused(outcome, why)
}

/// The same for one that is counted already.
pub(super) fn refused<L>(outcome: Outcome, why: impl fmt::Display) -> Step<L> {
    let answer = Answer::empty(outcome, Source::Nobody);
    Step::Say(Said::Refusal { status: 400, answer, why: compact_str::format_compact!("{why}") })
}

/// There is no such lookup.
pub(super) fn unknown<D: Desk>(desk: &D) -> Step<D::Line> {
    desk.unknown(Front::Http);
    let answer = Answer::empty(Outcome::UnknownLookup, Source::Nobody);
    Step::Say(Said::Refusal { status: 404, answer, why: "no policy has this name".into() })
}

/// `{"cnam":1,"lrn":0}`
fn flags<D: Desk>(desk: &D) -> String {
    let flags = desk.flags().into_iter().map(|(name, up)| (name.to_string(), u8::from(up).into()));
    serde_json::Value::Object(flags.collect()).to_string()
}
