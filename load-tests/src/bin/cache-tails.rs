//! `cache-tails`: the local cache on its own, at five million entries: the slowest look, bytes an entry, hit ratio.
//!
//! Both engines stand behind the functions that the proxy itself uses. What the operating system does to a reader
//! (it takes the processor away) is told apart from what the cache does to it, by the scheduler's own account.

use std::fs;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use dipcache::answer::{Outcome, Record};
use dipcache::cache::{Entry, LocalCache};
use dipcache::deadline::tick;
use dipcache::policy::{CacheRules, Engine};
use fastrand::Rng;
use hdrhistogram::Histogram;
use load_tests::load::keys::{Zipf, number};
use load_tests::run::machine;

#[global_allocator]
static ALLOCATOR: dipcache::allocator::Mimalloc = dipcache::allocator::Mimalloc;

/// The local cache on its own: the slowest get, bytes an entry, hit ratio, for both engines.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  cargo run --release -p load-tests --bin cache-tails\n  \
                  target/release/cache-tails --entries 1000000 --seconds 10 --engine moka"
)]
struct Arguments {
    /// Entries kept
    #[arg(long, default_value_t = 5_000_000)]
    entries: u64,
    /// Seconds of mixed load; it takes twice as long, for every other second plain memory is read
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Writes a second beside the gets: half of them renew an entry, half bring a new one
    #[arg(long, default_value_t = 20_000)]
    writes: u64,
    /// What keeps the entries; both, one after the other, when left out
    #[arg(long)]
    engine: Option<Which>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    /// The table of our own
    S3Fifo,
    /// moka
    Moka,
}

/// What the issue of a slow look is held against.
const LONGEST: Duration = Duration::from_millis(1);
const MOST_BYTES: f64 = 96.0;

/// What a get takes, about, and how many lines of memory it reads.
const A_GET: Duration = Duration::from_nanos(1400);
const LINES: usize = 5;

/// The bytes that are not overhead: an eleven-digit key and its value.
const PAYLOAD: usize = 11 + 64;

/// How often dead entries are swept away; the proxy does so every 30 s.
const SWEEP: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    println!("{}; {} entries, {} writes a second\n", machine(), arguments.entries, arguments.writes);
    let mut kept = true;
    for (which, engine) in [(Which::S3Fifo, Engine::S3Fifo), (Which::Moka, Engine::Moka)] {
        if arguments.engine.is_none_or(|wanted| wanted == which) {
            println!("{which:?}");
            let holds = tails(&arguments, engine);
            ratios(engine);
            // The default has to hold it; moka is there to be compared.
            kept &= holds || which == Which::Moka;
        }
    }
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What a reader saw.
struct Seen {
    gets: Side,
    /// What the machine does to a reader of plain memory that nobody writes to, for as long as a get takes.
    plain: Side,
    hits: u64,
}

/// One kind of what a reader does.
struct Side {
    took: Histogram<u64>,
    /// The longest during which the scheduler left the reader alone.
    undisturbed: Duration,
    /// How many above the limit, and how many of them the scheduler had a hand in.
    slow: (u64, u64),
}

impl Side {
    fn new() -> Self {
        Self {
            // Nanoseconds up to a minute, with three digits: within what the library can do.
            took: Histogram::new_with_bounds(1, 60_000_000_000, 3)
                .unwrap_or_else(|_| unreachable!("three digits are allowed")),
            undisturbed: Duration::ZERO,
            slow: (0, 0),
        }
    }
}

