//! A day and a night in fast-forward: an entry's life is seconds, and the night is several lives long.

use std::time::Duration;

use dipcache::deadline::now;

use crate::support::caller::Caller;
use crate::support::proxy::Proxy;
use crate::support::vendor::Mode;
use crate::{OPEN, is_full, lrn, number, vendor};

/// Keys that are asked for all day, and of a thousand calls those for a number that nobody ever asked for.
const REGULAR: u64 = 1000;
const STRANGERS: u64 = 3;

const LIFE: Duration = Duration::from_secs(6);
const NIGHT: Duration = Duration::from_secs(15);
const DAY: Duration = Duration::from_secs(10);
const CALLERS: u64 = 4;
/// Between two calls of a caller: all together make some thousands of calls an hour of this day.
const PAUSE: Duration = Duration::from_millis(1);

/// Draws places so that the first of them come more often: the square of a number evenly spread over 0 to 1.
struct Draw(fastrand::Rng);

impl Draw {
    fn place(&mut self, strangers: &mut u64) -> u64 {
        if self.0.u64(0..1000) < STRANGERS {
            *strangers += 1;
            return 1_000_000 + *strangers;
        }
        (self.0.f64().powi(2) * REGULAR as f64) as u64
    }
}

/// The share of the first thousand calls of the morning that the cache answers, after a day and a night.
async fn morning(warm: &str) -> f64 {
    let vendor = vendor(Mode::Ok(Duration::from_millis(1))).await;
    let life = format!("[budget]\ncall = \"2s\"\n[cache]\nfound = \"{}s\"\nstale = \"0\"\n{warm}", LIFE.as_secs());
    let proxy = Proxy::start(OPEN, &[("lrn", &lrn(&vendor, &life, ""))]).await;
    let callers = (0..CALLERS).map(async |seed| {
        let mut draw = Draw(fastrand::Rng::with_seed(seed));
        let mut caller = Caller::connect(proxy.http).await.unwrap();
        let (began, mut strangers) = (now(), seed * 100_000);
        while began.elapsed() < DAY {
            caller.get(&format!("/v1/lookup/lrn/{}", number(draw.place(&mut strangers)))).await.unwrap();
            tokio::time::sleep(PAUSE).await;
        }
    });
    futures_util::future::join_all(callers).await;
    tokio::time::sleep(NIGHT).await;
    let mut draw = Draw(fastrand::Rng::with_seed(99));
    let mut caller = Caller::connect(proxy.http).await.unwrap();
    let (mut strangers, mut hits) = (900_000, 0);
    for _ in 0..REGULAR {
        let reply = caller.get(&format!("/v1/lookup/lrn/{}", number(draw.place(&mut strangers)))).await.unwrap();
        assert_eq!(reply.status, 200);
        hits += u32::from(reply.source() == "local");
    }
    f64::from(hits) / REGULAR as f64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_calls_of_the_morning_find_what_is_hot() {
    let keep_hot = format!("[warm]\nkeep_hot = {}", REGULAR * 2);
    // On a machine that is busy with other tests the processor may be away for a whole life of an entry.
    let tries = if is_full() { 1 } else { 3 };
    for left in (0..tries).rev() {
        let (with, without) = tokio::join!(morning(&keep_hot), morning(""));
        let figures = format!("{:.1} % hits with keep_hot, {:.1} % without", with * 100.0, without * 100.0);
        println!("the first {REGULAR} calls of the morning: {figures}");
        let is_kept = with > 0.99 && without < 0.5;
        assert!(is_kept || left > 0, "{figures}");
        if is_kept {
            return;
        }
    }
}
