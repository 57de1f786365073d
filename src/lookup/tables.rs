//! Tables in the pipeline: their answers, and when they are loaded again.
//!
//! A lookup whose upstreams are all tables answers in [`Lookup::hit`]: nothing of it is cached, since the table is
//! nearer than the cache; a breaker, a seat and a flight would guard nothing. Of several tables the first that has rows answers.
//!
//! Each table has a task that looks at it once a second, and loads it when it is due: never loaded, a time has come, the
//! file is another one and rests, or somebody wants it (SIGHUP, the operator). A load that fails is tried again ever
//! more slowly; until then the old rows go on. The task holds the lookup by a weak reference and ends with it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::answer::{Answer, Outcome, Source};
use crate::deadline::{Deadline, Instant, now};
use crate::events::{Event, EventType};
use crate::lookup::{Lookup, Member};
use crate::policy::{Question, TablePolicy, TransportPolicy};
use crate::telemetry::TableMeters;
use crate::upstream::FailureKind;
use crate::upstream::table::{Loaded, Mark, Table};

/// How often a task looks whether its table is due.
const LOOK: Duration = Duration::from_secs(1);

/// The first pause after a load that failed; each further one is twice as long.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest pause: a table without rows costs calls, one with old rows costs little.
const PAUSE_EMPTY: Duration = Duration::from_secs(15);
const PAUSE_OLD: Duration = Duration::from_secs(5 * 60);

/// When a caller may ask again who found no table loaded.
const SOON: Duration = Duration::from_secs(1);

/// The answer of the first table that has rows; `None` while none has.
pub(super) fn answer(lookup: &Lookup, question: &Question) -> Option<Answer> {
    if !lookup.policy.applies(question) {
        return Some(Answer::empty(Outcome::NotApplicable, Source::Nobody));
    }
    lookup.members.iter().zip(&lookup.policy.upstreams).find_map(|(member, upstream)| {
        let (Some(table), TransportPolicy::Table(policy)) = (member.upstream.table(), &upstream.transport) else {
            return None;
        };
        match table.find(policy, question) {
            Ok(row) => {
                let outcome = if row.record.is_some() { Outcome::Found } else { Outcome::NotFound };
                // What is in a file now is in the table a moment later.
                let life = policy.every.unwrap_or(LOOK + row.age);
                let ttl = life.as_secs() as i64 - row.age.as_secs() as i64;
                Some(Answer { record: row.record, age: row.age, ttl, ..Answer::empty(outcome, Source::Local) })
            }
            Err(failure) if failure.kind == FailureKind::Policy => {
                tracing::debug!(lookup = &*lookup.policy.name, upstream = &*member.name, %failure, "no answer");
                Some(Answer::empty(failure.outcome(), Source::Nobody))
            }
            Err(_) => None,
        }
    })
}

/// What is said while no table has rows.
pub(super) fn no_answer() -> Answer {
    Answer { retry_after: Some(SOON), ..Answer::empty(Outcome::Open, Source::Nobody) }
}

/// Looks after all tables of a lookup for as long as it runs.
pub(super) fn keep(lookup: &Arc<Lookup>) {
    for (index, member) in lookup.members.iter().enumerate() {
        if let Some(table) = member.upstream.table() {
            let meters = TableMeters::new(&lookup.policy.name, &member.name);
            if let Some(snapshot) = table.snapshot() {
                meters.rows.set(snapshot.rows() as f64);
            }
            tokio::spawn(
                Keeper { lookup: Arc::downgrade(lookup), index, meters, failures: 0, next: None, seen: None }.run(),
            );
        }
    }
}

impl Lookup {
    /// Has all its tables loaded again, soon. With `force` they are believed however much they differ. False
    /// where there is no table, or none of this name.
    pub fn want_tables(&self, upstream: Option<&str>, force: bool) -> bool {
        let named = self.members.iter().filter(|member| upstream.is_none_or(|name| name == &*member.name));
        let tables: Vec<&Arc<Table>> = named.filter_map(|member| member.upstream.table()).collect();
        tables.iter().for_each(|table| table.want(force));
        !tables.is_empty()
    }

    /// Its upstreams that are tables.
    pub fn tables(&self) -> impl Iterator<Item = (&Member, &Arc<Table>)> {
        self.members.iter().filter_map(|member| Some((member, member.upstream.table()?)))
    }

