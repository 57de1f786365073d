//! A real Kamailio with the script that ships, asking through the memcached front: INVITE in, 302 out.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::process::Command;
use std::sync::Arc;

use dipcache::front::listen::{Drain, Listener};
use dipcache::front::memcached::{self, Doors, Settings};
use dipcache::health::Override;

use support::kamailio::Kamailio;
use support::lookups::Desk;
use support::process;
use support::vendor::{Mode, Vendor};

const SHIPPED: &str = include_str!("../config/scripts/kamailio.cfg");

fn policy(kind: &str, field: &str, vendor: &Vendor) -> String {
    format!(
        "kind = \"{kind}\"\n[input]\nkey = {{ type = \"tn\", country = \"US\" }}\n[budget]\ncall = \"40ms\"\nbackground = \"1s\"\n\
         [breaker]\nconsecutive = 3\nopen = \"5s\"\nopen_max = \"5s\"\n\
         [[upstream]]\nname = \"v\"\ntype = \"http\"\nurl = \"{}\"\nconcurrency = 100\n[upstream.fields]\n{field} = \"body.{field}\"\n",
        vendor.url("/{{ key | nanp10 }}")
    )
}

/// Kamailio with this script before lookups of the test's own.
struct Scene {
    kamailio: Kamailio,
    desk: Desk,
    cnam: Vendor,
    _lrn: Vendor,
}

async fn scene(script: &str) -> Option<Scene> {
    let (cnam, lrn) = (Vendor::start(Mode::OK).await, Vendor::start(Mode::OK).await);
    cnam.set_body(r#"{"name":"ACME CORP"}"#);
    lrn.set_body(r#"{"lrn":"+13035550000"}"#);
    let desk = Desk::new(&[("cnam", &policy("cnam", "name", &cnam)), ("lrn", &policy("lrn", "lrn", &lrn))]);
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let front = listener.address();
    let doors = Doors { tcp: vec![listener], unix: Vec::new() };
    tokio::spawn(memcached::serve(doors, Arc::clone(&desk.lookups), Settings::default(), Drain::default()));
    let kamailio = Kamailio::start(&script.replace("127.0.0.1:11311", &front.to_string()), &[]).await?;
    Some(Scene { kamailio, desk, cnam, _lrn: lrn })
}

impl Scene {
    /// Sends one request and answers the reply.
    async fn call(&self, method: &str, from: &str, id: &str) -> String {
        self.kamailio.call(method, from, id).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_script_finds_obeys_the_flag_and_goes_on_without() {
    let Some(scene) = scene(SHIPPED).await else { return };
    let found = scene.call("INVITE", "+12025550123", "found").await;
    assert!(found.starts_with("SIP/2.0 302 "), "{found}\n{}", scene.kamailio.server.log());
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

/// The shipped script under SIPp, which has its own mind about what a call is: INVITE, 302 with both headers, ACK.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sipp_gets_its_302_with_the_result_in_headers() {
    let Some(sipp) = process::find("sipp", &[]) else { return process::skipped("sipp", "sip-tester") };
    let Some(scene) = scene(SHIPPED).await else { return };
    let folder = process::directory_for("");
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sip/invite.xml");
    let to = scene.kamailio.address.to_string();
    let port = process::free_port().to_string();
    let args = [
        "-sf",
        scenario,
        "-m",
        "400",
        "-r",
        "200",
        "-i",
        "127.0.0.1",
        "-p",
        &port,
        "-nostdin",
        "-timeout",
        "30",
        "-trace_err",
        &to,
    ];
    let args = args.map(str::to_owned);
    let run = tokio::task::spawn_blocking(move || {
        let output = Command::new("timeout").arg("60").arg(sipp).args(args).current_dir(folder.path()).output();
        (output.expect("it starts"), folder)
    });
    let (output, _folder) = run.await.unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let tail: Vec<&str> = told.lines().rev().take(60).collect();
    // SIPp ends with 0 only if every call went as the scenario says.
    assert!(output.status.success(), "{}\n{}", tail.join("\n"), scene.kamailio.server.log());
    assert_eq!(scene.cnam.requests(), 1, "one dip, and 399 hits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flags_are_integers_texts_are_strings_and_absent_is_null() {
    let Some(scene) = scene(include_str!("kamailio/types.cfg")).await else { return };
    let up = scene.call("INVITE", "+12025550123", "up").await;
    for header in ["X-Up: 1", "X-Sum: 42", "X-Is: up", "X-Member: 42", "X-Text: +1303555000041", "X-Nothing: null"] {
        assert!(up.contains(&format!("{header}\r\n")), "{header} is not in\n{up}\n{}", scene.kamailio.server.log());
    }
    scene.desk.lookup("cnam").lay_hand(Override::Down);
    let down = scene.call("INVITE", "+12025550123", "down").await;
    for header in ["X-Up: 0", "X-Sum: 41", "X-Is: down"] {
        assert!(down.contains(&format!("{header}\r\n")), "{header} is not in\n{down}");
    }
}
