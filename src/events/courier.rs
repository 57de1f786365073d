//! Carries events from the spool to a sink, and turns to the next one where there are several.
//!
//! A thread, since sinks block: a file's disk, librdkafka's own threads. It hears [`Note`]s and never polls
//! for a report. A sink that has shown no sign of life for [`PATIENCE`] while it had work is down: told once,
//! as an event, which itself takes every way that is left. Alone, a sink that is down is waited for, and keeps what it
//! has: librdkafka puts it in order when the brokers are back. With another one to turn to, it is given up at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::deadline::{Instant, now};
use crate::events::books::{Books, Tally};
use crate::events::cursor::Cursor;
use crate::events::dead_letter::DeadLetters;
use crate::events::sink::{Note, Sink, Verdict};
use crate::events::spool::{Journal, Ledger, Reader, Record};
use crate::events::{Event, EventType, Events};

/// So long a sink may say nothing.
const PATIENCE: Duration = Duration::from_secs(5);
/// So long it may when it has lamented already.
const SHORT_PATIENCE: Duration = Duration::from_millis(300);
/// How often it is looked whether that is so.
const LOOK: Duration = Duration::from_millis(100);
/// How often a sink that is down is tried, and a failed record sent again.
const AGAIN: Duration = Duration::from_secs(2);

/// One sink and what is known of it.
pub(super) struct Way {
    pub name: Arc<str>,
    pub sink: Sink,
    down: bool,
    refusing: bool,
}

impl Way {
    pub(super) fn new(name: Arc<str>, sink: Sink) -> Self {
        Self { name, sink, down: false, refusing: false }
    }
}

/// Carries events to one sink, or to the first of several that works.
pub(super) struct Courier {
    pub events: Arc<Events>,
    pub journal: Arc<Journal>,
    pub reader: Reader,
    pub ledger: Arc<Ledger>,
    pub books: Arc<Books>,
    pub tally: Tally,
    pub dead_letters: Arc<DeadLetters>,
    pub notes: Receiver<Note>,
    /// True while a wake-up is on its way: one is enough.
    pub woken: Arc<AtomicBool>,
    pub ways: Vec<Way>,
    pub cursor: Cursor,
    /// Once told to close, what can still be delivered is, until here.
    pub drain: Duration,
}

/// What changes from one turn to the next.
struct Turn {
    current: usize,
    /// A better one answers again: nothing more goes to the present one.
    back_to: Option<usize>,
    alive: Instant,
    tried: Instant,
    rest_until: Instant,
    noted: Instant,
    closing: Option<Instant>,
}

