//! The flag in memcached: never absent while a node lives, and soon gone when none does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use dipcache::deadline::{Deadline, now};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::harness::{FLAG, Fleet, Reader, all_read, cnam};
use crate::support::SLACK;
use crate::support::memcached::Memcached;
use crate::support::vendor::{Mode, Vendor};
use crate::{is_full, is_strict};

/// Somebody who looks for the flag all the time.
struct Watch {
    longest: Arc<AtomicU64>,
    absences: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Watch {
    async fn start(server: &Memcached) -> Self {
        let mut reader = Reader::connect(server.socket()).await;
        let (longest, absences) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let stopped = Arc::new(AtomicBool::new(false));
        let (longest_too, absences_too, stopped_too) =
            (Arc::clone(&longest), Arc::clone(&absences), Arc::clone(&stopped));
        let task = tokio::spawn(async move {
            let mut last_seen = None;
            while !stopped_too.load(Ordering::Relaxed) {
                if reader.has(FLAG).await {
                    last_seen = None;
                } else {
                    let since = *last_seen.get_or_insert_with(|| {
                        absences_too.fetch_add(1, Ordering::Relaxed);
                        now()
                    });
                    longest_too.fetch_max((now() - since).as_millis() as u64, Ordering::Relaxed);
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        Self { longest, absences, stopped, task }
    }

    /// How often it was absent, and for how long at most.
    async fn end(self) -> (u64, Duration) {
        self.stopped.store(true, Ordering::Relaxed);
        self.task.await.expect("memcached lives");
        (self.absences.load(Ordering::Relaxed), Duration::from_millis(self.longest.load(Ordering::Relaxed)))
    }
}

fn a_second() -> Duration {
    Duration::from_secs(1) + if is_strict() { Duration::ZERO } else { SLACK }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_never_absent_while_a_node_lives_and_gone_soon_after_the_last() {
    let (Some(one), Some(two)) = (Memcached::start().await, Memcached::start().await) else { return };
    let vendor = Vendor::start(Mode::Echo).await;
    let mut fleet = Fleet::start(3, &[&one, &two], &cnam(&vendor)).await;
    let mut readers = fleet.flag_readers(&[&one, &two]).await;
    assert!(all_read(&mut readers, "1", Duration::from_secs(5)).await.is_some());

    let watches = [Watch::start(&one).await, Watch::start(&two).await];
    for n in [0, 1] {
        tokio::time::sleep(Duration::from_secs(if is_full() { 10 } else { 1 })).await;
        fleet.kill(n);
    }
    // Longer than a flag lives that nobody refreshes.
    tokio::time::sleep(Duration::from_secs(if is_full() { 30 } else { 4 })).await;
    for watch in watches {
        assert_eq!(watch.end().await.0, 0, "absent though a node lives");
    }

    for server in [&one, &two] {
        flush(server).await;
    }

    fleet.kill(2);
    let died = now();
    let mut readers = [Reader::connect(one.socket()).await, Reader::connect(two.socket()).await];
    for reader in &mut readers {
        while reader.get(FLAG).await.is_some() {
            tokio::time::sleep(Duration::from_millis(2)).await;
            assert!(now() - died < Duration::from_secs(10), "it outlives its writers");
        }
        println!("gone {:?} after the last node's death", now() - died);
    }
    let limit = Duration::from_secs(3) + if is_strict() { Duration::from_millis(50) } else { SLACK };
    assert!(now() - died <= limit, "gone after {:?}", now() - died);
    assert!(fleet.told().is_empty(), "nothing was ever wrong: {:?}", fleet.told());
}

/// Flushes a server until the flag was gone with the rest: memcached spares what was written in the same second.
async fn flush(server: &Memcached) {
    for _ in 0..10 {
        let watch = Watch::start(server).await;
        assert_eq!(server.say("flush_all").await, "OK");
        tokio::time::sleep(a_second() + Duration::from_millis(500)).await;
        let (absences, longest) = watch.end().await;
        println!("flush_all: absent {absences} times, for {longest:?} at most");
        assert!(absences <= 1 && longest <= a_second(), "{absences} times, {longest:?}");
        if absences == 1 {
            return;
        }
    }
    panic!("ten flushes, and it was never gone: this proves nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evicted_it_is_written_again_within_a_second() {
    let Some(small) = Memcached::start_with(&["-m", "2"]).await else { return };
    let vendor = Vendor::start(Mode::Echo).await;
    let fleet = Fleet::start(2, &[&small], &cnam(&vendor)).await;
    let mut readers = fleet.flag_readers(&[&small]).await;
    assert!(all_read(&mut readers, "1", Duration::from_secs(5)).await.is_some());

    let watch = Watch::start(&small).await;
    let mut other = TcpStream::connect(small.socket()).await.unwrap();
    let end = Deadline::after(Duration::from_secs(if is_full() { 30 } else { 5 }));
    let mut n = 0_u32;
    while !end.passed() {
        // Small values of somebody else's, of the size that a flag has.
        let junk: String =
            (0..15_000).map(|m| format!("set junk{:09} 0 0 1 noreply\r\nx\r\n", n * 15_000 + m)).collect();
        n += 1;
        other.write_all(junk.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let (absences, longest) = watch.end().await;
    println!("evictions: absent {absences} times, for {longest:?} at most");
    assert!(absences > 0, "it was never evicted: this proves nothing");
    assert!(longest <= a_second(), "absent for {longest:?}");
    assert!(fleet.told().is_empty(), "nothing was ever wrong: {:?}", fleet.told());
    drop(other);
    assert!(all_read(&mut readers, "1", a_second()).await.is_some());
}
