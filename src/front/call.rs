//! A call's questions, asked together: the parts of a bundle side by side, under one budget.
//!
//! A part starts as soon as the parts that it waits for have ended, well or not: its template decides what it
//! makes of that (`parts.lrn.lrn or called`). One whose key comes out empty is not asked. When the budget
//! is over, every part that is there is answered, and every other one is named with its outcome.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::{Map, Value as Json};

use crate::answer::{Answer, Outcome, Source};
use crate::config::Bundle;
use crate::deadline::{Deadline, Instant, now, tick_at};
use crate::front::Front;
use crate::front::desk::{Desk, Line};
use crate::policy::{BadInput, Scope};

/// A bundle that is to be asked.
#[derive(Debug)]
pub struct Call<L> {
    bundle: Arc<Bundle>,
    /// Whom each part asks; `None` for a lookup that does not exist.
    lines: Vec<Option<L>>,
    parameters: Vec<(String, String)>,
    budget: Duration,
}

/// What a bundle came to.
#[derive(Clone, Debug)]
pub struct Called {
    /// The parts in their order, each with its fields, its outcome and its source, as one line of JSON.
    pub json: String,
    /// `None` when some part has an answer; else the worst that became of any.
    pub failure: Option<Answer>,
}

impl<L: Line> Call<L> {
    /// Finds whom to ask. `budget` is the caller's own limit, which can only shorten the bundle's.
    pub fn new<D: Desk<Line = L>>(
        desk: &D,
        bundle: Arc<Bundle>,
        parameters: Vec<(String, String)>,
        budget: Option<Duration>,
    ) -> Self {
        let lines: Vec<Option<L>> = bundle.parts.iter().map(|part| desk.line(&part.lookup)).collect();
        let slowest = || lines.iter().flatten().map(Line::call_budget).max().unwrap_or_default();
        let most = bundle.budget.unwrap_or_else(slowest);
        let budget = budget.map_or(most, |own| own.min(most));
        Self { bundle, lines, parameters, budget }
    }

    /// Asks all parts, and waits no longer than the budget, counted from `since`.
    pub async fn answer(&self, front: Front, since: Instant) -> Called {
        let deadline = Deadline::at(since + self.budget);
        let mut answers: Vec<Option<Answer>> = vec![None; self.lines.len()];
        let mut started = vec![false; self.lines.len()];
        let mut running = FuturesUnordered::new();
        loop {
            for (index, started) in started.iter_mut().enumerate() {
                if !*started && self.bundle.parts[index].needs.iter().all(|need| answers[*need].is_some()) {
                    *started = true;
                    running.push(self.part(index, self.scope(&answers), self.excuse(index, &answers), front, deadline));
                }
            }
            // Each part ends by the deadline, since its line does; so every one has an answer in the end.
            let Some((index, answer)) = running.next().await else { break };
            answers[index] = Some(answer);
        }
        self.told(answers)
    }

    /// Asks one part.
    async fn part(
        &self,
        index: usize,
        scope: Scope,
        excuse: Outcome,
        front: Front,
        deadline: Deadline,
    ) -> (usize, Answer) {
        let empty = |outcome| (index, Answer::empty(outcome, Source::Nobody));
        let part = &self.bundle.parts[index];
        let Some(line) = &self.lines[index] else { return empty(Outcome::UnknownLookup) };
        let key = part.key.render(&scope);
        if key.is_empty() {
            return empty(excuse);
        }
        let inputs: Vec<(&str, String)> =
            part.inputs.iter().map(|(name, text)| (name.as_str(), text.render(&scope))).collect();
        let inputs: Vec<(&str, &str)> = inputs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let began = now();
        let answer = match line.question(&key, &inputs) {
            Ok(question) => match line.hit(&question, tick_at(began)) {
                Some(answer) => answer,
                None => line.miss(question, deadline.earlier(Deadline::at(began + line.call_budget()))).await,
            },
            Err(BadInput::Key { number: true, .. }) => Answer::empty(Outcome::InvalidNumber, Source::Nobody),
            Err(_) => Answer::empty(Outcome::InvalidInput, Source::Nobody),
        };
        line.answered(front, &answer, now().saturating_duration_since(began));
        (index, answer)
    }

    /// What the templates see now.
    fn scope(&self, answers: &[Option<Answer>]) -> Scope {
        let ended = self.bundle.parts.iter().zip(answers).filter_map(|(part, answer)| Some((part, answer.as_ref()?)));
        let parts = ended.map(|(part, answer)| (part.name.clone(), Json::Object(fields(answer)))).collect();
        Scope::of_bundle(&self.parameters, parts)
    }

    /// Why a part has no key: one that it waits for failed, or it does not apply to this call.
    fn excuse(&self, index: usize, answers: &[Option<Answer>]) -> Outcome {
        let before = self.bundle.parts[index].needs.iter().filter_map(|need| answers[*need].as_ref());
        let failed = before.filter(|answer| !has_answer(answer)).map(|answer| answer.outcome);
        failed.max_by_key(|outcome| badness(*outcome)).unwrap_or(Outcome::NotApplicable)
    }

    fn told(&self, answers: Vec<Option<Answer>>) -> Called {
        let mut record = Map::with_capacity(answers.len());
        let mut worst: Option<Answer> = None;
        let mut answered = false;
        for (part, answer) in self.bundle.parts.iter().zip(answers) {
            // A part that waits for itself cannot be: a bundle is checked for that.
            let answer = answer.unwrap_or_else(|| Answer::empty(Outcome::NotApplicable, Source::Nobody));
            record.insert(part.name.clone(), Json::Object(fields(&answer)));
            answered |= has_answer(&answer);
            if worst.as_ref().is_none_or(|worst| badness(answer.outcome) > badness(worst.outcome)) {
                worst = Some(answer);
            }
        }
        let failure = worst.filter(|_| !answered).map(|worst| Answer { record: None, ..worst });
        Called { json: Json::Object(record).to_string(), failure }
    }
}

/// A part's record with how it ended; a field of the record that is called so gives way.
fn fields(answer: &Answer) -> Map<String, Json> {
    let mut fields = answer.record.as_ref().map(|record| record.to_map()).unwrap_or_default();
    fields.insert("outcome".to_owned(), answer.outcome.as_str().into());
    if answer.source != Source::Nobody {
        fields.insert("source".to_owned(), answer.source.as_str().into());
    }
    fields
}

/// True for a part that a script can go on with, even if the answer is "nothing".
fn has_answer(answer: &Answer) -> bool {
    // A number that we refused ourselves was not even asked about.
    answer.outcome.has_record() || (answer.outcome.is_answer() && answer.source != Source::Nobody)
}

/// Which of several failures is told: the one that says most of what is wrong behind us.
const fn badness(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Timeout => 6,
        Outcome::VendorError => 5,
        Outcome::Overload | Outcome::Open => 4,
        Outcome::RateLimited | Outcome::QuotaExhausted | Outcome::AuthError => 3,
        Outcome::InvalidInput | Outcome::InvalidNumber => 2,
        Outcome::UnknownLookup => 1,
        _ => 0,
    }
}
