//! An engine of known answers behind the front.
//!
//! `lrn` takes telephone numbers and the input `ani`; the key's digits say what becomes of it:
//! one that starts with 1 is a hit, the others are found in [`missed`]. `raw` takes any text.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dipcache::answer::{Answer, Outcome, Record, Source};
use dipcache::deadline::Deadline;
use dipcache::front::Front;
use dipcache::front::desk::{Desk, Line};
use dipcache::policy::{BadInput, Question};

#[derive(Default)]
pub struct FakeDesk {
    pub unknown: AtomicUsize,
    pub answered: Arc<AtomicUsize>,
}

#[derive(Clone)]
pub struct FakeLine {
    name: &'static str,
    order: Arc<[String]>,
    answered: Arc<AtomicUsize>,
}

impl Desk for FakeDesk {
    type Line = FakeLine;

    fn line(&self, name: &str) -> Option<FakeLine> {
        let name = ["cnam", "lrn", "raw"].into_iter().find(|known| *known == name)?;
        let order = ["lrn", "ocn", "ported", "gone"].map(str::to_owned).into();
        Some(FakeLine { name, order, answered: self.answered.clone() })
    }

    fn flags(&self) -> Vec<(Arc<str>, bool)> {
        ["cnam", "lrn", "raw"].map(|name| (Arc::from(name), name != "lrn")).into()
    }

    fn resolver(&self, _: &str, _: usize) -> Option<FakeLine> {
        None
    }

    fn unknown(&self, front: Front) {
        assert_eq!(front.as_str(), "http");
        self.unknown.fetch_add(1, Ordering::Relaxed);
    }
}

impl Line for FakeLine {
    fn question(&self, key: &str, inputs: &[(&str, &str)]) -> Result<Question, BadInput> {
        let is_number = |text: &str| {
            let digits = text.strip_prefix('+').unwrap_or(text);
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        if self.name == "raw" {
            return Ok(Question::of_key(key));
        }
        if !is_number(key) {
            return Err(BadInput::Key { expected: "a telephone number".into(), number: self.name == "lrn" });
        }
        let mut ani = None;
        for &(name, value) in inputs {
            match name {
                "ani" if is_number(value) => ani = Some(value.into()),
                "ani" => return Err(BadInput::Input { name: name.into(), expected: "a telephone number".into() }),
                _ => return Err(BadInput::Unknown { name: name.into(), known: "ani".into() }),
            }
        }
        Ok(Question { key: key.into(), inputs: vec![ani], names: vec!["ani".into()], id: key.into() })
    }

    fn declares(&self, _: &str) -> bool {
        false
    }

    fn text_field(&self) -> &str {
        "lrn"
    }

    fn field_order(&self) -> &[String] {
        &self.order
    }

    fn call_budget(&self) -> Duration {
        Duration::from_millis(300)
    }

    fn hit(&self, question: &Question, _: u64) -> Option<Answer> {
        if self.name == "raw" {
            let json = serde_json::json!({ "key": question.key.as_str() }).to_string();
            return Some(found(json, Source::Local));
        }
        let digits = question.key.trim_start_matches('+');
        digits.starts_with('1').then(|| {
            let ani = question.inputs.first().cloned().flatten();
            let ani = ani.map_or(String::new(), |ani| format!(r#","ani":"{ani}""#));
            found(
                format!(r#"{{"lrn":"{}","ocn":"7, \"x\"","ported":true,"nil":null{ani}}}"#, question.key),
                Source::Local,
            )
        })
    }

    async fn miss(&self, question: Question, deadline: Deadline) -> Answer {
        missed(&question.key, deadline).await
    }

    fn warm(&self, _: &Question) {}

    fn forget(&self, _: &Question) -> bool {
        false
    }

    fn is_up(&self) -> bool {
        self.name != "lrn"
    }

    fn answered(&self, _: Front, _: &Answer, _: Duration) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }
}

fn found(json: String, source: Source) -> Answer {
    let mut answer = Answer::empty(Outcome::Found, source);
    answer.record = Some(Record::from_json(json));
    (answer.ttl, answer.age) = (3600, Duration::from_secs(12));
    answer
}

/// What becomes of keys that are no hit.
async fn missed(key: &str, deadline: Deadline) -> Answer {
    let vendor = || Source::Upstream(Arc::from("vendor-a"));
    let with = |outcome, source, ttl| {
        let mut answer = found(format!(r#"{{"lrn":"{key}"}}"#), source);
        (answer.outcome, answer.ttl) = (outcome, ttl);
        answer
    };
    let later = |outcome, wait| {
        let mut answer = Answer::empty(outcome, Source::Nobody);
        answer.retry_after = wait;
        answer
    };
    match key {
        "200" => with(Outcome::Found, vendor(), 60),
        "201" => {
            let mut answer = with(Outcome::Partial, vendor(), 60);
            answer.collapsed = true;
            answer
        }
        "202" => with(Outcome::Found, Source::Stale, -7),
        "203" => with(Outcome::Fallback, Source::Fallback, 0),
        "204" => with(Outcome::Found, Source::Shared, 9),
        "404" => Answer { ttl: 60, ..Answer::empty(Outcome::NotFound, vendor()) },
        "405" => Answer::empty(Outcome::NotApplicable, Source::Nobody),
        "406" => Answer { ttl: 60, ..Answer::empty(Outcome::InvalidNumber, vendor()) },
        "500" => later(Outcome::Open, Some(Duration::from_millis(2500))),
        "501" => later(Outcome::RateLimited, None),
        "502" => Answer::empty(Outcome::VendorError, Source::Nobody),
        "503" => later(Outcome::QuotaExhausted, Some(Duration::from_secs(60))),
        "506" => later(Outcome::AuthError, None),
        "507" => later(Outcome::Overload, None),
        "700" => {
            tokio::time::sleep(Duration::from_millis(40)).await;
            with(Outcome::Found, vendor(), 60)
        }
        _ => {
            tokio::time::sleep_until(deadline.moment()).await;
            Answer::empty(Outcome::Timeout, Source::Nobody)
        }
    }
}
