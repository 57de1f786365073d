//! One try at one upstream: seat, ask, judge, and bring the end home to its health.

use std::sync::Arc;

use crate::answer::Outcome;
use crate::deadline::{Deadline, Instant, calendar, now};
use crate::events::{Event, EventType};
use crate::health::{Change, Pass, State};
use crate::lookup::Lookup;
use crate::lookup::member::{Given, Member};
use crate::lookup::probe;
use crate::policy::{Judgement, Question, UpstreamPolicy};
use crate::upstream::{Failure, FailureKind};

/// How a try ended: with an answer, or with the outcome that it makes if nobody else answers.
pub(super) type Ended = Result<Given, Outcome>;

/// The times of one try.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// From here on it counts as a failure, though it may go on for the cache's sake.
    pub overdue: Deadline,
    /// Here it is cut off.
    pub cut: Deadline,
}

/// Tries once. Never longer than `times.cut`.
pub(super) async fn attempt(
    lookup: Arc<Lookup>,
    index: usize,
    question: Arc<Question>,
    pass: Pass,
    times: Times,
) -> Ended {
    let (member, policy) = (&lookup.members[index], &lookup.policy.upstreams[index]);
    let Some(_seat) = member.health.seat(times.overdue.earlier(times.cut)).await else {
        lookup.meters.upstreams[index].ended(Outcome::Overload, pass.took(now()));
        return Err(Outcome::Overload);
    };
    if !pass.is_probe() {
        // The breaker may have opened while this dip waited for its seat.
        member.health.may_ask(now()).map_err(|refused| refused.outcome)?;
        member.asked(&question);
    }
    let (pass, result) = ask(&lookup, index, &question, pass, times).await;
    let judged = match &result {
        Ok(judgement) => judgement.outcome,
        Err(failure) => failure.outcome(),
    };
    lookup.meters.upstreams[index].ended(judged, pass.took(now()));
    settle(&lookup, index, pass, &result);
    match result {
        Ok(Judgement { outcome, record, ttl, .. }) if outcome.is_answer() => {
            Ok(Given { outcome, record, ttl, from: Arc::clone(&member.name) })
        }
        Ok(judgement) => {
            let (lookup, upstream) = (&*lookup.policy.name, &*policy.name);
            tracing::debug!(lookup, upstream, outcome = judged.as_str(), rule = judgement.rule, "no answer");
            Err(judged)
        }
        Err(failure) => {
            let (lookup, upstream) = (&*lookup.policy.name, &*policy.name);
            tracing::debug!(lookup, upstream, outcome = judged.as_str(), %failure, "no answer");
            Err(judged)
        }
    }
}

/// Asks, and notes the moment at which the answer becomes overdue.
async fn ask(
    lookup: &Arc<Lookup>,
    index: usize,
    question: &Question,
    mut pass: Pass,
    times: Times,
) -> (Pass, Result<Judgement, Failure>) {
    let (member, policy) = (&lookup.members[index], &lookup.policy.upstreams[index]);
    let cut = policy.total_timeout.map_or(times.cut, |total| Deadline::after(total).earlier(times.cut));
    let mut asking = Box::pin(cut.limit(member.upstream.ask(policy, question, cut)));
    let answered = match times.overdue.limit(&mut asking).await {
        Some(answered) => answered,
        None => {
            if let Some(change) = pass.overdue(now()) {
                note_change(lookup, index, change);
            }
            asking.await
        }
    };
    let reading = answered.unwrap_or_else(|| Err(Failure::new(FailureKind::Timeout, "no answer in time")));
    (pass, reading.map(|reading| policy.judge(lookup.policy.kind, question, &reading)))
}

/// Brings the end home: a sample for the breaker, or a hold, or neither.
fn settle(lookup: &Arc<Lookup>, index: usize, pass: Pass, result: &Result<Judgement, Failure>) {
    let now = now();
    let failed = match result {
        Ok(judgement) if judgement.outcome.is_answer() => Some(false),
        Ok(judgement) if judgement.outcome.is_failure() => Some(true),
        Ok(judgement) => {
            hold(lookup, index, judgement, now);
            // A vendor that asks for patience is alive, which is all that a probe wants to know.
            pass.is_probe().then_some(false)
        }
        Err(failure) => failure.is_theirs().then_some(true),
    };
    if let Some(change) = pass.end(now, failed) {
        note_change(lookup, index, change);
    }
}

