//! A thread that has the time which nobody else wants.
//!
//! Warm dips run on it, with their connections and timers: the system is told that it is of little importance, so a
//! worker that has a call to answer takes the processor from it. On a machine that is busy with calls a job is slow, which is
//! what it should be; it does not stand still altogether, or keys that are kept hot would go cold just then.

use std::io;

use crate::crew::{Alone, as_others};
use crate::deadline::sharp;

/// What `nice` calls it: a tenth of a worker's share.
const LITTLE_IMPORTANCE: i32 = 10;

/// Starts it.
///
/// # Errors
/// When the system gives no thread.
pub(super) fn start() -> io::Result<Alone> {
    Alone::start("warm".to_owned(), || {
        as_others();
        sharp::begin_here();
        // A system that does not allow it only loses the courtesy.
        let _ = rustix::process::setpriority_process(None, LITTLE_IMPORTANCE);
    })
}
