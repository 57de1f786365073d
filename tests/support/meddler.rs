//! A proxy between us and a server, that delays, cuts, drops or lies to order.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What it does with what the server answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Meddling {
    /// Hands on.
    None,
    /// Hands on this much later.
    Delay(Duration),
    /// Ends the connection in the middle of every so many-th answer.
    Cut(u64),
    /// Holds back every so many-th answer for this long: it comes when nobody waits any more.
    Late(u64, Duration),
    /// Answers nonsense in its place.
    Garbage,
    /// Promises a value of a terabyte.
    Huge,
    /// Changes one byte of every so many-th answer.
    Flip(u64),
    /// Puts a refusal before the answer to every `version`, as for a `set` that waits for no reply.
    Stray,
    /// Takes everything and answers nothing.
    Swallow,
    /// Refuses every connection, and ends those that are open.
    Refuse,
}

/// The proxy; gone when dropped.
pub struct Meddler {
    pub address: SocketAddr,
    mode: watch::Sender<Meddling>,
    target: watch::Sender<u16>,
    task: JoinHandle<()>,
}

impl Meddler {
    /// Between a free port and this one.
    pub async fn before(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (mode, modes) = watch::channel(Meddling::None);
        let (target, targets) = watch::channel(target);
        let task = tokio::spawn(async move {
            let mut all = tokio::task::JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                all.spawn(carry(stream, targets.clone(), modes.clone()));
            }
        });
        Self { address, mode, target, task }
    }

    /// Changes what it does, for open connections too.
    pub fn set(&self, mode: Meddling) {
        self.mode.send_replace(mode);
    }

    /// Stands before another server from now on; open connections end.
    pub fn turn_to(&self, port: u16) {
        self.target.send_replace(port);
    }
}

impl Drop for Meddler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(mut client: TcpStream, mut targets: watch::Receiver<u16>, modes: watch::Receiver<Meddling>) {
    if *modes.borrow() == Meddling::Refuse {
        return;
    }
    let port = *targets.borrow_and_update();
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut up, mut down) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut ending = modes.clone();
    let mut answers = fastrand::u64(0..1000);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(count @ 1..) = read else { return };
                let mode = *modes.borrow();
                let lie: &[u8] = match mode {
                    Meddling::Swallow => continue,
                    Meddling::Garbage => b"VERSION of the STORED END VALUE\n\0\xff\r\n",
                    Meddling::Huge => b"VALUE a 0 1099511627776\r\n",
                    _ => {
                        if server.write_all(&up[..count]).await.is_err() { return }
                        continue;
                    }
                };
                if client.write_all(lie).await.is_err() { return }
            }
            read = server.read(&mut down) => {
                let Ok(count @ 1..) = read else { return };
                answers += 1;
                let mode = *modes.borrow();
                let mut part = &down[..count];
                let flipped;
                match mode {
                    Meddling::Delay(time) => tokio::time::sleep(time).await,
                    Meddling::Late(each, time) if answers % each == 0 => tokio::time::sleep(time).await,
                    Meddling::Cut(each) if answers % each == 0 => {
                        let _ = client.write_all(&part[..count / 2]).await;
                        return;
                    }
                    Meddling::Flip(each) if answers % each == 0 => {
                        let mut copy = part.to_vec();
                        copy[fastrand::usize(..count)] ^= 1 << fastrand::u8(..8);
                        flipped = copy;
                        part = &flipped;
                    }
                    Meddling::Stray if part.starts_with(b"VERSION") => {
                        part = b"SERVER_ERROR out of memory storing object\r\nVERSION 1\r\n";
                    }
                    Meddling::Swallow | Meddling::Garbage | Meddling::Huge => continue,
                    _ => {}
                }
                if client.write_all(part).await.is_err() { return }
            }
            _ = targets.changed() => return,
            () = async { drop(ending.wait_for(|mode| *mode == Meddling::Refuse).await) } => return,
        }
    }
}
