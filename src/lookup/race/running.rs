//! The upstreams of one dip that are being asked.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What one upstream is asked by.
type Asking<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A handful at most, so whenever one of them wakes the task all are looked at: that costs less than to tell them apart.
pub(super) struct Running<T>(Vec<(usize, Asking<T>)>);

impl<T> Default for Running<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Running<T> {
    /// Begins to ask the upstream of this place.
    pub(super) fn start(&mut self, index: usize, asking: Asking<T>) {
        self.0.push((index, asking));
    }

    /// True when nobody is being asked.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next one that ends, with its place; `None` when nobody is being asked. Losing the future that this gives loses no end.
    pub(super) async fn next_end(&mut self) -> Option<(usize, T)> {
        poll_fn(|cx| self.poll_end(cx)).await
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Option<(usize, T)>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        for (place, (index, asking)) in self.0.iter_mut().enumerate() {
            if let Poll::Ready(ended) = asking.as_mut().poll(cx) {
                let index = *index;
                // In the order in which they were begun: of several that have ended, the policy's first is first.
                drop(self.0.remove(place));
                return Poll::Ready(Some((index, ended)));
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::deadline::Deadline;

    #[tokio::test(start_paused = true)]
    async fn each_end_is_told_once_and_none_is_lost() {
        let mut running = Running::default();
        assert_eq!(running.next_end().await, None);
        for (index, after) in [(0, 30), (1, 10), (2, 10), (3, 20)] {
            running.start(index, Box::pin(tokio::time::sleep(Duration::from_millis(after))));
        }
        let mut ends = Vec::new();
        while !running.is_empty() {
            // Whoever stops waiting in between loses nothing.
            if let Some(end) = Deadline::after(Duration::from_millis(3)).limit(running.next_end()).await {
                ends.extend(end.map(|(index, ())| index));
            }
        }
        assert_eq!(ends, [1, 2, 3, 0], "and of two at once the one that was begun first");
        assert_eq!(running.next_end().await, None);
    }
}
