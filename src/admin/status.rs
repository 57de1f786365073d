//! The state of everything as JSON: what the status page and `dipcache status` draw.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use crate::admin::{Admin, health};
use crate::deadline::now;
use crate::events::Event;
use crate::lookup::{Cluster, Lookup, Member};
use crate::upstream::table::Table;

/// `GET /v1/status`.
pub(super) async fn status(State(admin): State<Arc<Admin>>) -> Json<Value> {
    let lookups: Map<_, _> =
        admin.lookups.all().iter().map(|lookup| (lookup.policy.name.to_string(), of_lookup(&admin, lookup))).collect();
    Json(json!({
        "node": admin.node,
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_s": (now() - admin.started).as_secs(),
        "lookups": lookups,
        "shared": admin.lookups.cluster().map(|cluster| of_shared(cluster)),
        "warm": admin.warming.jobs(),
        "events": admin.events.recent().iter().rev().map(|event| of_event(event)).collect::<Vec<_>>(),
    }))
}

/// `GET /v1/health`; with `?verbose` the reasons, the ratios and every node's view.
pub(super) async fn flags(State(admin): State<Arc<Admin>>, RawQuery(query): RawQuery) -> Json<Value> {
    let verbose = query.is_some_and(|query| {
        query.split('&').any(|part| matches!(part, "verbose" | "verbose=" | "verbose=1" | "verbose=true"))
    });
    let flag = |lookup: &Arc<Lookup>| {
        let view = if verbose { health::of_lookup(lookup) } else { Value::from(u8::from(lookup.is_up())) };
        (lookup.policy.name.to_string(), view)
    };
    Json(Value::Object(admin.lookups.all().iter().map(flag).collect()))
}

/// `GET /v1/health/{lookup}`.
pub(super) async fn flag(State(admin): State<Arc<Admin>>, Path(name): Path<String>) -> Result<String, StatusCode> {
    let lookup = admin.lookups.find(&name).ok_or(StatusCode::NOT_FOUND)?;
    Ok(u8::from(lookup.is_up()).to_string())
}

fn of_lookup(admin: &Admin, lookup: &Lookup) -> Value {
    let minute = admin.pulse.last_minute(lookup);
    let sources = lookup.meters().by_source();
    let callers: u64 = sources.iter().map(|(_, count)| count).sum();
    let hits: u64 = sources.iter().filter(|(name, _)| name == "local" || name == "shared").map(|(_, n)| n).sum();
    json!({
        "describe": lookup.policy.describe,
        "health": u8::from(lookup.is_up()),
        "override": lookup.verdict.hand().as_str(),
        "entries": lookup.local.len(),
        "bytes": lookup.local.bytes(),
        "in_flight": lookup.flights(),
        "budget_ms": millis(lookup.policy.budget.call),
        "callers": callers,
        "hit_ratio": if callers == 0 { Value::Null } else { json!(hits as f64 / callers as f64) },
        "sources": sources.into_iter().filter(|(_, count)| *count > 0).collect::<std::collections::BTreeMap<_, _>>(),
        "last_minute": { "callers": minute.callers, "p50_ms": minute.p50.map(millis), "p99_ms": minute.p99.map(millis) },
        "upstreams": lookup.members.iter().map(of_member).collect::<Vec<_>>(),
    })
}

pub(super) fn of_member(member: &Member) -> Value {
    let now = now();
    let (state, since, counts) = member.health.breaker(now);
    let hold = member.health.hold(now);
    json!({
        "name": &*member.name,
        "breaker": state.as_str(),
        "since_s": (now - since).as_secs(),
        "samples": counts.total,
        "failure_ratio": counts.failure_ratio(),
        "slow_ratio": counts.slow_ratio(),
        "in_flight": member.health.in_flight(),
        "table": member.upstream.table().map(|table| of_table(table)),
        "hold": hold.map(|hold| json!({ "why": hold.outcome.as_str(), "for_ms": millis(hold.until - now) })),
    })
}

fn of_table(table: &Table) -> Value {
    let (snapshot, last) = (table.snapshot(), table.last());
    json!({
        "rows": snapshot.as_ref().map_or(0, |snapshot| snapshot.rows()),
        "left_out": snapshot.as_ref().map_or(0, |snapshot| snapshot.left_out),
        "bytes": snapshot.as_ref().map_or(0, |snapshot| snapshot.bytes()),
        "age_s": snapshot.as_ref().map(|snapshot| now().saturating_duration_since(snapshot.since).as_secs()),
        "loads": last.loads,
        "failure": last.failure.map(|why| why.to_string()),
    })
}

fn of_event(event: &Event) -> Value {
    json!({
        "type": event.event.as_str(),
        "lookup": event.lookup.as_deref(),
        "upstream": event.upstream.as_deref(),
        "from": event.from,
        "to": event.to,
        "reason": event.reason,
        // A clock before 1970 is shown as 1970.
        "at_ms": event.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64,
    })
}

fn of_shared(cluster: &Cluster) -> Value {
    let servers = cluster.shared().servers().map(|(name, up)| json!({ "server": name, "up": up }));
    json!({ "node": cluster.node(), "servers": servers.collect::<Vec<_>>() })
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}
