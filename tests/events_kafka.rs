//! The Kafka sink against Apache Kafka itself: who gets in, what is refused, what is compressed.

#![cfg(feature = "kafka")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test.

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dipcache::config::{self, EventsForm, EventsMode, Node, Sink, WhenFull};
use dipcache::events::{Event, EventType, Events, Figures, Running};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use support::kafka::{GUEST, Kafka, PASSWORD, Secrets, USER};
use support::process;

const TOPIC: &str = "dipcache.events";

/// Every record of the topic as (id, reason), in the order of each partition, until nothing has come for 5 s.
fn consume(client: &[(&str, &str)], brokers: &str) -> Vec<(String, String)> {
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", brokers).set("group.id", "test").set("auto.offset.reset", "earliest");
    for (name, value) in client {
        settings.set(*name, *value);
    }
    let consumer: BaseConsumer = settings.create().unwrap();
    consumer.subscribe(&[TOPIC]).unwrap();
    let (mut seen, mut silent) = (Vec::new(), 0);
    while silent < if seen.is_empty() { 60 } else { 10 } {
        match consumer.poll(Duration::from_millis(500)) {
            Some(Ok(record)) => {
                silent = 0;
                let told: serde_json::Value = serde_json::from_slice(record.payload().unwrap()).unwrap();
                assert_eq!(record.key().unwrap(), told["partitionkey"].as_str().unwrap().as_bytes());
                assert!(record.headers().unwrap().iter().any(|header| header.key == "content-type"));
                let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
                seen.push((text(&told["id"]), text(&told["data"]["reason"])));
            }
            _ => silent += 1,
        }
    }
    seen
}

fn settings(folder: &Path, brokers: &str, properties: &[(&str, &str)]) -> config::Events {
    let owned = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    config::Events {
        mode: EventsMode::All,
        form: EventsForm::CloudEvents,
        spool: folder.join("spool"),
        spool_max: 64 << 20,
        spool_age: Duration::from_secs(3600),
        when_full: WhenFull::Oldest,
        summary: Duration::from_secs(10),
        sinks: vec![Sink::Kafka {
            name: "k1".into(),
            brokers: vec![brokers.to_owned()],
            topic: TOPIC.into(),
            properties: owned(properties),
            headers: vec![],
            create_topic: true,
        }],
    }
}

fn start(settings: &config::Events) -> Result<(Arc<Events>, Running), dipcache::events::CannotStart> {
    let events = Arc::new(Events::default());
    let node = Node { name: "edge-1".into(), zone: String::new() };
    let running = Running::start(&events, settings, &node, Duration::from_secs(30))?;
    Ok((events, running))
}

fn about(reason: &str) -> Event {
    Event { lookup: Some("lrn".into()), ..Event::of_node(EventType::Opened, reason) }
}

#[test]
fn an_unknown_property_is_an_error_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let error = start(&settings(folder.path(), "127.0.0.1:1", &[("compresion.type", "zstd")])).unwrap_err().to_string();
    assert!(error.contains("compresion.type") && error.contains("k1"), "{error}");
}

