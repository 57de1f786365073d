//! The thread between the queue and the spool, and the start and the end of all that runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, UNIX_EPOCH};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::config::{self, EventsMode, Node};
use crate::deadline::{Instant, now, wall_clock};
use crate::events::books::{Books, SinkFigures, Tally};
use crate::events::courier::{Courier, Way};
use crate::events::cursor::Cursor;
use crate::events::dead_letter::DeadLetters;
use crate::events::form::Scribe;
use crate::events::losses::Losses;
use crate::events::sink::{CannotMake, Note, Sink};
use crate::events::spool::{CannotOpen, Draft, Journal, Limits};
use crate::events::{Event, Events, Figures, log};

/// Events that may wait between `raise` and the spool: some milliseconds of a storm.
const QUEUE: usize = 65_536;
/// The most that is spooled with one sync.
const BATCH: usize = 4_096;
/// How often the queue is looked into. Nobody wakes the teller: waking is a system call, and a call would pay it.
const LOOK: Duration = Duration::from_millis(5);
/// How often old segments are taken away and a disk in trouble is tried again.
const CHORES: Duration = Duration::from_secs(1);
/// A disk in trouble is lamented once in this time.
const QUIET: Duration = Duration::from_secs(60);

/// What stands in the queue.
#[derive(Debug)]
pub enum Post {
    /// An event.
    Event(Arc<Event>),
    /// Wants to know when all before it is on disk.
    Mark(oneshot::Sender<()>),
}

/// Why events cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum CannotStart {
    /// The spool.
    #[error(transparent)]
    Spool(#[from] CannotOpen),
    /// A sink.
    #[error(transparent)]
    Sink(#[from] CannotMake),
    /// They run already.
    #[error("events are started twice")]
    Twice,
    /// The system.
    #[error("no thread for the events")]
    Thread(#[source] std::io::Error),
}

/// The spool and its couriers, running.
#[derive(Debug)]
pub struct Running {
    events: Arc<Events>,
    journal: Arc<Journal>,
    books: Vec<Arc<Books>>,
    lines: Vec<Line>,
    closing: Arc<AtomicBool>,
    /// The teller first; taken when they are waited for.
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// A courier's ear.
#[derive(Clone, Debug)]
struct Line {
    notes: Sender<Note>,
    woken: Arc<AtomicBool>,
}

impl Line {
    fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            let _ = self.notes.send(Note::Woken);
        }
    }
}

impl Running {
    /// Opens the spool, makes the sinks and starts to carry. Waits for no broker. After `drain`, told to close,
    /// couriers leave the rest in the spool.
    ///
    /// # Errors
    /// When another process has the spool, or librdkafka does not know a property.
    pub fn start(
        events: &Arc<Events>,
        config: &config::Events,
        node: &Node,
        drain: Duration,
    ) -> Result<Self, CannotStart> {
        let limits = Limits { bytes: config.spool_max, age: config.spool_age, when_full: config.when_full };
        let journal = Arc::new(Journal::open(&config.spool, limits)?);
        let dead_letters = Arc::new(DeadLetters::beside(&config.spool));
        let mut running = Self {
            events: Arc::clone(events),
            journal: Arc::clone(&journal),
            books: Vec::new(),
            lines: Vec::new(),
            closing: Arc::default(),
            threads: Mutex::default(),
        };
        let groups: Vec<(&str, &[config::Sink])> = match config.mode {
            EventsMode::Failover if config.sinks.len() > 1 => vec![("failover", &config.sinks)],
            EventsMode::Failover | EventsMode::All => {
                config.sinks.iter().map(|sink| (sink.name(), std::slice::from_ref(sink))).collect()
            }
        };
        let mut couriers = Vec::new();
        for (name, sinks) in groups {
            couriers.push(running.courier(name, sinks, config.form, &dead_letters, drain)?);
        }
        let (queue, waiting) = sync_channel(QUEUE);
        events.queue.set(queue).map_err(|_| CannotStart::Twice)?;
        let teller = Teller {
            waiting,
            scribe: Scribe::new(node.clone(), config.form, wall_clock()),
            seq: 0,
            journal,
            events: Arc::clone(events),
            lines: running.lines.clone(),
            books: running.books.clone(),
            losses: Losses::default(),
            closing: Arc::clone(&running.closing),
            marks: Vec::new(),
            lamented: None,
            trouble: false,
        };
        running.threads.get_mut().push(thread("events", move || teller.run())?);
        for courier in couriers {
            running.threads.get_mut().push(thread("events-courier", move || courier.run())?);
        }
        Ok(running)
    }

    fn courier(
        &mut self,
        name: &str,
        sinks: &[config::Sink],
        form: config::EventsForm,
        dead_letters: &Arc<DeadLetters>,
        drain: Duration,
    ) -> Result<Courier, CannotStart> {
        let (notes, heard) = channel();
        let ways = sinks
            .iter()
            .enumerate()
            .map(|(index, sink)| Ok(Way::new(sink.name().into(), Sink::make(sink, form, index, &notes)?)))
            .collect::<Result<Vec<_>, CannotMake>>()?;
        let (reader, ledger) = self.journal.reader(name);
        let sinks =
            ways.iter().map(|way| SinkFigures { name: Arc::clone(&way.name), delivered: 0, down: None }).collect();
        let tally = Tally { next: ledger.floor(), sinks, ..Tally::default() };
        let books = Arc::new(Books::new(name.into(), Arc::clone(&self.journal), ledger.floor(), tally.clone()));
        let woken = Arc::new(AtomicBool::new(false));
        self.books.push(Arc::clone(&books));
        self.lines.push(Line { notes, woken: Arc::clone(&woken) });
        Ok(Courier {
            events: Arc::clone(&self.events),
            journal: Arc::clone(&self.journal),
            reader,
            cursor: Cursor::new(ledger.floor()),
            ledger,
            books,
            tally,
            dead_letters: Arc::clone(dead_letters),
            notes: heard,
            woken,
            ways,
            drain,
        })
    }

    /// The books of every way out.
    pub fn figures(&self) -> Vec<(Arc<str>, Figures)> {
        let lost = self.events.lost.load(Ordering::Relaxed);
        self.books.iter().map(|books| (Arc::clone(&books.name), books.figures(lost))).collect()
    }

    /// The spool.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Has every file sink begin a new file.
    pub fn rotate(&self) {
        for line in &self.lines {
            let _ = line.notes.send(Note::Rotate);
        }
    }

    /// Spools what is raised so far, delivers what can be delivered within the drain time, and ends. Blocks.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
        let mut threads = std::mem::take(&mut *self.threads.lock()).into_iter();
        // A thread that panicked has said so itself.
        threads.next().map(JoinHandle::join);
        for line in &self.lines {
            let _ = line.notes.send(Note::Close);
        }
        threads.for_each(|courier| drop(courier.join()));
        self.journal.close();
    }
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, CannotStart> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(CannotStart::Thread)
}

