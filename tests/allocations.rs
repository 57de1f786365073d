//! What a hit may allocate, as its budget states it. Counted and not timed: a machine under load counts the same.
//!
//! The server runs on the test's own thread and the client on another, so that only the server's allocations count. A budget
//! that has become too high is to be lowered with the change that made it so.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "clippy knows tests, and not their helpers beside them")]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use dipcache::answer::{Outcome, Record};
use dipcache::cache::Entry;
use dipcache::deadline::tick;
use dipcache::front::listen::{Drain, Listener};
use dipcache::front::{dns, http, memcached};
use dipcache::lookup::Lookup;
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};

use support::lookups::Desk;

/// A hit of the pipeline, and of the plain lane: nothing.
const HIT: f64 = 0.0;
/// A `get` of one key, and of each of several: nothing.
const MEMCACHED: f64 = 0.0;
/// The query and the reply as a library's messages, name for name.
const DNS: f64 = 20.0;
/// The record, which the table keeps as bare text.
const TABLE: f64 = 1.0;

/// Requests that are counted.
const COUNTED: u32 = 2000;

/// What else the thread allocates meanwhile, in all: a timer that sweeps, a page of the runtime's own.
const BESIDE: f64 = 20.0;

const LRN: &str = r#"kind = "lrn"
[input]
key = { type = "tn", country = "US" }
[[upstream]]
type = "http"
url = "http://127.0.0.1:9/"
[upstream.fields]
lrn = "body.lrn"
ocn = "body.ocn"
"#;

const CARRIER: &str = r#"kind = "dns"
[input]
key = { type = "dns" }
[cache]
max_ttl = "1d"
[[upstream]]
type = "dns"
record = "A"
domain = "{{ key }}"
servers = "127.0.0.1:9"
[upstream.fields]
a = "answers"
"#;

