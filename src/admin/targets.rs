//! Destinations that routing scripts found dead: `/v1/target`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use crate::admin::Admin;
use crate::admin::changes::obey;
use crate::deadline::now;
use crate::health::failed::LONGEST;
use crate::orders::Order;
use crate::written::Leaf;

type Refusal = (StatusCode, String);

/// `GET /v1/target`: what is avoided, and for how many seconds more.
pub(super) async fn list(State(admin): State<Arc<Admin>>) -> Json<Value> {
    let list = admin.lookups.failed_targets().list(now());
    let seconds = |left: Duration| json!({ "ttl_s": (left.as_secs_f64() * 1000.0).round() / 1000.0 });
    Json(Value::Object(
        list.into_iter().map(|(target, left)| (target.to_string(), seconds(left))).collect::<Map<_, _>>(),
    ))
}

/// `PUT /v1/target/{ip}:{port}`: avoids a destination, on every node, for the time in the body: `30`, `30s`, or `{"ttl":"30s"}`.
pub(super) async fn avoid(
    State(admin): State<Arc<Admin>>,
    Path(target): Path<String>,
    body: String,
) -> Result<String, Refusal> {
    let target = address(&target)?;
    let span = span(body.trim()).filter(|span| !span.is_zero() && *span <= LONGEST).ok_or_else(|| {
        let why = "the body must be a time to live of at most a day: `30` seconds, `30s`, `5m` or {\"ttl\":\"30s\"}\n";
        (StatusCode::BAD_REQUEST, why.to_owned())
    })?;
    obey(&admin, Order::Target { target, span }).await
}

/// `DELETE /v1/target/{ip}:{port}`: takes it back.
pub(super) async fn trust(State(admin): State<Arc<Admin>>, Path(target): Path<String>) -> Result<String, Refusal> {
    let target = address(&target)?;
    obey(&admin, Order::Target { target, span: Duration::ZERO }).await
}

fn address(text: &str) -> Result<SocketAddr, Refusal> {
    text.parse().ok().filter(|target: &SocketAddr| target.port() > 0).ok_or_else(|| {
        let why = "a target is an address and a port, such as 192.0.2.1:5060 or [2001:db8::1]:5060\n";
        (StatusCode::BAD_REQUEST, why.to_owned())
    })
}

/// A time to live, bare or as JSON; whole numbers are seconds.
fn span(body: &str) -> Option<Duration> {
    let text = match serde_json::from_str::<Value>(body) {
        Ok(Value::Object(mut map)) => match map.remove("ttl")? {
            Value::String(text) => text,
            other => other.to_string(),
        },
        _ => body.to_owned(),
    };
    match text.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Duration::from_text(&text).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_live_in_every_form() {
        for body in ["30", "30s", r#"{"ttl":"30s"}"#, r#"{"ttl":30}"#] {
            assert_eq!(span(body), Some(Duration::from_secs(30)), "{body}");
        }
        for body in ["", "soon", "-1", "{}", r#"{"ttl":[]}"#] {
            assert_eq!(span(body), None, "{body}");
        }
        assert!(
            address("[2001:db8::1]:5060").is_ok() && address("192.0.2.1").is_err() && address("192.0.2.1:0").is_err()
        );
    }
}
