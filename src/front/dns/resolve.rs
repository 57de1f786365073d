//! From a question to a reply, with and without waiting.

use std::time::Duration;

use hickory_proto::op::Message;

use crate::answer::{Answer, Outcome};
use crate::deadline::{self, Deadline, Instant, tick};
use crate::front::Front;
use crate::front::desk::{Desk, Line};
use crate::front::dns::query::Asked;
use crate::front::dns::ready::{Made, is_plain_hit};
use crate::front::dns::reply::{self, Reason};
use crate::policy::{DnsRecord, Question};

/// Where a question stands after everything that can be done without waiting.
pub enum Step<L> {
    /// The reply, and the largest that it may be over UDP; with what it was made of, where it may be said again.
    Say(Message, u16, Option<Box<Made<L>>>),
    /// Somebody must be asked first.
    Ask(Box<Waiting<L>>),
}

/// A question that the local cache does not know.
pub struct Waiting<L> {
    /// The question as it came.
    pub asked: Asked,
    name: String,
    line: L,
    question: Question,
    /// How many lookups have passed it on.
    number: usize,
}

/// Does all that needs no waiting.
pub fn begin<D: Desk>(desk: &D, asked: Asked) -> Step<D::Line> {
    let size = asked.size;
    let name = asked.question.name().to_ascii();
    match next(desk, asked.record, &name, 0) {
        None => {
            desk.unknown(Front::Dns);
            Step::Say(reply::refused(asked, Reason::NotAuthoritative), size, None)
        }
        Some((line, question, number)) => match known(&line, &question) {
            Some(answer) => {
                let reply = reply::of(asked, &answer);
                let record = answer.record.clone().filter(|_| is_plain_hit(&answer));
                let made = record.map(|record| Box::new(Made { line, question, record }));
                Step::Say(reply, size, made)
            }
            None => Step::Ask(Box::new(Waiting { asked, name, line, question, number })),
        },
    }
}

/// The first lookup from `number` on that takes this name, and its place.
fn next<D: Desk>(desk: &D, record: DnsRecord, name: &str, mut number: usize) -> Option<(D::Line, Question, usize)> {
    while let Some(line) = desk.resolver(record.field(), number) {
        let typed = [("type", record.as_str())];
        let inputs: &[(&str, &str)] = if line.declares("type") { &typed } else { &[] };
        if let Ok(question) = line.question(name, inputs) {
            return Some((line, question, number));
        }
        number += 1;
    }
    None
}

impl<L: Line> Waiting<L> {
    /// Waits for the answer, never longer than the lookup's budget counted from `since`.
    pub async fn reply<D: Desk<Line = L>>(self, desk: &D, since: Instant) -> Message {
        let Self { asked, name, mut line, mut question, mut number } = self;
        loop {
            let answer = line.miss(question, Deadline::at(since + line.call_budget())).await;
            let took = deadline::now().saturating_duration_since(since);
            line.answered(Front::Dns, &answer, took);
            if answer.outcome != Outcome::NotApplicable {
                return reply::of(asked, &answer);
            }
            match next(desk, asked.record, &name, number + 1) {
                None => return reply::of(asked, &answer),
                Some(other) => (line, question, number) = other,
            }
            if let Some(answer) = known(&line, &question) {
                return reply::of(asked, &answer);
            }
        }
    }
}

/// The local cache's answer, counted.
fn known<L: Line>(line: &L, question: &Question) -> Option<Answer> {
    let answer = line.hit(question, tick())?;
    line.answered(Front::Dns, &answer, Duration::ZERO);
    Some(answer)
}
