//! The calls that change something. Each says in its body what it did.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::Value;

use crate::admin::Admin;
use crate::health::Override;
use crate::orders::{CannotObey, Order, Reach};

type Said = Result<String, (StatusCode, String)>;

/// `PUT /v1/health/{lookup}` with `up`, `down` or `auto`.
pub(super) async fn lay_hand(State(admin): State<Arc<Admin>>, Path(lookup): Path<String>, body: String) -> Said {
    let Some(hand) = Override::from_name(body.trim()) else {
        return Err((StatusCode::BAD_REQUEST, "the body must be `up`, `down` or `auto`\n".to_owned()));
    };
    obey(&admin, Order::Health { lookup, hand }).await
}

/// `DELETE /v1/cache/{lookup}`.
pub(super) async fn flush(State(admin): State<Arc<Admin>>, Path(lookup): Path<String>) -> Said {
    obey(&admin, Order::Flush { lookup, key: None }).await
}

/// `DELETE /v1/cache/{lookup}/{key}`.
pub(super) async fn flush_key(State(admin): State<Arc<Admin>>, Path((lookup, key)): Path<(String, String)>) -> Said {
    obey(&admin, Order::Flush { lookup, key: Some(key) }).await
}

/// `PUT /v1/tables/{lookup}/{upstream}`: loads a table soon; with `force` as the body whatever it brings is believed.
pub(super) async fn load_table(
    State(admin): State<Arc<Admin>>,
    Path((lookup, upstream)): Path<(String, String)>,
    body: String,
) -> Said {
    let force = match body.trim() {
        "" => false,
        "force" => true,
        _ => return Err((StatusCode::BAD_REQUEST, "the body must be empty or `force`\n".to_owned())),
    };
    obey(&admin, Order::Table { lookup, upstream: Some(upstream), force }).await
}

/// `POST /v1/warm/{lookup}/run`: the policy's own job, now, on this node.
pub(super) async fn warm_job(State(admin): State<Arc<Admin>>, Path(lookup): Path<String>) -> Said {
    obey(&admin, Order::WarmJob { lookup }).await
}

pub(super) async fn obey(admin: &Admin, order: Order) -> Said {
    match admin.orders.carry_out(order, Reach::Everybody).await {
        Ok(said) => Ok(said + "\n"),
        Err(why) => Err(refused(&why)),
    }
}

pub(super) fn refused(why: &CannotObey) -> (StatusCode, String) {
    let status = match why {
        CannotObey::Unknown(_) => StatusCode::NOT_FOUND,
        CannotObey::Wrong(_) => StatusCode::BAD_REQUEST,
        CannotObey::NotNow(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, format!("{why}\n"))
}

/// `PUT /v1/sim/{lookup}/{upstream}`: an order to a simulated vendor. Answers what it does from now on.
pub(super) async fn order(
    State(admin): State<Arc<Admin>>,
    Path((lookup, upstream)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Value>, (StatusCode, String)> {
    let Some(simulator) = &admin.simulator else {
        return Err((StatusCode::NOT_FOUND, "no simulated vendors here; `dipcache demo` has some\n".to_owned()));
    };
    simulator.order(&lookup, &upstream, &body).await.map(Json).map_err(|(status, why)| {
        (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), why + "\n")
    })
}
