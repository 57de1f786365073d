//! Medians, ratios, the bars that they are held against, and the part of `RESULTS.md` that is written from them.

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use indexmap::IndexMap;
use load_tests::load::Load;
use load_tests::load::closed::Tally;
use load_tests::load::keys::Keys;
use load_tests::load::pace::Pace;
use load_tests::load::wire::Wire;
use load_tests::report::median;
use load_tests::report::metric::of_load;
use load_tests::run::machine;

use crate::peers::{KEYS, Troupe};

/// How long the vendor takes when it is asked past any proxy.
const VENDOR_MS: u64 = 20;

/// What each ratio may be at most: what is asked, who is the measure, and the bar.
const BARS: &[(&str, &str, f64)] = &[
    ("HTTP, one key", "nginx", 1.0),
    ("HTTP, Zipf over 1,000 keys", "nginx", 0.55),
    ("HTTP, Zipf over 1,000 keys", "floor", 2.0),
    ("HTTP, Zipf over 100,000 keys", "nginx", 0.55),
    ("HTTP, Zipf over 100,000 keys", "HAProxy", 0.8),
    ("HTTP, Zipf over 100,000 keys", "floor", 2.0),
    ("memcached get, one at a time", "memcached", 1.0),
    ("memcached get, 16 deep", "memcached", 0.4),
    ("memcached get of 10 keys", "memcached", 0.8),
    ("DNS over UDP, one name", "Unbound", 1.0),
    ("DNS over UDP, one name", "dnsdist", 1.0),
    ("DNS over UDP, Zipf over 20,000 names", "Unbound", 1.0),
    ("DNS over UDP, Zipf over 20,000 names", "dnsdist", 1.0),
];

/// One server's figures, round by round.
pub(crate) struct Figure {
    version: String,
    /// Microseconds of processor time a question.
    micros: Vec<f64>,
    /// Questions a second.
    rates: Vec<f64>,
    amiss: u64,
}

impl Figure {
    pub(crate) fn of(version: &str) -> Self {
        Self { version: version.to_owned(), micros: Vec::new(), rates: Vec::new(), amiss: 0 }
    }

    pub(crate) fn note(&mut self, cpu: Duration, span: Duration, tally: Tally) {
        let answered = tally.answered as f64;
        self.micros.push(cpu.as_secs_f64() * 1e6 / answered);
        self.rates.push(answered / span.as_secs_f64());
        self.amiss += tally.amiss;
    }
}

/// One thing that was asked of every server.
pub(crate) struct Course {
    pub(crate) name: &'static str,
    pub(crate) figures: IndexMap<String, Figure>,
}

impl Course {
    fn micros(&self, peer: &str) -> Option<f64> {
        self.figures.get(peer).map(|figure| median(&figure.micros))
    }

    fn ratio(&self, peer: &str) -> Option<f64> {
        Some(self.micros("dipcache")? / self.micros(peer)?)
    }

    pub(crate) fn table(&self) -> String {
        let mut text = format!(
            "\n{}\n\n| | version | µs a request | from, to | times the floor | dipcache to it | thousands a second | amiss |\n|---|---|---|---|---|---|---|---|\n",
            self.name
        );
        let ratio = |ratio: Option<f64>| ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
        for (name, figure) in &self.figures {
            let micros = median(&figure.micros);
            let (least, most) = figure.micros.iter().fold((f64::MAX, 0.0_f64), |(a, b), x| (a.min(*x), b.max(*x)));
            // Writing to a string cannot fail, here and below.
            let _ = writeln!(
                text,
                "| {name} | {} | {micros:.2} | {least:.2}, {most:.2} | {} | {} | {:.0} | {} |",
                figure.version,
                ratio(self.micros("floor").map(|floor| micros / floor)),
                ratio(self.ratio(name)),
                median(&figure.rates) / 1000.0,
                figure.amiss
            );
        }
        text
    }
}

/// A bar, and whether it was met.
pub(crate) struct Bar {
    what: &'static str,
    peer: &'static str,
    most: f64,
    ratio: f64,
    pub(crate) kept: bool,
}

