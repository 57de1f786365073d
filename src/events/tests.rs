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

#[test]
fn the_books_balance_at_every_moment() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("a")).unwrap();
    let (events, running) = start(&settings(folder.path(), EventsMode::All, &["a", "b"]));
    let mut looks = 0;
    for n in 0..20_000 {
        events.raise(about(["lrn", "cnam", "rate"][n % 3], n));
        if n % 50 == 0 {
            for (name, figures) in running.figures() {
                assert!(figures.balance(), "{name}: {figures:?}");
            }
            looks += 1;
            std::thread::sleep(Duration::from_micros(500));
        }
        if n == 10_000 {
            fs::remove_dir(folder.path().join("a")).unwrap();
        }
    }
    assert!(looks >= 400);
    until("both have them", || {
        let figures = running.figures();
        assert!(figures.iter().all(|(_, figures)| figures.balance()), "{figures:?}");
        figures.iter().all(|(_, figures)| figures.delivered >= 20_000)
    });
    running.close();
}

/// 3,000 events that no sink takes, in a spool that has room for a part of them, and more than memory holds; what is left arrives, and no more.
fn what_a_full_spool_keeps(when_full: WhenFull) -> Vec<usize> {
    let folder = tempfile::tempdir().unwrap();
    let in_the_way = folder.path().join("a");
    fs::create_dir(&in_the_way).unwrap();
    let mut settings = settings(folder.path(), EventsMode::All, &["a"]);
    (settings.spool_max, settings.when_full) = (200_000, when_full);
    let (events, running) = start(&settings);
    let filler = "x".repeat(4_000);
    for n in 0..1_500 {
        events.raise(about("lrn", n));
        events.raise(Event { reason: filler.clone(), ..about("cnam", n) });
        if n % 100 == 0 {
            std::thread::sleep(Duration::from_millis(20));
            let (_, figures) = running.figures().remove(0);
            assert!(figures.balance(), "{when_full:?}: {figures:?}");
        }
    }
    let dropping = |event: EventType| events.recent().iter().any(|told| told.event == event && told.to == "dropping");
    until("the loss is told", || dropping(EventType::SinkDown));
    assert!(running.journal().bytes() <= 200_000, "{when_full:?}: {} bytes", running.journal().bytes());
    fs::remove_dir(&in_the_way).unwrap();
    until("the rest arrives", || {
        let (_, figures) = running.figures().remove(0);
        assert!(figures.balance(), "{when_full:?}: {figures:?}");
        figures.spooled + figures.pending == 0
    });
    let (_, figures) = running.figures().remove(0);
    running.close();
    assert!(figures.dropped > 0 && figures.delivered > 0, "{when_full:?}: {figures:?}");
    let kept: Vec<usize> = reasons(&in_the_way, "lrn").iter().map(|number| number.parse().unwrap()).collect();
    assert!(kept.is_sorted(), "{when_full:?}: {kept:?}");
    kept
}

#[test]
fn a_full_spool_drops_by_the_operators_choice_and_tells() {
    let oldest = what_a_full_spool_keeps(WhenFull::Oldest);
    assert_eq!(oldest.last(), Some(&1_499), "the newest are there");
    for when_full in [WhenFull::Newest, WhenFull::Refuse] {
        let kept = what_a_full_spool_keeps(when_full);
        assert_eq!(kept[..10], (0..10).collect::<Vec<_>>(), "{when_full:?}: the oldest are there");
        assert!(!kept.contains(&1_499), "{when_full:?}");
    }
}

#[cfg(feature = "kafka")]
fn dead_kafka() -> Sink {
    Sink::Kafka {
        name: "k1".into(),
        brokers: vec!["127.0.0.1:1".into()],
        topic: "t".into(),
        properties: vec![],
        headers: vec![],
        create_topic: true,
    }
}

/// OpenSIPS' event_virtual asks a dead one again for every event, and waits each time.
#[cfg(feature = "kafka")]
#[test]
fn brokers_that_are_not_there_hold_up_one_event_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path(), EventsMode::Failover, &["b"]);
    settings.sinks.insert(0, dead_kafka());
    let (events, running) = start(&settings);
    let file = folder.path().join("b");
    events.raise(about("lrn", 0));
    until("the file takes over", || reasons(&file, "lrn").len() == 1);
    for n in 1..20 {
        let raised = now();
        events.raise(about("lrn", n));
        until("it is passed over", || reasons(&file, "lrn").len() == n + 1);
        assert!(now() - raised < Duration::from_secs(1), "{n}: {:?}", now() - raised);
    }
    assert_eq!(reasons(&file, "lrn"), numbers(20));
    running.close();
    let (_, figures) = running.figures().remove(0);
    assert!(figures.balance() && figures.delivered == figures.queued, "{figures:?}");
}

/// What a call pays for one event, in order.
fn costs_of_raising(count: usize, events: &Events) -> Vec<Duration> {
    let event = about("lrn", 1);
    let mut took: Vec<Duration> = (0..count)
        .map(|_| {
            let event = event.clone();
            let start = now();
            events.raise(event);
            now() - start
        })
        .collect();
    took.sort_unstable();
    took
}

/// However sick what is behind it is: a disk that is full, a spool that cannot be written, brokers that are not there.
/// `DIPCACHE_FULL=1` and an optimized build hold it to two microseconds, with a queue that overflows meanwhile; elsewhere,
/// among other tests, it only shows that nothing blocks. A process that takes calls has its memory: one that has only just
/// begun pays the kernel for every page of its first flood of events, and has ten.
#[test]
fn raising_costs_a_call_next_to_nothing_whatever_is_broken() {
    let is_strict = !cfg!(debug_assertions) && std::env::var_os("DIPCACHE_FULL").is_some();
    let (count, bound) =
        if is_strict { (200_000, Duration::from_micros(2)) } else { (10_000, Duration::from_millis(1)) };
    for broken in ["fresh memory", "nothing", "the disk is full", "the spool cannot be written", "no broker"] {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(folder.path(), EventsMode::All, &[]);
        match broken {
            "the spool cannot be written" => fs::write(folder.path().join("spool"), "a file in the way").unwrap(),
            #[cfg(feature = "kafka")]
            "no broker" => settings.sinks.push(dead_kafka()),
            _ => {}
        }
        settings.spool_max = 1 << 20;
        let events = Arc::new(Events::default());
        let node = Node { name: "edge-1".to_owned(), zone: String::new() };
        let running = Running::start(&events, &settings, &node, Duration::ZERO).unwrap();
        if broken == "the disk is full" {
            let first = folder.path().join("spool").join(format!("{:020}.seg", 0));
            std::os::unix::fs::symlink("/dev/full", first).unwrap();
        }
        let took = costs_of_raising(count, &events);
        let (p99, longest) = (took[took.len() * 99 / 100], took[took.len() - 1]);
        println!("raise, {broken}: p50 {:?}, p99 {p99:?}, longest {longest:?}", took[took.len() / 2]);
        let bound = if broken == "fresh memory" { bound * 5 } else { bound };
        assert!(p99 < bound, "{broken}: {p99:?}");
        assert!(longest < Duration::from_secs(1), "{broken}: {longest:?}");
        if ["the disk is full", "the spool cannot be written"].contains(&broken) {
            until(broken, || running.journal().trouble().is_some());
        }
        running.close();
    }
}
