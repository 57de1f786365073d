//! Which event is sent next, and what may be forgotten: the part of a courier that needs no sink and no disk.
//!
//! A courier that keeps up sends in order. One with a backlog sends two streams: the backlog in order, and
//! beside it the new events of lookups that have nothing in the backlog, so that a long replay delays no news.
//! A lookup's own events never overtake each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::events::spool::{Journal, Keys, Reader, Record};

/// Sent and not settled, at most.
pub(super) const WINDOW: usize = 10_000;
/// The most that they may weigh; the sink may hold as much again.
const WINDOW_WEIGHT: usize = 16 * 1024 * 1024;
/// Of which the backlog leaves so many to the news.
const FOR_NEWS: usize = 1_000;
/// How far the newest that is sent may be from the oldest that is not settled.
const SPREAD: usize = 100_000;
/// What one look at the spool brings.
const BATCH: usize = 1_024;

/// A courier's place in the spool.
#[derive(Debug)]
pub(super) struct Cursor {
    /// The backlog, or everything, is sent up to here.
    next: u64,
    /// Above `next`, and sent already.
    ahead: BTreeSet<u64>,
    in_flight: BTreeMap<u64, Arc<Record>>,
    /// What those weigh.
    weight: usize,
    /// To be sent again once nothing is in flight.
    failed: BTreeSet<u64>,
    news: Option<News>,
    /// One at a time below this number: one of them is refused, and its neighbours shall not be.
    single_below: u64,
}

/// The second stream.
#[derive(Debug)]
struct News {
    /// The backlog, when it was last looked at, ended here.
    backlog_end: u64,
    /// The news are sent up to here.
    next: u64,
    /// Keys with something in the backlog: theirs wait for their turn.
    waiting: Keys,
}

/// What to do now.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// To be sent, in this order.
    pub send: Vec<Arc<Record>>,
    /// Events that are not there any more.
    pub lost: u64,
}

impl Cursor {
    pub(super) fn new(floor: u64) -> Self {
        Self {
            next: floor,
            ahead: BTreeSet::new(),
            in_flight: BTreeMap::new(),
            weight: 0,
            failed: BTreeSet::new(),
            news: None,
            single_below: 0,
        }
    }

    /// Everything below is settled.
    pub(super) fn floor(&self) -> u64 {
        let in_flight = self.in_flight.first_key_value().map(|(offset, _)| *offset);
        let failed = self.failed.first().copied();
        [in_flight, failed].into_iter().flatten().fold(self.next, u64::min)
    }

    /// The next number to be sent.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// How many above `next` are sent or settled.
    pub(super) fn ahead(&self) -> usize {
        self.ahead.len()
    }

    /// How many are not sent, and nobody has them any more.
    pub(super) fn missing(&self, journal: &Journal) -> u64 {
        let first = journal.first();
        let sent = self.ahead.range(..first).count() as u64;
        first.saturating_sub(self.next).saturating_sub(sent)
    }

    /// Sent or to be sent again, and not settled.
    pub(super) fn pending(&self) -> usize {
        self.in_flight.len() + self.failed.len()
    }

    /// How many are with the sink.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The next events to be sent; they count as in flight from now on.
    pub(super) fn plan(&mut self, journal: &Journal, reader: &mut Reader) -> Plan {
        let mut plan = Plan::default();
        if !self.failed.is_empty() {
            if !self.in_flight.is_empty() {
                return plan;
            }
            self.go_back();
        }
        if self.is_single() {
            if self.in_flight.is_empty() {
                self.plan_backlog(reader, 1, journal.next(), &mut plan);
            }
            return plan;
        }
        if self.next < journal.tail_start() {
            self.plan_news(journal, &mut plan);
        } else {
            self.news = None;
        }
        let room = if self.news.is_some() { self.room().saturating_sub(FOR_NEWS) } else { self.room() };
        let is_spread = self.next.saturating_sub(self.floor()) > SPREAD as u64;
        if room > 0 && !is_spread {
            self.plan_backlog(reader, room.min(BATCH), journal.next(), &mut plan);
        }
        plan
    }

