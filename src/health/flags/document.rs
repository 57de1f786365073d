//! The node document `{prefix}nodes:{lookup}`: what each node sees, and what all of them make of it. Pure data.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::config::Quorum;
use crate::health::Override;

/// The most prefixes that are remembered as flushed; one more flushes everything.
const MOST_PREFIXES: usize = 64;

/// The most single keys that are remembered as flushed.
const MOST_FLUSHED: usize = 256;
/// The most words to all nodes that are remembered.
const MOST_NOTES: usize = 64;
/// Two nodes' clocks may differ by this much, in milliseconds.
const SKEW: u64 = 10_000;

/// One lookup in the cluster's eyes. A field that another version does not know is left out, never an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Document {
    /// Counts the verdicts; never goes back.
    pub epoch: u64,
    /// The verdict.
    pub up: bool,
    /// When it was turned, in milliseconds since 1970.
    pub since: u64,
    /// The node whose `cas` turned it, and which tells of it.
    pub by: String,
    /// Why, in words.
    pub reason: String,
    /// True once somebody has told of it.
    pub told: bool,
    /// What is remembered whatever the nodes do.
    #[serde(flatten)]
    pub orders: Orders,
    /// The nodes that live, by name.
    pub nodes: BTreeMap<String, Vote>,
}

impl Default for Document {
    fn default() -> Self {
        Self {
            epoch: 0,
            up: true,
            since: 0,
            by: String::new(),
            reason: String::new(),
            told: true,
            orders: Orders::default(),
            nodes: BTreeMap::new(),
        }
    }
}

/// What operators have ordered. The latest order wins, wherever it was kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Orders {
    /// `up`, `down` or `auto`.
    pub hand: String,
    /// When the hand was laid, in milliseconds since 1970.
    pub hand_at: u64,
    /// When all was flushed, in milliseconds since 1970; where nothing ever was, when the document began.
    pub era: u64,
    /// Single keys that were flushed, and when.
    pub flushed: BTreeMap<String, u64>,
    /// Prefixes of keys that were flushed, and when. In the shared memory nobody finds these keys to take them away, so a
    /// prefix is remembered until all is flushed.
    pub prefixes: BTreeMap<String, u64>,
    /// Single flushes up to here, in milliseconds since 1970, are not remembered any more.
    pub forgotten: u64,
    /// Words to all nodes, by name.
    pub notes: BTreeMap<String, Note>,
}

/// A word to all nodes: one that was away hears it later, as long as it counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Note {
    /// The word.
    pub text: String,
    /// When it was said, in milliseconds since 1970: the latest under a name counts.
    pub at: u64,
    /// Until when it counts, in milliseconds since 1970.
    pub until: u64,
}

/// What one node sees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Vote {
    /// Whether any upstream is usable.
    pub up: bool,
    /// When it was written, in milliseconds since 1970: a vote that is not renewed expires.
    pub at: u64,
    /// True of a node that has only just begun and knows nothing yet: it helps neither side.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub abstains: bool,
    /// The upstreams that are not usable.
    pub down: Vec<String>,
    /// Why, in words.
    pub reason: String,
}

/// What has become of orders when two memories met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// The hand to lay.
    pub hand: Option<Override>,
    /// True when everything local is to be forgotten.
    pub flush: bool,
    /// Single keys to forget.
    pub forget: Vec<String>,
    /// Prefixes of keys to forget.
    pub prefixes: Vec<String>,
    /// Words that other nodes have said, by name.
    pub notes: Vec<(String, Note)>,
}

impl Orders {
    /// The hand, if one was ever laid.
    pub fn hand(&self) -> Override {
        Override::from_name(&self.hand).unwrap_or(Override::Auto)
    }

