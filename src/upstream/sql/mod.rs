//! A database, asked with sqlx.

use crate::deadline::Deadline;
use crate::policy::{SqlPolicy, Question, Reading, UpstreamPolicy};
use crate::upstream::Failure;

/// A database.
#[derive(Debug)]
pub struct SqlUpstream {}

impl SqlUpstream {
    /// Makes the client.
    ///
    /// # Errors
    /// When the URL names no known database.
    pub fn build(policy: &UpstreamPolicy, sql: &SqlPolicy) -> Result<Self, Failure> {
        let _ = (policy, sql);
        Ok(Self {})
    }

    /// Asks once.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn ask(
        &self,
        policy: &UpstreamPolicy,
        sql: &SqlPolicy,
        question: &Question,
        deadline: Deadline,
    ) -> Result<Reading, Failure> {
        let _ = (policy, sql, question, deadline);
        todo!()
    }
}
