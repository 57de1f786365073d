//! A name server of our own that misbehaves to order, over UDP and TCP on one port.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, NAPTR};
use hickory_proto::rr::{Name, RData, Record};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinHandle;

/// What the name server does with a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One address, 192.0.2.1, with a TTL of 60 s.
    Ok,
    /// Nothing, ever.
    Silent,
    /// This code and no records.
    Code(ResponseCode),
    /// This code, and the address all the same.
    CodeWithRecords(ResponseCode),
    /// This code, and one NAPTR record that says "not ported".
    Naptr(ResponseCode),
    /// The same with NOERROR, and with the question in small letters whatever its case was.
    NaptrInSmallLetters,
    /// TC over UDP and the address over TCP.
    Truncated,
    /// TC over UDP, and silence over TCP.
    TruncatedThenSilent,
    /// TC over UDP, and the end of the connection over TCP.
    TruncatedThenClose,
    /// Ten thousand answers with other ids and other names, then the true one.
    Forged,
    /// Only forged ones.
    ForgedOnly,
    /// Bytes that are no message.
    Garbage,
}

/// The name server; gone when dropped.
pub struct Nameserver {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

struct Shared {
    mode: Mutex<Mode>,
    udp: AtomicU64,
    tcp: AtomicU64,
    last: Mutex<Option<Message>>,
}

impl Nameserver {
    /// Starts one in this mode.
    pub async fn start(mode: Mode) -> Self {
        let (udp, tcp) = sockets().await;
        let address = udp.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            mode: Mutex::new(mode),
            udp: AtomicU64::new(0),
            tcp: AtomicU64::new(0),
            last: Mutex::new(None),
        });
        let tasks =
            vec![tokio::spawn(over_udp(udp, Arc::clone(&shared))), tokio::spawn(over_tcp(tcp, Arc::clone(&shared)))];
        Self { address, shared, tasks }
    }

    /// Changes what it does.
    pub fn set(&self, mode: Mode) {
        *self.shared.mode.lock().expect("no panic under the lock") = mode;
    }

    /// Queries that came over UDP.
    pub fn udp_queries(&self) -> u64 {
        self.shared.udp.load(Ordering::SeqCst)
    }

    /// Queries that came over TCP.
    pub fn tcp_queries(&self) -> u64 {
        self.shared.tcp.load(Ordering::SeqCst)
    }

    /// The last query.
    pub fn last_query(&self) -> Option<Message> {
        self.shared.last.lock().expect("no panic under the lock").clone()
    }
}

impl Drop for Nameserver {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Shared {
    fn mode(&self) -> Mode {
        *self.mode.lock().expect("no panic under the lock")
    }

    fn note(&self, counter: &AtomicU64, query: &Message) {
        counter.fetch_add(1, Ordering::SeqCst);
        *self.last.lock().expect("no panic under the lock") = Some(query.clone());
    }
}

/// Both sockets on one port.
async fn sockets() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("an address")).await {
            return (udp, tcp);
        }
    }
}

async fn over_udp(socket: UdpSocket, shared: Arc<Shared>) {
    let mut buffer = [0; 4096];
    while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
        let Ok(query) = Message::from_vec(&buffer[..length]) else { continue };
        shared.note(&shared.udp, &query);
        for datagram in datagrams(shared.mode(), &query) {
            let _ = socket.send_to(&datagram, client).await;
            tokio::task::yield_now().await;
        }
    }
}

fn datagrams(mode: Mode, query: &Message) -> Vec<Vec<u8>> {
    match mode {
        Mode::Silent => Vec::new(),
        Mode::Ok => vec![bytes(&found(query))],
        Mode::Code(code) => vec![bytes(&coded(query, code, false))],
        Mode::CodeWithRecords(code) => vec![bytes(&coded(query, code, true))],
        Mode::Naptr(code) => vec![bytes(&not_ported(query, code))],
        Mode::NaptrInSmallLetters => {
            let mut answer = not_ported(query, ResponseCode::NoError);
            let small = query.queries[0].name().to_lowercase();
            answer.queries[0].set_name(small);
            vec![bytes(&answer)]
        }
        Mode::Truncated | Mode::TruncatedThenSilent | Mode::TruncatedThenClose => {
            let mut answer = coded(query, ResponseCode::NoError, false);
            answer.metadata.truncation = true;
            vec![bytes(&answer)]
        }
        Mode::Garbage => vec![vec![0xff; 40], b"no message".to_vec()],
        Mode::ForgedOnly => forged(query, 100),
        Mode::Forged => {
            let mut all = forged(query, 10_000);
            all.push(bytes(&found(query)));
            all
        }
    }
}

/// Answers that an attacker might send: right question with wrong ids, and the right id with a wrong question.
fn forged(query: &Message, count: u16) -> Vec<Vec<u8>> {
    let mut other_name = found(query);
    other_name.queries[0].set_name(Name::from_ascii("evil.test.").expect("a name"));
    let mut all = vec![bytes(&other_name), bytes(query)];
    let mut other_id = found(query);
    for offset in 1..=count {
        other_id.metadata.id = query.metadata.id.wrapping_add(offset);
        all.push(bytes(&other_id));
    }
    all
}

async fn over_tcp(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(connection(stream, Arc::clone(&shared)));
    }
}

async fn connection(mut stream: TcpStream, shared: Arc<Shared>) {
    while let Ok(length) = stream.read_u16().await {
        let mut buffer = vec![0; usize::from(length)];
        if stream.read_exact(&mut buffer).await.is_err() {
            return;
        }
        let Ok(query) = Message::from_vec(&buffer) else { return };
        shared.note(&shared.tcp, &query);
        match shared.mode() {
            Mode::TruncatedThenClose => return,
            Mode::Truncated | Mode::Ok => {
                let answer = bytes(&found(&query));
                let mut framed = u16::try_from(answer.len()).expect("a short answer").to_be_bytes().to_vec();
                framed.extend_from_slice(&answer);
                let _ = stream.write_all(&framed).await;
            }
            _ => {}
        }
    }
}

fn found(query: &Message) -> Message {
    coded(query, ResponseCode::NoError, true)
}

fn coded(query: &Message, code: ResponseCode, with_record: bool) -> Message {
    let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
    answer.metadata.response_code = code;
    answer.queries = query.queries.clone();
    if with_record {
        let name = query.queries[0].name().clone();
        answer.add_answer(Record::from_rdata(name, 60, RData::A(A::new(192, 0, 2, 1))));
    }
    answer
}

fn not_ported(query: &Message, code: ResponseCode) -> Message {
    let mut answer = coded(query, code, false);
    let part = |text: &str| text.as_bytes().to_vec().into();
    let naptr = NAPTR::new(10, 10, part("u"), part("E2U+pstn:tel"), part("!^(.*)$!tel:\\1;npdi!"), Name::root());
    answer.add_answer(Record::from_rdata(query.queries[0].name().clone(), 60, RData::NAPTR(naptr)));
    answer
}

fn bytes(message: &Message) -> Vec<u8> {
    message.to_vec().expect("a message")
}
