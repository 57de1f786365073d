//! Lookups and flags, as the SIP servers' memcached clients see them.

use std::time::Duration;

use dipcache::answer::{Outcome, Record};
use dipcache::cache::Entry;
use dipcache::deadline::{now, tick};
use dipcache::front::form::Form;
use dipcache::front::memcached::Settings;
use dipcache::health::Override;

use crate::front::Front;
use crate::support::vendor::{Mode, Vendor};

const BODY: &str = r#"{"lrn":"+13035550000","ocn":"1234","name":"O\"Neil\r\nBob","nothing":""}"#;

fn lrn(vendor: &Vendor) -> String {
    format!(
        "kind = \"raw\"\n[input]\nkey = {{ type = \"tn\", country = \"US\" }}\nani = {{ type = \"tn\", country = \"US\", optional = true }}\n\
         [budget]\ncall = \"600ms\"\nbackground = \"1s\"\n[[upstream]]\nname = \"v\"\ntype = \"http\"\nurl = \"{}\"\nconcurrency = 500\n\
         [upstream.fields]\nlrn = \"body.lrn\"\nocn = \"body.ocn\"\nname = \"body.name\"\nnothing = \"body.nothing\"\n",
        vendor.url("/lrn/{{ key | nanp10 }}/{{ ani }}")
    )
}

async fn vendor(mode: Mode) -> Vendor {
    let vendor = Vendor::start(mode).await;
    vendor.set_body(BODY);
    vendor
}

#[tokio::test]
async fn a_record_a_field_and_a_flag() {
    let vendor = vendor(Mode::OK).await;
    let front = Front::start(&[("lrn", &lrn(&vendor))]);
    let mut client = front.client().await;
    let record = r#"{"lrn":"+13035550000","ocn":"1234","name":"O\"NeilBob"}"#;
    let expected = format!("VALUE lrn:13035550123 1 {}\r\n{record}\r\nEND\r\n", record.len());
    assert_eq!(client.ask("get lrn:13035550123\r\n").await, expected);
    assert_eq!(client.ask("get lrn:13035550123\r\n").await, expected, "the hit is the same");
    assert_eq!(vendor.requests(), 1);
    assert_eq!(client.ask("get lrn.ocn:3035550123\r\n").await, "VALUE lrn.ocn:3035550123 1 4\r\n1234\r\nEND\r\n");
    assert_eq!(
        client.ask("get lrn.name:3035550123\r\n").await,
        "VALUE lrn.name:3035550123 1 9\r\nO\"NeilBob\r\nEND\r\n",
        "no line end in a value"
    );
    assert_eq!(client.ask("get lrn.nothing:3035550123\r\n").await, "END\r\n", "never a value of length zero");
    assert_eq!(client.ask("get lrn.gone:3035550123\r\n").await, "END\r\n");
    assert_eq!(client.ask("get health:lrn health:nope\r\n").await, "VALUE health:lrn 0 1\r\n1\r\nEND\r\n");
    assert_eq!(
        client.ask("get health:lrn:v health:lrn:nobody health:nope:v\r\n").await,
        "VALUE health:lrn:v 0 1\r\n1\r\nEND\r\n",
        "an upstream's own flag"
    );
    front.desk.lookup("lrn").lay_hand(Override::Down);
    assert_eq!(client.ask("get health:lrn\r\n").await, "VALUE health:lrn 0 1\r\n0\r\nEND\r\n");
    assert_eq!(client.ask("mg lrn.ocn:3035550123 v f k\r\n").await, "VA 4 f1 klrn.ocn:3035550123\r\n1234\r\n");
    assert_eq!(client.ask("mg health:lrn v f\r\n").await, "VA 1 f0\r\n0\r\n");
}

#[tokio::test]
async fn inputs_and_budget_stand_behind_the_key() {
    let vendor = vendor(Mode::OK).await;
    let front = Front::start(&[("lrn", &lrn(&vendor))]);
    let mut client = front.client().await;
    assert!(client.ask("get lrn.ocn:3035550123;ani=12025550123\r\n").await.contains("1234"));
    assert!(vendor.last_request().contains("/3035550123/%2B12025550123"), "{}", vendor.last_request());
    vendor.set(Mode::Hang);
    let start = now();
    assert_eq!(client.ask("get lrn:3035550199;budget_ms=20\r\n").await, "END\r\n");
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
    for bad in ["lrn:3035550123;nope=1", "lrn:3035550123;budget_ms=x", "lrn:3035550123;budget_ms=0", "lrn:3035550123;x"]
    {
        let reply = client.ask(format!("get {bad}\r\n")).await;
        assert!(reply.starts_with("CLIENT_ERROR ") && reply.ends_with("\r\n"), "{bad}: {reply}");
    }
    // What a caller may send as a number is no fault of the script's.
    assert_eq!(client.ask("get lrn:anonymous lrn:\r\n").await, "END\r\n");
}

