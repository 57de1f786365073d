//! One connection: read what is there, answer every whole command in it, write once, wait for more.
//!
//! No timer is armed but for a command that has begun and not ended; an idle connection is left alone
//! for ever. The clock is read once a batch. A key that must be asked for first sends what is
//! ready, then waits within its budget, and the batch goes on behind it. Of a get of many keys nothing is sent while one is waited for.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::future::join_all;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::deadline::{self, Deadline, Instant, tick_at};
use crate::front::desk::{Desk, Line};
use crate::front::listen::DrainWatch;
use crate::front::memcached::command::{Command, Keep, Refusal, Verb, Words, words};
use crate::front::memcached::dip::{Look, Wanted, look, write_hits};
use crate::front::memcached::input::{Cut, Cutter};
use crate::front::memcached::key::{Whose, whose};
use crate::front::memcached::meta::MetaLine;
use crate::front::memcached::stats::{Tally, VERSION};
use crate::front::memcached::store::Expires;
use crate::front::memcached::{Shared, meta_dip, meta_run, plain};

/// Replies are sent when they come to this much, even if more commands wait.
const OUTPUT_MARK: usize = 32 * 1024;

/// What a quiet connection keeps for reading; it grows while a client sends more at once.
const INPUT_START: usize = 2 * 1024;
const INPUT_MORE: usize = 16 * 1024;

/// A buffer larger than this is given back when it is empty.
const KEPT: usize = 64 * 1024;

/// Keys of one get that are asked for at the same time.
const SIDE_BY_SIDE: usize = 256;

const MALFORMED: &[u8] =
    b"CLIENT_ERROR bad key: inputs are `;name=value` as the policy declares them, `;budget_ms=` a whole number\r\n";

/// A connection.
pub struct Connection<S, D> {
    stream: S,
    shared: Arc<Shared<D>>,
    drain: DrainWatch,
    cutter: Cutter,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Where values are built that are not stored as they are sent.
    scratch: Vec<u8>,
    /// Where the ids are written that are looked for at once.
    ids: String,
    tally: Tally,
    /// When a command that has begun must be whole.
    due: Option<Deadline>,
}

/// This moment, twice.
#[derive(Clone, Copy)]
struct Moment {
    now: Instant,
    tick: u64,
}

impl Moment {
    fn this() -> Self {
        let now = deadline::now();
        Self { now, tick: tick_at(now) }
    }
}

