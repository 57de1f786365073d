//! One query to one server: UDP, and TCP where the answer did not fit.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::deadline::Deadline;
use crate::upstream::{Failure, FailureKind};

/// More than a server may send after the EDNS size that we gave; what is longer arrives cut and does not parse.
const DATAGRAM: usize = 4096;

/// Asks one server; each of UDP and TCP may take `wait`, both together not past the deadline.
///
/// # Errors
/// `Timeout`, `Connect`, or `Protocol` for an answer that does not parse or fit the question.
pub(super) async fn exchange(
    server: SocketAddr,
    query: &Message,
    wait: Duration,
    deadline: Deadline,
) -> Result<Message, Failure> {
    let bytes = query
        .to_vec()
        .map_err(|error| Failure::new(FailureKind::Policy, format!("the query cannot be written: {error}")))?;
    let answer = over_udp(server, query, &bytes, Deadline::after(wait).earlier(deadline)).await?;
    if !answer.metadata.truncation {
        return Ok(answer);
    }
    let limit = Deadline::after(wait).earlier(deadline);
    match limit.limit(over_tcp(server, query, &bytes)).await {
        Some(result) => result,
        None => Err(Failure::new(
            FailureKind::Timeout,
            format!("{server} truncated its answer, and gave none over TCP in time"),
        )),
    }
}

async fn over_udp(server: SocketAddr, query: &Message, bytes: &[u8], limit: Deadline) -> Result<Message, Failure> {
    let mut misfits = 0_u32;
    match limit.limit(datagrams(server, query, bytes, &mut misfits)).await {
        Some(result) => result.map_err(|error| no_connection(server, "UDP", &error)),
        None if misfits == 0 => Err(Failure::new(FailureKind::Timeout, format!("{server} is silent"))),
        None => Err(Failure::new(
            FailureKind::Protocol,
            format!("{server} sent {misfits} datagrams, and none of them answers the query"),
        )),
    }
}

/// Waits for the datagram that answers; others are counted and dropped, and the wait goes on.
async fn datagrams(server: SocketAddr, query: &Message, bytes: &[u8], misfits: &mut u32) -> io::Result<Message> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(bytes).await?;
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let length = socket.recv(&mut buffer).await?;
        match Message::from_vec(&buffer[..length]) {
            Ok(answer) if answers(query, &answer) => return Ok(answer),
            _ => *misfits += 1,
        }
    }
}

/// RFC 7766: two bytes of length before each message. The length bounds what is read.
async fn over_tcp(server: SocketAddr, query: &Message, bytes: &[u8]) -> Result<Message, Failure> {
    let broken =
        |error: io::Error| Failure::new(FailureKind::Protocol, format!("{server} broke off over TCP: {error}"));
    let mut stream = TcpStream::connect(server).await.map_err(|error| no_connection(server, "TCP", &error))?;
    let _ = stream.set_nodelay(true);
    // A query is one name and a few bytes: far below the 64 KiB that two bytes can say.
    let mut framed = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes().to_vec();
    framed.extend_from_slice(bytes);
    stream.write_all(&framed).await.map_err(broken)?;
    let length = stream.read_u16().await.map_err(broken)?;
    let mut buffer = vec![0; usize::from(length)];
    stream.read_exact(&mut buffer).await.map_err(broken)?;
    match Message::from_vec(&buffer) {
        Ok(answer) if answers(query, &answer) => Ok(answer),
        Ok(_) => Err(Failure::new(FailureKind::Protocol, format!("{server} answered another question over TCP"))),
        Err(error) => Err(Failure::new(FailureKind::Protocol, format!("{server}'s answer does not parse: {error}"))),
    }
}

/// True when the message is an answer to the query: its id and its question (RFC 5452, section 9.1). A refusal may come
/// without the question, because a server that does not understand a query cannot always repeat it.
fn answers(query: &Message, answer: &Message) -> bool {
    let same_question = (answer.queries == query.queries && same_case(query, answer))
        || (answer.queries.is_empty()
            && answer.answers.is_empty()
            && matches!(
                answer.metadata.response_code,
                ResponseCode::FormErr | ResponseCode::NotImp | ResponseCode::Refused
            ));
    answer.metadata.id == query.metadata.id && answer.metadata.message_type == MessageType::Response && same_question
}

/// True when each letter of the name came back as it was sent, if it was sent in mixed case; a query without that
/// is in small letters, and there are servers that answer it in capitals.
fn same_case(query: &Message, answer: &Message) -> bool {
    query.queries.iter().zip(&answer.queries).all(|(asked, answered)| {
        let name = asked.name();
        let is_mixed = name.iter().flatten().any(u8::is_ascii_uppercase);
        !is_mixed || name.eq_case(answered.name())
    })
}

fn no_connection(server: SocketAddr, over: &str, error: &io::Error) -> Failure {
    Failure::new(FailureKind::Connect, format!("{server} cannot be reached over {over}: {error}"))
}
