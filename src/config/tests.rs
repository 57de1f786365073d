//! What good configs become. What is wrong with bad ones is told in `tests/check.rs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{
    AdminRights, Config, EMBEDDED, Endpoint, Events, EventsForm, EventsMode, Limits, Listen, Log, LogFormat,
    MemcachedFormat, Sink, WhenFull, load_with,
};
use crate::policy::Fault;

/// Loads a text from a folder of this test's own, which takes the name `D` in paths.
fn load(text: &str, variables: &[(&str, &str)]) -> Result<(Config, tempfile::TempDir), Vec<Fault>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d.toml");
    fs::write(&path, text).unwrap();
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    load_with(Some(&path), variables).map(|config| (config, dir))
}

fn tcp(address: &str) -> Endpoint {
    Endpoint::Tcp(address.parse().unwrap())
}

#[test]
fn an_empty_file_is_the_embedded_default() {
    for text in ["", EMBEDDED] {
        let (config, dir) = load(text, &[]).unwrap();
        assert_eq!(
            config.listen,
            Listen {
                http: vec!["127.0.0.1:8090".parse().unwrap()],
                memcached: vec![tcp("127.0.0.1:11311")],
                memcached_format: MemcachedFormat::Json,
                dns: vec!["127.0.0.1:5300".parse().unwrap()],
                admin: vec!["127.0.0.1:9464".parse().unwrap()],
            }
        );
        assert!(!config.node.name.is_empty());
        assert_eq!(config.node.zone, "");
        // The folder above a temporary one is there, so `D/..` is one place with its short form.
        assert_eq!(config.policies, dir.path().parent().unwrap().join("policies"));
        assert!(config.shared.is_none() && config.events.is_none() && !config.simulator);
        assert!(matches!(config.admin, AdminRights::Refused));
        assert_eq!(config.log, Log { format: LogFormat::Text, level: "info".into(), mask_numbers: true });
        assert_eq!(config.drain, Duration::from_secs(10));
        assert_eq!(config.limits, Limits { max_connections: 10_000, max_dips: 10_000 });
        assert!(!config.realtime);
    }
}

