//! A REST vendor, asked with reqwest.

use crate::deadline::Deadline;
use crate::policy::{HttpPolicy, Question, Reading, UpstreamPolicy};
use crate::upstream::Failure;

/// A REST vendor.
#[derive(Debug)]
pub struct HttpUpstream {}

impl HttpUpstream {
    /// Makes the client.
    ///
    /// # Errors
    /// When a CA file does not read.
    pub fn build(policy: &UpstreamPolicy, http: &HttpPolicy) -> Result<Self, Failure> {
        let _ = (policy, http);
        Ok(Self {})
    }

    /// Asks once.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn ask(
        &self,
        policy: &UpstreamPolicy,
        http: &HttpPolicy,
        question: &Question,
        deadline: Deadline,
    ) -> Result<Reading, Failure> {
        let _ = (policy, http, question, deadline);
        todo!()
    }
}
