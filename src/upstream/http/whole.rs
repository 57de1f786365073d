//! A body, put together from its pieces within a bound.

use bytes::{Bytes, BytesMut};

use crate::upstream::{Failure, FailureKind};

/// What has come of a body.
#[derive(Debug)]
pub(super) struct Whole {
    limit: usize,
    declared: usize,
    /// Nearly always all of it is one piece, which need not be copied.
    first: Bytes,
    more: BytesMut,
}

impl Whole {
    /// Nothing yet; a declared length past the limit is not even begun.
    pub(super) fn begin(declared: u64, limit: usize) -> Result<Self, Failure> {
        match usize::try_from(declared) {
            Ok(declared) if declared <= limit => {
                Ok(Self { limit, declared, first: Bytes::new(), more: BytesMut::new() })
            }
            _ => {
                let detail = format!("a body of {declared} bytes; at most {limit} are read");
                Err(Failure::new(FailureKind::TooLarge, detail))
            }
        }
    }

    pub(super) fn add(&mut self, piece: Bytes) -> Result<(), Failure> {
        if self.first.len() + self.more.len() + piece.len() > self.limit {
            return Err(goes_on_past(self.limit));
        }
        if self.first.is_empty() && self.more.is_empty() {
            self.first = piece;
            return Ok(());
        }
        if self.more.is_empty() {
            // What is declared is below the limit, so a vendor cannot make us reserve more than that.
            self.more.reserve(self.declared);
        }
        self.more.extend_from_slice(&std::mem::take(&mut self.first));
        self.more.extend_from_slice(&piece);
        Ok(())
    }

    pub(super) fn done(self) -> Bytes {
        if self.more.is_empty() { self.first } else { self.more.freeze() }
    }
}

/// More than is read.
pub(super) fn goes_on_past(limit: usize) -> Failure {
    Failure::new(FailureKind::TooLarge, format!("the body goes on past {limit} bytes"))
}
