use std::net::Ipv4Addr;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

use super::*;

const OK: Conduct = Conduct { mode: Mode::Ok, latency_ms: 0 };

fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

fn look_up(name: &str, kind: RecordType) -> Message {
    let authority = Authority::of_the_demo().unwrap();
    let bytes = authority.answer(&query(name, kind).to_vec().unwrap(), Carrier::Tcp).unwrap();
    Message::from_vec(&bytes).unwrap()
}

#[test]
fn a_carrier_is_found_step_by_step() {
    let naptr = look_up("SIP.carrier.test.", RecordType::NAPTR);
    assert!(naptr.metadata.authoritative);
    let RData::NAPTR(first) = &naptr.answers[0].data else { panic!("{naptr:?}") };
    let srv = look_up(&first.replacement.to_ascii(), RecordType::SRV);
    let RData::SRV(first) = &srv.answers[0].data else { panic!("{srv:?}") };
    let a = look_up(&first.target.to_ascii(), RecordType::A);
    let RData::A(first) = &a.answers[0].data else { panic!("{a:?}") };
    assert_eq!(first.0, Ipv4Addr::new(127, 0, 1, 1));
    assert_eq!(look_up("sip.carrier.test.", RecordType::AAAA).answers.len(), 1);
    assert_eq!(look_up("carrier.test.", RecordType::TXT).answers.len(), 1);
}

#[test]
fn enum_keeps_its_backslashes_and_slashes() {
    let answer = look_up("3.2.1.0.5.5.5.3.0.3.1.e164.carrier.test.", RecordType::NAPTR);
    let RData::NAPTR(first) = &answer.answers[0].data else { panic!("{answer:?}") };
    assert_eq!(&*first.flags, b"u");
    assert_eq!(&*first.regexp, b"!^.*$!tel:+13035550123;npdi;rn=+17205550000!");
}

#[test]
fn nothing_is_told_apart_from_no_such_name() {
    let nodata = look_up("edge-3.carrier.test.", RecordType::AAAA);
    assert_eq!((nodata.metadata.response_code, nodata.answers.len()), (ResponseCode::NoError, 0));
    assert_eq!(nodata.authorities[0].record_type(), RecordType::SOA);
    let between = look_up("_udp.sip.carrier.test.", RecordType::SRV);
    assert_eq!(between.metadata.response_code, ResponseCode::NoError);
    let nowhere = look_up("nowhere.carrier.test.", RecordType::A);
    assert_eq!(nowhere.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(look_up("example.com.", RecordType::A).metadata.response_code, ResponseCode::Refused);
}

#[test]
fn an_alias_is_followed_within_the_zone() {
    let kinds: Vec<_> = look_up("www.carrier.test.", RecordType::A).answers.iter().map(|r| r.record_type()).collect();
    assert_eq!(kinds, [RecordType::CNAME, RecordType::A, RecordType::A]);
}

#[test]
fn an_answer_too_large_for_a_datagram_is_cut_and_says_so() {
    let zone: String = (0..40).map(|n| format!("big IN TXT \"{n:0>60}\"\n")).collect();
    let zone = format!("$ORIGIN big.test.\n$TTL 30\n@ IN SOA ns h 1 2 3 4 5\n{zone}");
    let authority = Authority::parse(&zone).unwrap();
    let bytes = query("big.big.test.", RecordType::TXT).to_vec().unwrap();
    let cut = Message::from_vec(&authority.answer(&bytes, Carrier::Udp).unwrap()).unwrap();
    assert!(cut.metadata.truncation && cut.answers.is_empty());
    let whole = Message::from_vec(&authority.answer(&bytes, Carrier::Tcp).unwrap()).unwrap();
    assert_eq!(whole.answers.len(), 40);
}

async fn ask_udp(server: &NameServer, message: &Message) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    socket.connect(server.address()).await.unwrap();
    socket.send(&message.to_vec().unwrap()).await.unwrap();
    let mut buffer = vec![0; 4096];
    let received = Deadline::after(Duration::from_millis(300)).limit(socket.recv(&mut buffer)).await?;
    received.ok().map(|length| buffer[..length].to_vec())
}

#[tokio::test]
async fn it_behaves_as_told_over_udp_and_tcp() {
    let server = NameServer::start((Ipv4Addr::LOCALHOST, 0).into(), OK).await.unwrap();
    let question = query("sip.carrier.test.", RecordType::A);
    let code = |bytes: Option<Vec<u8>>| bytes.map(|bytes| Message::from_vec(&bytes).unwrap().metadata.response_code);

    assert_eq!(code(ask_udp(&server, &question).await), Some(ResponseCode::NoError));
    server.obey(Order::mode(Mode::Error)).await.unwrap();
    assert_eq!(code(ask_udp(&server, &question).await), Some(ResponseCode::ServFail));
    server.obey(Order::mode(Mode::Hang)).await.unwrap();
    assert_eq!(ask_udp(&server, &question).await, None);
    server.obey(Order::mode(Mode::Refuse)).await.unwrap();
    assert!(TcpStream::connect(server.address()).await.is_err());
    server.obey(Order::mode(Mode::Ok)).await.unwrap();
    assert_eq!(server.requests(), 3);

    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let bytes = question.to_vec().unwrap();
    stream.write_u16(bytes.len() as u16).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    let answer = next_query(&mut stream).await.unwrap();
    assert_eq!(Message::from_vec(&answer).unwrap().answers.len(), 2);
}

#[tokio::test]
async fn noise_is_neither_answered_nor_harmful() {
    let server = NameServer::start((Ipv4Addr::LOCALHOST, 0).into(), OK).await.unwrap();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    for length in [0, 1, 11, 12, 500] {
        socket.send_to(&vec![0xff; length], server.address()).await.unwrap();
    }
    assert!(ask_udp(&server, &query("sip.carrier.test.", RecordType::A)).await.is_some());
}
