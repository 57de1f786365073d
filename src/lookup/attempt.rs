//! One try at one upstream: seat, ask, judge, and bring the end home to its health.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::answer::Outcome;
use crate::deadline::{Deadline, Instant, now, wall_clock};
use crate::events::{Event, EventType};
use crate::health::{Change, Held, Pass, Seat, State};
use crate::lookup::Lookup;
use crate::lookup::apart;
use crate::lookup::member::{Given, Member};
use crate::lookup::probe;
use crate::policy::{Judgement, Question};
use crate::upstream::{Failure, FailureKind};

/// How a try ended: with an answer, or with the outcome that it makes if nobody else answers.
pub(super) type Ended = Result<Given, Fell>;

/// A try without an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fell {
    /// What it makes of the dip if nobody else answers.
    pub outcome: Outcome,
    /// Whether the next upstream is asked, where a rule says so.
    pub next: Option<bool>,
}

impl From<Outcome> for Fell {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, next: None }
    }
}

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
    let begun = now();
    if !pass.is_probe()
        && let Some(outcome) = apart::held(&lookup, index, &question, begun)
    {
        return Err(outcome.into());
    }
    // A probe needs no seat: dips that hang may hold all of them, and would keep it from finding the upstream healed.
    // An idle dip has brought its own.
    let (mut pass, mut times, mut _seat) = (pass, times, None);
    if pass.is_idle() {
        member.wanted(&question);
    } else if !pass.is_probe() {
        let mut seated = begun;
        _seat = member.health.free_seat();
        if _seat.is_none() {
            _seat = seat(member, times).await;
            seated = now();
        }
        if _seat.is_none() {
            lookup.meters.upstreams[index].ended(Outcome::Overload, pass.took(seated));
            return Err(Outcome::Overload.into());
        }
        // The breaker may have opened while this dip waited for its seat.
        if !lookup.policy.chain.emergency {
            member.health.may_ask(seated).map_err(|refused| refused.outcome)?;
        }
        member.wanted(&question);
        // The wait was for our own limit: the upstream is given its whole time from here.
        times.overdue = Deadline::at(times.overdue.moment() + pass.seated(seated));
    }
    let (pass, result) = ask(&lookup, index, &question, pass, times).await;
    let judged = match &result {
        Ok(judgement) => judgement.outcome,
        Err(failure) => failure.outcome(),
    };
    let ended = now();
    lookup.meters.upstreams[index].ended(judged, pass.took(ended));
    // What a warm dip took may be its thread's doing, and calls are timed by what is known here.
    if judged.is_answer() && !pass.is_idle() {
        member.took(pass.took(ended));
    }
    settle(&lookup, index, &question, pass, &result, times.cut, ended);
    pay(&lookup, judged);
    match result {
        Ok(Judgement { outcome, record, ttl, keep, next, .. }) if outcome.is_answer() => {
            Ok(Given { outcome, record, ttl, keep, from: Arc::clone(&member.name), next })
        }
        Ok(judgement) => {
            let (lookup, upstream, key) = (&*lookup.policy.name, &*policy.name, &*question.id);
            let (rule, detail) = (judgement.rule.as_str(), judgement.detail.unwrap_or_default());
            tracing::debug!(lookup, upstream, key, outcome = judged.as_str(), rule, detail, "no answer");
            Err(Fell { outcome: judged, next: judgement.next })
        }
        Err(failure) => {
            let (lookup, upstream, key) = (&*lookup.policy.name, &*policy.name, &*question.id);
            tracing::debug!(lookup, upstream, key, outcome = judged.as_str(), %failure, "no answer");
            Err(judged.into())
        }
    }
}