impl Courier {
    /// Runs until it is told to close.
    pub(super) fn run(mut self) {
        let start = now();
        let mut turn = Turn {
            current: 0,
            back_to: None,
            alive: start,
            tried: start,
            rest_until: start,
            noted: start,
            closing: None,
        };
        loop {
            self.fill(&mut turn);
            match self.notes.recv_timeout(LOOK) {
                Ok(note) => self.hear(note, &mut turn),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            // What else is there already, before the next look at the spool.
            while let Ok(note) = self.notes.try_recv() {
                self.hear(note, &mut turn);
            }
            self.look(&mut turn);
            self.keep_books(&mut turn, false);
            let done = self.cursor.floor() >= self.journal.next();
            if turn.closing.is_some_and(|end| done || now() >= end) {
                break;
            }
        }
        self.keep_books(&mut turn, true);
    }

    fn fill(&mut self, turn: &mut Turn) {
        if let Some(better) = turn.back_to
            && self.cursor.in_flight() == 0
        {
            (turn.current, turn.back_to) = (better, None);
            self.is_up(better);
        }
        if turn.back_to.is_some() || now() < turn.rest_until {
            return;
        }
        let was_idle = self.cursor.in_flight() == 0;
        loop {
            let plan = self.cursor.plan(&self.journal, &mut self.reader);
            if plan.lost > 0 {
                self.tally.dropped += plan.lost;
            }
            if plan.send.is_empty() {
                if plan.lost > 0 {
                    continue;
                }
                break;
            }
            if !self.send(&plan.send, turn) {
                break;
            }
        }
        self.ways[turn.current].sink.flush();
        if was_idle {
            turn.alive = now();
        }
    }

    /// False when the sink takes no more for now.
    fn send(&mut self, records: &[Arc<Record>], turn: &mut Turn) -> bool {
        for (index, record) in records.iter().enumerate() {
            match self.ways[turn.current].sink.send(record) {
                Ok(()) => {}
                Err(Verdict::Refused(reason)) => self.refused(turn.current, record.offset, &reason),
                Err(Verdict::Delivered | Verdict::Suspected(_) | Verdict::Failed(_)) => {
                    // It and all behind it come again, in order.
                    records[index..].iter().for_each(|record| self.cursor.fail(record.offset));
                    turn.rest_until = now() + LOOK;
                    return false;
                }
            }
        }
        true
    }

    fn hear(&mut self, note: Note, turn: &mut Turn) {
        match note {
            Note::Woken => self.woken.store(false, Ordering::Release),
            Note::Report { sink, generation, offset, verdict } => {
                // What a sink says of records that were taken from it is not heard: they are sent again.
                if sink == turn.current && generation == self.ways[sink].sink.generation() {
                    self.reported(offset, verdict, turn);
                }
            }
            Note::Probed { sink, answers } => {
                if answers && self.ways[sink].down && sink != turn.current {
                    if self.ways[turn.current].down {
                        self.give_up(turn);
                        turn.current = sink;
                        self.is_up(sink);
                    } else if sink < turn.current {
                        turn.back_to = Some(sink);
                    }
                }
            }
            Note::Close => turn.closing = Some(now() + self.drain),
            Note::Rotate => self.ways.iter_mut().for_each(|way| way.sink.rotate()),
        }
    }

    fn reported(&mut self, offset: u64, verdict: Verdict, turn: &mut Turn) {
        match verdict {
            Verdict::Delivered => {
                turn.alive = now();
                if self.cursor.settle(offset).is_some() {
                    self.tally.delivered += 1;
                    self.tally.sinks[turn.current].delivered += 1;
                }
                self.ways[turn.current].refusing = false;
                self.is_up(turn.current);
            }
            Verdict::Refused(reason) => {
                turn.alive = now();
                self.refused(turn.current, offset, &reason);
            }
            Verdict::Suspected(reason) if self.cursor.is_single() => {
                turn.alive = now();
                self.refused(turn.current, offset, &reason);
            }
            Verdict::Suspected(_) => {
                turn.alive = now();
                self.cursor.single_out(offset);
            }
            Verdict::Failed(reason) => {
                self.cursor.fail(offset);
                turn.rest_until = now() + AGAIN;
                self.is_down(turn, &reason);
            }
        }
    }

    /// The sink will never take it: it goes to the dead letters, and those behind it go on.
    fn refused(&mut self, way: usize, offset: u64, reason: &str) {
        let Some(record) = self.cursor.settle(offset) else { return };
        let name = Arc::clone(&self.ways[way].name);
        // Told once until the sink takes one again: telling each would be refused as well, without end.
        let is_news = !std::mem::replace(&mut self.ways[way].refusing, true);
        match self.dead_letters.keep(&name, &record, reason) {
            Ok(()) => self.tally.dead += 1,
            Err(error) if is_news => {
                let file = self.dead_letters.path().display();
                tracing::error!(sink = &*name, %file, %error, reason, "a refused event's dead letter cannot be written");
            }
            Err(_) => {}
        }
        self.tally.dropped += 1;
        if is_news {
            self.tell(
                EventType::SinkDown,
                &name,
                ("up", "refusing"),
                format!("an event is refused for good: {reason}"),
            );
        }
    }

    /// Is the sink alive, and is a better one back?
    fn look(&mut self, turn: &mut Turn) {
        let now = now();
        let way = &mut self.ways[turn.current];
        if way.sink.is_broken() && now >= turn.rest_until {
            way.sink.renew();
            self.cursor.fail_all();
            turn.rest_until = now + AGAIN;
        }
        if self.cursor.in_flight() > 0 {
            let trouble = self.ways[turn.current].sink.trouble();
            let silent = now.saturating_duration_since(turn.alive);
            if silent > PATIENCE || (trouble.is_some() && silent > SHORT_PATIENCE) {
                let reason = trouble.unwrap_or_else(|| format!("nothing confirmed for {} s", PATIENCE.as_secs()));
                self.is_down(turn, &reason);
            }
        }
        let is_anybody_down = self.ways.iter().enumerate().any(|(index, way)| way.down && index != turn.current);
        if is_anybody_down && now.saturating_duration_since(turn.tried) >= AGAIN {
            turn.tried = now;
            let (current, is_lost) = (turn.current, self.ways[turn.current].down);
            let others = self.ways.iter().enumerate().filter(|(index, _)| *index != current);
            others
                .filter(|(index, way)| way.down && (is_lost || *index < current))
                .for_each(|(_, way)| way.sink.probe());
        }
    }

    fn is_down(&mut self, turn: &mut Turn, reason: &str) {
        let current = turn.current;
        self.tally.sinks[current].down = Some(reason.to_owned());
        if !std::mem::replace(&mut self.ways[current].down, true) {
            let name = Arc::clone(&self.ways[current].name);
            self.tell(EventType::SinkDown, &name, ("up", "down"), reason.to_owned());
        }
        turn.back_to = None;
        if let Some(next) = self.ways.iter().position(|way| !way.down) {
            self.give_up(turn);
            turn.current = next;
        }
    }

    /// Takes back what the present sink has, to send it elsewhere.
    fn give_up(&mut self, turn: &mut Turn) {
        self.ways[turn.current].sink.renew();
        self.cursor.fail_all();
        let now = now();
        (turn.alive, turn.tried, turn.rest_until) = (now, now, now);
    }

    fn is_up(&mut self, index: usize) {
        if std::mem::replace(&mut self.ways[index].down, false) {
            let name = Arc::clone(&self.ways[index].name);
            self.tally.sinks[index].down = None;
            self.tell(EventType::SinkUp, &name, ("down", "up"), "it takes events again".to_owned());
        }
    }

    fn tell(&self, event: EventType, sink: &Arc<str>, (from, to): (&'static str, &'static str), reason: String) {
        self.events.raise(Event { sink: Some(Arc::clone(sink)), from, to, ..Event::of_node(event, reason) });
    }

    fn keep_books(&mut self, turn: &mut Turn, at_the_end: bool) {
        let cursor = &self.cursor;
        self.tally.pending = cursor.pending() as u64;
        self.tally.next = cursor.next();
        self.tally.ahead = cursor.ahead() as u64;
        self.tally.missing = cursor.missing(&self.journal);
        self.books.tell(&self.tally);
        // A note is a file's renaming: not one for each event.
        let now = now();
        if at_the_end || now.saturating_duration_since(turn.noted) >= LOOK {
            turn.noted = now;
            if let Err(error) = self.ledger.note(cursor.floor()) {
                tracing::debug!(%error, "how far a sink is could not be noted");
            }
        }
    }
}
