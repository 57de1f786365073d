//! What a policy wants of its hot keys, and which of them are due.

use std::collections::VecDeque;
use std::time::Duration;

use compact_str::CompactString;

use crate::deadline::tick;
use crate::lookup::Lookup;
use crate::policy::warm::WarmSource;
use crate::warm::Key;
use crate::warm::patience::Patience;
use crate::warm::sketch::Sketch;

/// A beat comes once in so many parts of a life, and within these bounds.
const BEATS: u32 = 40;
const SHORTEST_BEAT: Duration = Duration::from_millis(100);
const LONGEST_BEAT: Duration = Duration::from_secs(10);

/// A hot key is renewed past this share of its life, where the policy says nothing.
const RENEW: f64 = 0.8;

/// A journal holds so many keys, where the policy keeps none hot.
const JOURNAL: usize = 10_000;

/// True where somebody wants to know which keys are asked for.
pub(super) fn wants_census(lookup: &Lookup) -> bool {
    let warm = &lookup.policy.warm;
    warm.keep_hot > 0 || warm.sources.iter().any(|source| matches!(source, WarmSource::Journal))
}

/// How often hot keys are looked at.
pub(super) fn beat(lookup: &Lookup) -> Duration {
    (lookup.policy.cache.found / BEATS).clamp(SHORTEST_BEAT, LONGEST_BEAT)
}

/// How many keys somebody may want to know.
pub(super) fn most(lookup: &Lookup) -> usize {
    if lookup.policy.warm.keep_hot > 0 { lookup.policy.warm.keep_hot } else { JOURNAL }
}

/// From which share of its life on a hot key is renewed.
pub(super) fn renew_share(lookup: &Lookup) -> f64 {
    let asked = lookup.policy.cache.refresh_ahead;
    if asked < 1.0 { asked } else { RENEW }
}

/// The hot keys that are late in their lives, or not there.
pub(super) fn due(lookup: &Lookup, sketch: &Sketch, patience: &mut Patience) -> VecDeque<Key> {
    let keep = lookup.policy.warm.keep_hot;
    if keep == 0 {
        return VecDeque::new();
    }
    let (share, tick) = (renew_share(lookup), tick());
    let is_due = |id: &CompactString| lookup.local.peek(id, tick).is_none_or(|entry| entry.is_late(share, tick));
    let due = sketch.top(keep).into_iter().map(|(id, _)| id).filter(is_due).collect();
    let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let turn = patience.turn(due, tick, millis(beat(lookup)), millis(lookup.policy.cache.found));
    let lines = turn.iter().filter_map(|id| lookup.policy.inputs.line_of(id));
    (1..).zip(lines).map(|(line, text)| Key { line, text: Some(text) }).collect()
}
