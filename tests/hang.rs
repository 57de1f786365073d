//! A vendor that hangs, and 1,000 lookups a second of keys that nobody knows: every caller is answered within
//! its budget, and nothing is left over.
//!
//! Open loop: requests are due by the clock, whatever became of those before, and each one's time counts from the
//! moment at which it was due. `DIPCACHE_FULL=1 cargo test --release --test hang -- --nocapture --test-threads=1`
//! on an idle machine runs thirty seconds and holds the strict figures; without it a short run on a busy machine.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "clippy knows tests, and not their helpers beside them")]

mod support;

use std::time::Duration;

use dipcache::deadline::{Instant, now};
use hdrhistogram::Histogram;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use support::caller::{Caller, get};
use support::memory::resident_kib_of;
use support::proxy::Proxy;
use support::vendor::{Mode, Vendor};

const BUDGET: Duration = Duration::from_millis(50);
const A_SECOND: u32 = 1000;
/// Four times as many as wait at once.
const CONNECTIONS: usize = 200;

/// How hard the test is.
struct Rigour {
    full: bool,
    run: Duration,
    settle: Duration,
}

impl Rigour {
    fn wanted() -> Self {
        let full = support::is_full();
        let seconds = |short, long| Duration::from_secs(if full { long } else { short });
        Self { full, run: seconds(5, 30), settle: seconds(10, 60) }
    }
}

/// What the proxy holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    tasks: u64,
    files: usize,
    resident_kib: u64,
    vendor_connections: u64,
}

async fn held(proxy: &Proxy, vendor: &Vendor) -> Held {
    let metrics = get(proxy.admin, "/metrics").await.body;
    let tasks = metrics.lines().find_map(|line| line.strip_prefix("dipcache_tasks ")?.parse().ok());
    let pid = proxy.server.pid();
    Held {
        tasks: tasks.expect("the gauge of tasks"),
        files: std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives").count(),
        resident_kib: resident_kib_of(pid),
        vendor_connections: vendor.open(),
    }
}

fn policy(vendor: &Vendor, breaker: &str) -> String {
    let url = vendor.url("/lrn/{{ key | nanp10 }}");
    format!(
        "kind = \"lrn\"\n[input]\nkey = {{ type = \"tn\", country = \"US\" }}\n\
         [budget]\ncall = \"50ms\"\nbackground = \"500ms\"\n{breaker}\n\
         [[upstream]]\nname = \"v\"\ntype = \"http\"\nurl = \"{url}\"\nconcurrency = 1000\n[upstream.fields]\nlrn = \"body.lrn\"\n"
    )
}

/// What callers got, in microseconds from when they were due.
struct Told {
    took: Histogram<u64>,
    /// How late the machine let us ask: no fault of the proxy's.
    asked_late: Histogram<u64>,
    timeouts: u64,
    refused: u64,
}

/// Calls at the steady rate for so long. Panics when a caller is not answered.
async fn calls(proxy: &Proxy, run: Duration, a_second: u32) -> Told {
    // Connections that are free; who is called when there is none waits, and that counts.
    let (give_back, mut free) = mpsc::channel(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        give_back.try_send(Caller::connect(proxy.http).await.unwrap()).unwrap();
    }
    let total = a_second * u32::try_from(run.as_secs()).unwrap();
    let began = now();
    let mut asked: JoinSet<(u16, Instant)> = JoinSet::new();
    let mut told =
        Told { took: Histogram::new(3).unwrap(), asked_late: Histogram::new(3).unwrap(), timeouts: 0, refused: 0 };
    let mut asked_late = Histogram::<u64>::new(3).unwrap();
    let mut note = |ended: Result<(u16, Instant), tokio::task::JoinError>| {
        let (status, due) = ended.expect("every caller is answered");
        told.took.record((now() - due).as_micros() as u64).unwrap();
        match status {
            504 => told.timeouts += 1,
            503 => told.refused += 1,
            other => panic!("a vendor that hangs made {other}"),
        }
    };
    for number in 0..total {
        let due = began + Duration::from_secs(1) / a_second * number;
        loop {
            tokio::select! {
                Some(ended) = asked.join_next() => note(ended),
                () = tokio::time::sleep_until(due) => break,
            }
        }
        asked_late.record((now() - due).as_micros() as u64).unwrap();
        let (mut caller, give_back) = (free.recv().await.unwrap(), give_back.clone());
        asked.spawn(async move {
            let path = format!(
                "/v1/lookup/lrn/{}",
                2_002_000_000_u64 + u64::from(number / 10_000) * 10_000_000 + u64::from(number % 10_000)
            );
            let reply = caller.get(&path).await.expect("a reply");
            give_back.try_send(caller).expect("there is room for it");
            (reply.status, due)
        });
    }
    while let Some(ended) = asked.join_next().await {
        note(ended);
    }
    told.asked_late = asked_late;
    assert_eq!(told.took.len(), u64::from(total));
    told
}

