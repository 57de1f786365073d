//! A counter that cores do not fight over.
//!
//! One atomic that two cores add to at every hit travels between their caches each time, which costs more than looking
//! the answer up. Each thread adds to a stripe of its own; who reads sums them up.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// More threads than this share stripes, which is slower and no less right.
const STRIPES: usize = 8;

/// Two cache lines: processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe(AtomicU64);

/// A counter in stripes.
#[derive(Debug, Default)]
pub struct Striped([Stripe; STRIPES]);

impl Striped {
    /// Adds, on this thread's stripe.
    #[inline]
    pub fn add(&self, more: u64) {
        self.0[stripe()].0.fetch_add(more, Ordering::Relaxed);
    }

    /// The sum now.
    pub fn sum(&self) -> u64 {
        self.0.iter().map(|stripe| stripe.0.load(Ordering::Relaxed)).sum()
    }

    /// Takes all that was counted, and starts anew.
    pub fn take(&self) -> u64 {
        self.0.iter().map(|stripe| stripe.0.swap(0, Ordering::Relaxed)).sum()
    }
}

#[inline]
fn stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static MINE: Cell<usize> = const { Cell::new(usize::MAX) });
    MINE.with(|mine| {
        if mine.get() == usize::MAX {
            mine.set(NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES);
        }
        mine.get()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_between_threads() {
        let counter = Striped::default();
        std::thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| (0..1000).for_each(|_| counter.add(2)));
            }
        });
        assert_eq!(counter.sum(), 24_000);
        assert_eq!((counter.take(), counter.sum()), (24_000, 0));
    }
}