/// Waits for a seat for as long as there is time for an answer after it. Later there is no use in asking, and whoever
/// waits is told while somebody else can still be asked.
async fn seat(member: &Member, times: Times) -> Option<Seat> {
    member.health.seat(times.overdue.earlier(times.cut).sooner_by(member.usual())).await
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
    let upstream = if pass.is_idle() { member.beside(policy) } else { &member.upstream };
    let mut asking = pin!(upstream.ask(policy, question, cut));
    // One clock at a time: the second one matters only once the first has run out.
    let answered = match times.overdue.earlier(cut).limit(&mut asking).await {
        Some(answered) => Some(answered),
        None if cut.passed() => None,
        None => {
            if !is_ours(&pass, times.overdue)
                && apart::is_one_place(lookup, index)
                && let Some(change) = pass.overdue(now())
            {
                note_change(lookup, index, change);
            }
            cut.limit(asking).await
        }
    };
    let reading = answered.unwrap_or_else(|| Err(Failure::new(FailureKind::Timeout, "no answer in time")));
    let judged = match reading {
        Ok(reading) => {
            let judgement = policy.judge(lookup.policy.kind, question, &reading);
            if judgement.outcome.has_record() {
                lookup.tell(policy, question, &reading);
            }
            Ok(judgement)
        }
        // Nobody is sick and nothing was asked: the vendor is left alone as after a 401 of its own.
        Err(failure) if failure.kind == FailureKind::Auth => Ok(Judgement::no_credentials(&failure.detail)),
        Err(failure) => Err(failure),
    };
    (pass, judged)
}

/// How late a timer may be before it is the machine that is slow and not the upstream.
const LATE: Duration = Duration::from_millis(10);

/// True when a dip that nobody waits for is behind its time because its thread had none: calls go first.
fn is_ours(pass: &Pass, due: Deadline) -> bool {
    pass.is_idle() && now().saturating_duration_since(due.moment()) > LATE
}

/// Pays for a dip; with the last of the money every upstream is left alone until there is some again.
fn pay(lookup: &Arc<Lookup>, outcome: Outcome) {
    let Some(spend) = &lookup.spend else { return };
    let wall = wall_clock();
    let Some(spent) = spend.pay(outcome, wall) else { return };
    lookup.meters.spent(spent.today, spent.this_month);
    if let Some(span) = spend.closed_for(wall) {
        for index in 0..lookup.members.len() {
            let now = now();
            if let Some(held) = lookup.members[index].health.hold_for(now, Outcome::QuotaExhausted, span) {
                tell_of_hold(lookup, index, held, "the budget under [cost] is spent", now);
            }
        }
    }
}

/// Brings the end home: a sample for the breaker, or a hold, or neither.
fn settle(
    lookup: &Arc<Lookup>,
    index: usize,
    question: &Question,
    pass: Pass,
    result: &Result<Judgement, Failure>,
    cut: Deadline,
    now: Instant,
) {
    let is_apart = apart::ended(lookup, index, question, result, now);
    if let Ok(judgement) = result {
        alert(lookup, index, judgement, now);
        if !is_apart {
            hold(lookup, index, judgement, now);
        }
    }
    // Where callers choose the server, one that is sick says nothing of the others: else whoever names a dead one
    // would shut them all.
    let is_one_place = apart::is_one_place(lookup, index);
    let failed = match result {
        Ok(judgement) if !is_one_place && !judgement.outcome.is_answer() => None,
        Err(_) if !is_one_place => None,
        Ok(judgement) if judgement.outcome.is_answer() => Some(false),
        Ok(judgement) if judgement.outcome.is_failure() && judgement.sample => Some(true),
        // A vendor that asks for patience is alive, which is all that a probe wants to know.
        Ok(_) => pass.is_probe().then_some(false),
        Err(failure) if is_ours(&pass, cut) && failure.kind == FailureKind::Timeout => None,
        Err(failure) => failure.is_theirs().then_some(true),
    };
    // Whether it was the upstream that was slow, nobody can tell where the thread may have had no time.
    let slow = pass.is_idle() && pass.took(now) > lookup.policy.breaker.slow;
    let failed = failed.filter(|failed| *failed || !slow);
    if let Some(change) = pass.end(now, failed) {
        note_change(lookup, index, change);
    }
}

