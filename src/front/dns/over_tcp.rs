//! Messages with their length before each (RFC 7766), answered in the order in which they come.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::deadline::{Deadline, now};
use crate::front::desk::Desk;
use crate::front::dns::Settings;
use crate::front::dns::cookie::Baker;
use crate::front::dns::query::{Incoming, read};
use crate::front::dns::reply;
use crate::front::dns::resolve::{Step, begin};
use crate::front::listen::Drain;

/// One connection, until it ends or is quiet for too long.
pub async fn connection<D: Desk>(stream: TcpStream, desk: Arc<D>, baker: Arc<Baker>, settings: Settings, drain: Drain) {
    let Ok(peer) = stream.peer_addr() else { return };
    let mut stream = BufReader::new(stream);
    let mut watch = drain.watch();
    loop {
        let query = tokio::select! {
            biased;
            query = Deadline::after(settings.quiet).limit(next(&mut stream)) => query,
            () = watch.wait() => return,
        };
        let Some(Ok(query)) = query else { return };
        let Some(reply) = answer(read(&query, peer.ip(), &baker), &*desk).await else { continue };
        let Ok(length) = u16::try_from(reply.len()) else { return };
        let framed = [&length.to_be_bytes()[..], &reply].concat();
        if !matches!(Deadline::after(settings.quiet).limit(stream.write_all(&framed)).await, Some(Ok(()))) {
            return;
        }
    }
}

async fn next(stream: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut query = vec![0; usize::from(length)];
    stream.read_exact(&mut query).await?;
    Ok(query)
}

async fn answer<D: Desk>(read: Incoming, desk: &D) -> Option<Vec<u8>> {
    let reply = match read {
        Incoming::Noise => return None,
        Incoming::Refused(reply, _) => *reply,
        Incoming::Asked(asked) => match begin(desk, *asked) {
            Step::Say(reply, ..) => reply,
            Step::Ask(question) => question.reply(desk, now()).await,
        },
    };
    reply::bytes(&reply, u16::MAX)
}
