//! Plain keys, byte for byte as a real memcached answers beside us, and as libmemcached's own checker wants them.

use std::process::Command;
use std::time::Duration;

use tokio::net::UnixStream;

use crate::front::{Client, Front};
use crate::support::memcached::Memcached;
use crate::support::process;

/// Conversations, each on a connection of its own, in this order over one store.
const CASES: &[&str] = &[
    // Storage, retrieval, flags, conditions.
    "get\r\n",
    "gets\r\n",
    "set a 0 0 3\r\nabc\r\nget a\r\ngets a\r\nget a b a\r\n",
    "set a 4294967295 0 3\r\nabc\r\nget a\r\n",
    "set a 0 0\r\n",
    "set a 0 0 1 foo\r\nx\r\nget a\r\n",
    "set a 0 0 1 noreply\r\ny\r\nget a\r\n",
    "set e 0 0 0\r\n\r\nget e\r\n mg e v\r\n",
    "add a 0 0 1\r\nx\r\nadd new 7 0 1\r\nx\r\nget new\r\n",
    "replace nope 0 0 1\r\nx\r\nreplace a 3 0 2\r\nxy\r\nget a\r\n",
    "append a 0 0 1\r\nx\r\nprepend a 9 0 1\r\ny\r\nget a\r\nappend nope 0 0 1\r\nx\r\nprepend nope 0 0 1\r\nx\r\n",
    "gets a\r\ncas a 0 0 3 1\r\nabc\r\ncas nope 0 0 3 1\r\nabc\r\n",
    "set c 0 0 1\r\n1\r\ngets c\r\n",
    "set bin 0 0 6\r\na\r\nb\0\n\r\nget bin\r\n",
    "set k 0 0 2 noreply\r\nhi\r\nreplace k 0 0 2 noreply\r\nho\r\nadd k 0 0 2 noreply\r\nhu\r\nappend k 0 0 1 noreply\r\n!\r\nget k\r\n",
    // Times.
    "set neg 0 -1 1\r\nx\r\nget neg\r\n",
    "set abs 0 2592001 1\r\nx\r\nget abs\r\n",
    "set far 0 2592000 1\r\nx\r\nmg far t\r\n",
    "touch a 10\r\ntouch a\r\ntouch nope 0\r\ntouch a x\r\nmg a t\r\ntouch a 0 noreply\r\nmg a t\r\ntouch a -1\r\nget a\r\n",
    "set a 5 0 3\r\nabc\r\ngat 10 a b\r\ngats 10 a\r\nmg a t\r\ngat\r\ngat 10\r\ngat x a\r\n",
    // Deletes.
    "delete a 0\r\nget a\r\ndelete a\r\ndelete a 5\r\ndelete\r\nset a 0 0 1\r\nx\r\ndelete a noreply\r\nget a\r\n",
    "set a 0 0 1\r\nx\r\ndelete a 0 noreply\r\nget a\r\n",
    // Numbers.
    "set n 0 0 2\r\n10\r\ndecr n 1\r\nget n\r\nincr n 18446744073709551615\r\nget n\r\n",
    "incr n x\r\nincr n -1\r\ndecr n 100\r\nget n\r\nincr nope 1\r\nincr n\r\nincr n 5 noreply\r\nget n\r\n",
    "set n 0 0 20\r\n18446744073709551615\r\nincr n 1\r\nget n\r\nincr n 2\r\n",
    "set n 0 0 3\r\nabc\r\nincr n 1\r\ndecr n 1\r\nset n 0 0 3\r\n 12\r\nincr n 1\r\nget n\r\nset n 0 0 5\r\n12 ab\r\nincr n 1\r\nget n\r\n",
    "set n 9 100 1\r\n9\r\nincr n 1\r\nget n\r\nmg n t\r\n",
    // Odds and ends.
    "verbosity\r\nverbosity 1\r\nverbosity noreply\r\nverbosity foo bar my\r\n",
    "stats foo\r\nstats reset\r\nstats sizes\r\n",
    "\r\n \r\nGET a\r\nfoo\r\nmn x\r\nslabs x\r\nget / HTTP/1.1\r\n",
    "flush_all x\r\nflush_all 1 2 3\r\n",
    "quit x\r\n",
    // Meta commands.
    "ms a 5 F5\r\nyabcx\r\nmg a\r\nmg a v\r\nmg a s v f t k O12 h l q\r\nmg a h\r\nmg nope\r\nmg nope k O1\r\nmg nope q\r\n",
    "mg\r\nmg a a\r\nmg a v v\r\nmg a !\r\nmg a x\r\nmg a N\r\nmg a Tx\r\n",
    "ms\r\nms a\r\nms a x\r\nms a -1\r\nme\r\nma\r\nmd\r\n",
    "ms a 2 T0 F5 k O7\r\nhi\r\nmg a f\r\n",
    "ms a 2 MA\r\nhi\r\nmg a v\r\nms a 1 MP\r\nx\r\nmg a v s f\r\nms a 1 ME\r\nx\r\nms nope 1 MR\r\nx\r\nms nope 1 MA\r\nx\r\nms a 1 MS\r\nx\r\nms a 1 Mr\r\nz\r\nmg a v\r\n",
    "ms a 2 q\r\nhi\r\nms nope 1 MR q\r\nx\r\n",
    "ms a 2 C1\r\nhi\r\nms nope 2 C1\r\nhi\r\n",
    "md nope\r\nmd nope q\r\nmd a C1\r\nmd a k O1\r\nmd a q\r\n",
    "ma cnt\r\nma cnt N0 J13 v t\r\nma cnt v\r\nma cnt D5 v k O1 t\r\nma cnt MD D100 v\r\nma cnt Mx\r\nma cnt Dx\r\nma cnt q\r\nma nope q\r\nmg cnt v\r\nma cnt D4\r\nma cnt T50 t\r\n",
    "set x 0 0 1\r\nx\r\nma x\r\nma x C1\r\n",
    "me nope\r\n",
    "ms st 2 T100\r\nhi\r\nmd st I T30\r\nmg st v t s\r\nmg st v\r\nms st 2\r\nyo\r\nmg st v\r\n",
    "mg viv N30 v t\r\nmg viv N30 v t\r\nms viv 1\r\nx\r\nmg viv N30 v\r\n",
    "ms rc 1 T10\r\nx\r\nmg rc R30 v t\r\nmg rc R30\r\nms rc 1 T100\r\nx\r\nmg rc R30\r\n",
    "ms Zm9v 1 b k\r\nx\r\nmg Zm9v b k v\r\nmg Zm9v b v\r\nmg foo v\r\nmg !!! b\r\nmd Zm9v b k\r\n",
    "ms inv 1\r\nx\r\nms inv 1 I C1\r\ny\r\nmg inv v\r\nmg inv v\r\n",
    "ms a 1 T-1\r\nx\r\nmg a v t\r\n",
    // Flushes last.
    "set a 0 0 1\r\nx\r\nflush_all 0 noreply\r\nget a\r\nset a 0 0 1\r\nx\r\n",
];

