//! The routing scripts that ship: what each of them asks is taken out of its text and asked of real fronts, with lookups that are
//! well, down, gone and broken. (Kamailio itself runs in `kamailio.rs`.)

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "clippy knows tests, and not their helpers beside them")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;

use dipcache::front::http;
use dipcache::front::listen::{Drain, Listener};
use dipcache::front::memcached::{self, Doors};
use dipcache::health::Override;
use regex::Regex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use support::caller::get;
use support::lookups::Desk;
use support::vendor::{Mode, Vendor};

/// A script, and what in its text compares a flag with "down".
struct Script {
    name: &'static str,
    text: &'static str,
    /// How often it looks at a flag over HTTP and over memcached.
    flags: (usize, usize),
    /// As often as it looks at one, this stands in it: nothing but 0 is down.
    compares: &'static str,
}

const SCRIPTS: [Script; 5] = [
    Script {
        name: "kamailio.cfg",
        text: include_str!("../config/scripts/kamailio.cfg"),
        flags: (0, 2),
        compares: "if ($vn(up) != $null && $vn(up) == 0) {",
    },
    Script {
        name: "opensips.cfg",
        text: include_str!("../config/scripts/opensips.cfg"),
        flags: (1, 2),
        compares: "$var(up)) && $var(up) == \"0\")",
    },
    Script {
        name: "asterisk.conf",
        text: include_str!("../config/scripts/asterisk.conf"),
        flags: (2, 0),
        compares: "$[\"${DIP_UP}\" = \"0\"]?done",
    },
    Script {
        name: "freeswitch/dialplan.xml",
        text: include_str!("../config/scripts/freeswitch/dialplan.xml"),
        flags: (2, 0),
        compares: "connect-timeout 1 timeout 1)}\" expression=\"^0$\">",
    },
    Script {
        name: "freeswitch/cidlookup.conf.xml",
        text: include_str!("../config/scripts/freeswitch/cidlookup.conf.xml"),
        flags: (0, 0),
        compares: "never, the dialplan does",
    },
];

/// What a script asks: the target of a GET, or a key of memcached's.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Http(String),
    Key(String),
}

impl Asked {
    fn is_flag(&self) -> bool {
        match self {
            Self::Http(path) => path.starts_with("/v1/health/"),
            Self::Key(key) => key.starts_with("health:"),
        }
    }
}

impl Script {
    /// Its instructions, with a call's numbers in place of the variables and without comments.
    fn lines(&self) -> String {
        let comment = if self.name.ends_with(".conf") { ";" } else { "#" };
        let lines = self.text.lines().filter(|line| !line.trim_start().starts_with(comment));
        let mut text = lines.collect::<Vec<_>>().join("\n");
        for (variable, value) in [
            ("${URIENCODE(${DIP_FROM})}", "%2B12025550123"),
            ("${URIENCODE(${DIP_TO})}", "%2B13035550123"),
            ("${caller_id_number}", "12025550123"),
            ("${destination_number}", "13035550123"),
            ("$fU", "+12025550123"),
            ("$rU", "+13035550123"),
            ("&amp;", "&"),
        ] {
            text = text.replace(variable, value);
        }
        text
    }

