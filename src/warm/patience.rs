//! Hot keys that cannot be kept: a vendor that knows them no more, an answer that the policy does not keep.
//!
//! Nobody calls, so nobody would notice that such a key is asked for at every beat, all night. Each time that it is due again
//! at once, it is left in peace for twice as long.

use std::collections::HashMap;

use compact_str::CompactString;

/// Doubled more often than this is not doubled at all: a beat of a tenth of a second is a day by then.
const MOST_DOUBLED: u32 = 20;

/// Who is left in peace, and until when.
#[derive(Debug, Default)]
pub(super) struct Patience(HashMap<CompactString, Wait, ahash::RandomState>);

#[derive(Clone, Copy, Debug)]
struct Wait {
    doubled: u32,
    until: u64,
}

impl Patience {
    /// Of the keys that are due, those whose turn it is. Times are in milliseconds; none is left in peace for longer than
    /// `most_ms`.
    pub(super) fn turn(
        &mut self,
        due: Vec<CompactString>,
        tick: u64,
        beat_ms: u64,
        most_ms: u64,
    ) -> Vec<CompactString> {
        let before = std::mem::take(&mut self.0);
        let mut turn = Vec::new();
        for id in due {
            let wait = before.get(&id).copied();
            if wait.is_some_and(|wait| tick < wait.until) {
                self.0.extend(wait.map(|wait| (id, wait)));
                continue;
            }
            let doubled = wait.map_or(0, |wait| (wait.doubled + 1).min(MOST_DOUBLED));
            let pause = (beat_ms << doubled).min(most_ms);
            self.0.insert(id.clone(), Wait { doubled, until: tick + pause });
            turn.push(id);
        }
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_again_at_once_is_asked_for_less_and_less() {
        let mut patience = Patience::default();
        let mut asked = Vec::new();
        for tick in (0..1000).map(|beat| beat * 100) {
            let turn = patience.turn(vec!["gone".into()], tick, 100, 20_000);
            asked.extend((!turn.is_empty()).then_some(tick));
        }
        assert_eq!(asked[..6], [0, 100, 300, 700, 1500, 3100]);
        assert_eq!(asked[asked.len() - 1] - asked[asked.len() - 2], 20_000, "{asked:?}");
    }

    #[test]
    fn what_was_renewed_has_its_next_turn_at_once() {
        let mut patience = Patience::default();
        for tick in [0, 1000, 2000] {
            assert_eq!(patience.turn(vec!["kept".into()], tick, 100, 20_000).len(), 1);
            assert!(patience.turn(Vec::new(), tick + 100, 100, 20_000).is_empty());
            assert!(patience.0.is_empty());
        }
    }
}