    /// Waits until each table has been loaded once, well or not.
    pub async fn tables_settled(&self, deadline: Deadline) {
        for (_, table) in self.tables() {
            while !table.is_loaded() && table.last().loads == 0 && !deadline.passed() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

/// The task that looks after one table.
struct Keeper {
    lookup: Weak<Lookup>,
    index: usize,
    meters: TableMeters,
    /// Loads that failed, one after the other.
    failures: u32,
    /// Not before this after a failure.
    next: Option<Instant>,
    /// How the file looked when it was looked at last.
    seen: Option<Mark>,
}

impl Keeper {
    async fn run(mut self) {
        while let Some(lookup) = self.lookup.upgrade().filter(|lookup| !lookup.is_retired()) {
            let (member, upstream) = (&lookup.members[self.index], &lookup.policy.upstreams[self.index]);
            let (Some(table), TransportPolicy::Table(policy)) = (member.upstream.table(), &upstream.transport) else {
                return;
            };
            let table = Arc::clone(table);
            if self.is_due(&table, policy) {
                self.load(&lookup, &table).await;
            }
            drop(lookup);
            if tokio::time::timeout(LOOK, table.wanted()).await.is_ok() {
                let Some(lookup) = self.lookup.upgrade().filter(|lookup| !lookup.is_retired()) else {
                    // Whoever wanted it means the lookup that came after.
                    table.want(false);
                    return;
                };
                self.load(&lookup, &table).await;
            }
        }
    }

    fn is_due(&mut self, table: &Table, policy: &TablePolicy) -> bool {
        let (last, now) = (table.last(), now());
        let mark = Mark::of(&policy.source);
        let rests = mark == self.seen;
        self.seen.clone_from(&mark);
        let another = mark.is_some() && mark != last.mark;
        if another && (rests || last.loads == 0) {
            return true;
        }
        if self.next.is_some_and(|next| now < next) {
            return false;
        }
        match table.snapshot() {
            None => true,
            // A file that could not be told from the one before, or could not be read, is tried again.
            Some(_) if self.next.is_some() => true,
            // The rows of before a change of the policy only stand in.
            Some(_) if last.loads == 0 => true,
            Some(snapshot) => policy.every.is_some_and(|every| now.saturating_duration_since(snapshot.since) >= every),
        }
    }

    async fn load(&mut self, lookup: &Arc<Lookup>, table: &Arc<Table>) {
        let before = table.last().failure;
        let first = table.snapshot().is_none();
        match table.load(Arc::clone(&lookup.policy), self.index).await {
            Ok(loaded) => {
                (self.failures, self.next) = (0, None);
                self.meters.loaded(loaded.rows);
                self.log(lookup, &loaded);
                if first || before.is_some() {
                    let reason = format!("{} rows, {} left out", loaded.rows, loaded.left_out);
                    self.tell(lookup, EventType::TableLoaded, "", reason);
                }
            }
            Err(why) => {
                let longest = if table.is_loaded() { PAUSE_OLD } else { PAUSE_EMPTY };
                self.next = Some(now() + PAUSE.saturating_mul(1 << self.failures.min(16)).min(longest));
                self.failures = self.failures.saturating_add(1);
                self.meters.failed(why.label());
                // Once for each new reason: the same one again is only counted.
                if before.is_none_or(|before| before.to_string() != why.to_string()) {
                    self.tell(lookup, EventType::TableRejected, why.label(), why.to_string());
                }
            }
        }
        lookup.reassess();
    }

    fn log(&self, lookup: &Lookup, loaded: &Loaded) {
        let (lookup, upstream) = (&*lookup.policy.name, &*lookup.members[self.index].name);
        let Loaded { rows, left_out, bytes, took } = *loaded;
        tracing::debug!(lookup, upstream, rows, left_out, bytes, ?took, "a table is loaded");
    }

    fn tell(&self, lookup: &Lookup, event: EventType, to: &'static str, reason: String) {
        lookup.events.raise(Event {
            lookup: Some(Arc::clone(&lookup.policy.name)),
            upstream: Some(Arc::clone(&lookup.members[self.index].name)),
            to,
            ..Event::of_node(event, reason)
        });
    }
}
