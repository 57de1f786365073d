//! The form of an event on the wire: CloudEvents 1.0 in JSON's structured mode, or a JSON-RPC notification.
//!
//! The `id` is given here, once: the spool keeps the finished text, so that an event that is sent again,
//! by this process or by the next one, is the same to the byte, and a consumer can drop the repeat.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use crate::config::{EventsForm, Node};
use crate::events::Event;

/// Gives events their form.
#[derive(Debug)]
pub struct Scribe {
    node: Node,
    form: EventsForm,
    /// Tells this run of the node from every other.
    boot: u64,
}

impl Scribe {
    /// A scribe for this node, whose run began at `started`.
    pub fn new(node: Node, form: EventsForm, started: SystemTime) -> Self {
        // Milliseconds fit a u64 for half a billion years; a clock before 1970 counts as 1970.
        let boot = started.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        Self { node, form, boot }
    }

    /// The text of the `seq`th event of this run.
    pub fn write(&self, seq: u64, event: &Event) -> String {
        match self.form {
            EventsForm::CloudEvents => self.cloud_event(seq, event),
            EventsForm::JsonRpc => self.json_rpc(seq, event),
        }
        .to_string()
    }

    /// What keeps its order on the way: one lookup's events, or those of the node.
    pub fn key(&self, event: &Event) -> String {
        // No lookup's name has an @ in it.
        event.lookup.as_ref().map_or_else(|| format!("@{}", self.node.name), ToString::to_string)
    }

    /// The same on every node where the cluster has counted the turn; else this run's own number.
    fn id(&self, seq: u64, event: &Event) -> String {
        match (&event.lookup, event.epoch) {
            (Some(lookup), Some(epoch)) => format!("{lookup}/{epoch}/{}", event.to),
            _ => format!("{}/{:x}/{seq}", self.node.name, self.boot),
        }
    }

    /// The source is the cluster and not the node: CloudEvents calls two events the same when source and `id`
    /// are, and that is what two nodes' events about one turn shall be.
    fn cloud_event(&self, seq: u64, event: &Event) -> Value {
        let mut told = json!({
            "specversion": "1.0",
            "id": self.id(seq, event),
            "source": "/dipcache",
            "type": event.event.as_str(),
            "time": rfc3339(event.at),
            "datacontenttype": "application/json",
            "partitionkey": self.key(event),
            "data": self.data(event),
        });
        let subject = match (&event.lookup, &event.upstream, &event.sink) {
            (Some(lookup), Some(upstream), _) => Some(format!("{lookup}/{upstream}")),
            (Some(lookup), None, _) => Some(lookup.to_string()),
            (None, _, Some(sink)) => Some(sink.to_string()),
            _ => None,
        };
        if let Some(subject) = subject {
            told["subject"] = subject.into();
        }
        told
    }

    /// As OpenSIPS publishes: the event's name is the method, and there is no `id` at the top, since nobody
    /// is to answer.
    fn json_rpc(&self, seq: u64, event: &Event) -> Value {
        let mut params = self.data(event);
        params.insert("id".to_owned(), self.id(seq, event).into());
        params.insert("time".to_owned(), rfc3339(event.at).into());
        json!({ "jsonrpc": "2.0", "method": event.event.as_str(), "params": params })
    }

    fn data(&self, event: &Event) -> Map<String, Value> {
        let mut data = Map::new();
        let text = |text: &str| (!text.is_empty()).then(|| Value::from(text));
        let name = |name: &Option<std::sync::Arc<str>>| name.as_deref().map(Value::from);
        let ratio = |ratio: f64| (event.event.has_ratios() && ratio.is_finite()).then(|| Value::from(ratio));
        let millis = |span: Duration| Value::from(span.as_secs_f64() * 1000.0);
        let parts = [
            ("lookup", name(&event.lookup)),
            ("upstream", name(&event.upstream)),
            ("sink", name(&event.sink)),
            ("node", Some(self.node.name.as_str().into())),
            ("zone", text(&self.node.zone)),
            ("from", text(event.from)),
            ("to", text(event.to)),
            ("reason", text(&event.reason)),
            ("failure_ratio", ratio(event.failure_ratio)),
            ("slow_ratio", ratio(event.slow_ratio)),
            ("p50_ms", event.p50.map(millis)),
            ("p99_ms", event.p99.map(millis)),
            ("window_s", event.window.map(|window| window.as_secs_f64().into())),
            ("since", event.since.map(|since| rfc3339(since).into())),
            ("count", event.count.map(Value::from)),
        ];
        data.extend(parts.into_iter().filter_map(|(part, value)| Some((part.to_owned(), value?))));
        data
    }
}

/// A moment as RFC 3339 writes it, in UTC with milliseconds.
pub(super) fn rfc3339(at: SystemTime) -> String {
    DateTime::<Utc>::from(at).to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::EventType;

    fn scribe(form: EventsForm) -> Scribe {
        let node = Node { name: "edge-1".to_owned(), zone: "east".to_owned() };
        Scribe::new(node, form, UNIX_EPOCH + Duration::from_millis(255))
    }

    fn degraded() -> Event {
        Event {
            lookup: Some("lrn".into()),
            from: "1",
            to: "0",
            at: UNIX_EPOCH + Duration::from_millis(1_500),
            ..Event::of_node(EventType::Degraded, "no upstream is usable")
        }
    }

    #[test]
    fn a_cloud_event_has_all_that_the_standard_asks_for() {
        let told: Value = serde_json::from_str(&scribe(EventsForm::CloudEvents).write(7, &degraded())).unwrap();
        let expected = json!({
            "specversion": "1.0", "id": "edge-1/ff/7", "source": "/dipcache", "type": "dipcache.dependency.degraded",
            "time": "1970-01-01T00:00:01.500Z", "datacontenttype": "application/json", "partitionkey": "lrn",
            "subject": "lrn",
            "data": { "lookup": "lrn", "node": "edge-1", "zone": "east", "from": "1", "to": "0",
                "reason": "no upstream is usable", "failure_ratio": 0.0, "slow_ratio": 0.0 },
        });
        assert_eq!(told, expected);
    }

    #[test]
    fn a_turn_that_the_cluster_counted_has_one_id_on_every_node() {
        let event = Event { epoch: Some(12), ..degraded() };
        let other =
            Scribe::new(Node { name: "edge-2".into(), zone: String::new() }, EventsForm::CloudEvents, UNIX_EPOCH);
        assert_eq!(scribe(EventsForm::CloudEvents).id(1, &event), "lrn/12/0");
        assert_eq!(other.id(99, &event), "lrn/12/0");
    }

    #[test]
    fn a_notification_waits_for_no_answer() {
        let told: Value = serde_json::from_str(&scribe(EventsForm::JsonRpc).write(7, &degraded())).unwrap();
        assert_eq!(told["jsonrpc"], "2.0");
        assert_eq!(told["method"], "dipcache.dependency.degraded");
        assert_eq!(told["params"]["id"], "edge-1/ff/7");
        assert_eq!(told["params"]["lookup"], "lrn");
        assert!(told.get("id").is_none());
    }

    #[test]
    fn the_node_s_own_events_have_a_key_that_no_lookup_can_have() {
        let event = Event::of_node(EventType::NodeStarted, "");
        assert_eq!(scribe(EventsForm::CloudEvents).key(&event), "@edge-1");
    }
}
