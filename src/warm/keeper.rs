//! What is done without being asked: hot keys stay warm, and the policies' own jobs run when they are due.
//!
//! A beat comes every fortieth of an entry's life. It takes the census: which keys were asked for since the last one,
//! and how often (the cache's slots have counted it in the mark that every reader sets anyway). The sketch adds that
//! up; its best are looked at, and those that are late in their lives or not there are asked for in the idle lane.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Local};
use compact_str::CompactString;
use tokio::task::JoinHandle;

use crate::deadline::{Instant, now, tick};
use crate::lookup::Lookup;
use crate::policy::warm::WarmSource;
use crate::warm::job::{self, Pacing};
use crate::warm::own::OwnJob;
use crate::warm::restart::Leave;
use crate::warm::sketch::Sketch;
use crate::warm::tally::Tally;
use crate::warm::{Key, Warming, journal};

/// A beat comes once in so many parts of a life, and within these bounds.
const BEATS: u32 = 40;
const SHORTEST_BEAT: Duration = Duration::from_millis(100);
const LONGEST_BEAT: Duration = Duration::from_secs(10);

/// A hot key is renewed past this share of its life, where the policy says nothing.
const RENEW: f64 = 0.8;

/// All that are due at once are renewed in this part of the time that is left to them.
const HURRY: f64 = 4.0;
/// And never slower than this, in dips a second.
const LEAST_PACE: f64 = 20.0;

/// A journal holds so many keys, where the policy keeps none hot.
const JOURNAL: usize = 10_000;

/// How often a journal is written, and what was hot counts for half as much.
const WRITE: Duration = Duration::from_secs(5 * 60);
const FADE: Duration = Duration::from_secs(24 * 3600);

/// The calendar is looked at this often: it can be set.
const LOOK: Duration = Duration::from_secs(1);

/// What is known of one lookup.
struct Desk {
    sketch: Sketch,
    census_due: Instant,
    write_due: Instant,
    fade_due: Instant,
    /// Hot keys are being renewed.
    renewing: Option<JoinHandle<()>>,
    /// The policy's own job runs.
    own: Option<JoinHandle<()>>,
    /// The policy that `next` was made for, and when its job is due.
    schedule_of: u64,
    next: Option<DateTime<Local>>,
    /// Somebody wants the job to run now, and which run it is where it is one for all nodes.
    wanted: Option<Option<i64>>,
}

/// All lookups' hot keys and jobs, looked after.
pub(super) struct Keeper {
    warming: Arc<Warming>,
    leave: Option<Leave>,
    desks: HashMap<Arc<str>, Desk>,
}

impl Keeper {
    pub(super) fn new(warming: Arc<Warming>, leave: Option<Leave>) -> Self {
        Self { warming, leave, desks: HashMap::new() }
    }

    /// Looks after them until `leaving`.
    pub(super) async fn run(mut self, leaving: impl Future<Output = ()>) {
        let mut leaving = std::pin::pin!(leaving);
        let mut started = false;
        loop {
            let lookups = self.warming.lookups.all();
            self.desks.retain(|name, _| lookups.iter().any(|lookup| lookup.policy.name == *name));
            let mut wake = now() + LOOK;
            for lookup in lookups.iter().filter(|lookup| lookup.is_warmable()) {
                wake = wake.min(self.look_at(lookup, !started).await);
            }
            started = true;
            tokio::select! {
                () = tokio::time::sleep_until(wake) => {}
                () = self.warming.has_wish.notified() => {}
                () = &mut leaving => break,
            }
        }
        for lookup in self.warming.lookups.all().iter().filter(|lookup| wants_census(lookup)) {
            if let Some(desk) = self.desks.get_mut(&lookup.policy.name) {
                // Also of the last calls.
                desk.census(lookup).await;
                desk.write_journal(self.leave.as_ref(), lookup).await;
            }
        }
    }

