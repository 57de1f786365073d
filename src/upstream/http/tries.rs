//! One try of the pipeline's, which may be several requests: the next base URL, a repetition, fresh credentials.

use std::sync::Arc;
use std::time::Duration;

use super::request::{Draft, nobody};
use super::sign::sign;
use super::stamp::Stamp;
use super::token::Token;
use super::{Answer, HttpUpstream};
use crate::deadline::{Deadline, now};
use crate::policy::{Auth, HttpMethod, HttpPolicy, Question};
use crate::upstream::{Failure, FailureKind};

/// Secrets are read anew at most this often: a vendor that refuses everything must not make us read for each dip.
const BETWEEN_READINGS: Duration = Duration::from_secs(1);

/// Asks until an answer is there that more requests would not better, or the time is over.
pub(super) async fn ask(
    upstream: &HttpUpstream,
    http: &HttpPolicy,
    question: &Question,
    deadline: Deadline,
) -> Result<Answer, Failure> {
    let (name, auth) = http.auth_for(question).ok_or_else(nobody)?;
    let source = upstream.tokens.iter().find(|(known, _)| known.as_deref() == name).map(|(_, source)| source);
    let token = match source {
        // Boxed, here and below: what few dips need must not make all of them larger.
        Some(source) => Some(Box::pin(source.token(deadline)).await?),
        None => None,
    };
    let asked = Asked { upstream, http, question, auth, deadline };
    let answer = asked.at_the_bases(token.as_ref()).await?;
    if answer.status != 401 {
        return Ok(answer);
    }
    let again = match (source, token) {
        (Some(source), Some(token)) => match Box::pin(source.renewed(&token, deadline)).await? {
            Some(token) => Box::pin(asked.at_the_bases(Some(&token))).await,
            None => return Ok(answer),
        },
        _ if Box::pin(upstream.secrets_have_changed()).await => Box::pin(asked.at_the_bases(None)).await,
        _ => return Ok(answer),
    };
    // What was refused is an answer; that the repetition broke says less.
    Ok(again.unwrap_or(answer))
}

struct Asked<'a> {
    upstream: &'a HttpUpstream,
    http: &'a HttpPolicy,
    question: &'a Question,
    auth: &'a Auth,
    deadline: Deadline,
}

impl Asked<'_> {
    /// Each base in its turn, then the repetitions. All share the deadline: one that is not the last gets an equal
    /// part of what is left, so that a silent base does not use up the time of the next.
    async fn at_the_bases(&self, token: Option<&Token>) -> Result<Answer, Failure> {
        let stamp = Arc::new(Stamp::now());
        let draft = Draft::of(self.http, self.question, &stamp)?;
        let bases = &self.upstream.bases;
        let order = bases.order(now);
        let repeatable = self.http.wire.safe || self.http.method == HttpMethod::Get;
        let turns = order.len() + self.http.wire.retry as usize;
        for (turn, index) in order.iter().copied().cycle().take(turns).enumerate() {
            let mut request = draft.at(bases.url(index));
            request.authorise(self.auth);
            if let Auth::Hmac(hmac) = self.auth {
                sign(&mut request, hmac, self.question, &stamp)?;
            }
            if let Some(token) = token {
                request.bear(&token.value);
            }
            let left = turns - turn;
            let share = if repeatable { self.share(left) } else { self.deadline };
            let result = self.upstream.fetch(&request, share).await;
            let failed = match &result {
                Ok(answer) => answer.status >= 500,
                Err(failure) => failure.is_theirs(),
            };
            bases.ended(index, failed, now);
            let unsent = matches!(&result, Err(failure) if failure.kind == FailureKind::Connect);
            let again = failed && (repeatable || unsent) && left > 1 && !self.deadline.passed();
            if !again {
                return result;
            }
        }
        // `turns` is at least 1, and the last turn returns.
        Err(Failure::new(FailureKind::Bug, "there was no base to ask"))
    }

    fn share(&self, left: usize) -> Deadline {
        if left < 2 {
            return self.deadline;
        }
        Deadline::after(self.deadline.remaining() / u32::try_from(left).unwrap_or(u32::MAX))
    }
}

impl HttpUpstream {
    /// Reads the secrets anew; true when one of them is another than before.
    async fn secrets_have_changed(&self) -> bool {
        {
            let (mut latest, now) = (self.read_anew.lock(), now());
            if latest.is_some_and(|latest| now < latest + BETWEEN_READINGS) {
                return false;
            }
            *latest = Some(now);
        }
        let secrets = self.secrets.clone();
        let read = move || secrets.iter().filter(|secret| secret.read_anew()).count() > 0;
        // A panic there would cost the reading and nothing else.
        tokio::task::spawn_blocking(read).await.unwrap_or(false)
    }
}