/// The bars of what was measured. A peer that is not installed sets none.
pub(crate) fn bars(courses: &[Course]) -> Vec<Bar> {
    let bar = |&(what, peer, most): &(&'static str, &'static str, f64)| {
        let ratio = courses.iter().find(|course| course.name == what)?.ratio(peer)?;
        Some(Bar { what, peer, most, ratio, kept: ratio <= most })
    };
    BARS.iter().filter_map(bar).collect()
}

pub(crate) fn bars_table(bars: &[Bar]) -> String {
    let mut text =
        "\n| dipcache's processor time a request, to that of | at most | is | |\n|---|---|---|---|\n".to_owned();
    for bar in bars {
        let word = if bar.kept { "kept" } else { "**not kept**" };
        let _ = writeln!(text, "| {}: {} | {:.2} | {:.2} | {word} |", bar.what, bar.peer, bar.most, bar.ratio);
    }
    text
}

/// What callers wait, through each proxy and past all of them: an open loop at a rate that is easy for all.
pub(crate) fn latencies(troupe: &Troupe) -> anyhow::Result<String> {
    let vendor = troupe.origin.stands().get("single/vendor").context("a vendor we started")?;
    vendor.obey(dipcache::demo::vendors::Order { mode: None, latency_ms: Some(VENDOR_MS) });
    let mut text = format!(
        "\nWhat a caller waits over HTTP, 2,000 a second, Zipf over 100,000 keys; the vendor takes {VENDOR_MS} ms\n\n\
         | | p50 ms | p99 ms | p99.9 ms | asked of the vendor |\n|---|---|---|---|---|\n"
    );
    let servers = troupe.peers.iter().filter(|peer| peer.name != "floor").map(|peer| (peer.name, peer.address));
    for (name, address) in servers.chain([("no proxy", vendor.address())]) {
        let load = Load {
            name: name.to_owned(),
            wire: Wire::Http { path: "/v1/lookup/single/".to_owned() },
            address,
            turns: None,
            pace: Pace::Steady { a_second: 2000.0 },
            keys: Keys::Zipf { of: KEYS, exponent: 1.0 },
            budget_ms: (0, 0),
            connections: 128,
            from: Duration::ZERO,
            to: Duration::from_secs(3),
            patience: Duration::from_secs(1),
        };
        let asked = vendor.requests();
        let samples = load.run(Instant::now() + Duration::from_millis(50))?;
        let of = |metric| of_load(&samples, metric, 3.0).unwrap_or(f64::NAN);
        let _ = writeln!(
            text,
            "| {name} | {:.2} | {:.2} | {:.2} | {} of {} |",
            of("p50_ms"),
            of("p99_ms"),
            of("p999_ms"),
            vendor.requests() - asked,
            samples.len()
        );
    }
    vendor.obey(dipcache::demo::vendors::Order { mode: None, latency_ms: Some(0) });
    Ok(text)
}

const BEGIN: &str = "<!-- compare:begin -->";
const END: &str = "<!-- compare:end -->";

/// Writes the part of a file between the marks anew.
pub(crate) fn write(file: &Path, courses: &[Course], latencies: &str, bars: &[Bar], awake: bool) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let marks = text.find(BEGIN).zip(text.find(END)).filter(|(begin, end)| begin < end);
    let (begin, end) = marks.with_context(|| format!("{} has no part between {BEGIN} and {END}", file.display()))?;
    let tables: String = courses.iter().map(Course::table).collect();
    let date = chrono::Local::now().format("%Y-%m-%d");
    let state = if awake { "kept awake (`--awake`)" } else { "free to halt" };
    let (machine, bars) = (machine(), bars_table(bars));
    let written = format!("{BEGIN}\nMeasured {date} on {machine}; processors {state}.\n{bars}{latencies}{tables}\n");
    std::fs::write(file, [&text[..begin], &written, &text[end..]].concat())?;
    Ok(())
}
