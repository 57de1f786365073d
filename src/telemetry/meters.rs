//! The handles of one lookup, made once when it is built.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::{Counter, Gauge, counter, gauge};

use crate::answer::{Answer, Outcome, Source};
use crate::telemetry::histogram::{Histogram, histogram};
use crate::telemetry::striped::Striped;

/// Which front a dip came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum FrontName {
    /// HTTP.
    Http = 0,
    /// memcached's text protocol.
    Memcached = 1,
    /// DNS.
    Dns = 2,
}

impl FrontName {
    const ALL: [Self; 3] = [Self::Http, Self::Memcached, Self::Dns];

    /// The label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Memcached => "memcached",
            Self::Dns => "dns",
        }
    }
}

/// Sources that are not an upstream, in the order of their handles.
const SOURCES: [&str; 5] = ["local", "shared", "stale", "fallback", "none"];

/// The place of `local` among them.
const LOCAL: usize = 0;

#[derive(Debug)]
struct FrontMeters {
    /// Found, in the local cache: what nearly every caller gets. Told to the two below when somebody looks.
    hits: Striped,
    /// By outcome.
    requests: [Counter; Outcome::ALL.len()],
    /// By source: first [`SOURCES`], then the upstreams.
    seconds: Vec<Arc<Histogram>>,
}

/// The handles of one upstream.
#[derive(Debug)]
pub struct UpstreamMeters {
    requests: [Counter; Outcome::ALL.len()],
    /// Time from the pass to the end of the try.
    pub seconds: Arc<Histogram>,
    /// 0 closed, 1 half-open, 2 open.
    pub breaker: Gauge,
}

impl UpstreamMeters {
    /// Counts one try.
    pub fn ended(&self, outcome: Outcome, took: Duration) {
        self.requests[outcome as usize].increment(1);
        self.seconds.record(took);
    }
}

/// The handles of one lookup.
#[derive(Debug)]
pub struct Meters {
    fronts: [FrontMeters; 3],
    upstream_names: Vec<Arc<str>>,
    /// One an upstream, in the policy's order.
    pub upstreams: Vec<UpstreamMeters>,
    /// The flag.
    pub health: Gauge,
    /// Entries in the local cache.
    pub entries: Gauge,
    /// Callers who shared another's fetch.
    pub coalesced: Counter,
    /// Callers whose budget ran out.
    pub deadline_exceeded: Counter,
    /// Money spent today and this month; made with the first dip that costs something.
    cost: OnceLock<[Gauge; 2]>,
    lookup: Arc<str>,
}

impl Meters {
    /// Makes the handles of this lookup and its upstreams.
    pub fn new(lookup: &Arc<str>, upstreams: &[Arc<str>]) -> Self {
        let name = || lookup.to_string();
        Self {
            fronts: FrontName::ALL.map(|front| front_meters(front, lookup, upstreams)),
            upstream_names: upstreams.to_vec(),
            upstreams: upstreams.iter().map(|upstream| upstream_meters(lookup, upstream)).collect(),
            health: gauge!("dipcache_health", "lookup" => name()),
            entries: gauge!("dipcache_cache_entries", "lookup" => name()),
            coalesced: counter!("dipcache_coalesced_total", "lookup" => name()),
            deadline_exceeded: counter!("dipcache_deadline_exceeded_total", "lookup" => name()),
            cost: OnceLock::new(),
            lookup: Arc::clone(lookup),
        }
    }

    /// Counts one answered caller.
    #[inline]
    pub fn answered(&self, front: FrontName, answer: &Answer, took: Duration) {
        let meters = &self.fronts[front as usize];
        if took.is_zero() && answer.outcome == Outcome::Found && answer.source == Source::Local {
            return meters.hits.add(1);
        }
        meters.requests[answer.outcome as usize].increment(1);
        meters.seconds[self.source_index(&answer.source)].record(took);
    }

    /// Counts so many who were told a record from the local cache at once.
    #[inline]
    pub fn hits(&self, front: FrontName, count: u64) {
        if count > 0 {
            self.fronts[front as usize].hits.add(count);
        }
    }

    /// Tells the hits that were counted aside. Call it before anybody looks at the figures.
    pub fn publish(&self) {
        for meters in &self.fronts {
            let hits = meters.hits.take();
            if hits > 0 {
                meters.requests[Outcome::Found as usize].increment(hits);
                meters.seconds[LOCAL].record_many(Duration::ZERO, hits);
            }
        }
    }

    /// What was spent today and this month (UTC), in the operator's currency.
    pub fn spent(&self, today: f64, this_month: f64) {
        let cost = self.cost.get_or_init(|| {
            ["day", "month"]
                .map(|period| gauge!("dipcache_cost_spent", "lookup" => self.lookup.to_string(), "period" => period))
        });
        cost[0].set(today);
        cost[1].set(this_month);
    }

    /// How long callers waited, whatever the front and the source: one row of buckets.
    pub fn latency(&self) -> Vec<u64> {
        self.publish();
        let histograms = self.fronts.iter().flat_map(|front| &front.seconds);
        histograms.fold(Vec::new(), |mut sum, histogram| {
            let counts = histogram.counts();
            sum.resize(counts.len(), 0);
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            sum
        })
    }

    /// Callers by source, for the status page.
    pub fn by_source(&self) -> Vec<(String, u64)> {
        self.publish();
        let names = SOURCES.iter().map(ToString::to_string).chain(self.upstream_names.iter().map(ToString::to_string));
        let count = |index: usize| {
            self.fronts.iter().map(|front| front.seconds[index].counts().iter().sum::<u64>()).sum::<u64>()
        };
        names.enumerate().map(|(index, name)| (name, count(index))).collect()
    }

    fn source_index(&self, source: &Source) -> usize {
        match source {
            Source::Local => LOCAL,
            Source::Shared => 1,
            Source::Stale => 2,
            Source::Fallback => 3,
            Source::Nobody => 4,
            Source::Upstream(name) => {
                self.upstream_names.iter().position(|known| known == name).map_or(4, |found| SOURCES.len() + found)
            }
        }
    }
}

fn front_meters(front: FrontName, lookup: &Arc<str>, upstreams: &[Arc<str>]) -> FrontMeters {
    let requests = Outcome::ALL.map(|outcome| {
        counter!("dipcache_requests_total",
            "front" => front.as_str(), "lookup" => lookup.to_string(), "outcome" => outcome.as_str())
    });
    let sources = SOURCES.iter().copied().chain(upstreams.iter().map(|name| &**name));
    let seconds = sources
        .map(|source| {
            let labels = [("front", front.as_str()), ("lookup", lookup), ("source", source)];
            histogram("dipcache_request_seconds", &labels)
        })
        .collect();
    FrontMeters { hits: Striped::default(), requests, seconds }
}

impl Drop for Meters {
    fn drop(&mut self) {
        self.publish();
    }
}

fn upstream_meters(lookup: &Arc<str>, upstream: &Arc<str>) -> UpstreamMeters {
    let requests = Outcome::ALL.map(|outcome| {
        counter!("dipcache_upstream_requests_total",
            "lookup" => lookup.to_string(), "upstream" => upstream.to_string(), "outcome" => outcome.as_str())
    });
    UpstreamMeters {
        requests,
        seconds: histogram("dipcache_upstream_seconds", &[("lookup", lookup), ("upstream", upstream)]),
        breaker: gauge!("dipcache_breaker_state", "lookup" => lookup.to_string(), "upstream" => upstream.to_string()),
    }
}
