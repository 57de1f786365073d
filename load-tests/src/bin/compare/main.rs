//! `compare`: what a cached answer costs dipcache, its peers, and a server that does nothing, in one interleaved run.
//!
//! Servers and clients share the machine, so requests a second say little; processor time a request, of the server's own
//! processes, is what is compared, as ratios within one run. Each round asks every server in turn.

mod floor;
mod misses;
mod peers;
mod report;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use indexmap::IndexMap;
use load_tests::awake::Awake;
use load_tests::load::closed::{Closed, Tally};
use load_tests::load::keys::Keys;
use load_tests::load::wire::Wire;

use peers::{Kind, Peer, Troupe};
use report::{Course, Figure};

/// Client threads: with the servers' own they fill two cores.
const CLIENTS: usize = 2;

/// dipcache beside nginx, Varnish, HAProxy, memcached, Unbound, dnsdist, a bare epoll loop, and no proxy at all.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  load-tests/compare                          # builds, installs nothing, compares, some twelve minutes\n  \
                  load-tests/compare --only dns --rounds 3\n  \
                  load-tests/compare --awake                  # processors do not halt meanwhile\n\n\
                  Peers that are not installed are left out, and said to be: apt-get install nginx varnish haproxy memcached unbound dnsdist"
)]
struct Arguments {
    #[command(subcommand)]
    inner: Option<Inner>,
    /// Rounds; medians are taken
    // At a noisy time one round in three is off by a third.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Seconds for each server in each round
    #[arg(long, default_value_t = 1.5)]
    seconds: f64,
    /// http, memcached or dns alone
    #[arg(long, value_enum)]
    only: Option<Kind>,
    /// The proxy's binary; the one beside this one when left out
    #[arg(long, value_name = "FILE")]
    dipcache: Option<PathBuf>,
    /// Keeps processors from halting meanwhile, so that what is measured is not how long they take to wake; needs root
    #[arg(long)]
    awake: bool,
    /// A file whose part between the marks `compare:begin` and `compare:end` is written anew
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Inner {
    /// The bare epoll loop (started by this program itself)
    #[command(hide = true)]
    Floor { kind: Kind, port: u16 },
    /// The bare relay (started by this program itself)
    #[command(hide = true)]
    Relay { port: u16, vendor: SocketAddr },
}

/// What is asked of every server of a kind.
struct Task {
    name: &'static str,
    kind: Kind,
    wire: Wire,
    keys: Keys,
    depth: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.inner {
        Some(Inner::Floor { kind, port }) => floor::serve(kind, port).map(|()| true),
        Some(Inner::Relay { port, vendor }) => floor::relay(port, vendor).map(|()| true),
        None => compare(&arguments),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("compare: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What is compared.
fn courses() -> Vec<Task> {
    let http = || Wire::Http { path: "/v1/lookup/single/".to_owned() };
    let memcached = || Wire::Memcached { prefix: "single:".to_owned() };
    let zipf = |of| Keys::Zipf { of, exponent: 1.0 };
    let course = |name, kind, wire, keys, depth| Task { name, kind, wire, keys, depth };
    vec![
        course("HTTP, one key", Kind::Http, http(), zipf(1), 1),
        course("HTTP, Zipf over 1,000 keys", Kind::Http, http(), zipf(1000), 1),
        course("HTTP, Zipf over 100,000 keys", Kind::Http, http(), zipf(peers::KEYS), 1),
        course("memcached get, one at a time", Kind::Memcached, memcached(), zipf(peers::KEYS), 1),
        course("memcached get, 16 deep", Kind::Memcached, memcached(), zipf(peers::KEYS), 16),
        course(
            "memcached get of 10 keys",
            Kind::Memcached,
            Wire::Many { prefix: "single:".to_owned(), of: 10 },
            zipf(peers::KEYS - 10),
            1,
        ),
        course("DNS over UDP, one name", Kind::Dns, Wire::Dns, zipf(1), 1),
        course("DNS over UDP, Zipf over 20,000 names", Kind::Dns, Wire::Dns, zipf(peers::NAMES), 1),
    ]
}

/// True when every bar was met.
fn compare(arguments: &Arguments) -> anyhow::Result<bool> {
    let binary = match &arguments.dipcache {
        Some(named) => named.clone(),
        None => std::env::current_exe()?.with_file_name("dipcache"),
    };
    let binary = std::fs::canonicalize(&binary).with_context(|| format!("no proxy at {}", binary.display()))?;
    let _awake = arguments.awake.then(Awake::keep).transpose()?;
    let (mut done, mut latencies, mut all_kept) = (Vec::new(), String::new(), true);
    for kind in [Kind::Http, Kind::Memcached, Kind::Dns] {
        if arguments.only.is_some_and(|only| only != kind) {
            continue;
        }
        let troupe = Troupe::start(kind, &binary)?;
        for course in courses().into_iter().filter(|course| course.kind == kind) {
            let figures = rounds(&course, &troupe.peers, arguments)?;
            let course = Course { name: course.name, figures };
            println!("{}", course.table());
            done.push(course);
        }
        if kind == Kind::Http {
            let (misses, kept) = misses::compare(&troupe, arguments.rounds)?;
            latencies = report::latencies(&troupe)? + &misses;
            println!("{latencies}");
            all_kept &= kept;
        }
    }
    let bars = report::bars(&done);
    println!("{}", report::bars_table(&bars));
    if let Some(file) = &arguments.write {
        report::write(file, &done, &latencies, &bars, arguments.awake)?;
    }
    Ok(all_kept && bars.iter().all(|bar| bar.kept))
}

/// Every server in turn, again and again.
fn rounds(course: &Task, peers: &[Peer], arguments: &Arguments) -> anyhow::Result<IndexMap<String, Figure>> {
    let mut figures: IndexMap<String, Figure> = IndexMap::new();
    for round in 0..=arguments.rounds {
        for peer in peers {
            // The first round is for warming up.
            let span = Duration::from_secs_f64(if round == 0 { 0.4 } else { arguments.seconds });
            let before = peer.cpu();
            let tally =
                ask(course, peer, span, round as u64).with_context(|| format!("{}: {}", course.name, peer.name))?;
            let cpu = peer.cpu().saturating_sub(before);
            let figure = figures.entry(peer.name.to_owned()).or_insert_with(|| Figure::of(&peer.version));
            if round > 0 {
                figure.note(cpu, span, tally);
            }
        }
    }
    Ok(figures)
}

fn ask(course: &Task, peer: &Peer, span: Duration, round: u64) -> std::io::Result<Tally> {
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let closed = Closed {
                wire: course.wire.clone(),
                address: peer.address,
                keys: course.keys,
                connections: 64 / CLIENTS,
                depth: course.depth,
                span,
                seed: round * CLIENTS as u64 + client as u64,
            };
            thread::spawn(move || closed.run())
        })
        .collect();
    let mut all = Tally::default();
    for client in clients {
        let tally = client.join().map_err(|_| std::io::Error::other("a client panicked"))??;
        all.answered += tally.answered;
        all.amiss += tally.amiss;
    }
    Ok(all)
}
