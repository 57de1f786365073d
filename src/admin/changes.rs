//! The calls that change something. Each says in its body what it did.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::Value;

use crate::admin::Admin;
use crate::health::Override;
use crate::lookup::Lookup;

type Said = Result<String, (StatusCode, String)>;

/// `PUT /v1/health/{lookup}` with `up`, `down` or `auto`.
pub(super) async fn lay_hand(State(admin): State<Arc<Admin>>, Path(name): Path<String>, body: String) -> Said {
    let lookup = find(&admin, &name)?;
    let Some(hand) = Override::from_name(body.trim()) else {
        return Err((StatusCode::BAD_REQUEST, "the body must be `up`, `down` or `auto`\n".to_owned()));
    };
    lookup.lay_hand(hand);
    Ok(format!("{name} is {} ({})\n", u8::from(lookup.is_up()), hand.as_str()))
}

/// `DELETE /v1/cache/{lookup}`.
pub(super) async fn flush(State(admin): State<Arc<Admin>>, Path(name): Path<String>) -> Said {
    find(&admin, &name)?.flush();
    Ok(format!("every entry of {name} is gone\n"))
}

/// `DELETE /v1/cache/{lookup}/{key}`.
pub(super) async fn flush_key(State(admin): State<Arc<Admin>>, Path((name, key)): Path<(String, String)>) -> Said {
    let lookup = find(&admin, &name)?;
    let question = lookup.policy.question(&key, &[]).map_err(|bad| (StatusCode::BAD_REQUEST, format!("{bad}\n")))?;
    Ok(if lookup.flush_key(&question.id) { "the entry is gone\n" } else { "there was no such entry\n" }.to_owned())
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

fn find(admin: &Admin, name: &str) -> Result<Arc<Lookup>, (StatusCode, String)> {
    admin.lookups.find(name).ok_or_else(|| {
        let known: Vec<_> = admin.lookups.all().iter().map(|lookup| lookup.policy.name.to_string()).collect();
        (StatusCode::NOT_FOUND, format!("no lookup `{name}`; there are {}\n", known.join(", ")))
    })
}