fn hold(lookup: &Arc<Lookup>, index: usize, judgement: &Judgement, now: Instant) {
    let (member, policy): (&Member, &UpstreamPolicy) = (&lookup.members[index], &lookup.policy.upstreams[index]);
    if !judgement.outcome.is_hold() {
        return;
    }
    let span = judgement.hold.unwrap_or(policy.hold);
    let Some(hold) = member.health.hold_for(now, judgement.outcome, span) else { return };
    lookup.events.raise(Event {
        lookup: Some(Arc::clone(&lookup.policy.name)),
        upstream: Some(Arc::clone(&member.name)),
        to: judgement.outcome.as_str(),
        ..Event::of_node(EventType::Held, format!("left alone for {span:?} ({})", judgement.rule))
    });
    lookup.reassess();
    probe::wake_after_hold(lookup, hold.until);
}

/// Tells of a breaker's step, and has a sick upstream looked after.
pub(super) fn note_change(lookup: &Arc<Lookup>, index: usize, change: Change) {
    let member = &lookup.members[index];
    let (event, gauge) = match change.to {
        State::Closed => (EventType::Closed, 0.0),
        State::HalfOpen => (EventType::HalfOpen, 1.0),
        State::Open { .. } => (EventType::Opened, 2.0),
    };
    lookup.meters.upstreams[index].breaker.set(gauge);
    lookup.events.raise(Event {
        lookup: Some(Arc::clone(&lookup.policy.name)),
        upstream: Some(Arc::clone(&member.name)),
        from: change.from.as_str(),
        to: change.to.as_str(),
        failure_ratio: change.counts.failure_ratio(),
        slow_ratio: change.counts.slow_ratio(),
        ..Event::of_node(event, change.reason)
    });
    lookup.reassess();
    if matches!(change.to, State::Open { .. }) {
        probe::watch(lookup, index);
    }
}

impl Lookup {
    /// Looks at all upstreams, and turns the flag or has the other nodes told if that is what they say.
    pub(crate) fn reassess(&self) {
        let now = now();
        let usable = self.members.iter().any(|member| member.health.is_usable(now));
        if self.verdict.note(usable) {
            let reason = if usable { "an upstream is usable again" } else { "no upstream is usable" };
            self.flag_turned_alone(reason);
        }
        if let Some(cluster) = &self.cluster {
            cluster.nudge();
        }
        self.meters.health.set(f64::from(u8::from(self.is_up())));
    }

    /// Tells that this node has turned the flag by itself.
    pub(crate) fn flag_turned_alone(&self, reason: &str) {
        match &self.cluster {
            None => self.flag_turned(reason, String::new()),
            Some(cluster) => {
                let reason = format!("{reason}; this node decides alone, since the shared memory does not answer");
                let (epoch, state) = (self.mind.epoch(), u8::from(self.is_up()));
                let id = format!("{}:{epoch}:{state}:{}:{}", self.policy.name, cluster.node(), calendar());
                self.flag_turned(&reason, id);
            }
        }
    }

    /// Tells that the flag has turned.
    pub(crate) fn flag_turned(&self, reason: &str, id: String) {
        self.tell_flag(self.is_up(), reason, id);
    }

    /// Tells that the flag has turned to this.
    pub(crate) fn tell_flag(&self, up: bool, reason: &str, id: String) {
        let (event, from, to) = if up { (EventType::Recovered, "0", "1") } else { (EventType::Degraded, "1", "0") };
        self.meters.health.set(f64::from(u8::from(self.is_up())));
        self.events.raise(Event {
            id,
            lookup: Some(Arc::clone(&self.policy.name)),
            from,
            to,
            ..Event::of_node(event, reason)
        });
    }
}
