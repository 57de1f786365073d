//! One lookup's part in the cluster's mind: reads the node document, adds its own vote, turns the verdict when it is
//! the one to do so.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::cache::SharedCache;
use crate::cache::shared::Fault;
use crate::config::Quorum;
use crate::deadline::{Instant, calendar, now};
use crate::health::Override;
use crate::health::flags::document::{Document, News, Orders, Vote};

/// A vote that is not renewed for this long belongs to a dead node.
const EXPIRES: Duration = Duration::from_secs(3);
/// Between two times that a node renews its vote, in milliseconds.
const RENEW: u64 = 800;
/// Without the document for this long, a node decides alone.
const ALONE: Duration = Duration::from_millis(1500);
/// How often a beat is tried when other nodes write at the same moment.
const TRIES: usize = 8;

/// One lookup's part in the cluster's mind. Lives through reloads.
#[derive(Debug, Default)]
pub struct Mind {
    /// The era of the last flush; zero until it is known.
    era: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    orders: Orders,
    /// The latest document.
    view: Document,
    /// When it was read.
    read: Option<Instant>,
    /// The same, in milliseconds since 1970.
    read_ms: u64,
    /// The highest epoch that this node has told of.
    told: u64,
    /// When the current epoch was first seen.
    epoch_seen: Option<(u64, Instant)>,
    /// What each node's vote said of its time, and when that last changed: other nodes' clocks are not ours.
    seen: HashMap<String, (u64, Instant)>,
}

/// What a node does with the document.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// It votes.
    Votes(&'a Vote),
    /// It stops, and its vote with it.
    Leaves,
    /// It goes on without this lookup. If it was the last to have it, what was told to be broken is told to be over.
    GivesUp,
}

/// What a beat brought.
#[derive(Clone, Debug, Default)]
pub struct Beaten {
    /// Orders of operators at other nodes.
    pub news: News,
    /// The verdict's turns that this node must tell of.
    pub tell: Vec<Turn>,
}

/// The verdict has turned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// To this.
    pub up: bool,
    /// The epoch that began with it.
    pub epoch: u64,
    /// Why, in words.
    pub reason: String,
}

impl Mind {
    /// The era that answers must be of; `None` until this node has met the others' memory.
    pub fn era(&self) -> Option<u64> {
        Some(self.era.load(Ordering::Acquire)).filter(|era| *era > 0)
    }

    /// When this key was flushed, in milliseconds since 1970.
    pub fn flushed(&self, id: &str) -> Option<u64> {
        self.inner.lock().orders.flushed(id)
    }

    /// Remembers that an operator has laid a hand on the flag.
    pub fn lay(&self, hand: Override) {
        let mut inner = self.inner.lock();
        inner.orders.hand_at = calendar().max(inner.orders.hand_at + 1);
        hand.as_str().clone_into(&mut inner.orders.hand);
    }

    /// As [`Mind::lay`], at a time that every node was told; false when a later hand counts, or this one was laid.
    pub fn lay_as_told(&self, hand: Override, at: u64) -> bool {
        let mut inner = self.inner.lock();
        let is_news = at > inner.orders.hand_at;
        if is_news {
            inner.orders.hand_at = at;
            hand.as_str().clone_into(&mut inner.orders.hand);
        }
        is_news
    }

    /// As [`Mind::flush`], at a time that every node was told. Where another one has begun that era already, no further
    /// one begins.
    pub fn flush_as_told(&self, at: u64) {
        let mut inner = self.inner.lock();
        if !Orders::is_told(inner.orders.era, at) {
            inner.orders.flush(at);
        }
        drop(inner);
        self.enter_era();
    }

    /// As [`Mind::flush_key`], at a time that every node was told; false where that flush is known.
    pub fn flush_key_as_told(&self, id: &str, at: u64) -> bool {
        let mut inner = self.inner.lock();
        let orders = &inner.orders;
        let latest = orders.flushed.get(id).copied().unwrap_or_default().max(orders.era);
        let is_news = !Orders::is_told(latest, at);
        if is_news {
            inner.orders.flush_key(id, at);
        }
        is_news
    }

    /// Remembers that everything is flushed: a new era begins.
    pub fn flush(&self) {
        self.inner.lock().orders.flush(calendar());
        self.enter_era();
    }

    /// Remembers that one key is flushed.
    pub fn flush_key(&self, id: &str) {
        self.inner.lock().orders.flush_key(id, calendar());
    }

    /// Remembers that every key is flushed that begins so.
    pub fn flush_prefix(&self, prefix: &str) {
        self.inner.lock().orders.flush_prefix(prefix, calendar());
        self.enter_era();
    }