#[tokio::test]
async fn byte_for_byte_as_memcached() {
    let Some(real) = Memcached::start().await else { return };
    let ours = Front::start(&[]);
    for case in CASES {
        let mut replies = [ask(real.socket(), case).await, ask(ours.address, case).await];
        // They are asked one after the other, and the seconds that an item has left may have turned in between.
        for _ in 0..2 {
            if replies[0] == replies[1] {
                break;
            }
            replies = [ask(real.socket(), case).await, ask(ours.address, case).await];
        }
        assert_eq!(replies[0], replies[1], "\nmemcached is left, we are right, in {case:?}");
    }
}

async fn ask(address: std::net::SocketAddr, case: &str) -> String {
    let mut client = Client::connect(address).await;
    client.send(case).await;
    if case.starts_with("quit") {
        return client.rest().await;
    }
    client.send("mn\r\n").await;
    client.until(b"MN\r\n").await
}

#[tokio::test]
async fn byte_for_byte_with_cas_and_large_values() {
    let Some(real) = Memcached::start().await else { return };
    let ours = Front::start(&[]);
    let large = "v".repeat(1_048_000);
    let key = "k".repeat(250);
    let cases = [
        "set a 0 0 1\r\nx\r\ngets a\r\ncas a 0 0 1 1\r\ny\r\ngets a\r\ncas a 0 0 1 1\r\nz\r\nincr a 1\r\n".to_owned(),
        "ms a 2 c\r\nhi\r\nmg a c v\r\nms a 2 c C99\r\nhi\r\nma n N0 J1 c\r\nma n c v\r\nmd n C99\r\nme a\r\n"
            .to_owned(),
        format!(
            "set {key} 0 0 1\r\nx\r\nget {key}\r\nget {key}k\r\ndelete {key}k\r\nincr {key}k 1\r\ntouch {key}k 1\r\nmg {key}k\r\n"
        ),
        format!("set big 0 0 {}\r\n{large}\r\nget big\r\n", large.len()),
        format!("append big 0 0 {}\r\n{large}\r\nmg big s\r\n", large.len()),
        format!("set big 0 0 1048577\r\n{}\r\nget big\r\n", "w".repeat(1_048_577)),
        format!("get{}\r\n", " a".repeat(3000)),
    ];
    for case in &cases {
        let mut replies = Vec::new();
        for address in [real.socket(), ours.address] {
            replies.push(Client::connect(address).await.ask(case).await);
        }
        let shown = &case[..case.len().min(80)];
        assert_eq!(replies[0].len(), replies[1].len(), "in {shown:?}");
        assert!(replies[0] == replies[1], "{:.300?}\n{:.300?}\nin {shown:?}", replies[0], replies[1]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn libmemcacheds_own_checker_is_content() {
    let Some(checker) = process::find("memccapable", &[]) else {
        return process::skipped("memccapable", "libmemcached-tools");
    };
    let front = Front::start(&[]);
    let port = front.address.port().to_string();
    let output = tokio::task::spawn_blocking(move || {
        Command::new("timeout").arg("60").arg(checker).args(["-h", "127.0.0.1", "-p", &port, "-a", "-t", "5"]).output()
    });
    let output = output.await.unwrap().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.contains("All tests passed"),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn what_is_stored_ends_in_time() {
    let front = Front::start(&[]);
    let mut client = front.client().await;
    assert_eq!(
        client.ask("set a 0 1 1\r\nx\r\nset b 0 0 1\r\ny\r\nget a\r\n").await.lines().nth(2),
        Some("VALUE a 0 1")
    );
    client.ask("flush_all 2\r\n").await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(client.ask("get a\r\nget b\r\n").await, "END\r\nVALUE b 0 1\r\ny\r\nEND\r\n");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(client.ask("get b\r\n").await, "END\r\n");
}

#[tokio::test]
async fn one_store_behind_every_door_and_stats_of_it() {
    let front = Front::start(&[]);
    let mut unix = Client(UnixStream::connect(&front.socket).await.unwrap());
    assert_eq!(unix.ask("set a 5 0 2\r\nhi\r\n").await, "STORED\r\n");
    let mut tcp = front.client().await;
    assert_eq!(tcp.ask("get a\r\n").await, "VALUE a 5 2\r\nhi\r\nEND\r\n");
    let stats = tcp.ask("stats\r\n").await;
    for figure in
        ["curr_connections 2", "cmd_get 1", "cmd_set 1", "get_hits 1", "curr_items 1", "limit_maxbytes 67108864"]
    {
        assert!(stats.contains(&format!("STAT {figure}\r\n")), "{figure} in {stats}");
    }
    assert!(stats.ends_with("END\r\n"));
    assert!(tcp.ask("version\r\n").await.starts_with("VERSION 1.6."));
}

#[tokio::test]
async fn a_drain_answers_what_is_in_hand_and_takes_the_socket_away() {
    let front = Front::start(&[]);
    let mut idle = front.client().await;
    assert_eq!(idle.ask("get a\r\n").await, "END\r\n");
    front.drain.begin();
    assert_eq!(idle.rest().await, "");
    tokio::time::timeout(Duration::from_secs(5), front.serving).await.unwrap().unwrap();
    assert!(!front.socket.exists());
}