/// Whether a connection goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Wait,
    Close,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send, D: Desk> Connection<S, D> {
    /// A connection that has just been accepted.
    pub fn new(stream: S, shared: Arc<Shared<D>>, drain: DrainWatch) -> Self {
        Self {
            stream,
            shared,
            drain,
            cutter: Cutter::default(),
            input: Vec::new(),
            output: Vec::new(),
            scratch: Vec::new(),
            ids: String::new(),
            tally: Tally::default(),
            due: None,
        }
    }

    /// Runs until the connection ends.
    pub async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let _present = shared.counters.connection();
        if let Err(error) = self.turns().await {
            tracing::debug!(%error, "a memcached connection broke");
        }
    }

    async fn turns(&mut self) -> io::Result<()> {
        while self.wait().await? {
            let next = self.turn().await?;
            self.send().await?;
            let idle = self.input.is_empty() && !self.cutter.is_passing();
            if next == Next::Close || (idle && self.drain.begun()) {
                return self.stream.shutdown().await;
            }
        }
        Ok(())
    }

    /// Waits for bytes; false when the connection is over.
    async fn wait(&mut self) -> io::Result<bool> {
        let wanted = self.cutter.needed().saturating_sub(self.input.len()).clamp(INPUT_START, INPUT_MORE);
        if self.input.capacity() - self.input.len() < wanted / 2 {
            self.input.reserve(wanted);
        }
        if let Some(due) = self.due {
            return match due.limit(self.stream.read_buf(&mut self.input)).await {
                Some(read) => Ok(read? > 0),
                None => {
                    self.output.extend_from_slice(b"CLIENT_ERROR the command was not finished in time\r\n");
                    self.send().await?;
                    Ok(false)
                }
            };
        }
        tokio::select! {
            biased;
            read = self.stream.read_buf(&mut self.input) => Ok(read? > 0),
            () = self.drain.wait() => Ok(false),
        }
    }

    /// Answers every whole command in the input.
    async fn turn(&mut self) -> io::Result<Next> {
        let mut moment = Moment::this();
        let input = std::mem::take(&mut self.input);
        let mut at = 0;
        let next = loop {
            match self.cutter.cut(&input[at..]) {
                Cut::Partial => break Next::Wait,
                Cut::Foreign => break Next::Close,
                Cut::Passed(length) => {
                    at += length;
                    if at == input.len() {
                        break Next::Wait;
                    }
                }
                Cut::Refused(refusal, length) => {
                    at += length;
                    self.refuse(&refusal);
                }
                Cut::TooLarge { key, reply, quiet, length } => {
                    at += length;
                    plain::forget_outgrown(&key, &self.shared.store, moment.tick);
                    self.say(quiet, reply);
                }
                Cut::Command(Command::Quit, ..) => break Next::Close,
                Cut::Command(command, value, length) => {
                    at += length;
                    self.answer(command, value, &mut moment).await?;
                }
            }
            if self.output.len() >= OUTPUT_MARK {
                self.send().await?;
            }
        };
        self.shared.counters.add(&mut self.tally);
        self.input = input;
        self.took(at, moment.now);
        Ok(next)
    }

    async fn answer(&mut self, command: Command<'_>, value: &[u8], moment: &mut Moment) -> io::Result<()> {
        let tick = moment.tick;
        match command {
            Command::Get { keys, with_cas, touch } => return self.get(keys, with_cas, touch, moment).await,
            Command::Meta(line) => return self.meta(&line, value, moment).await,
            Command::Keep(keep) => self.keep(&keep, value, tick),
            Command::Delete { key, quiet } => self.delete(key, quiet, tick),
            Command::Count { key, delta, up, quiet } => {
                let start = self.output.len();
                plain::count(key, delta, up, &self.shared.store, tick, &mut self.output);
                if quiet {
                    self.output.truncate(start);
                }
            }
            Command::Touch { key, exptime, quiet } => {
                let reply = plain::touch(key, exptime, &self.shared.store, tick);
                self.say(quiet, reply);
            }
            Command::FlushAll { delay, quiet } => {
                self.shared.store.flush(Expires::of(delay, tick), tick);
                self.say(quiet, b"OK\r\n");
            }
            Command::Verbosity { quiet } => self.say(quiet, b"OK\r\n"),
            Command::Version => {
                self.say(false, b"VERSION ");
                self.say(false, VERSION.as_bytes());
                self.say(false, b"\r\n");
            }
            Command::Stats(of) => self.stats(of),
            Command::Nothing => self.say(false, b"MN\r\n"),
            // Handled by the turn, which ends with it.
            Command::Quit => {}
        }
        Ok(())
    }

    /// `get` and its kin. What needs no waiting is written at once; from the first key on that does, all are waited
    /// for side by side and written in the order in which they were asked for.
    async fn get(&mut self, keys: &[u8], with_cas: bool, touch: Option<i64>, moment: &mut Moment) -> io::Result<()> {
        let mut left = words(keys);
        loop {
            let Shared { desk, form, .. } = &*self.shared;
            let Self { scratch, ids, .. } = self;
            let mut wanted = Wanted { form, with_cas, tick: moment.tick, scratch, ids };
            let written = write_hits(&**desk, &mut left, &mut wanted, &mut self.output);
            self.tally.gets += written.keys as u64;
            self.tally.hits += written.values as u64;
            if self.output.len() >= OUTPUT_MARK {
                self.send().await?;
            }
            let Some(key) = left.next() else { break };
            let is_alone = key.len() == keys.trim_ascii().len();
            match look(&*self.shared.desk, key, &self.shared.form, moment.tick) {
                // One bad key among many must not cost the others.
                Look::Malformed if is_alone => {
                    self.say(false, MALFORMED);
                    return Ok(());
                }
                Look::Asking(asking) => {
                    self.send().await?;
                    // Boxed, so that a connection is not always as big as a dip.
                    Box::pin(self.get_side_by_side((key, Look::Asking(asking)), left, with_cas, touch, moment)).await?;
                    break;
                }
                look => self.write(key, &look, with_cas, touch, moment.tick),
            }
        }
        self.say(false, b"END\r\n");
        Ok(())
    }

    async fn get_side_by_side<'a>(
        &mut self,
        first: (&'a [u8], Look<D::Line>),
        left: Words<'a>,
        with_cas: bool,
        touch: Option<i64>,
        moment: &mut Moment,
    ) -> io::Result<()> {
        let since = moment.now;
        let mut keys = vec![first.0];
        let mut looks = vec![first.1];
        for key in left {
            keys.push(key);
            looks.push(look(&*self.shared.desk, key, &self.shared.form, moment.tick));
        }
        let mut looks = looks.into_iter();
        for keys in keys.chunks(SIDE_BY_SIDE) {
            // All of them, before the first is sent: a client that does not read must not hold up a fetch that others wait for.
            let looks = join_all(looks.by_ref().take(keys.len()).map(|look| settle(look, since))).await;
            *moment = Moment::this();
            for (key, look) in keys.iter().zip(&looks) {
                self.write(key, look, with_cas, touch, moment.tick);
                if self.output.len() >= OUTPUT_MARK {
                    self.send().await?;
                    *moment = Moment::this();
                }
            }
        }
        Ok(())
    }

    /// Writes `VALUE …` for a key that needs no more waiting, or nothing for a miss.
    fn write(&mut self, key: &[u8], look: &Look<D::Line>, with_cas: bool, touch: Option<i64>, tick: u64) {
        self.tally.gets += 1;
        let out = &mut self.output;
        let hit = match look {
            Look::Plain => plain::get(key, with_cas, touch, &self.shared.store, tick, out),
            // Flags 0: that is how Kamailio knows a number.
            Look::Flag(up) => {
                plain::write_value(key, 0, if *up { b"1" } else { b"0" }, with_cas.then_some(0), out);
                true
            }
            Look::Said(said) => said.write(key, with_cas, &mut self.scratch, out),
            Look::Miss | Look::Malformed | Look::Asking(_) => false,
        };
        self.tally.hits += u64::from(hit);
    }

    async fn meta(&mut self, line: &MetaLine<'_>, value: &[u8], moment: &mut Moment) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        match whose(&*shared.desk, &line.key) {
            Whose::Plain => {
                meta_run::run(line, value, &shared.store, moment.tick, &mut self.output);
                Ok(())
            }
            Whose::Flag(up) => {
                meta_dip::flag(line, up, &mut self.output);
                Ok(())
            }
            Whose::Lookup(asked) => {
                self.send().await?;
                Box::pin(meta_dip::run(line, asked, &shared.form, moment.now, &mut self.scratch, &mut self.output))
                    .await;
                *moment = Moment::this();
                Ok(())
            }
        }
    }

    /// A plain key keeps the value. A lookup's is warmed: what was sent is no answer of a vendor's.
    fn keep(&mut self, keep: &Keep<'_>, value: &[u8], tick: u64) {
        self.tally.sets += 1;
        let reply = match whose(&*self.shared.desk, keep.key) {
            Whose::Plain => plain::keep(keep, value, &self.shared.store, tick),
            Whose::Lookup(asked) if keep.verb == Verb::Set => match asked.pose() {
                Ok(posed) => {
                    asked.line.warm(&posed.question);
                    b"STORED\r\n"
                }
                Err(_) => MALFORMED,
            },
            Whose::Lookup(_) | Whose::Flag(_) => b"NOT_STORED\r\n",
        };
        self.say(keep.quiet, reply);
    }

    fn delete(&mut self, key: &[u8], quiet: bool, tick: u64) {
        let reply: &[u8] = match whose(&*self.shared.desk, key) {
            Whose::Plain => plain::delete(key, &self.shared.store, tick),
            Whose::Lookup(asked) => match asked.pose() {
                Ok(posed) if asked.line.forget(&posed.question) => b"DELETED\r\n",
                Ok(_) => b"NOT_FOUND\r\n",
                Err(_) => MALFORMED,
            },
            Whose::Flag(_) => b"NOT_FOUND\r\n",
        };
        self.say(quiet, reply);
    }

    fn stats(&mut self, of: &[u8]) {
        match of {
            b"" => self.shared.counters.tell(self.shared.store.fill(), &mut self.output),
            b"reset" => {
                self.shared.counters.reset();
                self.say(false, b"RESET\r\n");
            }
            // Tools ask for these; there are no slabs here to tell of.
            b"items" | b"slabs" | b"settings" | b"conns" | b"extstore" => self.say(false, b"END\r\n"),
            b"sizes" => self.say(false, b"STAT sizes_status disabled\r\nEND\r\n"),
            _ => self.refuse(&Refusal::UNKNOWN),
        }
    }

    fn refuse(&mut self, refusal: &Refusal) {
        if !refusal.quiet {
            self.output.extend_from_slice(refusal.reply.as_bytes());
            self.output.extend_from_slice(b"\r\n");
        }
    }

    fn say(&mut self, quiet: bool, reply: &[u8]) {
        if !quiet {
            self.output.extend_from_slice(reply);
        }
    }

    /// Forgets the first `at` bytes of the input; what is left is the start of a command.
    fn took(&mut self, at: usize, now: Instant) {
        if at == self.input.len() {
            self.input.clear();
            self.due = None;
            if self.input.capacity() > KEPT {
                self.input = Vec::new();
            }
            return;
        }
        self.input.drain(..at);
        if at > 0 || self.due.is_none() {
            self.due = Some(Deadline::at(now + self.shared.settings.command_time));
        }
    }

    /// Writes the output. Nearly always the socket takes it at once, and no timer is made.
    async fn send(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        let taken = poll_fn(|cx| match Pin::new(&mut self.stream).poll_write(cx, &self.output) {
            Poll::Pending => Poll::Ready(Ok(0)),
            ready => ready,
        })
        .await?;
        if taken < self.output.len() {
            timeout(self.shared.settings.write_time, self.stream.write_all(&self.output[taken..]))
                .await
                .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the client does not read its replies"))??;
        }
        self.output.clear();
        if self.output.capacity() > 2 * KEPT {
            self.output = Vec::new();
        }
        Ok(())
    }
}

/// Waits where waiting is to be done.
async fn settle<L: Line>(look: Look<L>, since: Instant) -> Look<L> {
    match look {
        Look::Asking(asking) => Look::Said(asking.answer(since).await),
        look => look,
    }
}