    fn asks(&self) -> Vec<Asked> {
        let text = self.lines();
        let http = Regex::new(r#"http://127\.0\.0\.1:8090(/v1/(?:health|lookup)/[^\s")]*)"#).unwrap();
        let keys = Regex::new(r#"\$mct\(([^)]*)\)|"memcached:dip", "([^"]*)""#).unwrap();
        let key = |found: regex::Captures| found.get(1).or(found.get(2)).unwrap().as_str().to_owned();
        let asked = http.captures_iter(&text).map(|found| Asked::Http(found[1].to_owned()));
        asked.chain(keys.captures_iter(&text).map(|found| Asked::Key(key(found)))).collect()
    }
}

struct Fronts {
    http: SocketAddr,
    memcached: SocketAddr,
    desk: Desk,
}

impl Fronts {
    fn start(policies: &[(&str, &str)]) -> Self {
        let desk = Desk::new(policies);
        let bind = || Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let (plain, text) = (bind(), bind());
        let (http, memcached) = (plain.address(), text.address());
        let lookups = || Arc::clone(&desk.lookups);
        tokio::spawn(http::serve(vec![plain], lookups(), http::Settings::default(), Drain::default()));
        let doors = Doors { tcp: vec![text], unix: Vec::new() };
        tokio::spawn(memcached::serve(doors, lookups(), memcached::Settings::default(), Drain::default()));
        Self { http, memcached, desk }
    }

    /// What the script gets to see: a body, or a value; empty where there is none.
    async fn answer(&self, asked: &Asked) -> String {
        match asked {
            Asked::Http(path) => get(self.http, path).await.body,
            Asked::Key(key) => {
                let mut stream = TcpStream::connect(self.memcached).await.unwrap();
                stream.write_all(format!("get {key}\r\nquit\r\n").as_bytes()).await.unwrap();
                let mut reply = String::new();
                stream.read_to_string(&mut reply).await.unwrap();
                assert!(reply.ends_with("END\r\n"), "{key}: {reply}");
                reply.lines().nth(1).unwrap_or_default().to_owned()
            }
        }
    }
}

fn policy(kind: &str, field: &str, vendor: &Vendor) -> String {
    format!(
        "kind = \"{kind}\"\n[input]\nkey = {{ type = \"tn\", country = \"US\" }}\n[budget]\ncall = \"300ms\"\nbackground = \"1s\"\n\
         [[upstream]]\nname = \"v\"\ntype = \"http\"\nurl = \"{}\"\n[upstream.fields]\n{field} = \"body.{field}\"\n",
        vendor.url("/{{ key | nanp10 }}")
    )
}

#[tokio::test]
async fn an_absent_flag_is_healthy_and_an_error_is_no_name_in_every_script() {
    let (cnam, lrn) = (Vendor::start(Mode::OK).await, Vendor::start(Mode::OK).await);
    cnam.set_body(r#"{"name":"ACME CORP"}"#);
    lrn.set_body(r#"{"lrn":"+13035550000"}"#);
    let policies = [("cnam", policy("cnam", "name", &cnam)), ("lrn", policy("lrn", "lrn", &lrn))];
    let policies: Vec<(&str, &str)> = policies.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let fronts = Fronts::start(&policies);
    for script in SCRIPTS {
        let asks = script.asks();
        let (flags, questions): (Vec<_>, Vec<_>) = asks.into_iter().partition(Asked::is_flag);
        let over = |http: bool| flags.iter().filter(|flag| matches!(flag, Asked::Http(_)) == http).count();
        assert_eq!((over(true), over(false)), script.flags, "{}: {flags:?}", script.name);
        assert!(!questions.is_empty(), "{} asks nothing", script.name);
        assert_eq!(script.text.matches(script.compares).count(), flags.len(), "{}: only 0 is down", script.name);

        // Well.
        fronts.desk.install(&policies);
        for question in &questions {
            let answer = fronts.answer(question).await;
            assert!(["ACME CORP", "+13035550000"].contains(&answer.as_str()), "{} {question:?}: {answer}", script.name);
        }
        for flag in &flags {
            assert_eq!(fronts.answer(flag).await, "1", "{} {flag:?}", script.name);
        }
        // Down, by the operator's hand.
        for lookup in ["cnam", "lrn"] {
            fronts.desk.lookup(lookup).lay_hand(Override::Down);
        }
        for flag in &flags {
            assert_eq!(fronts.answer(flag).await, "0", "{} {flag:?}", script.name);
        }
        for lookup in ["cnam", "lrn"] {
            fronts.desk.lookup(lookup).lay_hand(Override::Auto);
        }
        // Gone: no flag, no answer, and no text that a script could take for either.
        fronts.desk.install(&[]);
        for asked in flags.iter().chain(&questions) {
            assert_eq!(fronts.answer(asked).await, "", "{} {asked:?}", script.name);
        }
        // Broken: an error has no body that could become a caller's name.
        fronts.desk.install(&policies);
        fronts.desk.lookups.all().iter().for_each(|lookup| lookup.flush());
        for vendor in [&cnam, &lrn] {
            vendor.set(Mode::Answer(500, "text/plain", b"internal error".to_vec()));
        }
        for question in &questions {
            assert_eq!(fronts.answer(question).await, "", "{} {question:?}", script.name);
        }
        for vendor in [&cnam, &lrn] {
            vendor.set(Mode::OK);
        }
        fronts.desk.install(&[]);
    }
}

#[test]
fn the_scripts_avoid_what_their_servers_trip_over() {
    for Script { name, text, .. } in SCRIPTS {
        if name.ends_with(".xml") {
            let mut reader = quick_xml::Reader::from_str(text);
            loop {
                match reader.read_event() {
                    Ok(quick_xml::events::Event::Eof) => break,
                    Ok(_) => {}
                    Err(error) => panic!("{name}: {error}"),
                }
            }
        }
        assert!(text.matches('{').count() == text.matches('}').count(), "{name}: braces");
    }
    let [_, opensips, asterisk, dialplan, cidlookup] = SCRIPTS.map(|script| script.text);
    // curl-timeout counts whole seconds, and below one there is none.
    let timeout = Regex::new(r#""curl-timeout" value="(\d+)""#).unwrap();
    assert!(timeout.captures(cidlookup).unwrap()[1].parse::<u32>().unwrap() >= 1000);
    // Without limits mod_curl waits for ever, CURL() three minutes, rest_client twenty seconds.
    let curl = Regex::new(r"\$\{curl\([^ ]+( connect-timeout \d+ timeout \d+)?\)").unwrap();
    assert!(curl.captures_iter(dialplan).all(|call| call.get(1).is_some()) && curl.is_match(dialplan));
    for limit in ["conntimeout)=", "httptimeout)=", "failurecodes)="] {
        assert!(asterisk.contains(limit), "{limit}");
    }
    assert!(opensips.contains("\"connection_timeout\", 1)") && opensips.contains("\"curl_timeout\", 1)"));
    // What the last call left in a variable must not be this caller's name.
    for asked in ["$var(name))", "$var(lrn))", "$var(name), ,"] {
        let before = &opensips[..opensips.find(asked).unwrap()];
        let variable = asked.split(')').next().unwrap();
        let route = &before[before.rfind("route[").unwrap()..];
        assert!(route.contains(&format!("{variable}) = \"\";")), "{asked}");
    }
}
