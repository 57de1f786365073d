//! The log line of an event. The log itself waits for nobody, but making a line takes microseconds: with a spool the
//! teller's thread pays them, and no call.

use crate::events::Event;

pub(super) fn line(event: &Event) {
    // `None` leaves the field out.
    let some = |text: &'static str| Some(text).filter(|text| !text.is_empty());
    let (lookup, upstream, sink) = (event.lookup.as_deref(), event.upstream.as_deref(), event.sink.as_deref());
    let epoch = event.epoch;
    let (name, from, to, reason) = (event.event.as_str(), some(event.from), some(event.to), event.reason.as_str());
    if event.event.is_bad() {
        tracing::warn!(event = name, lookup, upstream, sink, from, to, epoch, reason);
    } else {
        tracing::info!(event = name, lookup, upstream, sink, from, to, epoch, reason);
    }
}
