//! A real Kamailio with four workers at 200 calls a second, and a CNAM vendor that hangs for a while: once through us, and
//! once with the same script asking the vendor itself. The two runs make the pair of curves in the README.
//!
//! `DIPCACHE_FULL=1 DIPCACHE_PICTURE=docs/hang.svg cargo test --test kamailio_hang -- --nocapture` on an idle machine runs the whole
//! scene, holds the strict figures and draws the picture; without it a short scene on a busy machine.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "clippy knows tests, and not their helpers beside them")]

mod support;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dipcache::deadline::{Instant, now};
use dipcache::front::listen::{Drain, Listener};
use dipcache::front::memcached::{self, Doors, Settings};
use tokio::net::UdpSocket;

use support::kamailio::{Kamailio, request};
use support::lookups::Desk;
use support::picture::{Curve, draw};
use support::vendor::{Mode, Vendor};

const BUDGET: Duration = Duration::from_millis(50);
const A_SECOND: u32 = 200;

/// How long the vendor is well, hangs, and is well again; and how long late replies are waited for.
struct Scene {
    full: bool,
    well: Duration,
    hangs: Duration,
    late: Duration,
}

impl Scene {
    fn wanted() -> Self {
        let full = support::is_full();
        let seconds = |short, long| Duration::from_secs(if full { long } else { short });
        Self { full, well: seconds(1, 5), hangs: seconds(4, 10), late: seconds(3, 20) }
    }

    fn calls(&self) -> u32 {
        (2 * self.well + self.hangs).as_secs() as u32 * A_SECOND
    }
}

/// One call: when it was sent, and what became of it.
#[derive(Clone, Copy, Debug)]
struct Call {
    sent: Duration,
    /// Until the reply was there.
    took: Option<Duration>,
    /// How long the worker was busy with it, by Kamailio's own clock.
    inside: Option<Duration>,
}

/// Sends calls by the clock, whatever became of those before; meanwhile the vendor falls silent and recovers.
async fn play(scene: &Scene, to: SocketAddr, vendor: &Vendor, numbers: u32) -> Vec<Call> {
    let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let local = socket.local_addr().unwrap();
    let replies = tokio::spawn(listen(Arc::clone(&socket), scene.calls() as usize, scene.late));
    let start = now();
    let mut sent = Vec::new();
    let mut tick = tokio::time::interval(Duration::from_secs(1) / A_SECOND);
    for n in 0..scene.calls() {
        tick.tick().await;
        let at = start.elapsed();
        let hangs = at >= scene.well && at < scene.well + scene.hangs;
        vendor.set(if hangs { Mode::Hang } else { Mode::OK });
        let id = format!("call{n}");
        // Every number is new: no cache can help.
        let message = request("INVITE", &format!("+1202{:07}", numbers + n), &id, local, to);
        sent.push((id, now(), at));
        socket.send_to(message.as_bytes(), to).await.unwrap();
    }
    vendor.set(Mode::OK);
    let seen = replies.await.unwrap();
    let call = |(id, at, sent): (String, Instant, Duration)| {
        let reply = seen.get(&id);
        Call { sent, took: reply.map(|(there, _)| there.duration_since(at)), inside: reply.and_then(|(_, busy)| *busy) }
    };
    sent.into_iter().map(call).collect()
}

/// Gathers the replies until all are there, or none has come for a while.
async fn listen(socket: Arc<UdpSocket>, calls: usize, late: Duration) -> HashMap<String, (Instant, Option<Duration>)> {
    let mut seen = HashMap::new();
    let mut buffer = vec![0; 8192];
    while seen.len() < calls {
        let Ok(Ok(length)) = tokio::time::timeout(late, socket.recv(&mut buffer)).await else { break };
        let there = now();
        let text = String::from_utf8_lossy(&buffer[..length]);
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        let moment = |name| field(name)?.trim().parse::<f64>().ok();
        let busy = moment("X-Began: ").zip(moment("X-Ended: ")).map(|(began, ended): (f64, f64)| ended - began);
        if let (true, Some(id)) = (text.starts_with("SIP/2.0 302 "), field("Call-ID: ")) {
            seen.insert(id.to_owned(), (there, busy.map(|busy| Duration::from_secs_f64(busy.max(0.0)))));
        }
    }
    seen
}