/// Leaves the upstream alone for a while, if its answer or a rule asks for it.
fn hold(lookup: &Arc<Lookup>, index: usize, judgement: &Judgement, now: Instant) {
    let member = &lookup.members[index];
    if judgement.outcome.is_answer() {
        // A hold of ours, for want of money, ends with the day and not with an answer that was under way.
        if lookup.spend.as_ref().is_none_or(|spend| spend.closed_for(wall_clock()).is_none()) {
            member.health.hold_is_over();
        }
        return;
    }
    let Some(span) = judgement.hold else { return };
    let held = match judgement.hold_grows {
        true => member.health.hold_longer(now, judgement.outcome, span),
        false => member.health.hold_for(now, judgement.outcome, span),
    };
    if let Some(held) = held {
        tell_of_hold(lookup, index, held, &why(judgement), now);
    }
}

/// Tells that an upstream is left alone, and has somebody look when that is over.
fn tell_of_hold(lookup: &Arc<Lookup>, index: usize, held: Held, why: &str, now: Instant) {
    if held.is_news && !lookup.is_retired() {
        let span = held.hold.until - now;
        lookup.events.raise(Event {
            lookup: Some(Arc::clone(&lookup.policy.name)),
            upstream: Some(Arc::clone(&lookup.members[index].name)),
            to: held.hold.outcome.as_str(),
            ..Event::of_node(EventType::Held, format!("left alone for {span:?} ({why})"))
        });
        probe::wake_after_hold(lookup, index);
    }
    lookup.reassess();
}

/// Tells of an answer that its rule says somebody should know of.
fn alert(lookup: &Arc<Lookup>, index: usize, judgement: &Judgement, now: Instant) {
    let member = &lookup.members[index];
    if !judgement.alert || !member.may_alert(now) {
        return;
    }
    lookup.events.raise(Event {
        lookup: Some(Arc::clone(&lookup.policy.name)),
        upstream: Some(Arc::clone(&member.name)),
        to: judgement.outcome.as_str(),
        ..Event::of_node(EventType::Alert, why(judgement))
    });
}

/// The rule, and the vendor's own words where there are any.
fn why(judgement: &Judgement) -> String {
    match &judgement.detail {
        Some(detail) => format!("{}: {detail}", judgement.rule),
        None => judgement.rule.to_string(),
    }
}

/// Tells of a breaker's step, and has a sick upstream looked after.
pub(super) fn note_change(lookup: &Arc<Lookup>, index: usize, change: Change) {
    // Its successor has the say now.
    if lookup.is_retired() {
        return;
    }
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
        // Looking and noting are one step, or an older look could be noted last, and stay.
        let _turn = self.turning.lock();
        let now = now();
        let usable = self.members.iter().any(|member| member.is_usable(now));
        if self.verdict.note(usable) && !self.is_retired() {
            let reason = if usable { "an upstream is usable again" } else { "no upstream is usable" };
            self.flag_turned_alone(reason);
        }
        if let Some(cluster) = &self.cluster {
            cluster.nudge();
        }
    }

    /// Runs no more: another policy, or none, has taken its place. Dips under way end as they began, and
    /// nothing of it is told any more, since its names are its successor's.
    pub(super) fn retire(&self) {
        let _turn = self.turning.lock();
        self.retired.store(true, Ordering::Release);
    }

    /// True once another policy runs under this name, or none.
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Tells that this node has turned the flag by itself.
    pub(crate) fn flag_turned_alone(&self, reason: &str) {
        let up = self.is_up();
        match &self.cluster {
            None => self.tell_flag(up, reason, None),
            Some(cluster) => {
                let reason = format!("{reason}; this node decides alone, since the shared memory does not answer");
                let epoch = self.mind.turn_alone(up, cluster.node(), &reason);
                self.tell_flag(up, &reason, epoch);
            }
        }
    }

    /// Tells that the flag has turned to this; the nodes of a cluster agree on the epoch that began with it.
    pub(crate) fn tell_flag(&self, up: bool, reason: &str, epoch: Option<u64>) {
        let (event, from, to) = if up { (EventType::Recovered, "0", "1") } else { (EventType::Degraded, "1", "0") };
        self.show_flag();
        self.events.raise(Event {
            lookup: Some(Arc::clone(&self.policy.name)),
            from,
            to,
            epoch,
            ..Event::of_node(event, reason)
        });
    }

    pub(super) fn show_flag(&self) {
        self.meters.health.set(f64::from(u8::from(self.is_up())));
    }
}