    /// How many more may be with the sink.
    fn room(&self) -> usize {
        if self.weight < WINDOW_WEIGHT { WINDOW.saturating_sub(self.in_flight.len()) } else { 0 }
    }

    fn plan_backlog(&mut self, reader: &mut Reader, most: usize, end: u64, plan: &mut Plan) {
        if self.next >= end {
            return;
        }
        let records = reader.read(self.next, most);
        if records.is_empty() {
            // There was something, and nobody has it any more.
            plan.lost += self.pass_to(end);
        }
        for record in records {
            plan.lost += self.pass_to(record.offset);
            self.next = record.offset + 1;
            if self.ahead.remove(&record.offset) {
                continue;
            }
            self.send(record, plan);
        }
    }

    fn send(&mut self, record: Arc<Record>, plan: &mut Plan) {
        if record.is_dropped() {
            plan.lost += 1;
        } else {
            self.weight += record.weight();
            self.in_flight.insert(record.offset, Arc::clone(&record));
            plan.send.push(record);
        }
    }

    /// Passes over a hole; the width of what is lost in it.
    fn pass_to(&mut self, offset: u64) -> u64 {
        let mut lost = offset.saturating_sub(self.next);
        while let Some(sent) = self.ahead.first().copied().filter(|sent| *sent < offset) {
            self.ahead.remove(&sent);
            lost -= 1;
        }
        self.next = self.next.max(offset);
        lost
    }

    fn plan_news(&mut self, journal: &Journal, plan: &mut Plan) {
        let (next, tail_start, end) = (self.next, journal.tail_start(), journal.next());
        let room = self.room().min(BATCH);
        let news = self.news.get_or_insert_with(|| News {
            backlog_end: end,
            next: end,
            waiting: journal.keys_between(next, end),
        });
        if next >= news.backlog_end {
            // The old backlog is sent; what was put off since is the new one.
            news.backlog_end = news.next;
            news.waiting = journal.keys_between(next, news.next);
        }
        // What the backlog has passed is no news any more.
        news.next = news.next.max(next);
        if news.next < tail_start {
            // They came faster than they went: they are backlog too.
            news.waiting.join(&journal.keys_between(news.next, tail_start));
            news.next = tail_start;
        }
        if self.ahead.len() >= SPREAD {
            return;
        }
        let mut fresh = Vec::new();
        for record in journal.tail_from(news.next, room).unwrap_or_default() {
            news.next = record.offset + 1;
            if news.waiting.may_hold(&record.key) {
                news.waiting.add(&record.key);
            } else {
                fresh.push(record);
            }
        }
        for record in fresh {
            self.ahead.insert(record.offset);
            self.send(record, plan);
        }
    }

    /// The sink is done with it: it has it, or it never will.
    pub(super) fn settle(&mut self, offset: u64) -> Option<Arc<Record>> {
        let record = self.in_flight.remove(&offset)?;
        self.weight -= record.weight();
        Some(record)
    }

    /// The sink gave it back: it is sent again, and everything behind it waits for that.
    pub(super) fn fail(&mut self, offset: u64) {
        if self.settle(offset).is_some() {
            self.failed.insert(offset);
        }
    }

    /// It is sent again, and all before it, each alone.
    pub(super) fn single_out(&mut self, offset: u64) {
        self.fail(offset);
        self.single_below = self.single_below.max(offset + 1);
    }

    /// True while records are sent one at a time.
    pub(super) fn is_single(&self) -> bool {
        self.floor() < self.single_below && self.in_flight.len() <= 1 && self.failed.is_empty()
    }

    /// Takes back all that is with the sink.
    pub(super) fn fail_all(&mut self) {
        self.weight = 0;
        self.failed.extend(std::mem::take(&mut self.in_flight).into_keys());
    }

    /// Begins again at the first that failed, past those that are settled.
    fn go_back(&mut self) {
        let failed = std::mem::take(&mut self.failed);
        let Some(&first) = failed.first() else { return };
        if first < self.next {
            self.ahead.extend(first..self.next);
            self.next = first;
        }
        for offset in failed {
            self.ahead.remove(&offset);
        }
        // Who waits for whom is looked up anew.
        self.news = None;
    }
}
