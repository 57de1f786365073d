use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::deadline::{self, Deadline};

async fn started() -> Simulator {
    Simulator::start(Ports::Free).await.unwrap()
}

async fn connect(simulator: &Simulator, lookup: &'static str, upstream: &'static str) -> TcpStream {
    TcpStream::connect(simulator.addresses()[&(lookup, upstream)]).await.unwrap()
}

/// Sends one request and reads until the answer is whole or the vendor closes.
async fn ask(stream: &mut TcpStream, target: &str) -> std::io::Result<String> {
    stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: vendor\r\n\r\n").as_bytes()).await?;
    let mut bytes = Vec::new();
    loop {
        let read = stream.read_buf(&mut bytes).await?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if read == 0 || text.ends_with('}') || text.ends_with("</html>") {
            return Ok(text);
        }
    }
}

async fn mode(simulator: &Simulator, mode: Mode) {
    simulator.set("lrn", "vendor-a", Order::mode(mode)).await.unwrap();
}

const TARGET: &str = "/v1/lrn/3035550123";

#[tokio::test]
async fn a_vendor_answers_several_requests_on_one_connection_and_counts_them() {
    let simulator = started().await;
    let mut stream = connect(&simulator, "lrn", "vendor-a").await;
    let first = ask(&mut stream, TARGET).await.unwrap();
    assert!(first.starts_with("HTTP/1.1 200 OK\r\n") && first.contains("\"ocn\":"), "{first}");
    assert_eq!(ask(&mut stream, TARGET).await.unwrap(), first);
    assert_eq!(
        simulator.view()["lrn"]["vendor-a"],
        serde_json::json!({ "mode": "ok", "latency_ms": 5, "requests": 2 })
    );
    assert_eq!(simulator.view()["lrn"]["vendor-b"]["requests"], 0);
}

#[tokio::test]
async fn a_hanging_vendor_takes_the_request_and_says_nothing() {
    let simulator = started().await;
    mode(&simulator, Mode::Hang).await;
    let mut stream = connect(&simulator, "lrn", "vendor-a").await;
    let waited = Deadline::after(Duration::from_millis(200)).limit(ask(&mut stream, TARGET)).await;
    assert!(waited.is_none(), "{waited:?}");
    assert_eq!(simulator.view()["lrn"]["vendor-a"]["requests"], 1);
}

#[tokio::test]
async fn a_resetting_vendor_sends_rst() {
    let simulator = started().await;
    let mut stream = connect(&simulator, "lrn", "vendor-a").await;
    ask(&mut stream, TARGET).await.unwrap();
    mode(&simulator, Mode::Reset).await;
    let error = ask(&mut stream, TARGET).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn errors_and_garbage_look_the_part() {
    let simulator = started().await;
    mode(&simulator, Mode::Error).await;
    let answer = ask(&mut connect(&simulator, "lrn", "vendor-a").await, TARGET).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    mode(&simulator, Mode::Garbage).await;
    for _ in 0..8 {
        let answer = ask(&mut connect(&simulator, "lrn", "vendor-a").await, TARGET).await.unwrap();
        assert!(!answer.is_empty() && !answer.contains("\"ocn\":"), "{answer}");
    }
}

#[tokio::test]
async fn a_refusing_vendor_closes_its_port_and_kept_connections_and_comes_back_on_the_same_port() {
    let simulator = started().await;
    let address = simulator.addresses()[&("lrn", "vendor-a")];
    let mut kept = connect(&simulator, "lrn", "vendor-a").await;
    ask(&mut kept, TARGET).await.unwrap();

    mode(&simulator, Mode::Refuse).await;
    let refused = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(ask(&mut kept, TARGET).await.map_or(true, |answer| answer.is_empty()));

    mode(&simulator, Mode::Ok).await;
    assert_eq!(simulator.addresses()[&("lrn", "vendor-a")], address);
    assert!(ask(&mut connect(&simulator, "lrn", "vendor-a").await, TARGET).await.unwrap().contains("200 OK"));
}

#[tokio::test]
async fn a_slow_vendor_takes_ten_times_as_long() {
    let simulator = started().await;
    let order = Order { mode: Some(Mode::Slow), latency_ms: Some(15) };
    simulator.set("lrn", "vendor-a", order).await.unwrap();
    let begun = deadline::now();
    ask(&mut connect(&simulator, "lrn", "vendor-a").await, TARGET).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(150), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn commands_are_obeyed_or_explained() {
    let simulator = started().await;
    let view = simulator.command("cnam", "vendor-b", br#"{"mode":"error","latency_ms":1}"#).await.unwrap();
    assert_eq!(view, serde_json::json!({ "mode": "error", "latency_ms": 1, "requests": 0 }));
    assert_eq!(simulator.modes("cnam"), [("vendor-a", Mode::Ok), ("vendor-b", Mode::Error)]);

    let unknown = simulator.command("cnam", "vendor-z", b"{}").await.unwrap_err();
    assert_eq!(unknown.status(), 404);
    assert!(unknown.to_string().contains("no simulated upstream cnam/vendor-z; there are lrn/vendor-a, "), "{unknown}");
    assert_eq!(simulator.command("cnam", "vendor-a", b"[]").await.unwrap_err().status(), 400);
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it() {
    let simulator = started().await;
    let address = simulator.addresses()[&("lrn", "vendor-a")];
    let conduct = Conduct { mode: Mode::Ok, latency_ms: 0 };
    let source = Vendor::start(Shape::FlatLrn, address, conduct).await.unwrap_err();
    assert_eq!(source.kind(), std::io::ErrorKind::AddrInUse);
    let complaint = SimError::Port { lookup: "lrn", upstream: "vendor-a", address, source };
    assert!(complaint.to_string().contains(&format!("lrn/vendor-a cannot open {address}")), "{complaint}");
    assert_eq!(complaint.status(), 503);
}

#[tokio::test]
async fn a_request_that_never_ends_is_cut_off() {
    let simulator = started().await;
    let mut stream = connect(&simulator, "lrn", "vendor-a").await;
    let flood = vec![b'a'; 64 * 1024];
    let _ = stream.write_all(b"GET /").await;
    let _ = stream.write_all(&flood).await;
    let mut rest = Vec::new();
    let end = Deadline::after(Duration::from_secs(5)).limit(stream.read_to_end(&mut rest)).await;
    assert!(end.is_some(), "the connection is still open");
    assert_eq!(simulator.view()["lrn"]["vendor-a"]["requests"], 0);
}