    /// Does what is due for a lookup; when to look again.
    async fn look_at(&mut self, lookup: &Arc<Lookup>, starting: bool) -> Instant {
        let name = &lookup.policy.name;
        if !self.desks.contains_key(name) {
            let mut desk = Desk::new(lookup, self.leave.as_ref()).await;
            desk.wanted = (starting && lookup.policy.warm.at_start).then_some(None);
            self.desks.insert(Arc::clone(name), desk);
        }
        // It was put there just now.
        let Some(desk) = self.desks.get_mut(name) else { return now() + LOOK };
        if let Some(run) = self.warming.wanted.lock().remove(&**name) {
            desk.wanted = Some(run);
        }
        let mut wake = now() + LOOK;
        if wants_census(lookup) {
            if now() >= desk.census_due {
                desk.census_due = now() + beat(lookup);
                let due = desk.census(lookup).await;
                desk.renew(&self.warming, lookup, due);
            }
            if now() >= desk.write_due {
                desk.write_due = now() + WRITE;
                desk.write_journal(self.leave.as_ref(), lookup).await;
            }
            wake = wake.min(desk.census_due);
        }
        desk.own_job(&self.warming, lookup).await;
        wake
    }
}

/// True where somebody wants to know which keys are asked for.
fn wants_census(lookup: &Lookup) -> bool {
    let warm = &lookup.policy.warm;
    warm.keep_hot > 0 || warm.sources.iter().any(|source| matches!(source, WarmSource::Journal))
}

fn beat(lookup: &Lookup) -> Duration {
    (lookup.policy.cache.found / BEATS).clamp(SHORTEST_BEAT, LONGEST_BEAT)
}

fn most(lookup: &Lookup) -> usize {
    if lookup.policy.warm.keep_hot > 0 { lookup.policy.warm.keep_hot } else { JOURNAL }
}

impl Desk {
    async fn new(lookup: &Arc<Lookup>, leave: Option<&Leave>) -> Self {
        let mut desk = Self::empty(lookup);
        if let Some(leave) = leave.filter(|_| wants_census(lookup)) {
            let (path, lookup) = (leave.journal(lookup), Arc::clone(lookup));
            desk.apart(move |sketch| read_journal(&path, &lookup, sketch)).await;
        }
        desk
    }

    fn empty(lookup: &Lookup) -> Self {
        Self {
            sketch: Sketch::new(most(lookup) * 4),
            census_due: now(),
            write_due: now() + WRITE,
            fade_due: now() + FADE,
            renewing: None,
            own: None,
            schedule_of: 0,
            next: None,
            wanted: None,
        }
    }

