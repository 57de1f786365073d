//! A name server, asked with hickory.

use crate::deadline::Deadline;
use crate::policy::{DnsPolicy, Question, Reading, UpstreamPolicy};
use crate::upstream::Failure;

/// A name server.
#[derive(Debug)]
pub struct DnsUpstream {}

impl DnsUpstream {
    /// Makes the client.
    ///
    /// # Errors
    /// When a resolver cannot be made.
    pub fn build(policy: &UpstreamPolicy, dns: &DnsPolicy) -> Result<Self, Failure> {
        let _ = (policy, dns);
        Ok(Self {})
    }

    /// Asks once.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn ask(
        &self,
        policy: &UpstreamPolicy,
        dns: &DnsPolicy,
        question: &Question,
        deadline: Deadline,
    ) -> Result<Reading, Failure> {
        let _ = (policy, dns, question, deadline);
        todo!()
    }
}