/// Fills a cache, reads and writes for a while. True when both figures hold.
fn tails(arguments: &Arguments, engine: Engine) -> bool {
    let mut random = Rng::with_seed(1);
    // In no order: a fill by rank would have the most wanted stand first in line to go.
    let mut places: Vec<u64> = (0..arguments.entries).collect();
    random.shuffle(&mut places);
    // The table stays to the end: in memory that is given back, entries would find room that nobody counts.
    let zipf = Zipf::new(arguments.entries, 0.9);
    let keys = drawn(&zipf);
    let memory = vec![1; arguments.entries as usize * 2 * PAYLOAD];
    let before = resident();
    let cache = Arc::new(LocalCache::new(engine, arguments.entries, arguments.entries * 1000));
    let begun = Instant::now();
    for place in &places {
        cache.put(key(*place).as_str().into(), entry(&mut random));
    }
    let filled = begun.elapsed();
    cache.sweep(tick());
    let len = cache.len();
    let bytes = resident().saturating_sub(before) as f64 / len as f64 - PAYLOAD as f64;
    println!(
        "  {len} entries in {:.1} s; {:.0} MiB, {bytes:.1} bytes an entry over its key and value",
        filled.as_secs_f64(),
        mib(resident().saturating_sub(before))
    );
    let ended = Arc::new(AtomicBool::new(false));
    let written = Arc::new(AtomicU64::new(0));
    let writer = thread::spawn({
        let (cache, ended, written) = (Arc::clone(&cache), Arc::clone(&ended), Arc::clone(&written));
        let (entries, rate) = (arguments.entries, arguments.writes);
        move || write(&cache, entries, rate, &ended, &written)
    });
    let sweeper = thread::spawn({
        let (cache, ended) = (Arc::clone(&cache), Arc::clone(&ended));
        move || sweep(&cache, &ended)
    });
    let seen = read(&cache, &keys, &memory, Duration::from_secs(arguments.seconds));
    ended.store(true, Ordering::Release);
    let swept = sweeper.join().unwrap_or_default();
    let _ = writer.join();
    let Side { took, undisturbed, slow } = &seen.gets;
    let at = |quantile| took.value_at_quantile(quantile) as f64 / 1000.0;
    println!(
        "  {} gets in {} s beside {} writes and {swept} sweeps, {:.1} % hits; µs: p50 {:.2}, p99 {:.2}, p99.99 {:.1}, slowest {:.0}",
        took.len(),
        arguments.seconds,
        written.load(Ordering::Relaxed),
        100.0 * seen.hits as f64 / took.len() as f64,
        at(0.5),
        at(0.99),
        at(0.9999),
        at(1.0),
    );
    println!(
        "  {} above 1 ms, {} of them while the scheduler ran somebody else; the slowest without that {:.0} µs",
        slow.0,
        slow.1,
        undisturbed.as_secs_f64() * 1e6
    );
    println!(
        "  a reader of plain memory, for as long: {} above 1 ms, {} of them while the scheduler ran somebody else; the slowest {:.0} µs",
        seen.plain.slow.0,
        seen.plain.slow.1,
        seen.plain.took.max() as f64 / 1000.0
    );
    let grown = resident().saturating_sub(before) as f64 / cache.len() as f64 - PAYLOAD as f64;
    println!("  afterwards {} entries, {grown:.1} bytes each over key and value", cache.len());
    // What the scheduler did not do, a virtual machine's host may have done: to a reader of plain memory as well.
    let quick = slow.0 - slow.1 <= seen.plain.slow.0;
    let word = |kept| if kept { "kept  " } else { "BROKEN" };
    println!("  {}  no get above 1 ms of the cache's own making", word(quick));
    println!("  {}  at most {MOST_BYTES} bytes an entry over key and value", word(bytes <= MOST_BYTES));
    println!("  {}  the same after all writes", word(grown <= MOST_BYTES));
    quick && bytes.max(grown) <= MOST_BYTES
}

/// Zipf keys for the reader, drawn before: a draw from a large table costs more than a look.
fn drawn(zipf: &Zipf) -> Vec<String> {
    let mut random = Rng::with_seed(2);
    (0..1 << 20).map(|_| key(zipf.draw(&mut random))).collect()
}

/// Looks without end; every look is timed. Every other second it reads plain memory, for as long: what the machine does to
/// a reader (a virtual one stands still now and then, and the scheduler does not know) is there as well.
fn read(cache: &LocalCache, keys: &[String], memory: &[u8], span: Duration) -> Seen {
    let mut random = Rng::with_seed(5);
    let mut seen = Seen { gets: Side::new(), plain: Side::new(), hits: 0 };
    let start = Instant::now();
    let mut waited = waited_for_a_processor();
    let mut last = start;
    let mut looks = true;
    for (n, key) in keys.iter().cycle().enumerate() {
        let now = tick();
        let begun = Instant::now();
        let (side, done) = if looks {
            let found = black_box(cache.get(key, now));
            let done = Instant::now();
            match found {
                Some(_) => seen.hits += 1,
                // As a dip would, and not in the reader's time.
                None => cache.put(key.as_str().into(), entry(&mut random)),
            }
            (&mut seen.gets, done)
        } else {
            (0..LINES).for_each(|_| _ = black_box(memory[random.usize(..memory.len())]));
            while begun.elapsed() < A_GET {}
            (&mut seen.plain, Instant::now())
        };
        let took = done - begun;
        side.took.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        if took > side.undisturbed.min(LONGEST) {
            // Only what is above the limit, or would be the slowest so far, is worth a question to the kernel.
            let so_far = waited_for_a_processor();
            if so_far == waited {
                side.undisturbed = side.undisturbed.max(took);
            }
            if took > LONGEST {
                side.slow.0 += 1;
                side.slow.1 += u64::from(so_far != waited);
            }
            waited = so_far;
            last = done;
        } else if n.is_multiple_of(1024) && done - last > Duration::from_micros(200) {
            waited = waited_for_a_processor();
            last = done;
        }
        if n.is_multiple_of(4096) {
            let so_far = done - start;
            looks = so_far.as_secs().is_multiple_of(2);
            if so_far >= 2 * span {
                break;
            }
        }
    }
    seen
}

