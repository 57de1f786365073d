//! A real Kamailio with the script that ships, asking through the memcached front: INVITE in, 302 out.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dipcache::deadline::{Instant, now};
use dipcache::front::listen::{Drain, Listener};
use dipcache::front::memcached::{self, Doors, Settings};
use dipcache::health::Override;
use tokio::net::UdpSocket;

use support::lookups::Desk;
use support::process::{self, Server};
use support::vendor::{Mode, Vendor};

const MODULE: &str = "kamailio/modules/memcached.so";

fn policy(kind: &str, field: &str, vendor: &Vendor) -> String {
    format!(
        "kind = \"{kind}\"\n[input]\nkey = {{ type = \"tn\", country = \"US\" }}\n[budget]\ncall = \"40ms\"\nbackground = \"1s\"\n\
         [breaker]\nconsecutive = 3\nopen = \"5s\"\nopen_max = \"5s\"\n\
         [[upstream]]\nname = \"v\"\ntype = \"http\"\nurl = \"{}\"\nconcurrency = 100\n[upstream.fields]\n{field} = \"body.{field}\"\n",
        vendor.url("/{{ key | nanp10 }}")
    )
}

/// Kamailio before lookups of the test's own.
struct Scene {
    kamailio: Server,
    address: SocketAddr,
    desk: Desk,
    cnam: Vendor,
    _lrn: Vendor,
}