#[tokio::test]
async fn many_keys_wait_side_by_side_under_one_budget() {
    let vendor = vendor(Mode::Ok(Duration::from_millis(80))).await;
    let front = Front::start(&[("lrn", &lrn(&vendor))]);
    let mut client = front.client().await;
    let keys: Vec<String> = (0..50).map(|n| format!("lrn.ocn:30355502{n:02}")).collect();
    client.ask("set plain 0 0 1\r\np\r\n").await;
    let start = now();
    let reply = client.ask(format!("get health:lrn {} plain nope\r\n", keys.join(" "))).await;
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    let named: Vec<&str> = reply.lines().filter_map(|line| line.strip_prefix("VALUE ")?.split(' ').next()).collect();
    let mut expected = vec!["health:lrn"];
    expected.extend(keys.iter().map(String::as_str));
    expected.push("plain");
    assert_eq!(named, expected, "in the order in which they were asked for");
}

/// Whoever asks first takes the fetch along: it must go on while that client's socket is full.
#[tokio::test]
async fn a_client_that_does_not_read_holds_up_nobody_who_waits_for_the_same() {
    let (quick, slow) = (vendor(Mode::OK).await, vendor(Mode::Ok(Duration::from_millis(200))).await);
    let front = Front::start(&[("lrn", &lrn(&quick)), ("slow", &lrn(&slow))]);
    let (mut deaf, mut other) = (front.client().await, front.client().await);
    let large = "v".repeat(900_000);
    assert_eq!(other.ask(format!("set large 0 0 {}\r\n{large}\r\n", large.len())).await, "STORED\r\n");
    // More than both ends' buffers take.
    deaf.send(format!("get lrn.ocn:3035550123{} slow.ocn:3035550124\r\n", " large".repeat(24))).await;
    while slow.requests() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(other.ask("get slow.ocn:3035550124\r\n").await.contains("1234"));
    assert_eq!(slow.requests(), 1);
}

#[tokio::test]
async fn known_keys_of_all_kinds_are_told_in_order_and_counted() {
    let vendor = vendor(Mode::Hang).await;
    let front = Front::start(&[("known", &lrn(&vendor)), ("other", &lrn(&vendor))]);
    let know = |lookup: &str, key: &str, outcome: Outcome, record: Option<String>| {
        let lookup = front.desk.lookup(lookup);
        let question = lookup.policy.question(key, &[]).unwrap();
        let entry = Entry::seal(&lookup.policy.cache, outcome, record.map(Record::from_json), None, 0.0, tick());
        lookup.local.put(question.id, entry.unwrap());
    };
    let record = |key: &str| format!("{{\"key\":\"{key}\"}}");
    let (mut keys, mut expected) = (Vec::new(), String::new());
    let value = |key: &str, value: &str, flags: u8| format!("VALUE {key} {flags} {}\r\n{value}\r\n", value.len());
    for n in 0..60 {
        let number = format!("30355502{n:02}");
        let lookup = if n < 40 { "known" } else { "other" };
        let key = format!("{lookup}:{number}");
        if n % 7 == 3 {
            know(lookup, &number, Outcome::NotFound, None);
        } else {
            let outcome = if n % 5 == 2 { Outcome::Partial } else { Outcome::Found };
            know(lookup, &number, outcome, Some(record(&key)));
            expected += &value(&key, &record(&key), 1);
        }
        keys.push(key);
        match n {
            10 => keys.push("known:anonymous".into()),
            20 => keys.push("nothing:1".into()),
            30 => {
                keys.extend(["plain".into(), "known:3035550200".into(), "health:known".into()]);
                expected += &value("plain", "p", 0);
                expected += &value("known:3035550200", &record("known:3035550200"), 1);
                expected += &value("health:known", "1", 0);
            }
            _ => {}
        }
    }
    let mut client = front.client().await;
    client.ask("set plain 0 0 1\r\np\r\n").await;
    assert_eq!(client.ask(format!("get {}\r\n", keys.join(" "))).await, expected + "END\r\n");
    assert_eq!(vendor.requests(), 0);
    let stats = client.ask("stats\r\n").await;
    let (asked, told) = (keys.len(), 60 - 9 + 3);
    assert!(stats.contains(&format!("STAT cmd_get {asked}\r\n")), "{asked}: {stats}");
    assert!(stats.contains(&format!("STAT get_hits {told}\r\n")), "{told}: {stats}");
    // Figures are the process's, and no other test has a lookup of this name.
    let counted = front.desk.lookup("known").meters().by_source();
    assert_eq!(counted[0], ("local".to_owned(), 41));
}

