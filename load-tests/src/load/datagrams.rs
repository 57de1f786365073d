//! Callers over UDP: one socket, each told apart by the id of its question.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use crate::load::sample::{Kind, Sample};
use crate::load::{Book, Call, Load, Poll};

/// How often callers are looked for whose patience is over.
const LOOK: Duration = Duration::from_millis(20);

/// Questions sent before answers are looked at again.
const AT_ONCE: usize = 32;

/// Sends all callers of this load. Who finds its id still taken, 65,536 questions later, has no answer.
pub(super) fn run(load: &Load, begun: Instant) -> io::Result<Vec<Sample>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(load.address)?;
    socket.set_nonblocking(true)?;
    let poll = Poll::new()?;
    poll.add(&socket, 0)?;
    let mut book = Book::new(load, begun);
    let mut waiting: Vec<Option<(Call, Instant)>> = vec![None; 1 << 16];
    let mut under_way = 0_usize;
    let mut next_id = 0_u16;
    let (mut question, mut answer) = (Vec::new(), [0; 4096]);
    let mut ready = Vec::new();
    let mut look = Instant::now() + LOOK;
    loop {
        let now = Instant::now();
        for _ in 0..AT_ONCE {
            let Some(call) = book.take_due(now) else { break };
            next_id = next_id.wrapping_add(1);
            question.clear();
            load.wire.ask(&mut question, call.key, call.budget_ms, next_id);
            let sent = Instant::now();
            if let Some((lost, sent)) = waiting[usize::from(next_id)].replace((call, sent)) {
                book.note(lost, sent, now, Kind::Failed);
                under_way -= 1;
            }
            under_way += 1;
            // What the kernel does not take is lost like any datagram, and found missing.
            let _ = socket.send(&question);
        }
        if now >= look {
            for slot in &mut waiting {
                if let Some((call, sent)) = slot.take_if(|(call, _)| now.duration_since(call.due) > load.patience) {
                    book.note(call, sent, now, Kind::Failed);
                    under_way -= 1;
                }
            }
            look = now + LOOK;
        }
        let due = book.next_due();
        if due.is_none() && under_way == 0 {
            return Ok(book.samples);
        }
        poll.wait(due.map_or(look, |due| due.min(look)), &mut ready)?;
        if ready.drain(..).next().is_none() {
            continue;
        }
        loop {
            let length = match socket.recv(&mut answer) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // A closed port is told on the socket, once for each question that met it: they go unanswered.
                Err(_) => continue,
            };
            let Some(id) = answer[..length].first_chunk::<2>() else { continue };
            if let Some((call, sent)) = waiting[usize::from(u16::from_be_bytes(*id))].take() {
                under_way -= 1;
                let kind = load.wire.answer(&answer[..length], call.key).map_or(Kind::Wrong, |(_, kind)| kind);
                book.note(call, sent, Instant::now(), kind);
            }
        }
    }
}