#[test]
fn it_starts_at_once_without_a_broker_and_keeps_what_is_raised() {
    let folder = tempfile::tempdir().unwrap();
    let began = dipcache::deadline::now();
    let (events, running) = start(&settings(folder.path(), "127.0.0.1:1", &[])).unwrap();
    assert!(dipcache::deadline::now() - began < Duration::from_secs(1));
    events.raise(about("1"));
    std::thread::sleep(Duration::from_secs(2));
    let (_, figures) = running.figures().remove(0);
    assert!(figures.balance() && figures.delivered == 0 && figures.pending >= 1, "{figures:?}");
    assert!(figures.sinks[0].down.is_some());
    assert!(events.recent().iter().any(|told| told.event == EventType::SinkDown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_refuses_for_good_is_a_dead_letter_and_holds_up_nobody() {
    let Some(kafka) = Kafka::start(None).await else { return };
    let folder = tempfile::tempdir().unwrap();
    for compression in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let folder = folder.path().join(compression);
        let properties = [("compression.type", compression), ("message.max.bytes", "400000")];
        let (events, running) = start(&settings(&folder, &kafka.brokers, &properties)).unwrap();
        // Too large for the broker, however it is packed.
        let large: String = std::iter::repeat_with(fastrand::alphanumeric).take(250_000).collect();
        events.raise(about(&format!("{compression} before")));
        if compression == "none" {
            events.raise(about(&large));
        }
        events.raise(about(&format!("{compression} after")));
        tokio::task::spawn_blocking(move || {
            let settled = || running.figures()[0].1.clone();
            let end = dipcache::deadline::now() + Duration::from_secs(60);
            while settled().delivered < 2 && dipcache::deadline::now() < end {
                std::thread::sleep(Duration::from_millis(50));
            }
            running.close();
            let figures = settled();
            assert!(figures.balance() && figures.delivered >= 2, "{figures:?}");
            assert_eq!(figures.dead, u64::from(compression == "none"), "{figures:?}");
        })
        .await
        .unwrap();
    }
    let letters = fs::read_to_string(folder.path().join("none/spool/dead-letters.jsonl")).unwrap();
    let letter: serde_json::Value = serde_json::from_str(letters.trim()).unwrap();
    assert_eq!(letter["sink"], "k1");
    assert!(letter["reason"].as_str().unwrap().contains("MessageSizeTooLarge"), "{}", letter["reason"]);
    let seen: Vec<String> = consume(&[], &kafka.brokers).into_iter().map(|(_, reason)| reason).collect();
    for compression in ["none", "gzip", "snappy", "lz4", "zstd"] {
        assert!(seen.contains(&format!("{compression} after")), "{compression}");
    }
}

/// Until the figures are so.
async fn figures_are(running: &Running, what: &str, so: impl Fn(&Figures) -> bool) -> Figures {
    let look = || running.figures().remove(0).1;
    let settled = process::until(Duration::from_secs(60), || async { so(&look()).then_some(()) });
    assert!(settled.await.is_some(), "{what}: {:?}", look());
    assert!(look().balance(), "{what}: {:?}", look());
    look()
}

fn letters(folder: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(folder.join("spool/dead-letters.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_topic_is_created_or_else_its_records_are_dead_letters() {
    let Some(kafka) = Kafka::start(None).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path(), &kafka.brokers, &[("topic.metadata.propagation.max.ms", "500")]);
    let Sink::Kafka { topic, create_topic, .. } = &mut settings.sinks[0] else { panic!("it is one") };
    (*topic, *create_topic) = ("made-by-nobody".to_owned(), false);
    let (events, running) = start(&settings).unwrap();
    events.raise(about("nowhere to go"));
    figures_are(&running, "refused", |figures| figures.dead == 1).await;
    running.close();
    drop(running);
    let letter = letters(folder.path()).remove(0);
    assert!(letter["reason"].as_str().unwrap().contains("UnknownTopic"), "{letter}");
    assert_eq!(letter["event"]["data"]["reason"], "nowhere to go");

    let Sink::Kafka { topic, create_topic, properties, .. } = &mut settings.sinks[0] else { panic!("it is one") };
    (*topic, *create_topic) = ("made-by-us".to_owned(), true);
    properties.clear();
    let (events, running) = start(&settings).unwrap();
    events.raise(about("here I am"));
    let figures = figures_are(&running, "delivered", |figures| figures.delivered > 0).await;
    assert_eq!(figures.dropped, 0, "{figures:?}");
}

/// A private CA, a server's certificate for 127.0.0.1, a client's.
struct Certificates {
    ca: String,
    server: String,
    client: String,
    client_key: String,
}

fn certificates() -> Certificates {
    let key = || rcgen::KeyPair::generate().unwrap();
    let (ca_key, server_key, client_key) = (key(), key(), key());
    let mut ca = rcgen::CertificateParams::new(vec![]).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    ca.distinguished_name.push(rcgen::DnType::CommonName, "a CA of our own");
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let named = |name: &str, key: &rcgen::KeyPair| {
        rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(key, &issuer).unwrap().pem()
    };
    let server = format!("{}{}{ca_pem}", server_key.serialize_pem(), named("127.0.0.1", &server_key));
    Certificates { server, client: named("edge-1", &client_key), client_key: client_key.serialize_pem(), ca: ca_pem }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_private_ca_a_client_certificate_or_a_password_gets_in_and_nothing_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = certificates();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let (ca, client, client_key) = (
        write("ca.pem", &certificates.ca),
        write("client.pem", &certificates.client),
        write("client.key", &certificates.client_key),
    );
    let secrets = Secrets { server_pem: write("server.pem", &certificates.server), ca_pem: ca.clone() };
    let Some(kafka) = Kafka::start(Some(&secrets)).await else { return };
    let text = |path: &Path| path.display().to_string();
    let (ca, client, client_key) = (text(&ca), text(&client), text(&client_key));
    let mutual = vec![
        ("security.protocol", "SSL"),
        ("ssl.ca.location", &*ca),
        ("ssl.certificate.location", &*client),
        ("ssl.key.location", &*client_key),
    ];
    let sasl = |mechanism, user, password| {
        vec![
            ("security.protocol", "SASL_SSL"),
            ("ssl.ca.location", &*ca),
            ("sasl.mechanisms", mechanism),
            ("sasl.username", user),
            ("sasl.password", password),
        ]
    };
    let (scram, plain) = (|password| sasl("SCRAM-SHA-512", USER, password), |password| sasl("PLAIN", USER, password));
    let without_ca: Vec<_> = scram(PASSWORD).into_iter().filter(|(name, _)| *name != "ssl.ca.location").collect();
    let cases = [
        ("SCRAM", &kafka.sasl, scram(PASSWORD), true),
        ("SCRAM with another password", &kafka.sasl, scram("sesame"), false),
        ("SCRAM and an unknown CA", &kafka.sasl, without_ca, false),
        ("PLAIN", &kafka.sasl, plain(PASSWORD), true),
        ("PLAIN with another password", &kafka.sasl, plain("sesame"), false),
        ("mtls", &kafka.mtls, mutual.clone(), true),
        ("no certificate", &kafka.mtls, mutual[..2].to_vec(), false),
        ("unknown CA", &kafka.mtls, vec![mutual[0], mutual[2], mutual[3]], false),
    ];
    for (name, brokers, properties, gets_in) in cases {
        let (events, running) = start(&settings(&folder.path().join(name), brokers, &properties)).unwrap();
        events.raise(about(name));
        let patience = if gets_in { 30 } else { 4 };
        let delivered = process::until(Duration::from_secs(patience), || async {
            (running.figures()[0].1.delivered > 0).then_some(())
        });
        assert_eq!(delivered.await.is_some(), gets_in, "{name}: {:?}", running.figures());
        if !gets_in {
            let (_, figures) = running.figures().remove(0);
            assert!(figures.balance() && figures.sinks[0].down.is_some(), "{name}: {figures:?}");
        }
    }

    // Who gets in and may not write.
    let folder = folder.path().join("guest");
    let (events, running) = start(&settings(&folder, &kafka.sasl, &sasl("PLAIN", GUEST, PASSWORD))).unwrap();
    events.raise(about("knock"));
    figures_are(&running, "no right", |figures| figures.dead > 0).await;
    let letter = letters(&folder).remove(0);
    assert!(letter["reason"].as_str().unwrap().contains("AuthorizationFailed"), "{letter}");
    kafka.let_write(TOPIC);
    let told = process::until(Duration::from_secs(60), || async {
        events.raise(about("open"));
        (running.figures()[0].1.delivered > 0).then_some(())
    });
    assert!(told.await.is_some(), "{:?}", running.figures());
}
