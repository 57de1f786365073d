//! One connection, driven by whoever asks over it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::body::unpacked;
use crate::upstream::http::answer::{Answer, chain, is_too_large};
use crate::upstream::http::whole::Whole;
use crate::upstream::{Failure, FailureKind};

type Sent = Request<Full<Bytes>>;
type Driver = Connection<TokioIo<TcpStream>, Full<Bytes>>;

/// A connection.
#[derive(Debug)]
pub(super) struct Line {
    sender: SendRequest<Full<Bytes>>,
    /// `None` once it has ended.
    driver: Option<Box<Driver>>,
}

/// A request that brought no answer.
#[derive(Debug)]
pub(super) enum Unsent {
    /// Not a byte of it was written.
    Still(Box<Sent>),
    /// It was, or may have been.
    Not(Failure),
}

impl Line {
    /// Over a new connection.
    pub(super) async fn begin(stream: TokioIo<TcpStream>) -> Result<Self, Failure> {
        let (sender, driver) = http1::handshake(stream).await.map_err(failure)?;
        Ok(Self { sender, driver: Some(Box::new(driver)) })
    }

    /// Sends a request and reads its answer to the end.
    pub(super) async fn ask(&mut self, request: Sent, wanted: usize) -> Result<Answer, Unsent> {
        // What has happened to it while it was kept is seen here.
        self.turn().await;
        if self.driver.is_none() || !self.sender.is_ready() {
            return Err(Unsent::Still(Box::new(request)));
        }
        let head = self.sender.try_send_request(request);
        let response = match along(&mut self.driver, head).await {
            Ok(Ok(response)) => response,
            Ok(Err(mut error)) => {
                return Err(match error.take_message() {
                    Some(request) => Unsent::Still(Box::new(request)),
                    None => Unsent::Not(failure(error.into_error())),
                });
            }
            Err(ended) => return Err(Unsent::Not(ended)),
        };
        self.answer(response, wanted).await.map_err(Unsent::Not)
    }

    /// True when another request may go over it.
    pub(super) fn is_free(&self) -> bool {
        self.driver.is_some() && self.sender.is_ready()
    }

    async fn answer(&mut self, response: Response<Incoming>, wanted: usize) -> Result<Answer, Failure> {
        let (mut head, body) = response.into_parts();
        let body = match wanted {
            // Let go, so that what has come of it already is skipped and the connection can be kept.
            0 => {
                drop(body);
                Bytes::new()
            }
            wanted => {
                let body = self.body(body, wanted).await?;
                unpacked(&mut head.headers, body, wanted)?
            }
        };
        // It comes back to rest, or to its end, in this turn.
        self.turn().await;
        Ok(Answer::of(head.status, &head.headers, body))
    }

    async fn body(&mut self, body: Incoming, limit: usize) -> Result<Bytes, Failure> {
        let mut whole = Whole::begin(body.size_hint().exact().unwrap_or(0), limit)?;
        let mut body = pin!(body);
        while let Some(frame) = along(&mut self.driver, body.frame()).await? {
            let Ok(piece) = frame.map_err(failure)?.into_data() else { continue };
            whole.add(piece)?;
        }
        Ok(whole.done())
    }

    /// Lets the connection do what it can without waiting.
    async fn turn(&mut self) {
        poll_fn(|cx| {
            if self.driver.as_mut().is_some_and(|driver| Pin::new(driver).poll(cx).is_ready()) {
                self.driver = None;
            }
            Poll::Ready(())
        })
        .await;
    }
}

/// Drives the connection until `work` is done over it.
async fn along<T>(driver: &mut Option<Box<Driver>>, work: impl Future<Output = T>) -> Result<T, Failure> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        let Some(running) = driver else {
            return match work.as_mut().poll(cx) {
                Poll::Ready(done) => Poll::Ready(Ok(done)),
                Poll::Pending => {
                    Poll::Ready(Err(Failure::new(FailureKind::Protocol, "the connection ended too early")))
                }
            };
        };
        let ended = Pin::new(running).poll(cx);
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            if ended.is_ready() {
                *driver = None;
            }
            return Poll::Ready(Ok(done));
        }
        match ended {
            Poll::Ready(end) => {
                *driver = None;
                Poll::Ready(Err(end.err().map_or_else(
                    || Failure::new(FailureKind::Protocol, "the connection ended without an answer"),
                    failure,
                )))
            }
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

fn failure(error: hyper::Error) -> Failure {
    let kind = if is_too_large(&error) { FailureKind::TooLarge } else { FailureKind::Protocol };
    Failure::new(kind, chain(&error))
}