#[test]
fn the_commented_reference_names_every_key_rightly() {
    // With its examples no longer comments, the reference must still be a good config.
    let is_example = |line: &str| {
        let key = line.split(['=', ' ']).next().unwrap_or_default();
        line.starts_with('[')
            || (line.contains(" = ") && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
    };
    let text: String = EMBEDDED
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(example) if is_example(example) && !example.starts_with("token") => format!("{example}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let (config, _dir) = load(&text, &[]).unwrap();
    assert_eq!(config.node.zone, "east");
    assert_eq!(config.shared.unwrap().servers, ["127.0.0.1:11211"]);
    assert_eq!(config.events.unwrap().sinks.len(), 2);
}

#[test]
fn everything_that_can_be_said() {
    let text = r#"
        [listen]
        http = ["127.0.0.1:0", "[::1]:0"]
        memcached = ["127.0.0.1:11311", "unix:/run/dipcache/memcached.sock"]
        dns = "off"
        [node]
        name = "edge-1"
        zone = "east"
        [policies]
        dir = "p"
        [shared]
        servers = ["cache-1:11211", "[::1]:11211"]
        prefix = "x:"
        timeout = "7ms"
        [events]
        mode = "all"
        form = "jsonrpc"
        spool = "/var/spool/dipcache"
        spool_max = "2GiB"
        [[events.sink]]
        name = "k1"
        type = "kafka"
        brokers = "127.0.0.1:9092, 127.0.0.1:9093"
        topic = "t"
        properties = { "compression.type" = "zstd", "linger.ms" = 5, "sasl.password" = "env:PATH" }
        [[events.sink]]
        name = "disk"
        type = "file"
        path = "events.jsonl"
        [simulator]
        enabled = true
        [admin]
        token = "off"
        [log]
        format = "json"
        level = "info,dipcache::health=debug"
        mask_numbers = false
        [drain]
        time = "1s"
        [limits]
        max_connections = 5
        max_dips = 6
        [threads]
        realtime = true
    "#;
    let (config, dir) = load(text, &[]).unwrap();
    assert_eq!(config.listen.http.len(), 2);
    assert_eq!(
        config.listen.memcached,
        [tcp("127.0.0.1:11311"), Endpoint::Unix(PathBuf::from("/run/dipcache/memcached.sock"))]
    );
    assert!(config.listen.dns.is_empty());
    assert_eq!(config.policies, dir.path().join("p"));
    let shared = config.shared.unwrap();
    assert_eq!((shared.prefix.as_str(), shared.timeout), ("x:", Duration::from_millis(7)));
    assert_eq!(
        config.events.unwrap(),
        Events {
            mode: EventsMode::All,
            form: EventsForm::JsonRpc,
            spool: PathBuf::from("/var/spool/dipcache"),
            spool_max: 2 << 30,
            spool_age: Duration::from_secs(7 * 86_400),
            when_full: WhenFull::Oldest,
            summary: Duration::from_secs(10),
            sinks: vec![
                Sink::Kafka {
                    name: "k1".into(),
                    brokers: vec!["127.0.0.1:9092".into(), "127.0.0.1:9093".into()],
                    topic: "t".into(),
                    properties: vec![
                        ("compression.type".into(), "zstd".into()),
                        ("linger.ms".into(), "5".into()),
                        ("sasl.password".into(), std::env::var("PATH").unwrap()),
                    ],
                    headers: vec![],
                    create_topic: true,
                },
                Sink::File {
                    name: "disk".into(),
                    path: dir.path().join("events.jsonl"),
                    rotate_size: 100 << 20,
                    rotate_age: Duration::from_secs(86_400),
                    keep: 30,
                },
            ],
        }
    );
    assert!(config.simulator && matches!(config.admin, AdminRights::Open));
    assert_eq!((config.log.format, config.log.mask_numbers), (LogFormat::Json, false));
    assert_eq!((config.drain, config.limits.max_connections), (Duration::from_secs(1), 5));
    assert!(config.realtime);
}

#[test]
fn the_environment_lies_over_the_file() {
    let variables = [
        ("DIPCACHE_LISTEN__HTTP", "127.0.0.1:8091"),
        ("DIPCACHE_SHARED__SERVERS", "[\"127.0.0.1:11211\"]"),
        ("DIPCACHE_EVENTS__SINK", "[{name=\"disk\",type=\"file\",path=\"e.jsonl\"}]"),
        ("DIPCACHE_SIMULATOR__ENABLED", "true"),
        ("DIPCACHE_NODE__ZONE", "west"),
        ("DIPCACHE_DRAIN__TIME", "3s"),
        ("DIPCACHE_TOKEN", "is no override"),
    ];
    let (config, dir) =
        load("[listen]\nhttp = \"127.0.0.1:1\"\ndns = \"off\"\n[node]\nzone = \"east\"\n", &variables).unwrap();
    assert_eq!(config.listen.http, ["127.0.0.1:8091".parse().unwrap()]);
    assert!(config.listen.dns.is_empty());
    assert_eq!(config.shared.unwrap().servers, ["127.0.0.1:11211"]);
    assert_eq!(
        config.events.unwrap().sinks,
        [Sink::File {
            name: "disk".into(),
            path: dir.path().join("e.jsonl"),
            rotate_size: 100 << 20,
            rotate_age: Duration::from_secs(86_400),
            keep: 30,
        }]
    );
    assert!(config.simulator);
    assert_eq!((config.node.zone.as_str(), config.drain), ("west", Duration::from_secs(3)));
}

#[test]
fn the_demo_is_a_good_config() {
    let config = load_with(Some(Path::new("config/demo.toml")), []).unwrap();
    assert!(config.simulator && matches!(config.admin, AdminRights::Open));
    assert_eq!(config.policies, Path::new("config/demo-policies"));
}

#[test]
fn without_a_file_the_embedded_default_serves() {
    // Tests run where the sources are, and there is a `config/dipcache.toml`, which is the same text.
    let config = load_with(None, []).unwrap();
    assert_eq!(config.policies, Path::new("policies"));
    assert_eq!(fs::read_to_string("config/dipcache.toml").unwrap(), EMBEDDED);
}

#[test]
fn what_is_wrong_with_shared_is_told_with_its_place_and_remedy() {
    let text = "[shared]\nservers = [\"cache-1\", \"a:1\", \"a:1\"]\nprefix = \"a b\"\ntimeout = \"2s\"\n\
                ring = \"modula\"\nquorum = \"most\"\nsingle_flight = 1\n";
    let faults = load(text, &[]).unwrap_err();
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    for (line, words) in [
        (2, "`cache-1` is not a host and a port; write `servers = [\"127.0.0.1:11211\"]`"),
        (2, "`a:1` is there twice; take one out"),
        (3, "this prefix would make illegal keys; write at most 64 letters"),
        (4, "this is longer than a call can wait; write at most \"1s\""),
        (5, "`modula`"),
        (6, "`most`"),
        (7, "expected true or false"),
    ] {
        let place = format!("d.toml:{line}:");
        assert!(
            told.iter().any(|fault| fault.contains(&place) && fault.contains(words)),
            "{words}\n{}",
            told.join("\n")
        );
    }
    assert_eq!(told.len(), 7, "{}", told.join("\n"));
}