    /// As [`Mind::flush_prefix`], at a time that every node was told.
    pub fn flush_prefix_as_told(&self, prefix: &str, at: u64) {
        let mut inner = self.inner.lock();
        let orders = &inner.orders;
        let latest = orders.prefixes.get(prefix).copied().unwrap_or_default().max(orders.era);
        if !Orders::is_told(latest, at) {
            inner.orders.flush_prefix(prefix, at);
        }
        drop(inner);
        self.enter_era();
    }

    /// Has all nodes know this word, under this name, for so long.
    pub fn note(&self, name: &str, text: &str, life: Duration) {
        let life = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
        self.inner.lock().orders.note(name, text, calendar(), life);
    }

    /// As [`Mind::note`], said at a time that every node was told; false where a word is known that is as late or later.
    pub fn note_as_told(&self, name: &str, text: &str, at: u64, life: Duration) -> bool {
        let life = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
        self.inner.lock().orders.note_as_told(name, text, at, life)
    }

    /// From now on answers must be of the latest era. One that only this node knows says nothing about what the servers
    /// hold: it counts once the document was read.
    pub fn enter_era(&self) {
        let inner = self.inner.lock();
        if inner.read.is_some() {
            self.era.store(inner.orders.era, Ordering::Release);
        }
    }

    /// Notes that this node has turned the flag by itself; the epoch that began with it, if the others' is known. Nodes
    /// that part in one epoch and see the same tell it under the same number.
    pub fn turn_alone(&self, up: bool, node: &str, reason: &str) -> Option<u64> {
        let mut inner = self.inner.lock();
        inner.read?;
        let view = &mut inner.view;
        view.epoch += 1;
        (view.up, view.since, view.told) = (up, calendar(), true);
        node.clone_into(&mut view.by);
        reason.clone_into(&mut view.reason);
        let epoch = view.epoch;
        inner.told = epoch;
        Some(epoch)
    }

    /// The cluster's view; `None` when this node has not heard the others for a while and decides alone.
    pub fn view(&self, now: Instant) -> Option<Document> {
        let inner = self.inner.lock();
        inner.read.filter(|read| now.duration_since(*read) < ALONE).map(|_| inner.view.clone())
    }

    /// Reads the document, has this node take its part in it, and writes it back if anything is new.
    ///
    /// # Errors
    /// When the document's server does not answer.
    pub async fn beat(
        &self,
        shared: &SharedCache,
        lookup: &str,
        node: &str,
        part: Part<'_>,
        quorum: Quorum,
    ) -> Result<Beaten, Fault> {
        let mut beaten = Beaten::default();
        for _ in 0..TRIES {
            match self.step(shared, lookup, node, part, quorum, &mut beaten).await {
                Ok(true) => break,
                Ok(false) => {}
                // Orders that came with a step that failed later are learned all the same: they must be carried out.
                Err(_) if beaten.news != News::default() => break,
                Err(fault) => return Err(fault),
            }
        }
        Ok(beaten)
    }

    /// One try: true when nothing is left to do.
    async fn step(
        &self,
        shared: &SharedCache,
        lookup: &str,
        node: &str,
        part: Part<'_>,
        quorum: Quorum,
        beaten: &mut Beaten,
    ) -> Result<bool, Fault> {
        let found = shared.read("nodes", lookup).await?;
        let (mut document, version) = match found {
            // What does not parse was not written by one of us, and is written over.
            Some((bytes, version)) => (serde_json::from_slice(&bytes).unwrap_or_default(), Some(version)),
            None => (Document::default(), None),
        };
        let before = document.clone();
        let turn = self.consider(&mut document, node, part, quorum, &mut beaten.news);
        if document == before && version.is_some() {
            self.inner.lock().view = document;
            return Ok(true);
        }
        let text = serde_json::to_vec(&document).map_err(|_| Fault::Garbage)?;
        if !shared.swap(("nodes", lookup), text, version, 0).await? {
            // Another node was faster. A little later, and not in step with it.
            tokio::time::sleep(Duration::from_micros(fastrand::u64(100..3000))).await;
            return Ok(false);
        }
        let mut inner = self.inner.lock();
        inner.view = document;
        if let Some(turn) = turn {
            // That it is told is written down by the next beat, when it is: a node that is killed before has an heir.
            inner.told = turn.epoch;
            beaten.tell.push(turn);
        }
        Ok(true)
    }

