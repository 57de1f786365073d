//! `POST /v1/warm/{lookup}`: keys one a line come in, progress goes out as NDJSON, both at once.
//!
//! The keys are read as fast as they are settled and no faster. Whoever goes away ends the job; `through` in the last
//! line of progress says from where to go on.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use http_body_util::BodyExt;
use serde::Deserialize;

use crate::admin::Admin;
use crate::deadline::Deadline;
use crate::warm::keys::{LONGEST_LINE, Lines};
use crate::warm::{Job, Key, Keys, NoMore, NotBegun, Pacing, Told};

/// How often progress is told.
const TELL: Duration = Duration::from_millis(200);

/// A client that sends nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(120);

/// What may stand behind the `?`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    /// Dips a second at most.
    rate: Option<f64>,
}

/// Begins a job and tells of it until it ends.
pub(super) async fn warm(
    State(admin): State<Arc<Admin>>,
    Path(name): Path<String>,
    Query(wish): Query<Wish>,
    body: Body,
) -> Response {
    if wish.rate.is_some_and(|rate| !(rate.is_finite() && rate > 0.0)) {
        return (StatusCode::BAD_REQUEST, "`rate` is how many dips a second may be made: write a number above 0\n")
            .into_response();
    }
    let keys = Streamed::new(body, LONGEST_LINE);
    match admin.warming.begin(&name, keys, Pacing { per_second: wish.rate, renew: None }) {
        Ok(job) => ([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(progress(job))).into_response(),
        Err(why) => refused(&why),
    }
}

fn refused(why: &NotBegun) -> Response {
    let status = match why {
        NotBegun::Unknown { .. } => StatusCode::NOT_FOUND,
        NotBegun::NothingKept(_) | NotBegun::NoJob(_) | NotBegun::NoKeys(_) => StatusCode::CONFLICT,
        NotBegun::TooMany => StatusCode::TOO_MANY_REQUESTS,
        NotBegun::Stopping => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, format!("{why}\n")).into_response()
}

/// One line now, one every so often, and the last one.
fn progress(job: Job) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold((Some(job), Duration::ZERO), async |(job, after)| {
        let mut job = job?;
        let told = job.told_after(after).await;
        let over = told.state.is_over();
        Some((Ok(line(&told)), ((!over).then_some(job), TELL)))
    })
}

fn line(told: &Told) -> Bytes {
    // Numbers and text: serialising them has no way to fail.
    let mut json = serde_json::to_vec(told).unwrap_or_default();
    json.push(b'\n');
    json.into()
}

/// Lines as a request's body brings them.
pub(super) struct Streamed {
    body: Body,
    lines: Lines,
    ready: VecDeque<Key>,
    over: bool,
}

impl Keys for Streamed {
    async fn next(&mut self) -> Result<Option<Key>, NoMore> {
        loop {
            if let Some(key) = self.ready.pop_front() {
                return Ok(Some(key));
            }
            if self.over {
                return Ok(None);
            }
            match Deadline::after(SILENCE).limit(self.body.frame()).await {
                Some(Some(Ok(frame))) => {
                    if let Ok(piece) = frame.into_data() {
                        self.ready.extend(self.lines.push(piece));
                    }
                }
                Some(None) => self.end(),
                Some(Some(Err(error))) => return Err(NoMore(error.to_string())),
                None => return Err(NoMore(format!("nothing came for {} s", SILENCE.as_secs()))),
            }
        }
    }
}

impl Streamed {
    /// The lines of a body; one that is longer than this many bytes is a bad one.
    pub(super) fn new(body: Body, longest: usize) -> Self {
        Self { body, lines: Lines::new(longest), ready: VecDeque::new(), over: false }
    }

    fn end(&mut self) {
        self.over = true;
        self.ready.extend(self.lines.last());
    }
}
