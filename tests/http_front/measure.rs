//! Not a test: the front before one prepared record, to be measured with a load generator.
//!
//! `cargo test --release --test http_front -- --ignored --nocapture serve_for_measurement` prints its
//! process id and two addresses, one a lane, and serves for a minute (`SECONDS_TO_SERVE`) with two workers
//! (`WORKERS`; 0 is a runtime without any). The CPU time of a run is the difference of `/proc/PID/stat`
//! before and after it.

use std::sync::Arc;
use std::time::Duration;

use dipcache::answer::{Answer, Outcome, Record, Source};
use dipcache::deadline::Deadline;
use dipcache::front::Front;
use dipcache::front::desk::{Desk, Line};
use dipcache::front::http::{self, Settings};
use dipcache::front::listen::{Drain, Listener};
use dipcache::policy::{BadInput, Question};

/// Every key is a hit with the same record: what is left is the front's own cost.
struct Ready(Prepared);

#[derive(Clone)]
struct Prepared(Arc<Answer>);

impl Desk for Ready {
    type Line = Prepared;

    fn line(&self, name: &str) -> Option<Prepared> {
        (name == "lrn").then(|| self.0.clone())
    }

    fn flags(&self) -> Vec<(Arc<str>, bool)> {
        vec![]
    }

    fn resolver(&self, _: &str, _: usize) -> Option<Prepared> {
        None
    }

    fn unknown(&self, _: Front) {}
}

impl Line for Prepared {
    fn question(&self, key: &str, _: &[(&str, &str)]) -> Result<Question, BadInput> {
        Ok(Question::of_key(key))
    }

    fn declares(&self, _: &str) -> bool {
        false
    }

    fn text_field(&self) -> &str {
        "lrn"
    }

    fn field_order(&self) -> &[String] {
        &[]
    }

    fn call_budget(&self) -> Duration {
        Duration::from_millis(80)
    }

    fn hit(&self, _: &Question, _: u64) -> Option<Answer> {
        Some(Answer::clone(&self.0))
    }

    async fn miss(&self, _: Question, _: Deadline) -> Answer {
        Answer::empty(Outcome::Timeout, Source::Nobody)
    }

    fn warm(&self, _: &Question) {}

    fn forget(&self, _: &Question) -> bool {
        false
    }

    fn is_up(&self) -> bool {
        true
    }

    fn answered(&self, _: Front, _: &Answer, _: Duration) {}
}

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
#[ignore = "for measuring by hand"]
fn serve_for_measurement() {
    use tokio::runtime::Builder;
    let runtime = match from_environment("WORKERS", 2) {
        0 => Builder::new_current_thread().enable_all().build(),
        workers => Builder::new_multi_thread().worker_threads(workers as usize).enable_all().build(),
    };
    runtime.unwrap().block_on(serve_both_lanes());
}

async fn serve_both_lanes() {
    let mut answer = Answer::empty(Outcome::Found, Source::Local);
    (answer.ttl, answer.age) = (3600, Duration::from_secs(12));
    answer.record = Some(Record::from_json(format!(r#"{{"lrn":"13035550123","pad":"{}"}}"#, "x".repeat(89))));
    let desk = Arc::new(Ready(Prepared(Arc::new(answer))));
    println!("pid {}", std::process::id());
    for (lane, plain_lane) in [("plain", true), ("full", false)] {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        println!("{lane} {}", listener.address());
        let settings = Settings { plain_lane, ..Settings::default() };
        tokio::spawn(http::serve(vec![listener], desk.clone(), settings, Drain::default()));
    }
    tokio::time::sleep(Duration::from_secs(from_environment("SECONDS_TO_SERVE", 60))).await;
}
