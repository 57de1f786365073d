//! The 1/0 flags, as a routing script sees them: read over and over from `GET /v1/health`.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::watch;

use super::client::Lane;
use crate::deadline::Deadline;

/// How often they are read; the promises about them are about whole seconds.
const EVERY: Duration = Duration::from_millis(25);
/// How long one reading may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// The flags by lookup: true is 1. Empty until they were read for the first time.
pub type Flags = BTreeMap<String, bool>;

/// Reads the flags until it is dropped. A reading that fails changes nothing.
pub async fn follow(front: SocketAddr, flags: watch::Sender<Flags>) {
    let mut lane = None;
    loop {
        match read(front, lane.take()).await {
            Ok((read, kept)) => {
                lane = Some(kept);
                flags.send_if_modified(|known| {
                    let changed = *known != read;
                    *known = read;
                    changed
                });
            }
            Err(error) => tracing::debug!(%error, "the flags do not read"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn read(front: SocketAddr, lane: Option<Lane>) -> io::Result<(Flags, Lane)> {
    let deadline = Deadline::after(PATIENCE);
    let lane = match lane {
        Some(lane) => lane,
        None => Lane::open(front, deadline).await?,
    };
    let (reply, lane) = lane.get("/v1/health", deadline).await?;
    let flags: BTreeMap<String, u8> = serde_json::from_str(&reply.body)?;
    Ok((flags.into_iter().map(|(lookup, flag)| (lookup, flag == 1)).collect(), lane))
}
