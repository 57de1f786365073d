//! Opening a port again that was ours a moment ago.

use std::io;
use std::time::Duration;

use crate::deadline::Deadline;

/// How long we try: in between, the system may have lent the port to an outgoing connection.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tries `bind` until it works or patience ends.
///
/// # Errors
/// What the last try said.
pub async fn reopen<T, F: Future<Output = io::Result<T>>>(bind: impl Fn() -> F) -> io::Result<T> {
    let deadline = Deadline::after(PATIENCE);
    loop {
        match bind().await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && !deadline.passed() => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            bound => return bound,
        }
    }
}
