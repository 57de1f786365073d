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
    let lookup = find(&admin, &name)?;
    // Millions of entries take a while, on a thread that no call needs.
    let flushed = tokio::task::spawn_blocking(move || lookup.flush()).await;
    flushed.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("the flush failed: {error}\n")))?;
    Ok(format!("every entry of {name} is gone\n"))
}

/// `DELETE /v1/cache/{lookup}/{key}`.
pub(super) async fn flush_key(State(admin): State<Arc<Admin>>, Path((name, key)): Path<(String, String)>) -> Said {
    let lookup = find(&admin, &name)?;
    let question = lookup.policy.question(&key, &[]).map_err(|bad| (StatusCode::BAD_REQUEST, format!("{bad}\n")))?;
    Ok(if lookup.forget(&question) { "the entry is gone\n" } else { "there was no such entry\n" }.to_owned())
}

/// `PUT /v1/tables/{lookup}/{upstream}`: loads a table soon; with `force` as the body whatever it brings is believed.
pub(super) async fn load_table(
    State(admin): State<Arc<Admin>>,
    Path((name, upstream)): Path<(String, String)>,
    body: String,
) -> Said {
    let force = match body.trim() {
        "" => false,
        "force" => true,
        _ => return Err((StatusCode::BAD_REQUEST, "the body must be empty or `force`\n".to_owned())),
    };
    let lookup = find(&admin, &name)?;
    if lookup.want_tables(Some(&upstream), force) {
        return Ok(format!("{name}/{upstream} is loaded; /v1/status tells how it ended\n"));
    }
    let known: Vec<_> = lookup.tables().map(|(member, _)| member.name.to_string()).collect();
    let known = if known.is_empty() { "it has none".to_owned() } else { format!("there are {}", known.join(", ")) };
    Err((StatusCode::NOT_FOUND, format!("{name} has no table `{upstream}`; {known}\n")))
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

pub(super) fn find(admin: &Admin, name: &str) -> Result<Arc<Lookup>, (StatusCode, String)> {
    admin.lookups.find(name).ok_or_else(|| {
        let known: Vec<_> = admin.lookups.all().iter().map(|lookup| lookup.policy.name.to_string()).collect();
        (StatusCode::NOT_FOUND, format!("no lookup `{name}`; there are {}\n", known.join(", ")))
    })
}
