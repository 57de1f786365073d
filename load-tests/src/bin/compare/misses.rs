//! What a miss costs: one caller, one question after the other, each for a key that nobody has asked for; the vendor answers
//! at once. Asked through each proxy and past all of them, in turns.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use load_tests::load::keys::number;
use load_tests::load::wire::Wire;
use load_tests::report::median;

use crate::peers::{Peer, Troupe};

/// Questions to each in a round.
const ASKED: u64 = 2000;

/// Where keys begin that nobody holds.
const NEW: u64 = 60_000_000;

/// At most so many microseconds, in the median, over what the vendor takes by itself.
const MOST: f64 = 40.0;

/// Nobody who answers at once takes longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// One server's rounds.
struct Row {
    name: &'static str,
    address: SocketAddr,
    p50: Vec<f64>,
    cpu: Vec<f64>,
}

/// The table, and whether dipcache keeps within what it may add.
pub(crate) fn compare(troupe: &Troupe, rounds: usize) -> anyhow::Result<(String, bool)> {
    let vendor = troupe.origin.stands().get("single/vendor").context("a vendor we started")?.address();
    let relay = troupe.relay(vendor)?;
    let peers = || troupe.peers.iter().filter(|peer| peer.name != "floor").chain([&relay]);
    let row = |name, address| Row { name, address, p50: Vec::new(), cpu: Vec::new() };
    let mut rows = vec![row("no proxy", vendor)];
    rows.extend(peers().map(|peer| row(peer.name, peer.address)));
    let mut next = NEW;
    for round in 0..=rounds {
        for row in &mut rows {
            let spent = || peers().find(|peer| peer.name == row.name).map(Peer::cpu);
            let before = spent();
            let p50 = one_at_a_time(row.address, next).with_context(|| format!("misses of {}", row.name))?;
            next += ASKED;
            let cpu = spent().zip(before).map_or(Duration::ZERO, |(after, before)| after.saturating_sub(before));
            // The first round is for warming up.
            if round > 0 {
                row.p50.push(p50.as_secs_f64() * 1e6);
                row.cpu.push(cpu.as_secs_f64() * 1e6 / ASKED as f64);
            }
        }
    }
    Ok(table(&rows))
}

fn table(rows: &[Row]) -> (String, bool) {
    let past = rows.first().map_or(f64::NAN, |row| median(&row.p50));
    let mut text = format!(
        "\nA miss over HTTP, one at a time, new keys, the vendor answers at once; at most {MOST:.0} µs may be added\n\n\
         | | p50 µs | added to no proxy | µs of processor time a miss |\n|---|---|---|---|\n"
    );
    let mut kept = false;
    for row in rows {
        let p50 = median(&row.p50);
        let added = p50 - past;
        let word = match row.name {
            "dipcache" => {
                kept = added <= MOST;
                if kept { ", kept" } else { ", **not kept**" }
            }
            _ => "",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {} | {p50:.0} | {added:.0}{word} | {:.0} |", row.name, median(&row.cpu));
    }
    (text, kept)
}

/// The median wait.
fn one_at_a_time(address: SocketAddr, from: u64) -> anyhow::Result<Duration> {
    let wire = Wire::Http { path: "/v1/lookup/single/".to_owned() };
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let (mut out, mut read, mut waits) = (Vec::new(), vec![0; 16 * 1024], Vec::new());
    for place in from..from + ASKED {
        let key = number(place);
        out.clear();
        wire.ask(&mut out, key, 0, 0);
        let begun = Instant::now();
        stream.write_all(&out)?;
        let mut length = 0;
        let kind = loop {
            let more = stream.read(&mut read[length..])?;
            ensure!(more > 0, "the connection was closed");
            length += more;
            if let Some((_, kind)) = wire.answer(&read[..length], key) {
                break kind;
            }
        };
        waits.push(begun.elapsed());
        ensure!(kind.has_record(), "no record, but {kind:?}");
    }
    waits.sort();
    Ok(waits[waits.len() / 2])
}
