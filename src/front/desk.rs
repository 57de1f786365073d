//! What a front sees of the pipeline: a desk where lookups are found by name, and a line to each.
//!
//! Both are traits so that a front can be run over an engine of known answers in tests; dispatch is
//! static, so that the hit path pays nothing for it.

use std::sync::Arc;
use std::time::Duration;

use crate::answer::{Answer, Told};
use crate::config::Bundle;
use crate::deadline::Deadline;
use crate::front::Front;
use crate::lookup::{Lookup, Lookups};
use crate::policy::{BadInput, InputType, Kind, Question};

/// Where lookups are found.
pub trait Desk: Send + Sync + 'static {
    /// A lookup that was found.
    type Line: Line;

    /// The lookup of this name.
    fn line(&self, name: &str) -> Option<Self::Line>;

    /// What `f` makes of the lookup of this name, without keeping hold of it: what a hit needs, and no more.
    fn with_line<R>(&self, name: &str, f: impl FnOnce(&Self::Line) -> R) -> Option<R> {
        self.line(name).map(|line| f(&line))
    }

    /// Every lookup's name and whether it is up, in order of name.
    fn flags(&self) -> Vec<(Arc<str>, bool)>;

    /// The bundle of this name.
    fn bundle(&self, _name: &str) -> Option<Arc<Bundle>> {
        None
    }

    /// The lookups of DNS names whose records have this field (`a`, `srv`…), one after another in order of name:
    /// the first is number 0.
    fn resolver(&self, field: &str, number: usize) -> Option<Self::Line>;

    /// Changes whenever the lookups do.
    fn edition(&self) -> u64 {
        0
    }

    /// Counts a request for a lookup that does not exist.
    fn unknown(&self, front: Front);
}

/// One lookup, as a front sees it.
pub trait Line: Clone + Send + Sync + 'static {
    /// Brings the caller's text into canonical form; see [`Policy::question`](crate::policy::Policy::question).
    ///
    /// # Errors
    /// [`BadInput`] says which part does not fit.
    fn question(&self, key: &str, inputs: &[(&str, &str)]) -> Result<Question, BadInput>;

    /// True where the policy takes a further input of this name.
    fn declares(&self, input: &str) -> bool;

    /// The field that format `text` answers.
    fn text_field(&self) -> &str;

    /// The columns of format `csv`.
    fn field_order(&self) -> &[String];

    /// What a caller ever waits.
    fn call_budget(&self) -> Duration;

    /// The fresh answer from the local cache. Waits for nothing. `tick` is this moment, read once for many.
    fn hit(&self, question: &Question, tick: u64) -> Option<Answer>;

    /// Writes the id of the question that is a key and nothing else behind what is in `out`; false, and nothing written,
    /// where it is none, or takes more.
    fn id(&self, _key: &str, _out: &mut String) -> bool {
        false
    }

    /// Tells `f` what the local cache has for these ids where it lies, and counts it; see [`Lookup::each_hit`].
    fn each_hit(
        &self,
        _front: Front,
        _ids: &[&str],
        _tick: u64,
        _question: impl Fn(usize) -> Option<Question>,
        _f: impl FnMut(usize, Told<'_>) -> bool,
    ) -> usize {
        0
    }

    /// An answer by the deadline, wherever it comes from. Poll it to its end or drop it: others may wait for the fetch that it
    /// takes along.
    fn miss(&self, question: Question, deadline: Deadline) -> impl Future<Output = Answer> + Send;

    /// Renews what the cache knows about this, behind the caller's back. Waits for nothing.
    fn warm(&self, question: &Question);

    /// Forgets what the cache knows about this. True if it knew something.
    fn forget(&self, question: &Question) -> bool;

    /// The 1/0 that a routing script checks before it asks.
    fn is_up(&self) -> bool;

    /// Whether the upstream of this name may be asked now; `None` where there is none.
    fn upstream_is_up(&self, _upstream: &str) -> Option<bool> {
        None
    }

    /// Counts an answer that is about to be written. A hit's `took` is zero: it is not worth a look at the clock.
    fn answered(&self, front: Front, answer: &Answer, took: Duration);
}

impl Desk for Lookups {
    type Line = Arc<Lookup>;

    fn line(&self, name: &str) -> Option<Arc<Lookup>> {
        self.find(name)
    }

    fn with_line<R>(&self, name: &str, f: impl FnOnce(&Arc<Lookup>) -> R) -> Option<R> {
        self.with(name, f)
    }

    fn flags(&self) -> Vec<(Arc<str>, bool)> {
        self.all().iter().map(|lookup| (lookup.policy.name.clone(), lookup.is_up())).collect()
    }

    fn bundle(&self, name: &str) -> Option<Arc<Bundle>> {
        Lookups::bundle(self, name)
    }

    fn resolver(&self, field: &str, number: usize) -> Option<Arc<Lookup>> {
        let resolves = |lookup: &&Arc<Lookup>| {
            let policy = &lookup.policy;
            matches!(policy.kind, Kind::Dns | Kind::Enum)
                && matches!(policy.inputs.key, InputType::DnsName | InputType::Sip)
                && policy.field_order.iter().any(|kept| kept == field)
        };
        self.all().iter().filter(resolves).nth(number).cloned()
    }

    fn edition(&self) -> u64 {
        Lookups::edition(self)
    }

    fn unknown(&self, front: Front) {
        Lookups::unknown(self, front);
    }
}

impl Line for Arc<Lookup> {
    fn question(&self, key: &str, inputs: &[(&str, &str)]) -> Result<Question, BadInput> {
        self.policy.question(key, inputs)
    }

    fn declares(&self, input: &str) -> bool {
        self.policy.inputs.further.iter().any(|declared| &*declared.name == input)
    }

    fn text_field(&self) -> &str {
        &self.policy.text_field
    }

    fn field_order(&self) -> &[String] {
        &self.policy.field_order
    }

    fn call_budget(&self) -> Duration {
        Lookup::call_budget(self)
    }

    fn hit(&self, question: &Question, tick: u64) -> Option<Answer> {
        self.hit_at(question, tick)
    }

    #[inline]
    fn id(&self, key: &str, out: &mut String) -> bool {
        self.policy.inputs.id_of_key(key, out)
    }

    #[inline]
    fn each_hit(
        &self,
        front: Front,
        ids: &[&str],
        tick: u64,
        question: impl Fn(usize) -> Option<Question>,
        f: impl FnMut(usize, Told<'_>) -> bool,
    ) -> usize {
        Lookup::each_hit(self, front, ids, tick, question, f)
    }

    fn miss(&self, question: Question, deadline: Deadline) -> impl Future<Output = Answer> + Send {
        Lookup::miss(self, question, deadline)
    }

    fn warm(&self, question: &Question) {
        if self.policy.applies(question) {
            self.renew(question);
        }
    }

    fn forget(&self, question: &Question) -> bool {
        Lookup::forget(self, question)
    }

    fn is_up(&self) -> bool {
        Lookup::is_up(self)
    }

    fn upstream_is_up(&self, upstream: &str) -> Option<bool> {
        Lookup::upstream_is_up(self, upstream)
    }

    fn answered(&self, front: Front, answer: &Answer, took: Duration) {
        Lookup::answered(self, front, answer, took);
    }
}