struct Teller {
    events: Arc<Events>,
    waiting: Receiver<Post>,
    scribe: Scribe,
    seq: u64,
    journal: Arc<Journal>,
    lines: Vec<Line>,
    books: Vec<Arc<Books>>,
    closing: Arc<AtomicBool>,
    /// Answered once the disk has what came before them.
    marks: Vec<oneshot::Sender<()>>,
    lamented: Option<Instant>,
    trouble: bool,
    losses: Losses,
}

impl Teller {
    fn run(mut self) {
        let mut chores = now();
        loop {
            // Looked at before the queue: what was raised before the word to close is in it then.
            let closing = self.closing.load(Ordering::Acquire);
            let came = self.turn();
            if now().saturating_duration_since(chores) >= CHORES {
                chores = now();
                self.journal.tidy(clock_ms());
                if self.trouble || self.journal.trouble().is_some() {
                    self.write();
                }
                let unspooled = self.events.lost.load(Ordering::Relaxed);
                let lost = self.books.iter().map(|books| books.figures(unspooled).lost()).max();
                self.losses.tell(lost.unwrap_or(unspooled), chores, &self.events);
            }
            match (came, closing) {
                (false, true) => return,
                (false, false) => std::thread::sleep(LOOK),
                (true, _) => {}
            }
        }
    }

    /// Spools what has come; false when nothing has.
    fn turn(&mut self) -> bool {
        let mut drafts = Vec::new();
        let marks = self.marks.len();
        while drafts.len() < BATCH {
            match self.waiting.try_recv() {
                Ok(Post::Event(event)) => drafts.push(self.draft(event)),
                Ok(Post::Mark(mark)) => self.marks.push(mark),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        if drafts.is_empty() && self.marks.len() == marks {
            return false;
        }
        self.journal.append(drafts, clock_ms());
        self.lines.iter().for_each(Line::wake);
        self.write();
        true
    }

    fn draft(&mut self, event: Arc<Event>) -> Draft {
        self.seq += 1;
        let draft = Draft {
            key: self.scribe.key(&event).into(),
            text: self.scribe.write(self.seq, &event).into(),
            summary: event.event.is_summary(),
        };
        log::line(&event);
        draft
    }

    fn write(&mut self) {
        match self.journal.write() {
            Ok(()) => {
                self.trouble = false;
                // Whoever asked may have gone away.
                for mark in self.marks.drain(..) {
                    let _ = mark.send(());
                }
            }
            Err(error) => {
                self.trouble = true;
                let now = now();
                if self.lamented.is_none_or(|lamented| now.saturating_duration_since(lamented) >= QUIET) {
                    self.lamented = Some(now);
                    tracing::error!(%error, "the spool cannot be written; events wait in memory, as many as fit");
                }
            }
        }
    }
}

/// The wall clock in milliseconds; 1970 for a clock before that.
fn clock_ms() -> u64 {
    wall_clock().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}
