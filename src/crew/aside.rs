//! Work that steps aside for others.

use std::future::poll_fn;
use std::pin::pin;

/// Does this work; before each of its steps whoever waits for the processor goes first.
///
/// The system lets a thread that it has just put on a processor stay there for a slice, whatever its niceness, and a
/// call's thread that wakes meanwhile waits. Who gives the processor away between its steps makes it wait for one step.
pub async fn step_aside<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|cx| {
        std::thread::yield_now();
        work.as_mut().poll(cx)
    })
    .await
}
