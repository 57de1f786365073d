//! Where SIP is spoken (RFC 3263), asked of a real name server and told over HTTP's pipeline; and destinations that
//! somebody found dead.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use dipcache::answer::Outcome;
use dipcache::deadline::now;
use serde_json::Value;

use support::lookups::{Desk, ask};
use support::nameserver::{Mode, Nameserver};
use support::nsd::Nsd;

/// `all` has everything, `srv` no NAPTR, `bare` addresses only, `shut` says that it has no service, `lame` a service
/// whose host is not there.
const ZONE: &str = "$ORIGIN carrier.test.\n$TTL 60\n@ IN SOA ns hostmaster 1 3600 600 86400 10\n@ IN NS ns\nns IN A 127.0.0.1\n\
    all IN NAPTR 20 10 \"s\" \"SIP+D2U\" \"\" _sip._udp.all\nall IN NAPTR 10 10 \"s\" \"SIPS+D2T\" \"\" _odd._tcp.all\n\
    all IN NAPTR 5 10 \"s\" \"SIP+D2S\" \"\" _sip._sctp.all\nall IN NAPTR 30 10 \"a\" \"SIP+D2T\" \"\" edge-2\n\
    all IN NAPTR 1 1 \"u\" \"E2U+sip\" \"!^.*$!sip:x@y!\" .\n\
    _odd._tcp.all 30 IN SRV 10 1 5071 edge-1\n_sip._udp.all IN SRV 20 1 5062 edge-2\n_sip._udp.all IN SRV 10 1 5060 edge-1\n\
    _sip._udp.srv IN SRV 10 1 5060 edge-1\n_sip._tcp.srv IN SRV 10 1 5064 edge-2\n_sips._tcp.srv IN SRV 10 1 5061 edge-1\n\
    srv IN A 127.0.9.9\nbare IN A 127.0.2.1\nbare IN AAAA 2001:db8::2\nbare IN A 127.0.2.2\n\
    _sip._udp.shut IN SRV 0 0 0 .\nshut IN A 127.0.9.9\n_sip._udp.lame IN SRV 0 0 5060 gone\nlame IN A 127.0.9.9\n\
    edge-1 IN A 127.0.1.1\nedge-2 IN A 127.0.1.2\nedge-2 IN AAAA 2001:db8::12\nwww IN CNAME bare\n";

fn policy(server: SocketAddr, more: &str) -> String {
    format!(
        "kind = \"dns\"\n[input]\nkey = {{ type = \"sip\" }}\n[budget]\ncall = \"80ms\"\nbackground = \"1s\"\n\
         [cache]\nfound = \"1m\"\nmin_ttl = \"1s\"\nmax_ttl = \"1m\"\nstale = \"1h\"\n\
         [[upstream]]\nname = \"ns\"\ntype = \"dns\"\nrecord = \"SIP\"\ndomain = \"{{{{ key }}}}\"\nservers = [\"{server}\"]\n\
         try_timeout = \"300ms\"\nrecursion = false\n{more}\n[upstream.fields]\ntargets = \"answers\"\n"
    )
}

/// The targets in order, as `udp 127.0.1.1:5060`.
async fn targets(desk: &Desk, key: &str) -> Vec<String> {
    let answer = ask(&desk.lookup("carrier-dns"), key, 500).await;
    let Some(record) = answer.record.filter(|_| answer.outcome.has_record()) else {
        return vec![answer.outcome.to_string()];
    };
    let told = |one: &Value| {
        let uri = one["uri"].as_str().unwrap();
        let (place, transport) = uri.strip_prefix("sip:").unwrap().split_once(";transport=").unwrap();
        assert_eq!(place.parse::<SocketAddr>().unwrap().ip().to_string(), one["ip"].as_str().unwrap());
        assert_eq!(transport, one["transport"].as_str().unwrap());
        format!("{transport} {place}{}", if one["failed"] == true { " dead" } else { "" })
    };
    let record = record.to_map();
    assert_eq!(record["next_hop"], record["targets"][0]["uri"]);
    record["targets"].as_array().unwrap().iter().map(told).collect()
}

