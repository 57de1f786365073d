//! From `raise` to a sink, and what happens when one of them fails.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::config::{Events as Settings, EventsForm, EventsMode, Node, Sink, WhenFull};
use crate::deadline::now;

fn settings(folder: &Path, mode: EventsMode, files: &[&str]) -> Settings {
    let sink = |name: &&str| Sink::File {
        name: (*name).to_owned(),
        path: folder.join(name),
        rotate_size: 1 << 30,
        rotate_age: Duration::from_secs(3600),
        keep: 3,
    };
    Settings {
        mode,
        form: EventsForm::CloudEvents,
        spool: folder.join("spool"),
        spool_max: 64 << 20,
        spool_age: Duration::from_secs(3600),
        when_full: WhenFull::Oldest,
        summary: Duration::from_secs(10),
        sinks: files.iter().map(sink).collect(),
    }
}

fn start(settings: &Settings) -> (Arc<Events>, Running) {
    let events = Arc::new(Events::default());
    let node = Node { name: "edge-1".to_owned(), zone: String::new() };
    let running = Running::start(&events, settings, &node, Duration::from_secs(5)).unwrap();
    (events, running)
}

fn about(lookup: &str, n: usize) -> Event {
    Event { lookup: Some(lookup.into()), ..Event::of_node(EventType::Opened, n.to_string()) }
}

/// The reasons in a file, in order, of one lookup.
fn reasons(file: &Path, lookup: &str) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let told = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    told.filter(|told| told["data"]["lookup"] == lookup)
        .map(|told| told["data"]["reason"].as_str().unwrap().to_owned())
        .collect()
}

fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let end = now() + Duration::from_secs(20);
    while !happened() {
        assert!(now() < end, "{what}: not within 20 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|n| n.to_string()).collect()
}

#[test]
fn the_latest_are_kept_for_the_status_page() {
    let events = Events::default();
    (0..=RECENT).for_each(|n| events.raise(about("lrn", n)));
    assert_eq!(events.recent().len(), RECENT);
    assert_eq!(events.recent()[0].reason, "1");
}

#[test]
fn every_sink_gets_every_event_in_order_and_the_books_balance() {
    let folder = tempfile::tempdir().unwrap();
    let (events, running) = start(&settings(folder.path(), EventsMode::All, &["a", "b"]));
    for n in 0..500 {
        events.raise(about(["lrn", "cnam"][n % 2], n / 2));
    }
    running.close();
    for file in ["a", "b"] {
        assert_eq!(reasons(&folder.path().join(file), "lrn"), numbers(250));
        assert_eq!(reasons(&folder.path().join(file), "cnam"), numbers(250));
    }
    for (name, figures) in running.figures() {
        assert!(figures.balance(), "{name}: {figures:?}");
        assert_eq!((figures.queued, figures.delivered), (500, 500), "{name}");
    }
}

#[test]
fn a_dead_sink_is_passed_over_at_once_and_taken_again_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let in_the_way = folder.path().join("a");
    fs::create_dir(&in_the_way).unwrap();
    let (events, running) = start(&settings(folder.path(), EventsMode::Failover, &["a", "b"]));
    (0..50).for_each(|n| events.raise(about("lrn", n)));
    let second = folder.path().join("b");
    until("the second takes over", || reasons(&second, "lrn") == numbers(50));
    assert!(events.recent().iter().any(|told| told.event == EventType::SinkDown && told.sink.as_deref() == Some("a")));
    until("told through the other sink", || fs::read_to_string(&second).unwrap().contains("dipcache.sink.down"));

    fs::remove_dir(&in_the_way).unwrap();
    until("the first is back", || events.recent().iter().any(|told| told.event == EventType::SinkUp));
    events.raise(about("lrn", 50));
    until("the first takes it", || reasons(&in_the_way, "lrn") == ["50"]);
    running.close();
    let (_, figures) = running.figures().remove(0);
    assert!(figures.balance() && figures.spooled + figures.pending + figures.dropped == 0, "{figures:?}");
}

#[test]
fn one_dead_sink_of_all_holds_up_nobody_and_gets_its_own_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let in_the_way = folder.path().join("a");
    fs::create_dir(&in_the_way).unwrap();
    let mut settings = settings(folder.path(), EventsMode::All, &["a", "b"]);
    let (events, running) = start(&settings);
    (0..20).for_each(|n| events.raise(about("lrn", n)));
    until("b has them", || reasons(&folder.path().join("b"), "lrn") == numbers(20));
    let figures = running.figures();
    assert!(figures.iter().all(|(_, figures)| figures.balance()), "{figures:?}");
    running.close();
    drop(running);
    fs::remove_dir(&in_the_way).unwrap();

    settings.sinks.truncate(1);
    let (_, running) = start(&settings);
    until("a has them", || reasons(&in_the_way, "lrn") == numbers(20));
    running.close();
    assert!(running.figures()[0].1.balance());
    let left = fs::read_dir(folder.path().join("spool")).unwrap();
    let segments =
        left.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|ending| ending == "seg"));
    assert_eq!(segments.count(), 0, "what everybody has is not kept");
}

#[test]
fn a_spool_that_cannot_be_written_loses_nothing_while_the_sink_works() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("spool"), "a file in the way").unwrap();
    let (events, running) = start(&settings(folder.path(), EventsMode::All, &["a"]));
    (0..3000).for_each(|n| events.raise(about("lrn", n)));
    until("they arrive", || reasons(&folder.path().join("a"), "lrn").len() == 3000);
    assert!(running.journal().trouble().is_some());
    assert_eq!(reasons(&folder.path().join("a"), "lrn"), numbers(3000));
    running.close();
    assert!(running.figures()[0].1.balance(), "{:?}", running.figures());
}

#[test]
fn two_processes_never_share_a_spool() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), EventsMode::All, &[]);
    let (_events, _running) = start(&settings);
    let node = Node { name: "edge-2".to_owned(), zone: String::new() };
    let second = Running::start(&Arc::default(), &settings, &node, Duration::ZERO);
    assert!(second.unwrap_err().to_string().contains("in use by another process"));
}

#[tokio::test]
async fn kept_means_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (events, running) = start(&settings(folder.path(), EventsMode::All, &[]));
    events.raise(about("lrn", 1));
    assert!(events.kept(Duration::from_secs(5)).await);
    assert_eq!(running.journal().durable(), 1);
    assert!(running.journal().bytes() > 100);
}

/// What a call pays. With a log that takes no line, a spool that cannot be written, and no sink: nobody takes
/// anything off, so the queue fills and overflows meanwhile. The bound is for an optimized build on a quiet
/// machine; elsewhere this only shows that nothing blocks.
#[test]
fn raising_costs_a_call_next_to_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("spool"), "a file in the way").unwrap();
    let (events, _running) = start(&settings(folder.path(), EventsMode::All, &[]));
    let event = about("lrn", 1);
    let mut took: Vec<Duration> = (0..100_000)
        .map(|_| {
            let event = event.clone();
            let start = now();
            events.raise(event);
            now() - start
        })
        .collect();
    took.sort_unstable();
    let p99 = took[took.len() * 99 / 100];
    println!("raise: p50 {:?}, p99 {p99:?}, max {:?}", took[took.len() / 2], took[took.len() - 1]);
    let bound = if cfg!(debug_assertions) { Duration::from_millis(1) } else { Duration::from_micros(2) };
    assert!(p99 < bound, "{p99:?}");
}
