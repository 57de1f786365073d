//! The full lane: hyper, for everything that is not plain.
//!
//! It answers by the same steps as the plain lane and differs in what HTTP itself asks for: methods,
//! versions, `Connection`, problem documents, HTTP/2.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONNECTION, HOST, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use crate::deadline::{self, Deadline};
use crate::front::Front;
use crate::front::desk::Desk;
use crate::front::http::ask::{Said, Step, begin};
use crate::front::http::guard::{Guarded, InHand};
use crate::front::http::head::{MAX_FIELDS, MAX_HEAD};
use crate::front::http::plain::Rest;
use crate::front::http::problem;
use crate::front::http::reply::Reply;
use crate::front::http::route::{Route, route};
use crate::front::http::{Settings, call};
use crate::front::listen::{Drain, LINGER};

/// Requests of one HTTP/2 connection in hand at once.
const MAX_STREAMS: u32 = 256;

/// An HTTP/2 connection that says nothing for this long is asked whether it lives.
const PING: Duration = Duration::from_secs(60);

/// Runs a connection to its end.
pub async fn run<D: Desk>(rest: Rest, desk: Arc<D>, settings: Settings, drain: Drain) {
    let in_hand = InHand::default();
    let is_http2 = rest.http2;
    let io = TokioIo::new(Guarded::new(rest, in_hand.clone(), &settings));
    let draining = drain.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (desk, held, draining) = (desk.clone(), in_hand.one(), draining.clone());
        async move {
            let version = request.version();
            let mut response = respond(&*desk, request, settings.head_time).await;
            // HTTP/2 has a frame of its own for this.
            if draining.begun() && version < Version::HTTP_2 {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            drop(held);
            Ok::<_, Infallible>(response)
        }
    });
    let ended = if is_http2 {
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING)
            .keep_alive_timeout(settings.write_time)
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEAD as u32)
            .serve_connection(io, service);
        let mut connection = std::pin::pin!(connection);
        // The connection first: it may have brought a whole request with it.
        tokio::select! {
            biased;
            ended = connection.as_mut() => ended,
            () = drain.wait() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    } else {
        let connection = http1::Builder::new()
            .title_case_headers(true)
            .half_close(true)
            .max_headers(MAX_FIELDS)
            .max_header_size(MAX_HEAD)
            .header_read_timeout(None)
            .serve_connection(io, service);
        let mut connection = std::pin::pin!(connection);
        // The connection first: it may have brought a whole request with it.
        tokio::select! {
            biased;
            ended = connection.as_mut() => ended,
            () = lingered(&drain) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP connection broke");
    }
}

/// Waits until a connection without a request may go: told in mid-air, hyper would close it on a request's way.
async fn lingered(drain: &Drain) {
    drain.wait().await;
    tokio::time::sleep(LINGER).await;
}

async fn respond<D: Desk>(desk: &D, request: Request<Incoming>, body_time: Duration) -> Response<Full<Bytes>> {
    let now = deadline::now();
    let (head, body) = request.into_parts();
    let step = match look(desk, &head) {
        Some(step) => step,
        None => posted(desk, body, body_time).await,
    };
    let said = match step {
        Step::Say(said) => said,
        Step::Ask(asking) => asking.answer(now).await,
        // The body's time is the client's own, and no part of the budget.
        Step::Call(call) => Said::Called(call.answer(Front::Http, deadline::now()).await),
    };
    let (mut scratch, mut document) = (Vec::new(), Vec::new());
    let mut reply = Reply::of(&said, &mut scratch);
    if head.headers.get_all(ACCEPT).iter().any(|accept| problem::is_accepted(accept.as_bytes())) {
        reply = reply.explained(&said, &mut document);
    }
    response(&reply)
}

/// What a head alone asks for; `None` where its body must be read.
fn look<D: Desk>(desk: &D, head: &Parts) -> Option<Step<D::Line>> {
    if head.version == Version::HTTP_11 && head.headers.get_all(HOST).iter().count() != 1 {
        return Some(Step::Say(Said::BadHost));
    }
    let path = head.uri.path();
    match (route(path), &head.method) {
        (Route::Calls, &Method::POST) => None,
        (Route::Calls, _) => Some(Step::Say(Said::OnlyPost)),
        (Route::Nowhere, _) | (_, &Method::GET | &Method::HEAD) => {
            Some(begin(desk, path, head.uri.query().unwrap_or(""), deadline::now()))
        }
        _ => Some(Step::Say(Said::WrongMethod)),
    }
}

/// Reads a body, in bounds of size and time, and begins what it asks for.
async fn posted<D: Desk>(desk: &D, body: Incoming, time: Duration) -> Step<D::Line> {
    let read = Deadline::after(time).limit(Limited::new(body, call::MAX_BODY).collect()).await;
    match read {
        Some(Ok(body)) => call::posted(desk, &body.to_bytes()),
        Some(Err(error)) if error.is::<LengthLimitError>() => call::refuse(413, "the body is longer than 64 KiB"),
        Some(Err(_)) => call::refuse(400, "the body broke off"),
        None => call::refuse(408, "the body did not come in time"),
    }
}

/// Reads the reply's fields, as the plain lane would send them, into hyper's response.
fn response(reply: &Reply<'_>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(reply.body())));
    *response.status_mut() = StatusCode::from_u16(reply.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut fields = Vec::with_capacity(256);
    reply.write_fields(&mut fields);
    for line in fields.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            response.headers_mut().append(name, value);
        }
    }
    response
}
