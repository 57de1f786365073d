//! `PUT /v1/cache/{lookup}`: records as NDJSON, one a line, kept without asking anybody.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::admin::Admin;
use crate::admin::warm::Streamed;
use crate::lookup::{Lookup, Pushed};
use crate::warm::{Key, Keys};

/// The longest line, in bytes: the longest record, and what stands around it.
const LONGEST_LINE: usize = 128 * 1024;

/// Bad lines that are told; the others are only counted.
const TOLD_LINES: usize = 10;

/// Lines that are kept before somebody else may have the thread.
const RUN: u64 = 64;

/// Keeps each record, and tells how many, and what is wrong with the first bad ones.
pub(super) async fn ingest(State(admin): State<Arc<Admin>>, Path(name): Path<String>, body: Body) -> Response {
    let mut lookup = match admin.orders.find(&name) {
        Ok(lookup) if lookup.is_warmable() => lookup,
        Ok(_) => return (StatusCode::CONFLICT, format!("nothing of {name} is kept\n")).into_response(),
        Err(unknown) => return super::changes::refused(&unknown).into_response(),
    };
    let mut lines = Streamed::new(body, LONGEST_LINE);
    let (mut kept, mut bad, mut told) = (0_u64, 0_u64, Vec::new());
    let early = loop {
        match lines.next().await {
            Ok(Some(line)) => match keep(&lookup, &line) {
                Ok(()) => kept += 1,
                Err(why) => {
                    bad += 1;
                    if told.len() < TOLD_LINES {
                        told.push(json!({ "line": line.line, "why": why }));
                    }
                }
            },
            Ok(None) => break None,
            Err(early) => break Some(early.to_string()),
        }
        if (kept + bad).is_multiple_of(RUN) {
            tokio::task::yield_now().await;
        }
        // After a reload the successor's cache is the one to fill.
        if lookup.is_retired() {
            match admin.orders.find(&name) {
                Ok(successor) => lookup = successor,
                Err(gone) => break Some(gone.to_string()),
            }
        }
    };
    let status = if early.is_some() || (kept == 0 && bad > 0) { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    (status, Json(json!({ "kept": kept, "bad": bad, "bad_lines": told, "why": early }))).into_response()
}

fn keep(lookup: &Lookup, line: &Key) -> Result<(), String> {
    let text = line.text.as_deref().ok_or_else(|| format!("no text of at most {LONGEST_LINE} bytes"))?;
    let pushed: Pushed = serde_json::from_str(text).map_err(|error| {
        // Its own words, without the line number, which is always 1.
        let words = error.to_string();
        let words = words.split(" at line ").next().unwrap_or_default();
        format!("no record: {words}, at column {}", error.column())
    })?;
    lookup.ingest(pushed, None)
}