/// Calls, lost ones, and the longest times.
fn sum_up(name: &str, scene: &Scene, calls: &[Call]) -> (usize, Duration, Duration) {
    let lost = calls.iter().filter(|call| call.took.is_none()).count();
    let inside = calls.iter().filter_map(|call| call.inside).max().unwrap_or_default();
    let worst = calls.iter().filter_map(|call| call.took).max().unwrap_or_default();
    let mut took: Vec<Duration> = calls
        .iter()
        .filter(|call| call.sent >= scene.well && call.sent < scene.well + scene.hangs)
        .filter_map(|call| call.took)
        .collect();
    took.sort_unstable();
    let at = |share: f64| took.get((took.len() as f64 * share) as usize).copied().unwrap_or_default();
    println!(
        "{name}: {} calls, {lost} lost; while the vendor hangs p50 {:?}, p99 {:?}; longest {worst:?}, inside Kamailio {inside:?}",
        calls.len(),
        at(0.5),
        at(0.99),
    );
    (lost, inside, worst)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_vendor_costs_a_call_its_budget_and_without_us_it_costs_the_calls() {
    let scene = Scene::wanted();
    let vendor = Vendor::start(Mode::OK).await;
    vendor.set_body(r#"{"name":"ACME CORP"}"#);
    let policy = format!(
        "kind = \"cnam\"\n[input]\nkey = {{ type = \"tn\", country = \"US\" }}\n[budget]\ncall = \"{}ms\"\nbackground = \"1s\"\n\
         [[upstream]]\nname = \"v\"\ntype = \"http\"\nurl = \"{}\"\nconcurrency = 100\n[upstream.fields]\nname = \"body.name\"\n",
        BUDGET.as_millis(),
        vendor.url("/{{ key | nanp10 }}")
    );
    let desk = Desk::new(&[("cnam", &policy)]);
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let front = listener.address();
    let doors = Doors { tcp: vec![listener], unix: Vec::new() };
    tokio::spawn(memcached::serve(doors, Arc::clone(&desk.lookups), Settings::default(), Drain::default()));

    let script = include_str!("kamailio/measured.cfg")
        .replace("127.0.0.1:11311", &front.to_string())
        .replace("http://127.0.0.1:8100/", &vendor.url("/"));
    let Some(kamailio) = Kamailio::start(&script, &[]).await else { return };
    let ours = play(&scene, kamailio.address, &vendor, 2_000_000).await;
    drop(kamailio);
    let Some(kamailio) = Kamailio::start(&script, &["-A", "DIRECT"]).await else { return };
    let direct = play(&scene, kamailio.address, &vendor, 3_000_000).await;
    drop(kamailio);

    let (lost, inside, _) = sum_up("through dipcache", &scene, &ours);
    let (lost_direct, inside_direct, worst_direct) = sum_up("the vendor itself", &scene, &direct);
    if let Some(path) = std::env::var_os("DIPCACHE_PICTURE") {
        let points = |calls: &[Call]| calls.iter().map(|call| (call.sent, call.took)).collect::<Vec<_>>();
        let curves = [
            Curve { name: "the vendor itself", colour: "#c0392b", calls: points(&direct) },
            Curve { name: "through dipcache", colour: "#1f6fb2", calls: points(&ours) },
        ];
        std::fs::write(path, draw(&curves, scene.well, scene.well + scene.hangs)).unwrap();
    }
    assert_eq!(lost, 0, "calls were lost");
    let slack = if scene.full { Duration::ZERO } else { support::SLACK };
    assert!(inside <= BUDGET + Duration::from_millis(10) + slack, "{inside:?} inside Kamailio");
    // Four workers that wait a second each answer four calls a second of two hundred.
    assert!(inside_direct >= Duration::from_millis(900), "the vendor did not hang: {inside_direct:?}");
    assert!(worst_direct >= Duration::from_secs(2) || lost_direct > 0, "no pile-up without us: {worst_direct:?}");
}
