//! Every type of event, in its CloudEvents form, fits the schema that is published for it in `config/events`.

#![allow(clippy::unwrap_used)] // A test: what cannot be read fails it.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use dipcache::config::{EventsForm, Node};
use dipcache::events::{Event, EventType, Scribe};
use serde_json::Value;

fn schema(event: EventType) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/events").join(format!("{}.json", event.as_str()));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_str(&text).unwrap()
}

/// An event of this type with the parts that its kind has.
fn told(event: EventType) -> Event {
    let name = event.as_str();
    let group = name.split('.').nth(1).unwrap();
    let has = |groups: &[&str]| groups.contains(&group);
    Event {
        lookup: has(&["dependency", "upstream", "table", "answer", "warm"]).then(|| "lrn".into()),
        upstream: has(&["upstream", "table"]).then(|| "vendor-a".into()),
        sink: has(&["sink"]).then(|| "k1".into()),
        from: if name.ends_with("degraded") { "1" } else { "0" },
        to: if name.ends_with("degraded") { "0" } else { "1" },
        failure_ratio: 0.5,
        count: has(&["answer", "warm"]).then_some(3),
        window: Some(Duration::from_secs(10)),
        p50: Some(Duration::from_millis(4)),
        p99: Some(Duration::from_micros(70_500)),
        since: Some(UNIX_EPOCH),
        ..Event::of_node(event, "because")
    }
}

fn write(event: &Event) -> Value {
    let node = Node { name: "edge-1".to_owned(), zone: "east".to_owned() };
    serde_json::from_str(&Scribe::new(node, EventsForm::CloudEvents, UNIX_EPOCH).write(1, event)).unwrap()
}

#[test]
fn every_type_fits_its_schema() {
    for event in EventType::ALL {
        let validator = jsonschema::draft202012::options().should_validate_formats(true).build(&schema(event)).unwrap();
        let event = told(event);
        let faults: Vec<String> = validator.iter_errors(&write(&event)).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{}: {faults:?}", event.event.as_str());
    }
}

#[test]
fn a_schema_refuses_what_is_not_so() {
    let validator = jsonschema::validator_for(&schema(EventType::Degraded)).unwrap();
    let mut wrong = write(&told(EventType::Degraded));
    assert!(validator.is_valid(&wrong));
    wrong["data"]["to"] = "1".into();
    assert!(!validator.is_valid(&wrong));
    let mut other = write(&told(EventType::Recovered));
    other["data"]["to"] = "0".into();
    assert!(!validator.is_valid(&other), "the type is part of the schema");
    let mut strange = write(&told(EventType::Degraded));
    strange["data"]["number"] = "+12025550123".into();
    assert!(!validator.is_valid(&strange));
}

#[test]
fn no_schema_is_left_over() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/events");
    let files = std::fs::read_dir(folder).unwrap().filter(|entry| {
        entry.as_ref().is_ok_and(|entry| entry.path().extension().is_some_and(|ending| ending == "json"))
    });
    assert_eq!(files.count(), EventType::ALL.len());
}