fn write(cache: &LocalCache, entries: u64, rate: u64, ended: &AtomicBool, written: &AtomicU64) {
    let mut random = Rng::with_seed(3);
    let begun = Instant::now();
    let mut new = entries;
    let mut done = 0_u64;
    while !ended.load(Ordering::Acquire) {
        let due = (begun.elapsed().as_secs_f64() * rate as f64) as u64;
        while done < due {
            let place = if done.is_multiple_of(2) {
                random.u64(..entries)
            } else {
                new += 1;
                new
            };
            cache.put(key(place).as_str().into(), entry(&mut random));
            done += 1;
        }
        written.store(done, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(1));
    }
}

fn sweep(cache: &LocalCache, ended: &AtomicBool) -> u64 {
    let (mut swept, mut last) = (0, Instant::now());
    while !ended.load(Ordering::Acquire) {
        thread::sleep(Duration::from_millis(50));
        if last.elapsed() > SWEEP {
            cache.sweep(tick());
            last = Instant::now();
            swept += 1;
        }
    }
    swept
}

/// How often keys are found, over Zipf keys and with scans among them.
fn ratios(engine: Engine) {
    const ROOM: u64 = 50_000;
    const ASKS: u64 = 2_000_000;
    let zipf = Zipf::new(ROOM * 10, 0.9);
    for scan in [0, 25_000] {
        let cache = LocalCache::new(engine, ROOM, ROOM * 1000);
        let mut random = Rng::with_seed(4);
        let (mut hits, mut next) = (0_u64, ROOM * 100);
        let ask = |place: u64, random: &mut Rng| {
            let key = key(place);
            let hit = cache.get(&key, tick()).is_some();
            if !hit {
                cache.put(key.as_str().into(), entry(random));
            }
            hit
        };
        for n in 0..ASKS {
            let place = zipf.draw(&mut random);
            hits += u64::from(ask(place, &mut random));
            // Now and then a job asks for keys that nobody else wants, half as many as there is room for.
            if n % 250_000 == 249_999 {
                for _ in 0..scan {
                    next += 1;
                    ask(next, &mut random);
                }
            }
        }
        let beside = if scan == 0 { "Zipf alone" } else { "Zipf beside scans" };
        println!("  hit ratio, room for a tenth of the keys, {beside}: {:.4}", hits as f64 / ASKS as f64);
    }
}

fn key(place: u64) -> String {
    number(place).to_string()
}

/// An entry of 64 bytes that lives for one to three minutes.
fn entry(random: &mut Rng) -> Entry {
    let rules = CacheRules {
        found: Duration::from_secs(random.u64(60..180)),
        partial: Duration::ZERO,
        not_found: Duration::ZERO,
        invalid_number: Duration::ZERO,
        stale: Duration::from_secs(300),
        revalidate: Duration::ZERO,
        ceiling: Duration::from_secs(3600),
        jitter: 0.0,
        refresh_ahead: 1.0,
        min_ttl: Duration::ZERO,
        max_ttl: Duration::from_secs(3600),
        max_entries: 1,
        max_bytes: 1,
        engine: Engine::S3Fifo,
    };
    let json = format!(
        "{{\"lrn\":\"+1303{:07}\",\"ocn\":\"9206\",\"lata\":\"656\",\"lec\":\"BELL CO\"}}",
        random.u32(..10_000_000)
    );
    let record = Some(Record::from_json(json.as_str()));
    Entry::seal(&rules, Outcome::Found, record, None, 0.0, tick())
        .unwrap_or_else(|| unreachable!("a life of a minute is kept"))
}

fn resident() -> u64 {
    load_tests::stage::resident(std::process::id())
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// How long this thread has been ready and not running, in nanoseconds.
fn waited_for_a_processor() -> u64 {
    let account = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    account.split_ascii_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}
