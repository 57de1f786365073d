//! A timer that is always near while there are dips.
//!
//! The runtime sleeps until its next timer. Whoever sets an earlier one has it wake itself through the kernel, even on its
//! own thread, and a dip sets several: its caller's deadline, its upstream's, its request's. With a timer that is nearer than
//! all of those none of them is the next, and no kernel is called. While dips come, one beats on each thread with a
//! runtime of its own; a while after the last it stops, so that an idle proxy sleeps.

use std::cell::Cell;
use std::time::Duration;

/// Shorter than most deadlines, long enough to cost nothing.
const BEAT: Duration = Duration::from_millis(8);

thread_local! {
    static ALONE: Cell<bool> = const { Cell::new(false) };
    static BEATING: Cell<bool> = const { Cell::new(false) };
    static WANTED: Cell<bool> = const { Cell::new(false) };
}

/// This thread's runtime runs here and nowhere else: from now on it may beat.
pub(super) fn may_beat() {
    ALONE.set(true);
}

/// A dip begins on this thread, and will set timers.
pub fn keep_beating() {
    WANTED.set(true);
    if ALONE.get() && !BEATING.replace(true) {
        tokio::spawn(beat());
    }
}

async fn beat() {
    while WANTED.replace(false) {
        tokio::time::sleep(BEAT).await;
    }
    BEATING.set(false);
}
