//! The operator's door: metrics, liveness, the status page, and the calls that change something.
//!
//! It has a listener of its own, so that a slow scraper never stands in a call's way, and it is where
//! axum and tower are welcome: nothing here is on a dip's path. Reading is free on the loopback
//! address; a call that changes something needs the token.

mod changes;
mod events;
mod ingest;
mod page;
mod pulse;
mod status;
mod health;
mod rights;
mod targets;
mod warm;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{delete, get, post, put};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::config::AdminRights;
use crate::deadline::{Instant, now};
use crate::events::{Events, Running};
use crate::lookup::Lookups;
use crate::orders::Orders;
use crate::telemetry::{recorder, table_age};
use crate::warm::Warming;

pub use pulse::Pulse;

/// The largest body that a call may bring, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// What the door opens on.
#[derive(Debug)]
pub struct Admin {
    /// The lookups.
    pub lookups: Arc<Lookups>,
    /// Where warm jobs are begun.
    pub warming: Arc<Warming>,
    /// Who carries out what is ordered.
    pub orders: Arc<Orders>,
    /// The latest events.
    pub events: Arc<Events>,
    /// Spool and sinks; `None` where events are only logged.
    pub running: Option<Arc<Running>>,
    /// Who may change something.
    pub rights: ArcSwap<AdminRights>,
    /// The simulated vendors, in the demo.
    pub simulator: Option<Arc<dyn Simulated>>,
    /// False until the listeners stand, and again while draining.
    pub ready: AtomicBool,
    /// This node's name.
    pub node: String,
    /// When this process began.
    pub started: Instant,
    /// Latency over the last minute.
    pub pulse: Pulse,
}

/// The simulated vendors, as far as this door needs them.
pub trait Simulated: Send + Sync + std::fmt::Debug {
    /// What `GET /v1/sim` shows.
    fn view(&self) -> Value;

    /// Gives an order in JSON to one vendor of one lookup, and tells what it does from now on.
    fn order<'a>(&'a self, lookup: &'a str, upstream: &'a str, body: &'a [u8]) -> Ordered<'a>;
}

/// What became of an order: what the vendor does now, or the HTTP status and the words of a refusal.
pub type Ordered<'a> = Pin<Box<dyn Future<Output = Result<Value, (u16, String)>> + Send + 'a>>;

/// Answers until `closing` turns true.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(
    listener: TcpListener,
    admin: Arc<Admin>,
    mut closing: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let beat = tokio::spawn(Arc::clone(&admin).beat());
    let ended = axum::serve(listener, router(admin))
        .with_graceful_shutdown(async move {
            // An error means that the sender is gone, which is a shutdown as well.
            let _ = closing.wait_for(|closing| *closing).await;
        })
        .await;
    beat.abort();
    ended
}

/// All paths of the door.
pub fn router(admin: Arc<Admin>) -> Router {
    let changing = Router::new()
        .route("/v1/health/{lookup}", put(changes::lay_hand))
        .route("/v1/cache/{lookup}", delete(changes::flush).put(ingest::ingest))
        .route("/v1/cache/{lookup}/{key}", delete(changes::flush_key))
        .route("/v1/tables/{lookup}/{upstream}", put(changes::load_table))
        .route("/v1/target/{target}", put(targets::avoid).delete(targets::trust))
        .route("/v1/sim/{lookup}/{upstream}", put(changes::order))
        .route("/v1/events/test", post(events::test))
        .route("/v1/warm/{lookup}", post(warm::warm))
        .route("/v1/warm/{lookup}/run", post(changes::warm_job))
        .route_layer(axum::middleware::from_fn_with_state(Arc::clone(&admin), rights::require));
    Router::new()
        .route("/", get(page::page))
        .route("/metrics", get(metrics))
        .route("/livez", get(async || "ok"))
        .route("/readyz", get(readyz))
        .route("/v1/status", get(status::status))
        .route("/v1/health", get(status::flags))
        .route("/v1/health/{lookup}", get(status::flag))
        .route("/v1/target", get(targets::list))
        .route("/v1/events", get(events::books))
        .route("/v1/sim", get(simulated))
        .merge(changing)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(tower::limit::ConcurrencyLimitLayer::new(256))
        .with_state(admin)
}

impl Admin {
    /// Keeps the pulse; runs until it is aborted.
    async fn beat(self: Arc<Self>) {
        let mut timer = tokio::time::interval(Duration::from_secs(5));
        timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            timer.tick().await;
            self.pulse.beat(&self.lookups.all());
        }
    }
}

async fn metrics(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let mut bytes = 0;
    for lookup in admin.lookups.all().iter() {
        lookup.meters().publish();
        lookup.meters().entries.set(lookup.local.len() as f64);
        bytes += lookup.local.bytes();
        for (member, table) in lookup.tables() {
            if let Some(snapshot) = table.snapshot() {
                let age = now().saturating_duration_since(snapshot.since).as_secs_f64();
                table_age(&lookup.policy.name, &member.name, age);
            }
        }
    }
    metrics::gauge!("dipcache_cache_bytes").set(bytes as f64);
    events::measure(&admin);
    // What is spawned and never ends shows here first.
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    metrics::gauge!("dipcache_tasks").set(tasks as f64);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], recorder::render())
}

async fn readyz(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    if admin.ready.load(Ordering::Acquire) {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready: starting or draining")
    }
}

async fn simulated(State(admin): State<Arc<Admin>>) -> Result<axum::Json<Value>, (StatusCode, &'static str)> {
    match &admin.simulator {
        Some(simulator) => Ok(axum::Json(simulator.view())),
        None => Err((StatusCode::NOT_FOUND, "no simulated vendors here; `dipcache demo` has some\n")),
    }
}

#[cfg(test)]
mod tests;