#[tokio::test]
async fn the_way_over_naptr_srv_and_addresses() {
    let Some(nsd) = Nsd::start(&[("carrier.test", ZONE)]).await else { return };
    let desk = Desk::new(&[("carrier-dns", &policy(nsd.address, ""))]);
    let by_naptr = [
        "tls 127.0.1.1:5071",
        "udp 127.0.1.1:5060",
        "udp 127.0.1.2:5062",
        "udp [2001:db8::12]:5062",
        "tcp 127.0.1.2:5060",
        "tcp [2001:db8::12]:5060",
    ];
    let bare = ["udp 127.0.2.1:5060", "udp 127.0.2.2:5060", "udp [2001:db8::2]:5060"];
    for (key, expected) in [
        ("all.carrier.test", by_naptr.as_slice()),
        ("sip:+13035550123@ALL.carrier.test;user=phone", &by_naptr),
        // TLS and nothing else; and a transport that is named needs no NAPTR.
        ("sips:all.carrier.test", &["tls 127.0.1.1:5071"]),
        ("sip:all.carrier.test;transport=udp", &by_naptr[1..4]),
        // Without NAPTR: the SRV of each transport, the policy's first choice first.
        (
            "srv.carrier.test",
            &["udp 127.0.1.1:5060", "tcp 127.0.1.2:5064", "tcp [2001:db8::12]:5064", "tls 127.0.1.1:5061"],
        ),
        ("sips:srv.carrier.test", &["tls 127.0.1.1:5061"]),
        // A port means no SRV; no SRV means addresses.
        ("sip:srv.carrier.test:5080", &["udp 127.0.9.9:5080"]),
        ("sips:srv.carrier.test:5081", &["tls 127.0.9.9:5081"]),
        ("www.carrier.test", &bare),
        // An address is itself; nobody is asked.
        ("192.0.2.7", &["udp 192.0.2.7:5060"]),
        ("sips:[2001:db8::7]", &["tls [2001:db8::7]:5061"]),
        ("sip:192.0.2.7:5090;transport=tcp", &["tcp 192.0.2.7:5090"]),
        // "No such service" is an answer; so is a service without a host. Neither falls back to addresses.
        ("shut.carrier.test", &["not_found"]),
        ("lame.carrier.test", &["not_found"]),
        ("gone.carrier.test", &["not_found"]),
    ] {
        let mut told = targets(&desk, key).await;
        // Addresses of one host have no order of their own.
        if key == "www.carrier.test" {
            told.sort();
        }
        assert_eq!(told, expected, "{key}");
    }
    let answer = ask(&desk.lookup("carrier-dns"), "all.carrier.test", 500).await;
    assert!(answer.ttl <= 30, "the least life on the way counts: {}", answer.ttl);

    // A policy that speaks no TLS and has no IPv6.
    let narrow = policy(nsd.address, "transports = [\"tcp\", \"udp\"]\nipv6 = false");
    let desk = Desk::new(&[("carrier-dns", &narrow)]);
    assert_eq!(
        targets(&desk, "all.carrier.test").await,
        ["udp 127.0.1.1:5060", "udp 127.0.1.2:5062", "tcp 127.0.1.2:5060"]
    );
    assert_eq!(targets(&desk, "srv.carrier.test").await, ["tcp 127.0.1.2:5064", "udp 127.0.1.1:5060"]);
    assert_eq!(targets(&desk, "sips:all.carrier.test").await, ["not_found"]);
}

#[tokio::test]
async fn a_dead_destination_goes_last_from_the_next_call_on() {
    let Some(nsd) = Nsd::start(&[("carrier.test", ZONE)]).await else { return };
    let desk = Desk::new(&[("carrier-dns", &policy(nsd.address, "ipv6 = false"))]);
    let key = "sip:all.carrier.test;transport=udp";
    let well = ["udp 127.0.1.1:5060", "udp 127.0.1.2:5062"];
    assert_eq!(targets(&desk, key).await, well);
    let dead: SocketAddr = "127.0.1.1:5060".parse().unwrap();
    desk.lookups.failed_targets().avoid(dead, Duration::from_millis(300), now()).unwrap();
    let answer = ask(&desk.lookup("carrier-dns"), key, 500).await;
    assert_eq!(answer.source, dipcache::answer::Source::Local, "the cached answer, in another order");
    assert_eq!(targets(&desk, key).await, ["udp 127.0.1.2:5062", "udp 127.0.1.1:5060 dead"]);
    tokio::time::sleep(Duration::from_millis(320)).await;
    assert_eq!(targets(&desk, key).await, well, "its time is over");
}

#[tokio::test]
async fn the_whole_way_has_one_budget() {
    let server = Nameserver::start(Mode::Silent).await;
    let desk = Desk::new(&[("carrier-dns", &policy(server.address, ""))]);
    let start = now();
    let answer = ask(&desk.lookup("carrier-dns"), "all.carrier.test", 80).await;
    let took = start.elapsed();
    assert_eq!(answer.outcome, Outcome::Timeout);
    assert!(took < Duration::from_millis(80) + support::SLACK, "{took:?}");
    assert!(server.udp_queries() >= 4, "NAPTR and three SRV side by side: {}", server.udp_queries());
}