async fn endure(name: &str, breaker: &str, a_second: u32) -> Told {
    static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _turn = ONE_AT_A_TIME.lock().await;
    let rigour = Rigour::wanted();
    let a_second = if rigour.full { A_SECOND } else { a_second };
    let vendor = Vendor::start(Mode::Hang).await;
    let proxy = Proxy::start("", &[("lrn", &policy(&vendor, breaker))]).await;
    let before = held(&proxy, &vendor).await;
    let told = calls(&proxy, rigour.run, a_second).await;
    let after = held(&proxy, &vendor).await;
    let settled = settle(&proxy, &vendor, before, &rigour).await;
    let ms = |quantile: f64| told.took.value_at_quantile(quantile) as f64 / 1000.0;
    println!(
        "{name}: {} callers, {} timeouts, {} refused; p50 {:.1} ms, p99 {:.1}, p99.9 {:.1}, max {:.1}\n  before  {before:?}\n  after   {after:?}\n  settled {settled:?}",
        told.took.len(),
        told.timeouts,
        told.refused,
        ms(0.5),
        ms(0.99),
        ms(0.999),
        ms(1.0),
    );
    assert!(settled.tasks <= before.tasks + 5, "tasks are left over: {before:?} {settled:?}");
    assert!(settled.files <= before.files + 5, "sockets are left over: {before:?} {settled:?}");
    assert!(settled.vendor_connections <= 5, "{settled:?}");
    // What a process that has worked keeps: code that was paged in, tables and an allocator's first pages.
    assert!(settled.resident_kib <= before.resident_kib + 24 * 1024, "memory is left over: {before:?} {settled:?}");
    let budget = BUDGET.as_secs_f64() * 1000.0;
    if rigour.full {
        assert!(ms(0.999) <= budget + 5.0, "p99.9 is {} ms", ms(0.999));
    } else {
        // Half of them as it should be, give or take how late the machine is itself; of the rest none waits for the vendor.
        let machine = told.asked_late.value_at_quantile(0.99) as f64 / 1000.0;
        assert!(ms(0.5) <= budget + 25.0 + machine, "p50 is {} ms, of which the machine {machine}", ms(0.5));
        let slack = support::SLACK.as_secs_f64() * 1000.0;
        assert!(ms(0.99) <= budget + slack + machine, "p99 is {} ms, of which the machine {machine}", ms(0.99));
    }
    told
}

/// What is left after a while; in a short run as soon as it is little enough.
async fn settle(proxy: &Proxy, vendor: &Vendor, before: Held, rigour: &Rigour) -> Held {
    let end = now() + rigour.settle;
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let left = held(proxy, vendor).await;
        let little = left.tasks <= before.tasks + 5 && left.files <= before.files + 5 && left.vendor_connections <= 5;
        if now() >= end || (little && !rigour.full) {
            return left;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_breaker_spares_callers_the_wait() {
    let told = endure("breaker", "", A_SECOND).await;
    assert!(told.refused > told.timeouts * 10, "{} refused, {} timeouts", told.refused, told.timeouts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_breaker_every_caller_waits_for_its_budget_and_no_longer() {
    // Each of these holds a connection and a task for half a second, which a debug build does not do 1,000 times a second.
    let rules = "[breaker]\nconsecutive = 4000000000\nmin_samples = 4000000000";
    let told = endure("no breaker", rules, A_SECOND / 5).await;
    assert_eq!(told.refused, 0, "there are seats for all");
}
