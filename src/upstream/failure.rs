//! Why an upstream gave no reading.

use std::fmt;

use crate::answer::Outcome;

/// What kind of failure it was, which decides whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The deadline came first.
    Timeout,
    /// No connection: refused, unreachable, unknown host, TLS handshake failed.
    Connect,
    /// The connection broke, or what came over it was not the protocol.
    Protocol,
    /// More came than is ever read: body, header, depth or rows.
    TooLarge,
    /// Our own limit: no seat or no pooled connection came free in time. Never blamed on the upstream.
    Busy,
    /// Our credentials were refused before the question could be asked: there is no token.
    Auth,
    /// The policy could not make a request of this question, or the database refused the statement's form.
    Policy,
    /// A fault of dipcache itself.
    Bug,
}

impl FailureKind {
    /// The word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Protocol => "protocol",
            Self::TooLarge => "too_large",
            Self::Busy => "busy",
            Self::Auth => "auth",
            Self::Policy => "policy",
            Self::Bug => "bug",
        }
    }
}

/// Why an upstream gave no reading.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {detail}", kind.as_str())]
pub struct Failure {
    /// What kind of failure it was.
    pub kind: FailureKind,
    /// What happened, in words; never a secret, never a whole phone number.
    pub detail: Box<str>,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(kind: FailureKind, detail: impl fmt::Display) -> Self {
        Self { kind, detail: detail.to_string().into() }
    }

    /// The outcome that a dip which failed so has.
    pub const fn outcome(&self) -> Outcome {
        match self.kind {
            FailureKind::Timeout | FailureKind::Connect => Outcome::Timeout,
            FailureKind::Protocol | FailureKind::TooLarge | FailureKind::Policy | FailureKind::Bug => {
                Outcome::VendorError
            }
            FailureKind::Busy => Outcome::Overload,
            FailureKind::Auth => Outcome::AuthError,
        }
    }

    /// True when the upstream is to blame: a sample for its breaker.
    pub const fn is_theirs(&self) -> bool {
        !matches!(self.kind, FailureKind::Busy | FailureKind::Auth | FailureKind::Policy | FailureKind::Bug)
    }
}
