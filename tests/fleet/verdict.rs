//! One vendor goes dark under 500 calls a second: what three nodes make of it, and how often they tell of it.

use std::collections::HashSet;
use std::time::Duration;

use dipcache::deadline::{Deadline, now};

use crate::harness::{Fleet, all_read, cnam};
use crate::is_full;
use crate::support::SLACK;
use crate::support::memcached::Memcached;
use crate::support::vendor::{Mode, Vendor};

const DARK: Mode = Mode::Hang;

/// Waits until a majority of the living nodes sees it so by itself.
async fn majority_sees(fleet: &Fleet, up: bool) {
    let end = Deadline::after(Duration::from_secs(20));
    loop {
        let views = fleet.views().await;
        let down = views.iter().filter(|view| !**view).count();
        if (down * 2 > views.len()) != up {
            return;
        }
        assert!(!end.passed(), "the nodes go on seeing it {}: {views:?}", if up { "down" } else { "up" });
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn second() -> Duration {
    Duration::from_secs(1) + if is_full() { Duration::ZERO } else { SLACK }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_flag_is_everywhere_within_a_second_and_each_turn_is_told_once() {
    let (Some(one), Some(two)) = (Memcached::start().await, Memcached::start().await) else { return };
    let vendor = Vendor::start(Mode::Echo).await;
    let fleet = Fleet::start(3, &[&one, &two], &cnam(&vendor)).await;
    let mut readers = fleet.flag_readers(&[&one, &two]).await;
    assert!(all_read(&mut readers, "1", second() * 2).await.is_some(), "1 from the start");
    let callers = fleet.callers(500);
    let began = now();
    let turns = if is_full() { 25 } else { 3 };
    let (mut slowest, mut most_probes, mut probes, mut dark_for) = (Duration::ZERO, 0, 0, Duration::ZERO);
    for turn in 0..turns {
        vendor.set(DARK);
        majority_sees(&fleet, false).await;
        let took = all_read(&mut readers, "0", second()).await;
        slowest = slowest.max(took.unwrap_or_else(|| panic!("no 0 everywhere, turn {turn}")));
        // What callers asked before the breakers opened comes to its end.
        tokio::time::sleep(Duration::from_millis(700)).await;
        let (watched, before) = (now(), vendor.requests());
        while now() - watched < Duration::from_millis(if is_full() { 800 } else { 1500 }) {
            most_probes = most_probes.max(vendor.in_flight());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        (probes, dark_for) = (probes + vendor.requests() - before, dark_for + (now() - watched));

        vendor.set(Mode::Echo);
        majority_sees(&fleet, true).await;
        let took = all_read(&mut readers, "1", second()).await;
        slowest = slowest.max(took.unwrap_or_else(|| panic!("no 1 everywhere, turn {turn}")));
        // The others want their own proof, and callers their answers.
        tokio::time::sleep(Duration::from_millis(1200)).await;
    }
    let a_second = callers.answered() as f64 / (now() - began).as_secs_f64();
    drop(callers);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let told = fleet.told();
    println!(
        "{} transitions at {a_second:.0} calls/s: {} told; everywhere at most {slowest:?} after the quorum; \
         {most_probes} probe at a time, {probes} in {dark_for:?}",
        turns * 2,
        told.len()
    );
    for up in [false, true] {
        assert_eq!(told.iter().filter(|(told, _)| *told == up).count(), turns, "{}", fleet.story());
    }
    assert_eq!(told.iter().collect::<HashSet<_>>().len(), turns * 2, "{}", fleet.story());
    assert!(told.iter().all(|(_, epoch)| epoch.is_some()), "{told:?}");
    assert!(most_probes <= 1 && probes > 0, "{most_probes} probes at a time, {probes} in all");
    assert!(a_second > if is_full() { 450.0 } else { 100.0 }, "only {a_second} calls a second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_in_the_middle_costs_no_event() {
    let (Some(one), Some(two)) = (Memcached::start().await, Memcached::start().await) else { return };
    let vendor = Vendor::start(Mode::Echo).await;
    let mut fleet = Fleet::start(3, &[&one, &two], &cnam(&vendor)).await;
    let _callers = fleet.callers(500);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut seen: HashSet<(bool, Option<u64>)> = HashSet::new();
    let (mut repeats, turns) = (0, if is_full() { 25 } else { 2 });
    for turn in 0..turns {
        for up in [false, true] {
            vendor.set(if up { Mode::Echo } else { DARK });
            // Any moment will do: before a breaker opens, while the verdict turns, after it.
            tokio::time::sleep(Duration::from_millis(fastrand::u64(0..400))).await;
            let victim = fastrand::usize(..3);
            fleet.kill(victim);
            majority_sees(&fleet, up).await;
            // Its vote, and its word, are waited for for three seconds.
            let mut readers = fleet.flag_readers(&[&one, &two]).await;
            let wanted = if up { "1" } else { "0" };
            let turned = all_read(&mut readers, wanted, Duration::from_secs(4) + SLACK).await;
            assert!(turned.is_some(), "turn {turn}: the flag is not {wanted} everywhere");
            let end = Deadline::after(Duration::from_secs(5));
            let new = loop {
                let told = fleet.told();
                let new: Vec<_> = told.iter().copied().filter(|event| !seen.contains(event)).collect();
                repeats = told.len() - told.iter().collect::<HashSet<_>>().len();
                if new.iter().any(|(told, _)| *told == up) {
                    break new;
                }
                assert!(!end.passed(), "turn {turn}: nobody told that it is {wanted}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            };
            let last = seen.iter().filter_map(|(_, epoch)| *epoch).max();
            assert!(
                new.iter().all(|(_, epoch)| *epoch > last),
                "an id of before: {new:?} after {last:?}\n{}",
                fleet.story()
            );
            seen.extend(new);
            fleet.replace(victim).await;
            majority_sees(&fleet, up).await;
            tokio::time::sleep(Duration::from_millis(1200)).await;
        }
    }
    println!("{} transitions with a node killed in each: {} events, {repeats} of them repeats", turns * 2, seen.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_memcached_somebody_tells_and_the_ids_tell_them_apart() {
    let Some(mut memcached) = Memcached::start().await else { return };
    let vendor = Vendor::start(Mode::Echo).await;
    let fleet = Fleet::start(3, &[&memcached], &cnam(&vendor)).await;
    let _callers = fleet.callers(500);
    tokio::time::sleep(Duration::from_millis(500)).await;
    for turn in 0..if is_full() { 5 } else { 1 } {
        memcached.kill();
        // Until the others' last word is too old to count.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let mut all = fleet.told();
        for up in [false, true] {
            vendor.set(if up { Mode::Echo } else { DARK });
            let mut readers = fleet.flag_readers(&[]).await;
            let wanted = if up { "1" } else { "0" };
            assert!(all_read(&mut readers, wanted, Duration::from_secs(6)).await.is_some(), "turn {turn}: no {wanted}");
            tokio::time::sleep(Duration::from_millis(500)).await;
            let told = fleet.told();
            let new: Vec<_> = told.iter().filter(|event| !all.contains(event)).collect();
            let apart: HashSet<_> = new.iter().collect();
            println!("memcached down, up={up}: {} told, {} different", new.len(), apart.len());
            assert!(new.iter().any(|(told, _)| *told == up), "turn {turn}: nobody told that it is {wanted}: {new:?}");
            all = told;
        }
        memcached.restart().await;
        let mut readers = fleet.flag_readers(&[&memcached]).await;
        assert!(all_read(&mut readers, "1", Duration::from_secs(4)).await.is_some(), "it is used again");
    }
}
