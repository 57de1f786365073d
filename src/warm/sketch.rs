//! Which keys are asked for most, in bounded room: Misra and Gries' summary, fed in batches.
//!
//! Twice as many keys as there is room for are counted; when there are more, all lose what the first one without room
//! has, and those with nothing left go. A key that was asked for more often than one time in `room` is
//! always among those that stay.

use std::collections::HashMap;

use compact_str::CompactString;

/// Counts of the keys that are asked for most.
#[derive(Debug)]
pub struct Sketch {
    room: usize,
    counts: HashMap<CompactString, u64, ahash::RandomState>,
}

impl Sketch {
    /// Room for so many keys; at least one.
    pub fn new(room: usize) -> Self {
        Self { room: room.max(1), counts: HashMap::default() }
    }

    /// Room for so many from now on.
    pub fn set_room(&mut self, room: usize) {
        self.room = room.max(1);
    }

    /// A key was asked for so often.
    pub fn add(&mut self, id: &CompactString, times: u64) {
        if let Some(count) = self.counts.get_mut(id) {
            *count = count.saturating_add(times);
            return;
        }
        self.counts.insert(id.clone(), times);
        if self.counts.len() > self.room.saturating_mul(2) {
            self.make_room();
        }
    }

    /// Everything counts for half of what it did: what was hot last week goes.
    pub fn fade(&mut self) {
        self.counts.retain(|_, count| {
            *count /= 2;
            *count > 0
        });
    }

    /// The keys that are asked for most, best first; of the same count in the order of the alphabet.
    pub fn top(&self, most: usize) -> Vec<(CompactString, u64)> {
        let mut all: Vec<_> = self.counts.iter().map(|(id, count)| (id.clone(), *count)).collect();
        all.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        all.truncate(most);
        all
    }

    fn make_room(&mut self) {
        let mut counts: Vec<u64> = self.counts.values().copied().collect();
        let (_, first_without, _) = counts.select_nth_unstable_by(self.room, |a, b| b.cmp(a));
        let lost = *first_without;
        self.counts.retain(|_, count| {
            *count = count.saturating_sub(lost);
            *count > 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_asked_for_most_stay_however_many_others_come_by() {
        let mut sketch = Sketch::new(100);
        for round in 0..100 {
            for hot in 0..50 {
                sketch.add(&format!("hot-{hot}").into(), 10 + hot);
            }
            for other in 0..1000 {
                sketch.add(&format!("{round}-{other}").into(), 1);
            }
            assert!(sketch.counts.len() <= 200);
        }
        let top = sketch.top(50);
        assert!(top.iter().all(|(id, _)| id.starts_with("hot-")), "{top:?}");
        assert_eq!(top[0].0, "hot-49");
        sketch.fade();
        assert_eq!(sketch.top(50).len(), 50);
        (0..64).for_each(|_| sketch.fade());
        assert!(sketch.counts.is_empty());
    }
}