#[tokio::test]
async fn a_key_that_is_no_text_and_long_ones_stand_in_nobodys_way() {
    let vendor = vendor(Mode::OK).await;
    let front = Front::start(&[("lrn", &lrn(&vendor))]);
    let mut client = front.client().await;
    let numbers: Vec<String> = (0..40).map(|n| format!("lrn:30355501{n:02}")).collect();
    let told = |reply: &str| -> Vec<String> {
        let keys = reply.lines().filter_map(|line| line.strip_prefix("VALUE ")?.split(' ').next());
        keys.map(ToOwned::to_owned).collect()
    };
    // Dips the first time, hits the second. Between the keys: bytes that no text holds, spaces, and keys as long as they may be.
    for between in [
        b" \xff\xfe ".to_vec(),
        b" lrn:\xff ".to_vec(),
        b"    ".to_vec(),
        [b" ", "k".repeat(250).as_bytes(), b" "].concat(),
    ] {
        for _ in 0..2 {
            let line = numbers.iter().map(|key| key.as_bytes()).collect::<Vec<_>>().join(&between[..]);
            let reply = client.ask([b"get ", &line[..], b"\r\n"].concat()).await;
            assert_eq!(told(&reply), numbers, "{between:?}");
        }
    }
    assert_eq!(vendor.requests(), 40);
}

#[tokio::test]
async fn no_data_is_a_plain_miss() {
    for mode in
        [Mode::Hang, Mode::Reset, Mode::Answer(404, "text/plain", vec![]), Mode::Answer(500, "text/plain", vec![])]
    {
        let vendor = vendor(mode.clone()).await;
        let front = Front::start(&[("lrn", &lrn(&vendor))]);
        let mut client = front.client().await;
        for _ in 0..3 {
            assert_eq!(client.ask("get lrn:3035550123\r\n").await, "END\r\n", "{mode:?}");
        }
    }
}

#[tokio::test]
async fn set_warms_and_delete_flushes() {
    let vendor = vendor(Mode::OK).await;
    let front = Front::start(&[("lrn", &lrn(&vendor))]);
    let mut client = front.client().await;
    assert_eq!(client.ask("delete lrn:3035550123\r\n").await, "NOT_FOUND\r\n");
    assert_eq!(client.ask("set lrn:3035550123 0 0 1\r\nx\r\n").await, "STORED\r\n");
    let lookup = front.desk.lookup("lrn");
    let end = now() + Duration::from_secs(3);
    while lookup.hit(&lookup.policy.question("3035550123", &[]).unwrap()).is_none() {
        assert!(now() < end, "it was not warmed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(client.ask("get lrn.ocn:3035550123\r\n").await.contains("1234"), "the vendor's word, not the client's");
    assert_eq!(vendor.requests(), 1);
    assert_eq!(client.ask("delete lrn:3035550123\r\n").await, "DELETED\r\n");
    client.ask("get lrn.ocn:3035550123\r\n").await;
    assert_eq!(vendor.requests(), 2);
    assert_eq!(
        client.ask("add lrn:1 0 0 1\r\nx\r\nset health:lrn 0 0 1\r\n0\r\nincr lrn:1 1\r\n").await,
        "NOT_STORED\r\nNOT_STORED\r\nNOT_FOUND\r\n"
    );
    assert_eq!(client.ask("ms lrn:3035550123 1\r\nx\r\nmd lrn:3035550123 k\r\n").await, "HD\r\nHD klrn:3035550123\r\n");
}

#[tokio::test]
async fn the_listeners_form() {
    let vendor = vendor(Mode::OK).await;
    let settings = Settings { form: Form::Params, ..Settings::default() };
    let front = Front::start_with(&[("lrn", &lrn(&vendor))], settings);
    let reply = front.client().await.ask("get lrn:3035550123\r\n").await;
    assert!(reply.contains("\r\nlrn=%2B13035550000&ocn=1234&"), "{reply}");
}

#[tokio::test]
async fn a_pipelined_batch_is_answered_in_order() {
    let vendor = vendor(Mode::Ok(Duration::from_millis(20))).await;
    let front = Front::start(&[("lrn", &lrn(&vendor))]);
    let mut client = front.client().await;
    let batch: String = (0..200)
        .map(|n| match n % 4 {
            0 => format!("set k{n} 0 0 3\r\n{n:03}\r\n"),
            1 => format!("get k{}\r\n", n - 1),
            2 => "get lrn.ocn:3035550123\r\n".to_owned(),
            _ => format!("mg k{} v O{n}\r\n", n - 3),
        })
        .collect();
    let reply = client.ask(batch).await;
    let expected: String = (0..200)
        .map(|n| match n % 4 {
            0 => "STORED\r\n".to_owned(),
            1 => format!("VALUE k{0} 0 3\r\n{0:03}\r\nEND\r\n", n - 1),
            2 => "VALUE lrn.ocn:3035550123 1 4\r\n1234\r\nEND\r\n".to_owned(),
            _ => format!("VA 3 O{n}\r\n{:03}\r\n", n - 3),
        })
        .collect();
    assert_eq!(reply, expected);
}