async fn scene() -> Option<Scene> {
    let Some(program) = process::find("kamailio", &[]) else {
        process::skipped("kamailio", "kamailio");
        return None;
    };
    let has_module =
        ["x86_64", "aarch64"].iter().any(|cpu| Path::new(&format!("/usr/lib/{cpu}-linux-gnu/{MODULE}")).exists());
    if !has_module {
        process::skipped("Kamailio module memcached", "kamailio-memcached-modules");
        return None;
    }
    let (cnam, lrn) = (Vendor::start(Mode::OK).await, Vendor::start(Mode::OK).await);
    cnam.set_body(r#"{"name":"ACME CORP"}"#);
    lrn.set_body(r#"{"lrn":"+13035550000"}"#);
    let desk = Desk::new(&[("cnam", &policy("cnam", "name", &cnam)), ("lrn", &policy("lrn", "lrn", &lrn))]);
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let front = listener.address();
    let doors = Doors { tcp: vec![listener], unix: Vec::new() };
    tokio::spawn(memcached::serve(doors, Arc::clone(&desk.lookups), Settings::default(), Drain::default()));

    let port = process::free_port();
    let script = include_str!("../config/scripts/kamailio.cfg")
        .replace("127.0.0.1:11311", &front.to_string())
        .replace("127.0.0.1:5060", &format!("127.0.0.1:{port}"));
    let dir = process::directory_for("");
    let config = dir.path().join("kamailio.cfg");
    std::fs::write(&config, script).unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let args =
        ["-f", &path("kamailio.cfg"), "-DD", "-E", "-m", "64", "-w", &path(""), "-Y", &path("")].map(str::to_owned);
    let kamailio = Server::start(dir, "", &program, &args);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let scene = Scene { kamailio, address, desk, cnam, _lrn: lrn };
    let up = process::until(Duration::from_secs(15), || async {
        tokio::time::timeout(Duration::from_millis(300), scene.call("OPTIONS", "0", "probe")).await.ok()
    });
    assert!(up.await.is_some(), "Kamailio did not start:\n{}", scene.kamailio.log());
    Some(scene)
}

fn request(method: &str, from: &str, id: &str, local: SocketAddr, to: SocketAddr) -> String {
    format!(
        "{method} sip:+13035550123@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{id}\r\nMax-Forwards: 70\r\n\
         From: <sip:{from}@test>;tag={id}\r\nTo: <sip:+13035550123@test>\r\nCall-ID: {id}\r\nCSeq: 1 {method}\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

impl Scene {
    /// Sends one request and answers the reply.
    async fn call(&self, method: &str, from: &str, id: &str) -> String {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let local = socket.local_addr().unwrap();
        socket.send_to(request(method, from, id, local, self.address).as_bytes(), self.address).await.unwrap();
        let mut buffer = vec![0; 8192];
        let received = tokio::time::timeout(Duration::from_secs(5), socket.recv(&mut buffer)).await;
        let length = received.unwrap_or_else(|_| panic!("no reply:\n{}", self.kamailio.log())).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_script_finds_obeys_the_flag_and_goes_on_without() {
    let Some(scene) = scene().await else { return };
    let found = scene.call("INVITE", "+12025550123", "found").await;
    assert!(found.starts_with("SIP/2.0 302 "), "{found}\n{}", scene.kamailio.log());
    assert!(found.contains("X-Dip-Name: ACME CORP\r\n") && found.contains("X-Dip-Lrn: +13035550000\r\n"), "{found}");

    // Text that is no number never becomes a key.
    let before = scene.cnam.requests();
    for from in ["anonymous", "1202555%20lrn:1"] {
        let odd = scene.call("INVITE", from, "odd").await;
        assert!(odd.starts_with("SIP/2.0 302 ") && !odd.contains("X-Dip-Name"), "{odd}");
    }
    assert_eq!(scene.cnam.requests(), before);

    // The flag is the integer 0 to Kamailio: no dip is made, not even for what is known.
    scene.desk.lookup("cnam").lay_hand(Override::Down);
    let down = scene.call("INVITE", "+12025550123", "down").await;
    assert!(down.starts_with("SIP/2.0 302 ") && !down.contains("X-Dip-Name"), "{down}");
    scene.desk.lookup("cnam").lay_hand(Override::Auto);

    // A lookup that is not there has no flag, which is no reason to hold a call up.
    scene.desk.install(&[]);
    let absent = scene.call("INVITE", "+12025550123", "absent").await;
    assert!(absent.starts_with("SIP/2.0 302 ") && !absent.contains("X-Dip-"), "{absent}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_calls_a_second_with_the_vendor_hanging() {
    let Some(scene) = scene().await else { return };
    scene.call("INVITE", "+12025550123", "warm").await;
    scene.cnam.set(Mode::Hang);
    let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let local = socket.local_addr().unwrap();
    let calls = 600_usize;
    let replies = {
        let socket = Arc::clone(&socket);
        tokio::spawn(async move {
            let mut seen: HashMap<String, Instant> = HashMap::new();
            let mut buffer = vec![0; 8192];
            while seen.len() < calls {
                let Ok(Ok(length)) = tokio::time::timeout(Duration::from_secs(5), socket.recv(&mut buffer)).await
                else {
                    break;
                };
                let text = String::from_utf8_lossy(&buffer[..length]);
                if let Some(id) = text.lines().find_map(|line| line.strip_prefix("Call-ID: "))
                    && text.starts_with("SIP/2.0 302 ")
                {
                    seen.insert(id.to_owned(), now());
                }
            }
            seen
        })
    };
    let mut sent = Vec::new();
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    for n in 0..calls {
        tick.tick().await;
        let id = format!("hang{n}");
        // A number each that nobody knows: the cache cannot help.
        let message = request("INVITE", &format!("+1202556{n:04}"), &id, local, scene.address);
        sent.push((id, now()));
        socket.send_to(message.as_bytes(), scene.address).await.unwrap();
    }
    let seen = replies.await.unwrap();
    assert_eq!(seen.len(), calls, "calls were lost:\n{}", scene.kamailio.log());
    let mut took: Vec<Duration> = sent.iter().map(|(id, at)| seen[id].duration_since(*at)).collect();
    took.sort_unstable();
    let (p50, worst) = (took[calls / 2], took[calls - 1]);
    println!("p50 {p50:?}, p99 {:?}, worst {worst:?}", took[calls * 99 / 100]);
    // Until the breaker opens a call waits its budget of 40 ms, once for each of the workers, and a few wait behind it.
    assert!(p50 < Duration::from_millis(20) + support::SLACK / 10, "p50 {p50:?}");
    assert!(worst < Duration::from_millis(150) + support::SLACK, "worst {worst:?}");
}