    /// Takes over what the other knows and we do not; afterwards we know everything. Says what was news. `heard`: when we
    /// heard the last news, in milliseconds since 1970, or zero if we never did.
    pub fn learn(&mut self, other: &Self, heard: u64) -> News {
        let mut news = News::default();
        if other.hand_at > self.hand_at {
            (self.hand, self.hand_at) = (other.hand.clone(), other.hand_at);
            news.hand = Some(self.hand());
        }
        if other.era > self.era {
            // Who knows of no era has nothing that could be of an older one.
            news.flush = self.era > 0;
            self.era = other.era;
        }
        if other.forgotten > self.forgotten {
            // We were away for so long that there may have been flushes that nobody remembers.
            news.flush |= heard > 0 && heard < other.forgotten.saturating_sub(SKEW);
            self.forgotten = other.forgotten;
        }
        for (id, at) in &other.flushed {
            if *at > self.forgotten && self.flushed.get(id).is_none_or(|known| known < at) {
                self.flushed.insert(id.clone(), *at);
                news.forget.push(id.clone());
            }
        }
        for (prefix, at) in &other.prefixes {
            if *at > self.era && self.prefixes.get(prefix).is_none_or(|known| known < at) {
                self.prefixes.insert(prefix.clone(), *at);
                news.prefixes.push(prefix.clone());
            }
        }
        for (name, note) in &other.notes {
            if self.notes.get(name).is_none_or(|known| known.at < note.at) {
                self.notes.insert(name.clone(), note.clone());
                news.notes.push((name.clone(), note.clone()));
            }
        }
        self.trim();
        news
    }

    /// Tells all nodes this, for so many milliseconds.
    pub fn note(&mut self, name: &str, text: &str, now_ms: u64, life_ms: u64) {
        let at = now_ms.max(self.notes.get(name).map_or(0, |known| known.at + 1));
        let note = Note { text: text.to_owned(), at, until: at.saturating_add(life_ms) };
        self.notes.insert(name.to_owned(), note);
        self.trim();
    }

    /// As [`Orders::note`], said at a time that every node was told; false where a word is known that is as late or later.
    pub fn note_as_told(&mut self, name: &str, text: &str, at: u64, life_ms: u64) -> bool {
        let is_news = self.notes.get(name).is_none_or(|known| known.at < at);
        if is_news {
            self.note(name, text, at, life_ms);
        }
        is_news
    }

    /// Leaves out what does not count any more.
    pub fn expire(&mut self, now_ms: u64) {
        self.notes.retain(|_, note| now_ms < note.until);
    }

    /// True when an order of this time has nothing to add to what was ordered at `latest`. Who gave it has a clock of
    /// his own: one that is a little slow must not make an order an old one.
    pub fn is_told(latest: u64, at: u64) -> bool {
        latest == at || latest > at.saturating_add(SKEW)
    }

    /// Orders that a key be forgotten.
    pub fn flush_key(&mut self, id: &str, now_ms: u64) {
        self.flushed.insert(id.to_owned(), now_ms.max(self.era + 1));
        self.trim();
    }

    /// Orders that every key be forgotten that begins so.
    pub fn flush_prefix(&mut self, prefix: &str, now_ms: u64) {
        if self.prefixes.len() >= MOST_PREFIXES && !self.prefixes.contains_key(prefix) {
            return self.flush(now_ms);
        }
        self.prefixes.insert(prefix.to_owned(), now_ms.max(self.era + 1));
    }

    /// When this key was flushed last, alone or with those that begin as it does, in milliseconds since 1970.
    pub fn flushed(&self, id: &str) -> Option<u64> {
        let of_prefix = self.prefixes.iter().filter(|(prefix, _)| id.starts_with(prefix.as_str())).map(|(_, at)| *at);
        of_prefix.chain(self.flushed.get(id).copied()).max()
    }

    /// Orders that everything be forgotten.
    pub fn flush(&mut self, now_ms: u64) {
        self.era = now_ms.max(self.era + 1);
        self.trim();
    }