    /// Does something with the sketch on a thread that serves nobody: it may hold millions of keys.
    async fn apart<T: Send + 'static>(&mut self, work: impl FnOnce(&mut Sketch) -> T + Send + 'static) -> Option<T> {
        let mut sketch = std::mem::replace(&mut self.sketch, Sketch::new(1));
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&mut sketch);
            (sketch, done)
        });
        // A panic there costs what was counted.
        let (sketch, done) = done.await.ok()?;
        self.sketch = sketch;
        Some(done)
    }

    /// Takes the census; the hot keys that are to be renewed.
    async fn census(&mut self, lookup: &Arc<Lookup>) -> VecDeque<Key> {
        let fades = now() >= self.fade_due;
        if fades {
            self.fade_due = now() + FADE;
        }
        let lookup = Arc::clone(lookup);
        let taken = self.apart(move |sketch| {
            sketch.set_room(most(&lookup) * 4);
            if fades {
                sketch.fade();
            }
            lookup.local.census(|id, times| sketch.add(id, times.into()));
            due(&lookup, sketch)
        });
        taken.await.unwrap_or_default()
    }

    /// Has these keys renewed, unless that is under way.
    fn renew(&mut self, warming: &Arc<Warming>, lookup: &Arc<Lookup>, due: VecDeque<Key>) {
        if due.is_empty() || self.renewing.as_ref().is_some_and(|renewing| !renewing.is_finished()) {
            return;
        }
        let share = renew_share(lookup);
        let left = lookup.policy.cache.found.as_secs_f64() * (1.0 - share);
        let pace = (HURRY * lookup.policy.warm.keep_hot as f64 / left.max(1e-3)).max(LEAST_PACE);
        let pacing = Pacing { per_second: Some(pace), renew: Some(share) };
        let tally = Arc::new(Tally::new(&lookup.policy.name));
        self.renewing = Some(warming.spawn(job::run(Arc::clone(&warming.lookups), due, pacing, tally)));
    }

    /// Writes the hot keys down for the next process.
    async fn write_journal(&mut self, leave: Option<&Leave>, lookup: &Arc<Lookup>) {
        let Some(leave) = leave.filter(|_| wants_census(lookup)) else { return };
        let (path, lookup) = (leave.journal(lookup), Arc::clone(lookup));
        let written = self.apart(move |sketch| {
            let line = |(id, count): (CompactString, u64)| Some((lookup.policy.inputs.line_of(&id)?, count));
            let keys: Vec<_> = sketch.top(most(&lookup)).into_iter().filter_map(line).collect();
            if let Err(error) = journal::save(&path, &keys) {
                let (lookup, file) = (&*lookup.policy.name, path.display());
                tracing::warn!(lookup, %file, %error, "no journal of hot keys was written");
            }
        });
        written.await;
    }

    /// Begins the policy's own job when it is due.
    async fn own_job(&mut self, warming: &Arc<Warming>, lookup: &Arc<Lookup>) {
        let warm = &lookup.policy.warm;
        if self.schedule_of != lookup.policy.fingerprint {
            self.schedule_of = lookup.policy.fingerprint;
            self.next = warm.schedule.as_ref().and_then(|schedule| schedule.after(Local::now()));
        }
        let at = Local::now();
        let due = self.next.filter(|next| at >= *next);
        if due.is_some() {
            self.next = warm.schedule.as_ref().and_then(|schedule| schedule.after(at));
        }
        let wanted = self.wanted.take();
        let run = match (due, wanted) {
            (None, None) => return,
            (Some(due), _) => Some(due.timestamp()),
            (None, Some(run)) => run,
        };
        if warm.sources.is_empty() {
            return;
        }
        if self.own.as_ref().is_some_and(|own| !own.is_finished()) {
            tracing::warn!(lookup = &*lookup.policy.name, "a warm job is due while its last run still goes on");
            return;
        }
        let of = Arc::clone(lookup);
        let hot = self.apart(move |sketch| {
            sketch.top(most(&of)).iter().filter_map(|(id, _)| of.policy.inputs.line_of(id)).collect()
        });
        let hot = hot.await.unwrap_or_default();
        let job = OwnJob { warming: Arc::clone(warming), lookup: Arc::clone(lookup), hot };
        self.own = Some(tokio::spawn(job.run(run)));
    }
}

/// From which share of its life on a hot key is renewed.
fn renew_share(lookup: &Lookup) -> f64 {
    let asked = lookup.policy.cache.refresh_ahead;
    if asked < 1.0 { asked } else { RENEW }
}

/// The hot keys that are late in their lives, or not there.
fn due(lookup: &Lookup, sketch: &Sketch) -> VecDeque<Key> {
    let keep = lookup.policy.warm.keep_hot;
    if keep == 0 {
        return VecDeque::new();
    }
    let (share, tick) = (renew_share(lookup), tick());
    let is_due = |id: &CompactString| lookup.local.peek(id, tick).is_none_or(|entry| entry.is_late(share, tick));
    let due = sketch.top(keep).into_iter().filter(|(id, _)| is_due(id));
    let lines = due.filter_map(|(id, _)| lookup.policy.inputs.line_of(&id));
    (1..).zip(lines).map(|(line, text)| Key { line, text: Some(text) }).collect()
}

fn read_journal(path: &Path, lookup: &Lookup, sketch: &mut Sketch) {
    match journal::load(path) {
        Ok(keys) => {
            for (key, count) in keys {
                if let Ok(question) = (Key { line: 0, text: Some(key) }).question(&lookup.policy) {
                    sketch.add(&question.id, count);
                }
            }
        }
        Err(why) => {
            let (lookup, file) = (&*lookup.policy.name, path.display());
            tracing::warn!(lookup, %file, %why, "a journal of hot keys is refused");
        }
    }
}