    /// What this node makes of the document: changes it, and says what must be told once it is written.
    fn consider(
        &self,
        document: &mut Document,
        node: &str,
        part: Part<'_>,
        quorum: Quorum,
        news: &mut News,
    ) -> Option<Turn> {
        let (now, now_ms) = (now(), calendar());
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        exchange_orders(inner, document, now_ms, news);
        (inner.read, inner.read_ms) = (Some(now), now_ms);
        if document.epoch == 0 {
            // Seconds are never caught up with by one turn after the other: no epoch comes twice, not even when
            // all memory was lost.
            document.epoch = now_ms / 1000;
        }
        if document.epoch < inner.view.epoch {
            // A document of yesterday, or a new one: the verdict goes on from where we know it to be.
            let known = &inner.view;
            (document.epoch, document.up, document.since) = (known.epoch, known.up, known.since);
            (document.by, document.reason, document.told) = (known.by.clone(), known.reason.clone(), known.told);
        }
        let vote = if let Part::Votes(vote) = part { Some(vote) } else { None };
        cast(inner, document, node, vote, now, now_ms);
        match part {
            Part::Votes(_) => turn(inner, document, node, quorum, now, now_ms),
            // Who stays decides what becomes of it without us.
            Part::Leaves => None,
            Part::GivesUp if document.nodes.is_empty() && !document.up => {
                Some(turn_to(document, node, true, "its policy is gone".to_owned(), now_ms))
            }
            Part::GivesUp => None,
        }
    }
}

/// The document and this node tell each other what was ordered.
fn exchange_orders(inner: &mut Inner, document: &mut Document, now_ms: u64, news: &mut News) {
    document.orders.expire(now_ms);
    inner.orders.expire(now_ms);
    let learned = inner.orders.learn(&document.orders, inner.read_ms);
    if inner.orders.era == 0 {
        inner.orders.era = now_ms;
    }
    document.orders.learn(&inner.orders, now_ms);
    news.hand = learned.hand.or(news.hand);
    news.flush |= learned.flush;
    news.forget.extend(learned.forget);
    news.prefixes.extend(learned.prefixes);
    news.notes.extend(learned.notes);
}

/// Takes the dead out and puts this node's vote in, if it is new or due.
fn cast(inner: &mut Inner, document: &mut Document, node: &str, vote: Option<&Vote>, now: Instant, now_ms: u64) {
    inner.seen.retain(|name, _| document.nodes.contains_key(name));
    for (name, vote) in &document.nodes {
        let seen = inner.seen.entry(name.clone()).or_insert((vote.at, now));
        if seen.0 != vote.at {
            *seen = (vote.at, now);
        }
    }
    let lives = |(name, (_, changed)): (&String, &(u64, Instant))| {
        (name != node && now.duration_since(*changed) < EXPIRES).then(|| name.clone())
    };
    let living: BTreeSet<String> = inner.seen.iter().filter_map(lives).collect();
    let own = document.nodes.get(node).cloned();
    document.keep_nodes(&living);
    if let Some(vote) = vote {
        let renewed = Vote { at: now_ms, ..vote.clone() };
        let same = own.filter(|own| Vote { at: now_ms, ..own.clone() } == renewed && now_ms < own.at + RENEW);
        document.nodes.insert(node.to_owned(), same.unwrap_or(renewed));
    }
}

/// Turns the verdict if it must be turned, or takes over telling of it from a node that died before it could.
fn turn(
    inner: &mut Inner,
    document: &mut Document,
    node: &str,
    quorum: Quorum,
    now: Instant,
    now_ms: u64,
) -> Option<Turn> {
    if inner.epoch_seen.is_none_or(|(epoch, _)| epoch != document.epoch) {
        inner.epoch_seen = Some((document.epoch, now));
    }
    if !document.told {
        let waited = inner.epoch_seen.map_or(Duration::ZERO, |(_, since)| now.duration_since(since));
        if document.by != node && waited < EXPIRES {
            return decide(document, node, quorum, now_ms);
        }
        document.told = true;
        if inner.told < document.epoch {
            // Ours, and the answer to our `cas` was lost; or its owner is gone.
            return Some(Turn { up: document.up, epoch: document.epoch, reason: document.reason.clone() });
        }
    }
    decide(document, node, quorum, now_ms)
}

fn decide(document: &mut Document, node: &str, quorum: Quorum, now_ms: u64) -> Option<Turn> {
    let (up, reason) = match document.orders.hand() {
        Override::Up => (true, "by the operator's hand".to_owned()),
        Override::Down => (false, "by the operator's hand".to_owned()),
        // Nobody has an opinion: it stays as it is.
        Override::Auto if document.voters().next().is_none() => return None,
        Override::Auto => (document.verdict(quorum), reason(document)),
    };
    (up != document.up).then(|| turn_to(document, node, up, reason, now_ms))
}

fn turn_to(document: &mut Document, node: &str, up: bool, reason: String, now_ms: u64) -> Turn {
    document.epoch += 1;
    (document.up, document.since, document.told) = (up, now_ms, false);
    node.clone_into(&mut document.by);
    document.reason.clone_from(&reason);
    Turn { up, epoch: document.epoch, reason }
}

/// Why, in words: how many nodes see it down, and what one of them says.
fn reason(document: &Document) -> String {
    let living = document.voters().count();
    let no: Vec<_> = document.voters().filter(|vote| !vote.up).collect();
    match no.first() {
        Some(vote) => format!("{} of {living} nodes see it down: {}", no.len(), vote.reason),
        None => format!("none of {living} nodes sees it down"),
    }
}