    /// A flush of everything contains those of single keys before it, and of too many the oldest are forgotten.
    fn trim(&mut self) {
        if self.flushed.len() > MOST_FLUSHED {
            let mut times: Vec<u64> = self.flushed.values().copied().collect();
            times.sort_unstable();
            // A quarter at once, so that this is not done again for the next one.
            self.forgotten = self.forgotten.max(times[times.len() - MOST_FLUSHED * 3 / 4]);
        }
        if self.notes.len() > MOST_NOTES {
            let mut times: Vec<u64> = self.notes.values().map(|note| note.at).collect();
            times.sort_unstable();
            let oldest = times[times.len() - MOST_NOTES];
            self.notes.retain(|_, note| note.at >= oldest);
        }
        let known_since = self.era.max(self.forgotten);
        self.flushed.retain(|_, at| *at > known_since);
        self.prefixes.retain(|_, at| *at > self.era);
    }
}

impl Document {
    /// Whether the lookup is up, as these nodes see it. Without a node there is nobody to say no.
    pub fn verdict(&self, quorum: Quorum) -> bool {
        !self.is_down(quorum, |vote| !vote.up)
    }

    /// Whether this upstream is up, as these nodes see it.
    pub fn upstream(&self, name: &str, quorum: Quorum) -> bool {
        !self.is_down(quorum, |vote| vote.down.iter().any(|down| down == name))
    }

    fn is_down(&self, quorum: Quorum, says_no: impl Fn(&Vote) -> bool) -> bool {
        // Who abstains gives others no majority to turn it, and is none to turn it back.
        let living = if self.up { self.nodes.len() } else { self.voters().count() };
        let no = self.voters().filter(|vote| says_no(vote)).count();
        no > 0
            && match quorum {
                Quorum::Any => true,
                Quorum::Majority => no * 2 > living,
                Quorum::All => no == living,
            }
    }

    /// The votes of those that have an opinion.
    pub fn voters(&self) -> impl Iterator<Item = &Vote> {
        self.nodes.values().filter(|vote| !vote.abstains)
    }