/// Lookups with a fresh entry each.
fn desk() -> Desk {
    let desk = Desk::new(&[("lrn", LRN), ("carrier-dns", CARRIER)]);
    for n in 0..10 {
        know(&desk.lookup("lrn"), &format!("303555012{n}"), r#"{"lrn":"+13035550000","ocn":"1234"}"#);
    }
    know(&desk.lookup("carrier-dns"), "sip.carrier.test", r#"{"a":["127.0.1.1","127.0.1.2"]}"#);
    desk
}

fn know(lookup: &Arc<Lookup>, key: &str, record: &str) {
    let question = lookup.policy.question(key, &[]).unwrap();
    let record = Some(Record::from_json(record));
    let entry = Entry::seal(&lookup.policy.cache, Outcome::Found, record, None, 0.0, tick()).unwrap();
    lookup.local.put(question.id.clone(), entry);
    assert!(lookup.hit(&question).is_some(), "{key} is no hit");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Allocations of this thread for each of the counted requests.
fn within(budget: f64, what: &str, work: impl FnOnce()) {
    let counted = allocation_counter::measure(work);
    let each = counted.count_total as f64 / f64::from(COUNTED);
    println!("{what}: {each:.3} allocations each, the budget is {budget}");
    assert!(
        each <= budget + BESIDE / f64::from(COUNTED),
        "{what}: {each} allocations each, and the budget is {budget}"
    );
}

/// Serves on this thread what `ask` asks from another one, first to warm up and then to be counted.
fn served<A: FnMut() + 'static>(
    budget: f64,
    what: &str,
    start: impl AsyncFnOnce(Desk) -> SocketAddr,
    client: impl FnOnce(SocketAddr) -> A + Send + 'static,
) {
    let runtime = runtime();
    let address = runtime.block_on(async { start(desk()).await });
    let (go, times) = mpsc::channel::<u32>();
    let (tell, mut done) = tokio::sync::mpsc::unbounded_channel();
    let asking = std::thread::spawn(move || {
        let mut ask = client(address);
        for times in times {
            (0..times).for_each(|_| ask());
            tell.send(()).unwrap();
        }
    });
    let mut run = |times| {
        go.send(times).unwrap();
        runtime.block_on(done.recv()).expect("the client ends well");
    };
    run(200);
    within(budget, what, || run(COUNTED));
    drop(go);
    asking.join().unwrap();
}

/// A client that writes this and reads until it ends so.
fn over_tcp(request: &'static [u8], end: &'static [u8]) -> impl FnOnce(SocketAddr) -> Box<dyn FnMut()> {
    move |address| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut got = Vec::new();
        Box::new(move || {
            stream.write_all(request).unwrap();
            got.clear();
            while !got.ends_with(end) {
                let mut some = [0; 4096];
                let length = stream.read(&mut some).unwrap();
                assert!(length > 0, "closed: {}", String::from_utf8_lossy(&got));
                got.extend_from_slice(&some[..length]);
            }
            assert!(got.windows(4).any(|four| four == b"1234"), "{}", String::from_utf8_lossy(&got));
        })
    }
}

async fn http_front(desk: Desk) -> SocketAddr {
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.address();
    let settings = http::Settings::default();
    tokio::spawn(http::serve(vec![listener], Arc::clone(&desk.lookups), settings, Drain::default()));
    address
}

async fn memcached_front(desk: Desk) -> SocketAddr {
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.address();
    let doors = memcached::Doors { tcp: vec![listener], unix: Vec::new() };
    let settings = memcached::Settings::default();
    tokio::spawn(memcached::serve(doors, Arc::clone(&desk.lookups), settings, Drain::default()));
    address
}

async fn dns_front(desk: Desk) -> SocketAddr {
    let door = dns::Door::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = door.address();
    tokio::spawn(dns::serve(vec![door], Arc::clone(&desk.lookups), dns::Settings::default(), Drain::default()));
    address
}

#[test]
fn a_hit_of_the_pipeline() {
    let runtime = runtime();
    let _inside = runtime.enter();
    let lookup = desk().lookup("lrn");
    let question = lookup.policy.question("3035550123", &[]).unwrap();
    within(HIT, "Lookup::hit", || (0..COUNTED).for_each(|_| assert!(lookup.hit(&question).is_some())));
}

#[test]
fn a_hit_in_a_table() {
    let runtime = runtime();
    let _inside = runtime.enter();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rates.csv");
    std::fs::write(&file, "prefix,rate\n1303,0.02\n1303555,0.005\n").unwrap();
    let policy = format!(
        "kind = \"rate\"\n[input]\nkey = {{ type = \"tn\", country = \"US\" }}\n[[upstream]]\ntype = \"table\"\nfile = \"{}\"\n\
         match = \"longest_prefix\"\nkey_column = \"prefix\"\nfields = {{ rate_inter = \"row.rate | float\" }}\n",
        file.display()
    );
    let desk = Desk::new(&[("rate", &policy)]);
    let lookup = desk.lookup("rate");
    let (_, table) = lookup.tables().next().unwrap();
    table.load_here(lookup.policy.kind, &lookup.policy.upstreams[0]).unwrap();
    let question = lookup.policy.question("3035550123", &[]).unwrap();
    within(TABLE, "Lookup::hit of a table", || (0..COUNTED).for_each(|_| assert!(lookup.hit(&question).is_some())));
}

#[test]
fn an_http_hit_in_the_plain_lane() {
    let request = b"GET /v1/lookup/lrn/13035550123 HTTP/1.1\r\nHost: dipcache\r\n\r\n";
    served(HIT, "an HTTP hit", http_front, over_tcp(request, b"}"));
}

#[test]
fn a_memcached_hit() {
    served(MEMCACHED, "a memcached hit", memcached_front, over_tcp(b"get lrn:13035550123\r\n", b"END\r\n"));
}

#[test]
fn a_memcached_hit_of_several_keys() {
    let request = b"get lrn:13035550120 lrn:13035550121 lrn:13035550122 lrn:13035550123\r\n";
    served(4.0 * MEMCACHED, "a memcached hit of four keys", memcached_front, over_tcp(request, b"END\r\n"));
}

#[test]
fn a_dns_hit_over_udp() {
    let client = |address: SocketAddr| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut query = Message::new(4711, MessageType::Query, OpCode::Query);
        query.add_query(Query::query(Name::from_ascii("sip.carrier.test.").unwrap(), RecordType::A));
        let query = query.to_vec().unwrap();
        move || {
            socket.send(&query).unwrap();
            let mut reply = [0; 512];
            let length = socket.recv(&mut reply).unwrap();
            assert_eq!((reply[3] & 0x0f, reply[7]), (0, 2), "{:?}", &reply[..length]);
        }
    };
    served(DNS, "a DNS hit", dns_front, client);
}
