//! The books of the events: for people, for metrics, and one event to try the way with.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::admin::Admin;
use crate::events::{Event, EventType, Figures};

/// How long a test event may take to the disk.
const PATIENCE: Duration = Duration::from_secs(2);

/// `GET /v1/events`.
pub(super) async fn books(State(admin): State<Arc<Admin>>) -> Json<Value> {
    let Some(running) = &admin.running else { return Json(json!({ "spool": null, "sinks": {} })) };
    let journal = running.journal();
    let ways: Map<_, _> =
        running.figures().into_iter().map(|(name, figures)| (name.to_string(), of_way(&figures))).collect();
    Json(json!({
        "spool": { "bytes": journal.bytes(), "next": journal.next(), "trouble": journal.trouble() },
        "sinks": ways,
    }))
}

fn of_way(figures: &Figures) -> Value {
    let sinks: Map<_, _> = figures
        .sinks
        .iter()
        .map(|sink| (sink.name.to_string(), json!({ "delivered": sink.delivered, "down": sink.down })))
        .collect();
    json!({
        "queued": figures.queued,
        "delivered": figures.delivered,
        "spooled": figures.spooled,
        "dropped": figures.dropped,
        "dead_letters": figures.dead,
        "pending": figures.pending,
        "sinks": sinks,
    })
}

/// Whose event it is to be.
#[derive(Debug, Deserialize)]
pub(super) struct About {
    lookup: Option<String>,
}

/// `POST /v1/events/test`: raises one event about this node, or in the order of `?lookup=`'s. 200: it is on disk. 202: it
/// is not yet.
pub(super) async fn test(
    State(admin): State<Arc<Admin>>,
    Query(about): Query<About>,
    reason: String,
) -> Result<(StatusCode, String), StatusCode> {
    if admin.running.is_none() {
        return Err(StatusCode::NOT_FOUND);
    }
    let lookup = match about.lookup {
        Some(name) => Some(admin.lookups.find(&name).ok_or(StatusCode::NOT_FOUND)?.policy.name.clone()),
        None => None,
    };
    let reason = if reason.trim().is_empty() { "a test, asked for by an operator" } else { reason.trim() };
    admin.events.raise(Event { lookup, sink: Some("all".into()), ..Event::of_node(EventType::SinkTest, reason) });
    Ok(if admin.events.kept(PATIENCE).await {
        (StatusCode::OK, "raised, and on disk\n".to_owned())
    } else {
        (StatusCode::ACCEPTED, "raised, and not on disk yet: see `dipcache events status`\n".to_owned())
    })
}

/// Sets the gauges. They are gauges in spite of the name, since what is spooled and pending goes down again, and
/// all of a family have one type.
pub(super) fn measure(admin: &Admin) {
    let Some(running) = &admin.running else { return };
    let set = |sink: &str, result: &'static str, value: u64| {
        metrics::gauge!("dipcache_events_total", "sink" => sink.to_owned(), "result" => result).set(value as f64);
    };
    let mut spooled = 0;
    for (name, figures) in running.figures() {
        set(&name, "queued", figures.queued);
        set(&name, "delivered", figures.delivered);
        set(&name, "spooled", figures.spooled);
        set(&name, "dropped", figures.dropped);
        set(&name, "pending", figures.pending);
        metrics::gauge!("dipcache_events_dead_letters", "sink" => name.to_string()).set(figures.dead as f64);
        for sink in &figures.sinks {
            let up = f64::from(u8::from(sink.down.is_none()));
            metrics::gauge!("dipcache_sink_up", "sink" => sink.name.to_string()).set(up);
            if sink.name != name {
                set(&sink.name, "delivered", sink.delivered);
            }
        }
        spooled = spooled.max(figures.spooled);
    }
    metrics::gauge!("dipcache_spool_events").set(spooled as f64);
    metrics::gauge!("dipcache_spool_bytes").set(running.journal().bytes() as f64);
    metrics::gauge!("dipcache_spool_writable").set(f64::from(u8::from(running.journal().trouble().is_none())));
}