    /// Leaves only these nodes.
    pub fn keep_nodes(&mut self, living: &BTreeSet<String>) {
        self.nodes.retain(|name, _| living.contains(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(votes: &[bool]) -> Document {
        let vote = |(n, up): (usize, &bool)| (n.to_string(), Vote { up: *up, ..Vote::default() });
        Document { nodes: votes.iter().enumerate().map(vote).collect(), ..Document::default() }
    }

    #[test]
    fn a_quorum_turns_the_verdict_and_one_node_out_of_three_does_not() {
        use Quorum::{All, Any, Majority};
        for (votes, quorum, up) in [
            (&[false, true, true][..], Majority, true),
            (&[false, false, true], Majority, false),
            (&[false, true], Majority, true),
            (&[false], Majority, false),
            (&[false, true, true], Any, false),
            (&[false, false, true], All, true),
            (&[false, false], All, false),
            (&[], All, true),
        ] {
            assert_eq!(document(votes).verdict(quorum), up, "{votes:?} {quorum:?}");
        }
    }

    #[test]
    fn who_knows_nothing_yet_counts_for_neither_side() {
        let new = Vote { up: true, abstains: true, ..Vote::default() };
        let mut restarted = document(&[false, false, true]);
        restarted.up = false;
        restarted.nodes.insert("new".into(), new.clone());
        assert!(!restarted.verdict(Quorum::Majority), "two of three still see it down");
        restarted.nodes.insert("new".into(), Vote { abstains: false, ..new.clone() });
        assert!(restarted.verdict(Quorum::Majority), "two of four are no majority");
        let mut all_new = document(&[false]);
        all_new.nodes.extend([("b".into(), new.clone()), ("c".into(), new)]);
        assert!(all_new.verdict(Quorum::Majority), "the first of three to see it down is no majority");
    }

    #[test]
    fn the_latest_order_wins_wherever_it_was_kept() {
        let mut ours = Orders { hand: "down".into(), hand_at: 5, era: 10, ..Orders::default() };
        let theirs =
            Orders { hand: "up".into(), hand_at: 4, era: 12, flushed: [("a".into(), 13)].into(), ..Orders::default() };
        let news = ours.learn(&theirs, 9);
        assert_eq!(news, News { flush: true, forget: vec!["a".into()], ..News::default() });
        assert_eq!(ours.hand(), Override::Down);
        assert_eq!(ours.learn(&theirs, 9), News::default(), "nothing is news twice");
        let mut new = Orders::default();
        assert!(!new.learn(&ours, 0).flush, "a node that begins has nothing to forget");
        assert_eq!(new.hand(), Override::Down);
    }

    #[test]
    fn a_flushed_prefix_counts_for_all_that_begin_so_until_everything_is_flushed() {
        let mut orders = Orders { era: 10, ..Orders::default() };
        orders.flush_prefix("+1303555", 20);
        orders.flush_key("+13035550123", 15);
        assert_eq!((orders.flushed("+13035550123"), orders.flushed("+13035560123")), (Some(20), None));
        let mut other = Orders { era: 10, ..Orders::default() };
        let news = other.learn(&orders, 0);
        assert_eq!((news.prefixes, news.flush), (vec!["+1303555".to_owned()], false));
        assert!(other.learn(&orders, 0).prefixes.is_empty(), "known by now");
        (0..MOST_PREFIXES - 1).for_each(|n| orders.flush_prefix(&n.to_string(), 30));
        assert_eq!((orders.era, orders.prefixes.len()), (10, MOST_PREFIXES));
        orders.flush_prefix("one more", 40);
        assert_eq!((orders.era, orders.prefixes.len(), orders.flushed("+13035550123")), (40, 0, None));
        assert!(other.learn(&orders, 0).flush);
    }

    #[test]
    fn of_too_many_single_flushes_the_oldest_are_forgotten_and_who_was_away_then_forgets_all() {
        let mut orders = Orders { era: 1, ..Orders::default() };
        let at = |n: u64| SKEW * (n + 1);
        (0..=MOST_FLUSHED as u64).for_each(|n| orders.flush_key(&n.to_string(), at(n)));
        assert_eq!((orders.era, orders.flushed.len(), orders.forgotten), (1, MOST_FLUSHED * 3 / 4 - 1, at(65)));
        let mut away = Orders { era: 1, ..Orders::default() };
        assert!(away.clone().learn(&orders, at(63)).flush);
        let news = away.learn(&orders, at(65));
        assert!(!news.flush && news.forget.len() == orders.flushed.len() && away == orders);
    }

    #[test]
    fn the_latest_word_under_a_name_counts_for_as_long_as_it_was_said_to() {
        let (mut ours, mut theirs) = (Orders::default(), Orders::default());
        ours.note("10.0.0.1", "failed", 100, 50);
        theirs.note("10.0.0.1", "well", 120, 50);
        ours.learn(&theirs, 0);
        theirs.learn(&ours, 0);
        assert_eq!((ours.notes["10.0.0.1"].text.as_str(), &ours), ("well", &theirs));
        ours.expire(169);
        assert_eq!(ours.notes.len(), 1);
        ours.expire(170);
        assert!(ours.notes.is_empty());
        (0..=MOST_NOTES as u64).for_each(|n| ours.note(&n.to_string(), "", 200 + n, 1000));
        assert_eq!((ours.notes.len(), ours.notes.contains_key("0")), (MOST_NOTES, false));
    }

    #[test]
    fn it_survives_the_wire_and_fields_of_another_version() {
        let mut document = document(&[true]);
        document.orders.flush_key("k", 9);
        let text = serde_json::to_string(&document).unwrap();
        assert_eq!(serde_json::from_str::<Document>(&text).unwrap(), document);
        assert_eq!(serde_json::from_str::<Document>(r#"{"epoch":3,"later":true}"#).unwrap().epoch, 3);
    }
}
